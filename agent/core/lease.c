/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/lease.h"

#include <time.h>

#include "agent/core/release.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* a lapse that could not be recorded is tried again after this long */
#define RETRY_MS 60000

static int on_lapse(sd_event_source *s, uint64_t usec, void *userdata) {
        struct agent *a = userdata;
        bool again = true;

        (void) s;
        (void) usec;
        agent_tick(a);
        while (again) {
                again = false;
                for (size_t i = 0; i < hold_set_count(a->holds) && !again; i++) {
                        const struct hold *h = hold_set_at(a->holds, i);
                        const struct command_id id = h->id;
                        const size_t before = hold_set_count(a->holds);

                        if (h->state == HOLD_RELEASING || h->lease_left_ms > 0)
                                continue;
                        release_lapsed(a, &id);
                        /* the list moved; a hold that could not be ended is passed over until the next round */
                        again = hold_set_count(a->holds) < before;
                        if (!again && hold_set_at(a->holds, i)->state != HOLD_RELEASING)
                                a->lapse_retry_ms = clock_boot_ms() + RETRY_MS;
                }
        }
        systemd_rest(a->systemd);
        lease_arm(a);
        return 0;
}

void lease_arm(struct agent *a) {
        const int64_t left = hold_set_next_lapse(a->holds);
        uint64_t at;
        int r;

        if (left == INT64_MAX) {
                if (a->lapse_timer)
                        (void) sd_event_source_set_enabled(a->lapse_timer, SD_EVENT_OFF);
                return;
        }
        /* A lease that ran out while something else was done ends now, and however often this is called meanwhile. */
        at = (uint64_t) (left > 0 ? clock_boot_ms() + left : a->lapse_retry_ms) * 1000;
        if (!a->lapse_timer) {
                r = sd_event_add_time(a->event, &a->lapse_timer, CLOCK_BOOTTIME, at, 1000, on_lapse, a);
        } else {
                r = sd_event_source_set_time(a->lapse_timer, at);
                if (r >= 0)
                        r = sd_event_source_set_enabled(a->lapse_timer, SD_EVENT_ONESHOT);
        }
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "lease"), "The lease timer could not be set: errno %d", -r);
}
