/* SPDX-License-Identifier: Apache-2.0 */

#include <time.h>

#include "ctl/times.h"

static int64_t now_ms(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

int64_t mono_ms(void) {
        return now_ms(CLOCK_MONOTONIC);
}

int64_t boot_ms(void) {
        return now_ms(CLOCK_BOOTTIME);
}
