/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/recover.h"

#include <string.h>

#include "agent/core/again.h"
#include "agent/core/fence.h"
#include "agent/core/keep.h"
#include "agent/core/layers.h"
#include "agent/core/lease.h"
#include "agent/core/prove.h"
#include "agent/core/record.h"
#include "agent/core/release.h"
#include "agent/core/retain.h"
#include "agent/core/snapshot.h"
#include "agent/core/strays.h"
#include "agent/util/alive.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

/* What another attempt may mend. Whatever refused or failed the last one may be over, and nobody else comes back to it.
 */
#define MENDABLE                                                                                          \
        (reason_bit(REASON_NOT_FROZEN) | reason_bit(REASON_LINK_LOST) | reason_bit(REASON_SOCKETS_LEFT) | \
         reason_bit(REASON_CGROUP_REPLACED) | reason_bit(REASON_RESTARTABLE))

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

/* Its first receipt promised another one, and no evidence is going to be that. */
static bool lacks_last_word(struct agent *a, const struct command_id *id) {
        _cleanup_json_ json_t *last = record_receipt(a, id), *evidence = again_unfinished(a, id);

        return json_is_false(json_object_get(last, "final")) && !evidence;
}

/* The agent died before the evidence was sealed: it is taken again, into a folder beside what there is, and ends the
 * command's receipts. */
static void resume_snapshot(struct agent *a, const struct command_id *id) {
        _cleanup_json_ json_t *receipt = hold_set_find(a->holds, id) ? again_unfinished(a, id) : NULL;

        if (!receipt)
                return;
        (void) json_array_append_new(json_object_get(receipt, "flags"), json_string(reason_id(REASON_RECOVERED)));
        if (snapshot_of_hold(a, id, receipt, &(struct answer) { 0 }) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "recover"),
                          "A snapshot that was cut off could not be taken again");
}

static void enforce_again(struct agent *a, const struct command_id *id, enum reason why, const char *message_id) {
        const int r = again_enforce(a, id, why);
        char text[33];

        command_id_to_str(id, text);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "recover"),
                          "A hold could not be put in force again: %s",
                          r == -ESRCH ? "nothing to hold is there" : strerror(-r));
        else
                log_event(LOG_WARNING, message_id,
                          LOG_FIELDS(.hold = text, .stage = "recover", .reason = reason_id(why)), "%s",
                          reason_text(why));
}

/* Carries on with an order that has no outcome, or says what became of it: whoever sends it again would be told to wait
 * for ever. False when it cannot be read. */
static bool resume_order(struct agent *a, const struct command_id *id) {
        static void (*const resume[VERB_CLASS_DROP + 1])(struct agent *, const struct command *, const uint8_t *) = {
                [VERB_CLASS_STOP] = snapshot_remains,
                [VERB_CLASS_OBSERVE] = snapshot_remains,
                [VERB_CLASS_EXTEND] = release_resume_extend,
                [VERB_CLASS_RELEASE] = release_resume,
        };
        _cleanup_json_ json_t *order = record_order_of(a, id);
        uint8_t digest[32];
        _cleanup_command_ struct command *c = record_order_command(order, digest);

        if (c && resume[verb_info(c->verb)->cls])
                resume[verb_info(c->verb)->cls](a, c, digest);
        return c;
}

/* The release of this hold, when it died before its own receipt was recorded; also one that stopped between. */
static const struct seen *unanswered_release(const struct agent *a, const struct hold *h) {
        const struct seen *s = hold_was_let_go(h) ? hold_set_seen(a->holds, &h->releaser) : NULL;

        return s && s->receipt == 0 ? s : NULL;
}

/* It is done with its holds. */
static bool is_release_of_hold(const struct agent *a, const struct command_id *id) {
        for (size_t i = 0; i < hold_set_count(a->holds); i++)
                if (command_id_equal(&hold_set_at(a->holds, i)->releaser, id))
                        return true;
        return false;
}

