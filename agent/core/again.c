/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/again.h"

#include <string.h>

#include "agent/core/enforce.h"
#include "agent/core/order.h"
#include "agent/core/prove.h"
#include "agent/core/strays.h"
#include "agent/core/watch.h"
#include "agent/util/alive.h"
#include "agent/util/log.h"

void again_find(struct agent *a, const struct command_id *hold, struct sites *sites) {
        const struct resolver resolver = agent_resolver(a, hold);
        bool moved = false;

        for (size_t i = 0; i < sites->n; i++) {
                struct site *s = &sites->v[i];
                reason_set notes = 0;

                if (site_open(s, a->cgroup_root) == 0 || s->only_freeze)
                        continue;
                if (strays_bring_back(a->events, a->cgroup_root, s)) {
                        moved = true;
                        continue;
                }
                if (resolve_again(&resolver, s, &notes) < 0)
                        continue;
                order_inherit_was_frozen(a, s);
                moved |= s->missing == REASON_NONE;
                alive();
        }
        if (moved && record_sites(a, hold) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "recover", .reason = reason_id(REASON_LEDGER)),
                          "The ledger cannot record where a hold's targets are now");
}

/* FAIL-OPEN: also of an order that cannot be read. */
static bool takes_evidence(struct agent *a, const struct command_id *hold) {
        _cleanup_json_ json_t *order = record_order_of(a, hold);
        _cleanup_command_ struct command *c = record_order_command(order, NULL);

        return !c || verb_info(c->verb)->snapshots;
}

json_t *again_unfinished(struct agent *a, const struct command_id *hold) {
        json_t *receipt = record_receipt(a, hold);

        if (!json_is_true(json_object_get(receipt, "final")) && takes_evidence(a, hold))
                return receipt;
        json_decref(receipt);
        return NULL;
}

int again_enforce(struct agent *a, const struct command_id *id, enum reason why) {
        _cleanup_(proven_freep) struct proven *proven = NULL;
        _cleanup_json_ json_t *receipt = NULL, *unfinished = again_unfinished(a, id);
        _cleanup_free_ char *envelope = NULL;
        struct recorded *recorded;
        struct enforced *enforced;
        bool nobody;
        const struct hold *h = hold_set_find(a->holds, id);
        /* an order without outcome has no evidence either */
        const bool final = !unfinished && !(h && h->state == HOLD_PENDING && verb_info(h->verb)->snapshots);
        int r = record_recall(a, id, &recorded);

        if (r == 0)
                r = enforce_apply(a, recorded, &enforced);
        if (r == 0)
                r = prove(a, enforced, &proven);
        if (r < 0)
                return r;
        nobody = proven_state(proven) == HOLD_FAILED || proven_nobody(proven);
        /* what is not there was not put back */
        if (!nobody)
                recorded_add_flags(recorded, reason_bit(why));
        recorded_add_flags(recorded, watch_notes(a));
        order_tell_systemd(a, proven);
        r = order_conclude(a, proven, "recovery", final, &receipt, &envelope);
        return r < 0 ? r : nobody ? -ESRCH : 0;
}
