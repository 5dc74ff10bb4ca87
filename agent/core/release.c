/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/release.h"

#include <string.h>

#include "agent/core/attempts.h"
#include "agent/core/enforce.h"
#include "agent/core/keep.h"
#include "agent/core/receipt.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

/* What one release or lapse did, hold by hold. */
struct undone {
        struct command_id *ended;
        size_t n_ended;
        reason_set reasons;
        json_t *holds;
};

static void undone_done(struct undone *u) {
        free(u->ended);
        json_decref(u->holds);
}

static int undone_init(struct undone *u, size_t n) {
        *u = (struct undone) { .ended = calloc(n, sizeof(*u->ended)), .holds = json_array() };
        return u->ended && u->holds ? 0 : -ENOMEM;
}

static json_t *hold_json(const struct command_id *id, const char *was, const char *state, const struct hold *h) {
        json_t *o, *targets = json_array();
        char text[33];

        command_id_to_str(id, text);
        for (size_t i = 0; h && i < h->n_targets; i++) {
                char name[TARGET_STR_SIZE];

                target_to_str(&h->targets[i], name, sizeof(name));
                (void) json_array_append_new(targets, json_string(name));
        }
        o = json_pack("{ss ss ss so}", "id", text, "was", was, "state", state, "targets", targets);
        if (o && h)
                (void) json_object_set_new(o, "held_ms", json_integer(h->held_ms));
        return o;
}

/* was: the hold's state before it was being released; NULL when the hold is not known here. */
static void undo_one(struct agent *a, const struct command_id *id, const char *was, struct undone *u) {
        const struct hold *h = hold_set_find(a->holds, id);
        reason_set reasons = 0;

        enforce_undo(a, id, &reasons);
        attempts_settle(a, id);
        if (!h)
                reasons |= reason_bit(REASON_UNKNOWN_HOLD);
        else if (!(reasons & reason_bit(REASON_PERSISTS)))
                u->ended[u->n_ended++] = *id;
        u->reasons |= reasons;
        (void) json_array_append_new(u->holds, hold_json(id, was ? was : "unknown",
                                                         reasons & reason_bit(REASON_PERSISTS) ? "releasing"
                                                         : h && h->lapsing                     ? "lapsed"
                                                                                               : "released",
                                                         h));
}

