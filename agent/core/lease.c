/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/lease.h"

#include <time.h>

#include "agent/core/release.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* a lapse that could not be recorded, and a hold that could not be undone, are tried again after this long */
#define RETRY_MS 60000

static const struct hold *first_ending(const struct agent *a) {
        for (size_t i = 0; i < hold_set_count(a->holds); i++)
                if (hold_is_ending(hold_set_at(a->holds, i)))
                        return hold_set_at(a->holds, i);
        return NULL;
}

/* One release a round: what persists for one reason persists for all, and each is waited for. */
static void retry_undo(struct agent *a) {
        const struct hold *h = first_ending(a);
        struct command_id id;

        /* 0: what is being undone has only begun, or nothing is */
        if (!h || a->undo_retry_ms == 0 || clock_boot_ms() < a->undo_retry_ms)
                return;
        id = h->id;
        a->undo_retry_ms = 0;
        release_finish(a, &id, 0);
}

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
        retry_undo(a);
        lease_arm(a);
        return 0;
}

/* CLOCK_BOOTTIME of the next thing to do; INT64_MAX when there is none. */
static int64_t next_due(struct agent *a) {
        const int64_t now = clock_boot_ms(), left = hold_set_next_lapse(a->holds);
        /* A lease that ran out while something else was done ends now, and however often this is called meanwhile. */
        const int64_t lapse = left == INT64_MAX ? left : left > 0 ? now + left : a->lapse_retry_ms;

        if (!first_ending(a))
                a->undo_retry_ms = 0;
        else if (a->undo_retry_ms == 0)
                a->undo_retry_ms = now + RETRY_MS;
        return a->undo_retry_ms ? MIN(lapse, a->undo_retry_ms) : lapse;
}

void lease_arm(struct agent *a) {
        const int64_t due = next_due(a);
        uint64_t at;
        int r;

        if (due == INT64_MAX) {
                if (a->lapse_timer)
                        (void) sd_event_source_set_enabled(a->lapse_timer, SD_EVENT_OFF);
                return;
        }
        at = (uint64_t) due * 1000;
        if (!a->lapse_timer) {
                r = sd_event_add_time(a->event, &a->lapse_timer, CLOCK_BOOTTIME, at, 1000, on_lapse, a);
        } else {
                r = sd_event_source_set_time(a->lapse_timer, at);
                if (r >= 0)
                        r = sd_event_source_set_enabled(a->lapse_timer, SD_EVENT_ONESHOT);
        }
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "lease"), "The lease timer could not be set: errno %d",
                          -r);
}
