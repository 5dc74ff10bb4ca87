/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/retain.h"

#include <string.h>

#include "agent/core/anew.h"
#include "agent/core/folder.h"
#include "agent/core/keeping.h"
#include "agent/core/receipt.h"
#include "agent/core/refusal.h"
#include "agent/core/removal.h"
#include "agent/core/room.h"
#include "agent/core/snapshot.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

/* how often times are looked at that are further away, and what could not be deleted is tried again */
#define LOOK_MS  (3600LL * 1000)
#define RETRY_MS 60000LL
#define ACCURACY 1000000U

/* An order that has no last word yet: what it deletes is being deleted, or cannot be, or the agent died before. */
struct waiting {
        struct waiting *next;
        struct command_id order;
        enum verb verb;
        uint8_t digest[32];
        reason_set flags;
        struct command_id *items; /* owned */
        size_t n;
        struct answer to;
        bool told; /* and recorded: it could not be done; nobody waits for more, and who asks again is to know more */
};

struct retain {
        struct agent *agent;
        struct removal *removal;
        sd_event_source *timer;
        struct waiting *waiting;
};

static void waiting_free(struct waiting *w) {
        if (w)
                free(w->items);
        free(w);
}

static void waiting_freep(struct waiting **w) {
        waiting_free(*w);
}

void retain_free(struct retain *r) {
        if (!r)
                return;
        removal_free(r->removal);
        (void) sd_event_source_disable_unref(r->timer);
        while (r->waiting) {
                struct waiting *w = r->waiting;

                r->waiting = w->next;
                waiting_free(w);
        }
        free(r);
}

/* What is to be said of evidence after an order about it. */
static const char *state_of(const struct agent *a, const struct command_id *id, enum verb verb) {
        const struct shelf_item *item = shelf_find(&a->shelf, id);

        if (item && item->condemned)
                return "deleting";
        if (!item && verb == VERB_EVIDENCE_DELETE)
                return "deleted";
        if (shelf_count_holds(&a->shelf, id) > 0)
                return "legal-hold";
        return item ? "kept" : "unknown";
}

static json_t *items_to_json(const struct agent *a, const struct command_id *ids, size_t n, enum verb verb) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < n; i++) {
                char id[33];

                command_id_to_str(&ids[i], id);
                (void) json_array_append_new(array, json_pack("{ss ss sI}", "id", id, "state",
                                                              state_of(a, &ids[i], verb), "legal_holds",
                                                              (json_int_t) shelf_count_holds(&a->shelf, &ids[i])));
        }
        return array;
}

/* What an order became, and which evidence it was about. */
struct verdict {
        const struct command_id *id;
        const uint8_t *digest;
        enum verb verb;
        const char *state;
        reason_set reasons;
        const struct command_id *items;
        size_t n;
};

