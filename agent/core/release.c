/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/release.h"

#include <string.h>

#include "agent/core/anew.h"
#include "agent/core/ending.h"
#include "agent/core/keep.h"
#include "agent/core/lease.h"
#include "agent/core/receipt.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

/* Seals the receipt, records it and gives it back. */
static int conclude(struct agent *a, const struct command_id *id, const char *of, struct undone *u, json_t *receipt,
                    char **ret) {
        struct outcome o = { .id = id, .of = of, .reasons = u->reasons, .ended = u->ended, .n_ended = u->n_ended };
        int r;

        if (!receipt || json_object_set(receipt, "holds", u->holds) < 0)
                return -ENOMEM;
        r = receipt_conclude(a, receipt, true, &o, ret);
        keep_update(a);
        return r;
}

/* A gap is also what a hold that goes on isolating lacks. */
static const char *state_of(const struct undone *u, const char *done) {
        return reason_set_has_kind(u->reasons, REASON_KIND_GAP) ||
                               reason_set_has_kind(u->reasons, REASON_KIND_REFUSE) ||
                               reason_set_has_kind(u->reasons, REASON_KIND_WAIT)
                       ? "partial"
                       : done;
}

/* A release that is being carried out. */
struct releasing {
        struct recorded *recorded;
        struct answer to;
};

static void releasing_free(void *userdata) {
        struct releasing *x = userdata;

        recorded_free(x->recorded);
        free(x);
}

static int answer_release(struct agent *a, struct undone *u, const char *done, struct recorded *recorded,
                          const struct answer *to) {
        const struct command *c = recorded_command(recorded);
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        char id[33];
        int r;

        phases_stamp(recorded_phases(recorded), PHASE_UNDO);
        receipt = receipt_plain(a, &c->id, recorded_digest(recorded), verb_info(c->verb)->id, state_of(u, done),
                                u->reasons | recorded_flags(recorded));
        r = conclude(a, &c->id, "order", u, receipt, &envelope);
        if (r < 0)
                return r;
        a->counters.releases++;
        command_id_to_str(&c->id, id);
        log_event(LOG_NOTICE, MESSAGE_ID_RELEASED, LOG_FIELDS(.command_id = id, .stage = "release"),
                  "%zu of %zu holds ended%s", u->n_ended, json_array_size(u->holds),
                  c->step ? ", the others run and stay isolated" : "");
        link_answer(to, envelope, false);
        return 0;
}

static void on_released(struct agent *a, struct undone *u, void *userdata) {
        struct releasing *x = userdata;
        int r = answer_release(a, u, recorded_command(x->recorded)->step ? "thawed" : "released", x->recorded, &x->to);

        if (r < 0)
                anew_or_refuse(a, r, recorded_id(x->recorded), &x->to);
        lease_arm(a);
        releasing_free(x);
}

static struct ending_hold hold_named(const struct agent *a, const struct command_id *id, bool step) {
        const struct hold *h = hold_set_find(a->holds, id);

        return (struct ending_hold) { .id = *id,
                                      .was = h ? hold_state_id(h->state) : NULL,
                                      .step = step && (!h || verb_info(h->verb)->isolates) };
}

/* The holds that the command names, as they are before it is recorded. */
static struct ending_hold *holds_of(const struct agent *a, const struct authorised *authorised, size_t *ret_n) {
        const struct command_id *ids = authorised_holds(authorised, ret_n);
        struct ending_hold *holds = calloc(*ret_n ? *ret_n : 1, sizeof(*holds));

        for (size_t i = 0; holds && i < *ret_n; i++)
                holds[i] = hold_named(a, &ids[i], authorised_command(authorised)->step);
        return holds;
}

