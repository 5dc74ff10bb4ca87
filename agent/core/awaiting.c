/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/awaiting.h"

#include "agent/core/pending.h"
#include "agent/util/alive.h"

/* a service of thousands is not listed one by one */
#define SIGNALLED_LISTED 32U

/* The numbers of the signals in the mask. */
static json_t *signals_json(uint64_t mask) {
        json_t *array = json_array();

        for (int sig = 1; sig <= 64; sig++)
                if (mask >> (sig - 1) & 1)
                        (void) json_array_append_new(array, json_integer(sig));
        return array;
}

static json_t *signalled_json(const pid_t *pids, size_t n) {
        json_t *array = json_array();

        for (size_t i = 0; i < n && json_array_size(array) < SIGNALLED_LISTED; i++) {
                const uint64_t fatal = pending_fatal(pids[i]);

                if (fatal != 0)
                        (void) json_array_append_new(
                                array, json_pack("{si so}", "pid", (int) pids[i], "signals", signals_json(fatal)));
                alive();
        }
        return array;
}

reason_set awaiting_add(struct agent *a, const struct site *s, const pid_t *pids, size_t n, json_t *o) {
        const char *unit = site_freezable_unit(s);
        json_t *signalled = signalled_json(pids, n);
        reason_set notes = 0;

        if (json_array_size(signalled) > 0)
                notes |= reason_bit(REASON_PENDING_SIGNALS);
        (void) json_object_set_new(o, "signalled", signalled);
        if (unit && systemd_unit_watchdog_expired(a->systemd, unit)) {
                notes |= reason_bit(REASON_WATCHDOG);
                (void) json_object_set_new(o, "watchdog_expired", json_true());
        }
        return notes;
}