static int conclude(struct agent *a, const struct verdict *v, const struct answer *to) {
        struct outcome o = { .id = v->id, .of = "order", .reasons = v->reasons };
        _cleanup_json_ json_t *receipt =
                receipt_plain(a, v->id, v->digest, verb_info(v->verb)->id, v->state, v->reasons);
        _cleanup_free_ char *envelope = NULL;
        int r;

        if (!receipt || json_object_set_new(receipt, "kept", items_to_json(a, v->items, v->n, v->verb)) < 0)
                return -ENOMEM;
        r = receipt_conclude(a, receipt, true, &o, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}

/* What a receipt says when all was done. */
static const char *done(enum verb verb) {
        static const char *const states[_VERB_MAX] = {
                [VERB_EVIDENCE_HOLD] = "kept",
                [VERB_EVIDENCE_UNHOLD] = "lifted",
                [VERB_EVIDENCE_DELETE] = "deleted",
        };

        return states[verb];
}

/* Whether all that the order deletes is gone (0), cannot be deleted now (-EIO), or is still being deleted (1). */
static int look(const struct retain *r, const struct waiting *w) {
        int result = 0;

        for (size_t i = 0; w->verb == VERB_EVIDENCE_DELETE && i < w->n; i++) {
                const struct shelf_item *item = shelf_find(&r->agent->shelf, &w->items[i]);

                if (!item || !item->condemned)
                        continue;
                if (!removal_failed(r->removal, &w->items[i]))
                        return 1;
                result = -EIO;
        }
        return result;
}

/* Says what became of it. False when that is not its last word. */
static bool say(const struct retain *r, struct waiting *w, int state) {
        const struct verdict v = { .id = &w->order,
                                   .digest = w->digest,
                                   .verb = w->verb,
                                   .state = state == 0 ? done(w->verb) : "partial",
                                   .reasons = w->flags | (state < 0 ? reason_bit(REASON_NOT_DELETED) : 0),
                                   .items = w->items,
                                   .n = w->n };

        const int e = conclude(r->agent, &v, &w->to);

        if (e < 0)
                anew_or_refuse(r->agent, e, &w->order, &w->to);
        w->to = (struct answer) { .link = NULL };
        w->told = true;
        return state == 0;
}

/* Called when something was deleted, or could not be. */
static void on_progress(void *userdata) {
        struct retain *r = userdata;
        struct waiting **at = &r->waiting;

        while (*at) {
                struct waiting *w = *at;
                const int state = look(r, w);

                if (state > 0 || (state < 0 && w->told) || !say(r, w, state)) {
                        at = &w->next;
                        continue;
                }
                *at = w->next;
                waiting_free(w);
        }
}

static void arm(struct retain *r, int64_t in_ms) {
        const uint64_t at = (uint64_t) (clock_boot_ms() + MAX(in_ms, 0)) * 1000;
        int e = sd_event_source_set_time(r->timer, at);

        if (e >= 0)
                e = sd_event_source_set_enabled(r->timer, SD_EVENT_ONESHOT);
        if (e < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "retain"), "The timer could not be set: %s", strerror(-e));
}

/* FAIL-CLOSED: nothing is given up for its age while the ledger or the clock is in doubt. */
static bool may_expire(const struct agent *a) {
        return agent_ledger_ok(a) && clock_wall_ms() >= floor_now(&a->floor) - DECIDE_BEHIND_MS;
}

static bool is_in_use(const struct agent *a, const struct command_id *id) {
        return hold_set_find(a->holds, id) || snapshot_runs(a, id);
}

static void expire(struct agent *a, const struct command_id *id) {
        char text[33];
        int r = record_expiry(a, id);

        command_id_to_str(id, text);
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = text, .stage = "retain"),
                          "The ledger cannot record that the time of evidence is over; it is kept: %s", strerror(-r));
        else
                log_event(LOG_NOTICE, MESSAGE_ID_EXPIRED, LOG_FIELDS(.hold = text, .stage = "retain"),
                          "The time for which evidence is kept is over");
}

/* Condemns what is over, and returns in how long something else will be. */
static int64_t expire_due(struct agent *a) {
        const int64_t floor_ms = floor_now(&a->floor);
        int64_t next = LOOK_MS;

        hold_set_advance(a->holds, a->boot_id, clock_boot_ms());
        for (size_t i = 0; i < a->shelf.n; i++) {
                const struct shelf_item *item = &a->shelf.items[i];
                const int64_t left = shelf_left(item, floor_ms, hold_set_passed(a->holds));
                const struct command_id id = item->id;

                if (left > 0)
                        next = MIN(next, left);
                else if (may_expire(a) && !is_in_use(a, &id))
                        expire(a, &id);
        }
        return next;
}

/* Looks at everything: what is over, and what could not be deleted before. */
static void look_again(struct retain *r) {
        const int64_t next = expire_due(r->agent);

        arm(r, removal_start(r->removal) ? MIN(next, RETRY_MS) : next);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        look_again(userdata);
        return 0;
}

