/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Work that goes on, target by target, for longer than a watchdog waits is no hang. Call it where a step has been done,
 * never in a loop that waits: whoever hangs is still killed, and what it was about is finished by its successor. */

#include <stdint.h>

#include <systemd/sd-daemon.h>

#include "agent/util/clock.h"

#define ALIVE_EVERY_US (1000 * 1000)

static inline void alive(void) {
        static int64_t last_us;
        const int64_t now = clock_mono_us();

        if (now - last_us < ALIVE_EVERY_US)
                return;
        last_us = now;
        (void) sd_notify(false, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=30000000");
}