/* What no hold leads to. */
static void resume_orders(struct agent *a) {
        const struct seen *s;

        for (size_t i = 0; (s = hold_set_seen_at(a->holds, i)); i++) {
                const struct command_id id = s->id;

                if (s->order == 0 || (s->receipt > 0 && !s->more) || hold_set_find(a->holds, &id) ||
                    is_release_of_hold(a, &id))
                        continue;
                (void) resume_order(a, &id);
                alive();
        }
}

/* Links outlive the agent, and whoever has root could exchange what they run while nobody looked. */
static bool is_exchanged(struct agent *a, const struct hold *h, const struct sites *sites) {
        for (size_t i = 0; i < sites->n; i++)
                if (sites->v[i].cgroup_id != 0 && !site_is_host(&sites->v[i]) && site_isolates(&sites->v[i], h->verb) &&
                    !isolate_is_ours(a->isolate, &h->id, sites->v[i].cgroup_id, a->local.permits, a->local.n_permits,
                                     h->permits, h->n_permits))
                        return true;
        return false;
}

/* Releases that were resumed; there is room for one of each hold. */
struct resumed {
        struct command_id *ids;
        size_t n;
};

/* One release ends all of its holds, and has one receipt: it is resumed with the first of them. */
static bool is_resumed(struct resumed *done, const struct hold *h) {
        if (!hold_was_let_go(h))
                return false;
        for (size_t i = 0; i < done->n; i++)
                if (command_id_equal(&done->ids[i], &h->releaser))
                        return true;
        done->ids[done->n++] = h->releaser;
        return false;
}

static void resume_release(struct agent *a, const struct hold *h, struct resumed *done) {
        const struct seen *release = unanswered_release(a, h);
        const struct command_id id = h->id;

        if ((!release && !hold_is_ending(h)) || is_resumed(done, h))
                return;
        if (!release || !resume_order(a, &release->id))
                release_finish(a, &id, reason_bit(REASON_RECOVERED));
}

static void recover_one(struct agent *a, const struct command_id *id, struct resumed *done) {
        const struct hold *h = hold_set_find(a->holds, id);
        struct sites *sites;
        enum hold_state state;
        reason_set gaps;
        bool pending;

        if (h)
                resume_release(a, h, done);
        h = hold_set_find(a->holds, id);
        sites = held_find(&a->held, id);
        if (!h || !sites || hold_is_ending(h))
                return;
        pending = h->state == HOLD_PENDING || lacks_last_word(a, id);
        again_find(a, id, sites);
        state = prove_hold(a, h, NULL, NULL, &gaps);
        if ((!pending && h->state == state && !(gaps & MENDABLE) && !is_exchanged(a, h, sites)) ||
            was_released(a, h, state))
                return;
        again_find(a, id, sites); /* they were closed */
        if (!pending)
                a->counters.reinforced++;
        enforce_again(a, id, pending ? REASON_RECOVERED : REASON_REINFORCED, MESSAGE_ID_RECOVERED);
}

void recover_hold(struct agent *a, const struct command_id *id) {
        const struct hold *h = hold_set_find(a->holds, id);
        struct sites *sites = held_find(&a->held, id);

        if (!h || !sites || hold_is_ending(h))
                return;
        again_find(a, id, sites);
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
        _cleanup_free_ struct command_id *ids = calloc(n ? n : 1, sizeof(*ids)),
                                         *resumed = calloc(n ? n : 1, sizeof(*resumed));
        struct resumed done = { .ids = resumed };

        if (!ids || !resumed)
                return;
        layers_recover(a);
        forget_gone(a);
        fence_restore(a);
        /* the set changes under the work */
        for (size_t i = 0; i < n; i++)
                ids[i] = hold_set_at(a->holds, i)->id;
        for (size_t i = 0; i < n; i++) {
                recover_one(a, &ids[i], &done);
                resume_snapshot(a, &ids[i]);
                /* a hold whose tasks do not freeze is waited for, and many of those must not look like a start that
                 * hangs */
                alive();
        }
        resume_orders(a);
        if (!a->aside)
                retain_recover(a);
        keep_update(a);
        systemd_rest(a->systemd);
        lease_arm(a);
}
