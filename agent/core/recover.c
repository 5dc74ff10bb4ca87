/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/recover.h"

#include <string.h>

#include <systemd/sd-daemon.h>

#include "agent/core/enforce.h"
#include "agent/core/lease.h"
#include "agent/core/order.h"
#include "agent/core/prove.h"
#include "agent/core/release.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

/* True when the kernel holds it exactly as far as was recorded. Sites whose cgroup is gone are looked for again. */
static bool stands(struct agent *a, const struct hold *h, struct sites *sites) {
        const struct resolver resolver = agent_resolver(a);
        enum hold_state state = _HOLD_STATE_MAX;

        for (size_t i = 0; i < sites->n; i++) {
                struct proof p;
                reason_set notes = 0;

                if (site_open(&sites->v[i], a->cgroup_root) < 0 && resolve_again(&resolver, &sites->v[i], &notes) < 0)
                        return false;
                prove_site(a, h, &sites->v[i], NULL, &p);
                state = prove_fold(state, &p, h->verb);
                proof_done(&p);
        }
        return h->state == state;
}

static void enforce_again(struct agent *a, const struct command_id *id, enum reason why) {
        _cleanup_(proven_freep) struct proven *proven = NULL;
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        struct recorded *recorded;
        struct enforced *enforced;
        char text[33];
        int r = record_recall(a, id, &recorded);

        if (r == 0) {
                recorded_add_flags(recorded, reason_bit(why));
                r = enforce_apply(a, recorded, &enforced);
        }
        if (r == 0)
                r = prove(a, enforced, &proven);
        if (r == 0) {
                order_tell_systemd(a, proven);
                r = order_conclude(a, proven, "recovery", true, &receipt, &envelope);
        }
        command_id_to_str(id, text);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "recover"), "A hold could not be put in force again: %s", strerror(-r));
        else
                log_event(LOG_WARNING, MESSAGE_ID_RECOVERED, LOG_FIELDS(.hold = text, .stage = "recover", .reason = reason_id(why)), "%s",
                          reason_text(why));
}

static void recover_one(struct agent *a, const struct command_id *id) {
        const struct hold *h = hold_set_find(a->holds, id);
        struct sites *sites = held_find(&a->held, id);
        const bool pending = h && h->state == HOLD_PENDING;

        if (!h || !sites)
                return;
        if (h->state == HOLD_RELEASING) {
                release_finish(a, id);
                return;
        }
        if (!pending && stands(a, h, sites))
                return;
        if (pending)
                (void) stands(a, h, sites); /* opens the sites, and finds those that moved */
        else
                a->counters.reinforced++;
        enforce_again(a, id, pending ? REASON_RECOVERED : REASON_REINFORCED);
}

void recover_all(struct agent *a) {
        const size_t n = hold_set_count(a->holds);
        _cleanup_free_ struct command_id *ids = calloc(n ? n : 1, sizeof(*ids));

        if (!ids)
                return;
        /* the set changes under the work */
        for (size_t i = 0; i < n; i++)
                ids[i] = hold_set_at(a->holds, i)->id;
        for (size_t i = 0; i < n; i++) {
                /* a hold whose tasks do not freeze is waited for, and many of those must not look like a start that hangs */
                (void) sd_notify(false, "EXTEND_TIMEOUT_USEC=30000000");
                recover_one(a, &ids[i]);
        }
        systemd_rest(a->systemd);
        lease_arm(a);
}
