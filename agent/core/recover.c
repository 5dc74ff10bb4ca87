/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/recover.h"

#include <string.h>

#include "agent/core/enforce.h"
#include "agent/core/fence.h"
#include "agent/core/keep.h"
#include "agent/core/lease.h"
#include "agent/core/order.h"
#include "agent/core/prove.h"
#include "agent/core/release.h"
#include "agent/core/snapshot.h"
#include "agent/core/strays.h"
#include "agent/core/watch.h"
#include "agent/util/alive.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

/* What another attempt may mend. Whatever refused or failed the last one may be over, and nobody else comes back to it.
 */
#define MENDABLE                                                                                          \
        (reason_bit(REASON_NOT_FROZEN) | reason_bit(REASON_LINK_LOST) | reason_bit(REASON_SOCKETS_LEFT) | \
         reason_bit(REASON_CGROUP_REPLACED) | reason_bit(REASON_RESTARTABLE))

/* Opens the sites. Those whose cgroup is gone are looked for again, and where that is found is recorded before anything
 * is done there. */
static void find_sites(struct agent *a, const struct command_id *hold, struct sites *sites) {
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

/* The command's last receipt, when it promises another one: the evidence was not sealed yet. New reference, or NULL. */
static json_t *unfinished_receipt(struct agent *a, const struct command_id *id) {
        json_t *receipt = record_receipt(a, id);

        if (!json_is_true(json_object_get(receipt, "final")))
                return receipt;
        json_decref(receipt);
        return NULL;
}

static void enforce_again(struct agent *a, const struct command_id *id, enum reason why, const char *message_id) {
        _cleanup_(proven_freep) struct proven *proven = NULL;
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        struct recorded *recorded;
        struct enforced *enforced;
        char text[33];
        bool failed = false;
        const struct hold *h = hold_set_find(a->holds, id);
        _cleanup_json_ json_t *unfinished = unfinished_receipt(a, id);
        /* an order without outcome has no evidence either */
        const bool final = !unfinished && !(h && h->state == HOLD_PENDING && verb_info(h->verb)->snapshots);
        int r = record_recall(a, id, &recorded);

        if (r == 0)
                r = enforce_apply(a, recorded, &enforced);
        if (r == 0)
                r = prove(a, enforced, &proven);
        if (r == 0) {
                /* what is not there was not put back */
                failed = proven_state(proven) == HOLD_FAILED || proven_nobody(proven);
                if (!failed)
                        recorded_add_flags(recorded, reason_bit(why));
                recorded_add_flags(recorded, watch_notes(a));
                order_tell_systemd(a, proven);
                r = order_conclude(a, proven, "recovery", final, &receipt, &envelope);
        }
        command_id_to_str(id, text);
        if (r < 0 || failed)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "recover"),
                          "A hold could not be put in force again: %s",
                          r < 0 ? strerror(-r) : "nothing to hold is there");
        else
                log_event(LOG_WARNING, message_id,
                          LOG_FIELDS(.hold = text, .stage = "recover", .reason = reason_id(why)), "%s",
                          reason_text(why));
}

/* A damaged ledger is read as far as it verifies, and that may be too short to tell of a release. FAIL-OPEN: what it
 * says is held, and of which nothing is in force in the very same boot, was let go of by two people rather than lost,
 * and nobody could release it again while the ledger is as it is. Status shows the difference. */
static bool was_released(struct agent *a, const struct hold *h, enum hold_state state) {
        char text[33];

        if (state != HOLD_FAILED || agent_ledger_ok(a) || !a->same_boot)
                return false;
        command_id_to_str(&h->id, text);
        log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "recover", .reason = reason_id(REASON_LEDGER)),
                  "The damaged ledger tells of a hold of which nothing is in force; it is not put back");
        held_doubt(&a->held, &h->id);
        return true;
}

/* The agent died before the evidence was sealed: it is taken again, into a folder beside what there is, and ends the
 * command's receipts. */
static void resume_snapshot(struct agent *a, const struct command_id *id) {
        _cleanup_json_ json_t *receipt = hold_set_find(a->holds, id) ? unfinished_receipt(a, id) : NULL;

        if (!receipt)
                return;
        (void) json_array_append_new(json_object_get(receipt, "flags"), json_string(reason_id(REASON_RECOVERED)));
        if (snapshot_of_hold(a, id, receipt, &(struct answer) { 0 }) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "recover"),
                          "A snapshot that was cut off could not be taken again");
}

static void recover_one(struct agent *a, const struct command_id *id) {
        const struct hold *h = hold_set_find(a->holds, id);
        struct sites *sites = held_find(&a->held, id);
        const bool pending = h && h->state == HOLD_PENDING;
        enum hold_state state;
        reason_set gaps;

        if (!h || !sites)
                return;
        if (h->state == HOLD_RELEASING) {
                release_finish(a, id, reason_bit(REASON_RECOVERED));
                return;
        }
        find_sites(a, id, sites);
        state = prove_hold(a, h, NULL, NULL, &gaps);
        if ((!pending && h->state == state && !(gaps & MENDABLE)) || was_released(a, h, state))
                return;
        find_sites(a, id, sites); /* they were closed */
        if (!pending)
                a->counters.reinforced++;
        enforce_again(a, id, pending ? REASON_RECOVERED : REASON_REINFORCED, MESSAGE_ID_RECOVERED);
}

void recover_hold(struct agent *a, const struct command_id *id) {
        const struct hold *h = hold_set_find(a->holds, id);
        struct sites *sites = held_find(&a->held, id);

        if (!h || !sites || h->state == HOLD_RELEASING)
                return;
        find_sites(a, id, sites);
        a->counters.reinforced++;
        enforce_again(a, id, REASON_REINFORCED, MESSAGE_ID_REPAIRED);
}

/* The ids of cgroups begin anew with each boot, so that of a cgroup that is gone may be an innocent one's. To be done
 * for all holds before the watch is told of any: it would bring back to a hold whoever comes to a cgroup of such an id.
 * What is gone since this boot has strays to be told by, if anyone. */
static void forget_gone(struct agent *a) {
        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                struct sites *sites = h->state == HOLD_RELEASING ? NULL : held_find(&a->held, &h->id);

                for (size_t k = 0; sites && k < sites->n; k++) {
                        struct site *s = &sites->v[k];
                        const int r = site_open(s, a->cgroup_root);

                        if ((r == -ENOENT || r == -ESTALE) && !strays_any(a->events, s))
                                s->cgroup_id = 0;
                }
                if (sites)
                        sites_close(sites);
        }
}

void recover_all(struct agent *a) {
        const size_t n = hold_set_count(a->holds);
        _cleanup_free_ struct command_id *ids = calloc(n ? n : 1, sizeof(*ids));

        if (!ids)
                return;
        forget_gone(a);
        fence_restore(a);
        /* the set changes under the work */
        for (size_t i = 0; i < n; i++)
                ids[i] = hold_set_at(a->holds, i)->id;
        for (size_t i = 0; i < n; i++) {
                recover_one(a, &ids[i]);
                resume_snapshot(a, &ids[i]);
                /* a hold whose tasks do not freeze is waited for, and many of those must not look like a start that
                 * hangs */
                alive();
        }
        keep_update(a);
        systemd_rest(a->systemd);
        lease_arm(a);
}