int release_holds(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                  const struct answer *to) {
        _cleanup_(sites_done) struct sites none = { 0 };
        _cleanup_free_ struct ending_hold *holds = NULL;
        struct releasing *x = malloc(sizeof(*x));
        size_t n;
        int r;

        holds = holds_of(a, authorised, &n);
        if (!holds || !x) {
                authorised_free(authorised);
                free(x);
                return -ENOMEM;
        }
        *x = (struct releasing) { .to = *to };
        r = record_order(a, authorised, d, &none, p, &x->recorded);
        if (r == 0)
                r = ending_begin(a, holds, n, on_released, releasing_free, x);
        if (r < 0)
                releasing_free(x);
        return r;
}

/* What an extension is now; true when it is in force. */
static bool add_extended(const struct agent *a, const struct ending_hold *hold, json_t *holds) {
        const struct hold *h = hold_set_find(a->holds, &hold->id);
        const bool is_longer = h && h->state != HOLD_RELEASING;
        json_t *o = ending_hold_json(hold, is_longer ? "extended" : h ? hold_state_id(h->state) : "unknown", h);

        if (o && h && h->lease_left_ms != INT64_MAX)
                (void) json_object_set_new(o, "lease_left_ms", json_integer(h->lease_left_ms));
        (void) json_array_append_new(holds, o);
        return is_longer;
}

int release_extend(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) {
        _cleanup_(recorded_freep) struct recorded *recorded = NULL;
        _cleanup_(sites_done) struct sites none = { 0 };
        _cleanup_(undone_done) struct undone u = { .holds = json_array() };
        _cleanup_free_ struct ending_hold *holds = NULL;
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        const struct command *c;
        size_t n;
        int r;

        holds = holds_of(a, authorised, &n);
        if (!holds || !u.holds) {
                authorised_free(authorised);
                return -ENOMEM;
        }
        r = record_order(a, authorised, d, &none, p, &recorded);
        if (r < 0)
                return r;
        c = recorded_command(recorded);
        for (size_t i = 0; i < n; i++)
                (void) add_extended(a, &holds[i], u.holds);
        receipt = receipt_plain(a, &c->id, recorded_digest(recorded), verb_info(c->verb)->id, "extended",
                                recorded_flags(recorded));
        r = conclude(a, &c->id, "order", &u, receipt, &envelope);
        if (r < 0)
                return r;
        link_answer(to, envelope, false);
        return 0;
}

/* A hold that ends without a command that waits for it. */
struct finishing {
        struct command_id hold;
        struct command_id id; /* under which its receipt will be asked for */
        const char *of;
        reason_set notes;
        bool lapsed, step;
        enum verb verb;
        int64_t held_ms;
};

static void log_finished(const struct finishing *x, const struct undone *u, int r) {
        char text[33];

        command_id_to_str(&x->hold, text);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "release"),
                          "The end of a hold could not be recorded: %s", strerror(-r));
        else
                log_event(LOG_NOTICE, x->lapsed ? MESSAGE_ID_LAPSED : MESSAGE_ID_RELEASED,
                          LOG_FIELDS(.hold = text, .stage = "release"), "%s",
                          u->reasons & reason_bit(REASON_PERSISTS) ? "The hold could not be undone in full"
                          : x->step                                ? "What was held runs and stays isolated"
                                                                   : "The hold is over");
}

static void on_finished(struct agent *a, struct undone *u, void *userdata) {
        struct finishing *x = userdata;
        const struct seen *seen = hold_set_seen(a->holds, &x->id);
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        int r;

        receipt = receipt_plain(a, &x->id, seen ? seen->digest : NULL, verb_info(x->verb)->id,
                                state_of(u, x->lapsed ? "lapsed"
                                            : x->step ? "thawed"
                                                      : "released"),
                                u->reasons | x->notes);
        if (receipt && x->lapsed)
                (void) json_object_set_new(receipt, "held_ms", json_integer(x->held_ms));
        r = conclude(a, &x->id, x->of, u, receipt, &envelope);
        log_finished(x, u, r);
        lease_arm(a);
        free(x);
}

/* The hold, and with it every other that the same release is ending or has thawed: one release has one receipt, which
 * tells of all of them. */
