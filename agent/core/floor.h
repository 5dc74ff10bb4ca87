/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A time that is certainly past, carried on by CLOCK_BOOTTIME; what it is for is told in policy/decide.h. It is only
 * ever raised. */

#include <stdint.h>

struct floor {
        int64_t ms, at_boot_ms; /* ms was the floor when CLOCK_BOOTTIME was at_boot_ms; 0: none yet */
};

/* ms since 1970, now. */
int64_t floor_now(const struct floor *f);
/* No effect when ms is not above the floor. */
void floor_raise(struct floor *f, int64_t ms);
