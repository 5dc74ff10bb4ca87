/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/floor.h"

#include "agent/util/clock.h"

int64_t floor_now(const struct floor *f) {
        return f->ms == 0 ? 0 : f->ms + (clock_boot_ms() - f->at_boot_ms);
}

void floor_raise(struct floor *f, int64_t ms) {
        if (ms > floor_now(f))
                *f = (struct floor) { .ms = ms, .at_boot_ms = clock_boot_ms() };
}