static size_t gather_together(struct agent *a, const struct hold *h, struct ending_hold *ret) {
        size_t n = 0;

        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *other = hold_set_at(a->holds, i);

                if (other == h || (hold_was_let_go(h) && command_id_equal(&other->releaser, &h->releaser)))
                        ret[n++] = (struct ending_hold) { .id = other->id,
                                                          .was = hold_state_id(other->state),
                                                          .step = other->state != HOLD_RELEASING };
        }
        return n;
}

/* Undoes what nobody waits for, and stores the receipt under the id that will be asked for. Takes the holds. */
static void finish(struct agent *a, const struct finishing *what, struct ending_hold *holds, size_t n) {
        _cleanup_free_ struct ending_hold *owned = holds;
        struct finishing *x = malloc(sizeof(*x));
        int r = holds && x ? 0 : -ENOMEM;

        if (r == 0) {
                *x = *what;
                r = ending_begin(a, holds, n, on_finished, free, x);
        }
        if (r < 0) {
                log_finished(what, NULL, r);
                free(x);
        }
}

static void finish_hold(struct agent *a, const struct command_id *hold, const char *of, reason_set notes) {
        const struct hold *h = hold_set_find(a->holds, hold);
        struct ending_hold *holds = h ? calloc(hold_set_count(a->holds), sizeof(*holds)) : NULL;
        struct finishing what = { .hold = *hold, .of = of, .notes = notes };

        if (!h) {
                log_finished(&what, NULL, -ENOENT);
                return;
        }
        what.id = h->lapsing ? *hold : h->releaser;
        what.lapsed = h->lapsing;
        what.step = h->state != HOLD_RELEASING;
        what.verb = h->lapsing ? h->verb : VERB_RELEASE;
        what.held_ms = h->held_ms;
        finish(a, &what, holds, holds ? gather_together(a, h, holds) : 0);
}

void release_resume(struct agent *a, const struct command *c, const uint8_t digest[static 32]) {
        const struct finishing what = { .hold = c->id,
                                        .id = c->id,
                                        .of = "recovery",
                                        .notes = reason_bit(REASON_RECOVERED),
                                        .step = c->step,
                                        .verb = c->verb };
        struct ending_hold *holds = calloc(c->n_targets, sizeof(*holds));
        size_t n = 0;

        (void) digest;
        for (size_t i = 0; holds && i < c->n_targets; i++) {
                const struct hold *h;
                struct command_id id;

                if (command_id_from_str(c->targets[i].name, &id) < 0)
                        continue;
                h = hold_set_find(a->holds, &id);
                /* another release has overtaken this one, and may have gone further */
                if (c->step && h && !command_id_equal(&h->releaser, &c->id))
                        continue;
                holds[n++] = hold_named(a, &id, c->step);
        }
        finish(a, &what, holds, n);
}

void release_resume_extend(struct agent *a, const struct command *c, const uint8_t digest[static 32]) {
        _cleanup_(undone_done) struct undone u = { .holds = json_array() };
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        size_t longer = 0;
        int r;

        for (size_t i = 0; i < c->n_targets; i++) {
                struct command_id id;
                struct ending_hold hold;

                if (command_id_from_str(c->targets[i].name, &id) < 0)
                        continue;
                hold = hold_named(a, &id, false);
                longer += add_extended(a, &hold, u.holds);
        }
        receipt = receipt_plain(a, &c->id, digest, verb_info(c->verb)->id,
                                longer == c->n_targets ? "extended" : "partial", reason_bit(REASON_RECOVERED));
        r = conclude(a, &c->id, "recovery", &u, receipt, &envelope);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "recover"),
                          "What became of an extension could not be said: %s", strerror(-r));
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
        finish_hold(a, hold, "lapse", 0);
}

void release_finish(struct agent *a, const struct command_id *hold, reason_set notes) {
        finish_hold(a, hold, "recovery", notes);
}