/* Seals the receipt, records it and gives it back. */
static int conclude(struct agent *a, const struct command_id *id, const char *of, struct undone *u, json_t *receipt,
                    char **ret) {
        struct outcome o = { .id = id, .of = of, .reasons = u->reasons, .ended = u->ended, .n_ended = u->n_ended };
        _cleanup_free_ char *envelope = NULL;
        int r;

        if (!receipt || json_object_set(receipt, "holds", u->holds) < 0)
                return -ENOMEM;
        r = receipt_seal(a, receipt, true, &envelope);
        if (r < 0)
                return r;
        o.receipt = envelope;
        r = record_outcome(a, &o);
        keep_update(a);
        if (r < 0) {
                /* It is undone and cannot be taken back; the answer says that the record of it is missing. */
                receipt_add_flag(receipt, REASON_LEDGER);
                free(TAKE_PTR(envelope));
                r = receipt_seal(a, receipt, true, &envelope);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(envelope);
        return 0;
}

static const char *state_of(const struct undone *u, const char *done) {
        return u->reasons & reason_bit(REASON_PERSISTS) ? "partial" : done;
}

int release_holds(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                  const struct answer *to) {
        _cleanup_(undone_done) struct undone u = { 0 };
        _cleanup_(recorded_freep) struct recorded *recorded = NULL;
        _cleanup_(sites_done) struct sites none = { 0 };
        _cleanup_free_ const char **was = NULL;
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        const struct command_id *holds;
        const struct command *c;
        char id[33];
        size_t n;
        int r;

        holds = authorised_holds(authorised, &n);
        was = calloc(n, sizeof(*was));
        if (!was || undone_init(&u, n) < 0) {
                authorised_free(authorised);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++) {
                const struct hold *h = hold_set_find(a->holds, &holds[i]);

                was[i] = h ? hold_state_id(h->state) : NULL;
        }
        r = record_order(a, authorised, d, &none, p, &recorded);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                undo_one(a, &holds[i], was[i], &u);
        phases_stamp(recorded_phases(recorded), PHASE_UNDO);
        c = recorded_command(recorded);
        receipt = receipt_plain(a, &c->id, recorded_digest(recorded), verb_info(c->verb)->id, state_of(&u, "released"),
                                u.reasons | recorded_flags(recorded));
        r = conclude(a, &c->id, "order", &u, receipt, &envelope);
        if (r < 0)
                return r;
        a->counters.releases++;
        command_id_to_str(&c->id, id);
        log_event(LOG_NOTICE, MESSAGE_ID_RELEASED, LOG_FIELDS(.command_id = id, .stage = "release"),
                  "Released %zu of %zu holds", u.n_ended, n);
        link_answer(to, envelope, false);
        return 0;
}

int release_extend(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) {
        _cleanup_(recorded_freep) struct recorded *recorded = NULL;
        _cleanup_(sites_done) struct sites none = { 0 };
        _cleanup_(undone_done) struct undone u = { 0 };
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        const struct command_id *holds;
        const struct command *c;
        size_t n;
        int r;

        holds = authorised_holds(authorised, &n);
        if (undone_init(&u, n) < 0) {
                authorised_free(authorised);
                return -ENOMEM;
        }
        r = record_order(a, authorised, d, &none, p, &recorded);
        if (r < 0)
                return r;
        c = recorded_command(recorded);
        for (size_t i = 0; i < n; i++) {
                const struct hold *h = hold_set_find(a->holds, &holds[i]);
                json_t *o = hold_json(&holds[i], h ? hold_state_id(h->state) : "unknown", "extended", h);

                if (o && h && h->lease_left_ms != INT64_MAX)
                        (void) json_object_set_new(o, "lease_left_ms", json_integer(h->lease_left_ms));
                (void) json_array_append_new(u.holds, o);
        }
        receipt = receipt_plain(a, &c->id, recorded_digest(recorded), verb_info(c->verb)->id, "extended",
                                recorded_flags(recorded));
        r = conclude(a, &c->id, "order", &u, receipt, &envelope);
        if (r < 0)
                return r;
        link_answer(to, envelope, false);
        return 0;
}

/* The hold, and with it every other that the same release is ending: one release has one receipt, which tells of all of
 * them. */
static int undo_together(struct agent *a, const struct hold *h, struct undone *u) {
        const size_t n = hold_set_count(a->holds);
        const struct command_id hold = h->id, releaser = h->releaser;
        const bool lapsing = h->lapsing;
        int r = undone_init(u, n);

        for (size_t i = 0; r == 0 && i < n; i++) {
                const struct hold *other = hold_set_at(a->holds, i);

                if (command_id_equal(&other->id, &hold) ||
                    (!lapsing && other->state == HOLD_RELEASING && !other->lapsing &&
                     command_id_equal(&other->releaser, &releaser)))
                        undo_one(a, &other->id, "releasing", u);
        }
        return r;
}

/* Undoes a RELEASING hold for which nobody waits, and stores the receipt under the id that will be asked for. */
static void finish(struct agent *a, const struct command_id *hold, const char *of, reason_set notes) {
        _cleanup_(undone_done) struct undone u = { 0 };
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        const struct hold *h = hold_set_find(a->holds, hold);
        const bool lapsed = h && h->lapsing;
        const struct command_id id = h && !lapsed ? h->releaser : *hold;
        const struct seen *seen = hold_set_seen(a->holds, &id);
        char text[33];
        int r;

        command_id_to_str(hold, text);
        r = h ? undo_together(a, h, &u) : -ENOENT;
        if (r == 0) {
                receipt = receipt_plain(a, &id, seen ? seen->digest : NULL,
                                        verb_info(lapsed ? h->verb : VERB_RELEASE)->id,
                                        state_of(&u, lapsed ? "lapsed" : "released"), u.reasons | notes);
                if (receipt && lapsed)
                        (void) json_object_set_new(receipt, "held_ms", json_integer(h->held_ms));
                r = conclude(a, &id, of, &u, receipt, &envelope);
        }
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "release"),
                          "The end of a hold could not be recorded: %s", strerror(-r));
        else
                log_event(LOG_NOTICE, lapsed ? MESSAGE_ID_LAPSED : MESSAGE_ID_RELEASED,
                          LOG_FIELDS(.hold = text, .stage = "release"), "%s",
                          u.reasons & reason_bit(REASON_PERSISTS) ? "The hold could not be undone in full"
                                                                  : "The hold is over");
}

void release_lapsed(struct agent *a, const struct command_id *hold) {
        char text[33];
        int r = record_lapse(a, hold);

        if (r < 0) {
                command_id_to_str(hold, text);
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "lease", .reason = reason_id(REASON_LEDGER)),
                          "A lease is over, but the ledger cannot record it; the hold stays: %s", strerror(-r));
                return;
        }
        a->counters.lapses++;
        finish(a, hold, "lapse", 0);
}

void release_finish(struct agent *a, const struct command_id *hold, reason_set notes) {
        finish(a, hold, "recovery", notes);
}