int retain_new(struct agent *a, struct retain **ret) {
        struct retain *r = calloc(1, sizeof(*r));
        int e = r ? 0 : -ENOMEM;

        if (e == 0) {
                r->agent = a;
                e = removal_new(a, on_progress, r, &r->removal);
        }
        if (e >= 0)
                e = sd_event_add_time(a->event, &r->timer, CLOCK_BOOTTIME, UINT64_MAX, ACCURACY, on_timer, r);
        if (e >= 0)
                e = sd_event_source_set_enabled(r->timer, SD_EVENT_OFF);
        if (e < 0) {
                retain_free(r);
                return e;
        }
        *ret = r;
        return 0;
}

/* What a lost hold was of, before it is forgotten. */
static struct command_id *items_of(const struct agent *a, const struct command_id *ids, size_t n, bool of_holds,
                                   size_t *ret_n) {
        struct command_id *items = calloc(MAX(of_holds ? a->shelf.n_bonds : n, (size_t) 1), sizeof(*items));

        *ret_n = 0;
        for (size_t i = 0; items && !of_holds && i < n; i++)
                items[(*ret_n)++] = ids[i];
        for (size_t i = 0; items && of_holds && i < a->shelf.n_bonds; i++)
                for (size_t k = 0; k < n; k++)
                        if (command_id_equal(&a->shelf.bonds[i].hold, &ids[k]))
                                items[(*ret_n)++] = a->shelf.bonds[i].item;
        return items;
}

static void tell(struct agent *a, const struct command_id *id) {
        char text[33];
        int r = a->aside ? -EBUSY : keeping_tell(a, id);

        command_id_to_str(id, text);
        if (r < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.hold = text, .stage = "retain"),
                          "The folder of evidence does not tell of its legal holds: %s", strerror(-r));
}

static int answer_kept(struct agent *a, const struct recorded *rec, const struct command_id *items, size_t n,
                       const struct answer *to) {
        const struct command *c = recorded_command(rec);
        const struct verdict v = { .id = &c->id,
                                   .digest = recorded_digest(rec),
                                   .verb = c->verb,
                                   .state = done(c->verb),
                                   .reasons = recorded_flags(rec),
                                   .items = items,
                                   .n = n };

        for (size_t i = 0; i < n; i++)
                tell(a, &items[i]);
        /* what is lifted may be what was in the way of its end */
        look_again(a->retain);
        return conclude(a, &v, to);
}

static int wait_for(struct retain *r, const struct recorded *rec, struct command_id **items, size_t n,
                    const struct answer *to) {
        struct waiting *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        *w = (struct waiting) { .next = r->waiting,
                                .order = *recorded_id(rec),
                                .verb = VERB_EVIDENCE_DELETE,
                                .flags = recorded_flags(rec),
                                .items = TAKE_PTR(*items),
                                .n = n,
                                .to = *to };
        memcpy(w->digest, recorded_digest(rec), sizeof(w->digest));
        r->waiting = w;
        look_again(r);
        return 0;
}

/* What is still being sealed has no end yet that could be deleted. */
static bool still_runs(const struct agent *a, const struct authorised *authorised) {
        size_t n;
        const struct command_id *ids = authorised_holds(authorised, &n);

        for (size_t i = 0; authorised_command(authorised)->verb == VERB_EVIDENCE_DELETE && i < n; i++)
                if (snapshot_runs(a, &ids[i]))
                        return true;
        return false;
}

static int refuse(struct agent *a, struct authorised *authorised, const struct answer *to) {
        const struct decision d = { .kind = DECISION_REFUSED, .reason = REASON_STILL_HELD };
        int r = refusal_answer(a, authorised_command(authorised), authorised_people(authorised),
                               authorised_digest(authorised), &d, to);

        authorised_free(authorised);
        return r;
}

int retain_order(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                 const struct answer *to) {
        const enum verb verb = authorised_command(authorised)->verb;
        _cleanup_(recorded_freep) struct recorded *rec = NULL;
        _cleanup_(sites_done) struct sites none = { 0 };
        _cleanup_free_ struct command_id *items = NULL;
        size_t n_ids, n;
        const struct command_id *ids = authorised_holds(authorised, &n_ids);
        int r;

        if (still_runs(a, authorised))
                return refuse(a, authorised, to);
        items = items_of(a, ids, n_ids, verb == VERB_EVIDENCE_UNHOLD, &n);
        if (!items) {
                authorised_free(authorised);
                return -ENOMEM;
        }
        r = record_order(a, authorised, d, &none, p, &rec);
        if (r < 0)
                return r;
        return verb == VERB_EVIDENCE_DELETE ? wait_for(a->retain, rec, &items, n, to)
                                            : answer_kept(a, rec, items, n, to);
}

void retain_sealed(struct agent *a, const struct command_id *id) {
        if (shelf_count_holds(&a->shelf, id) > 0)
                tell(a, id);
        look_again(a->retain);
}

json_t *retain_to_json(const struct agent *a) {
        size_t held = 0, deleting = 0;

        /* nobody has looked */
        if (a->aside)
                return json_pack("{sn sI sb}", "kept", "quota_bytes", (json_int_t) a->local.evidence_quota_bytes,
                                 "reserved", false);
        for (size_t i = 0; i < a->shelf.n; i++) {
                held += a->shelf.items[i].holds > 0;
                deleting += a->shelf.items[i].condemned;
        }
        return json_pack("{sI sI sI sI sI sb}", "kept", (json_int_t) a->shelf.n, "under_legal_hold", (json_int_t) held,
                         "deleting", (json_int_t) deleting, "bytes", (json_int_t) shelf_bytes(&a->shelf), "quota_bytes",
                         (json_int_t) a->local.evidence_quota_bytes, "reserved", room_is_reserved(a->config.state));
}

/* Nobody knows when it was sealed, so no time is over for it. */
static int adopt(const struct folder *f, void *userdata) {
        struct agent *a = userdata;
        struct shelf_item item = { .id = f->id };
        uint64_t files = 0;
        int r;

        if (folder_is_empty(f) || shelf_find(&a->shelf, &f->id))
                return 0;
        r = folder_count(f, &files, &item.bytes);
        return r < 0 ? r : shelf_put(&a->shelf, &item);
}

/* The agent died before the order had its last word. True when it had not a word. */
static bool wait_again(struct agent *a, const struct command_id *order) {
        _cleanup_json_ json_t *body = record_order_of(a, order), *receipt = record_receipt(a, order);
        _cleanup_(waiting_freep) struct waiting *w = calloc(1, sizeof(*w));
        _cleanup_command_ struct command *c = NULL;

        c = w ? record_order_command(body, w->digest) : NULL;
        if (!c)
                return false;
        w->verb = c->verb;
        w->items = calloc(c->n_targets, sizeof(*w->items));
        /* what was lifted is named no more */
        for (; w->items && c->verb != VERB_EVIDENCE_UNHOLD && w->n < c->n_targets; w->n++)
                if (command_id_from_str(c->targets[w->n].name, &w->items[w->n]) < 0)
                        return false;
        if (!w->items)
                return false;
        w->order = *order;
        w->flags = reason_bit(REASON_RECOVERED);
        w->told = receipt;
        w->next = a->retain->waiting;
        a->retain->waiting = TAKE_PTR(w);
        return !receipt;
}

void retain_recover(struct agent *a) {
        int r = folder_each(a->config.state, NULL, adopt, a);
        bool unanswered = false;

        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "retain"), "The evidence could not be looked through: %s",
                          strerror(-r));
        for (size_t i = 0; i < a->shelf.n_unanswered; i++)
                unanswered |= wait_again(a, &a->shelf.unanswered[i]);
        /* one of them may have died before the folders told of it */
        for (size_t i = 0; unanswered && i < a->shelf.n; i++)
                tell(a, &a->shelf.items[i].id);
        look_again(a->retain);
        on_progress(a->retain);
}
