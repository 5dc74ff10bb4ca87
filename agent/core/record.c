/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/record.h"

#include <sodium.h>
#include <string.h>

#include "agent/core/fold.h"
#include "agent/core/late.h"
#include "agent/core/report_json.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "agent/util/version.h"
#include "policy/schema.h"

struct recorded {
        struct authorised *authorised; /* NULL for a recalled hold */
        struct command_id id;
        uint8_t digest[32];
        enum verb verb;
        reason_set flags;
        struct phases phases;
};

static const char *const phase_ids[_PHASE_MAX] = {
#define X(name, id) [PHASE_##name] = id,
        PHASE_TABLE(X)
#undef X
};

const char *phase_id(enum phase p) {
        return phase_ids[p];
}

void phases_begin(struct phases *p) {
        *p = (struct phases) { .mark = clock_mono_us() };
        p->start = p->mark;
}

void phases_stamp(struct phases *p, enum phase which) {
        const int64_t now = clock_mono_us();

        p->us[which] += now - p->mark;
        p->mark = now;
}

/* When something is recorded, and time passes until then. Writing it takes a while, and its consequences now have to be
 * the ones that they are when it is read again. */
struct moment {
        int64_t boot_ms, wall_ms, floor_ms;
};

static struct moment moment_now(const struct agent *a) {
        const struct moment now = { .boot_ms = clock_boot_ms(),
                                    .wall_ms = clock_wall_ms(),
                                    .floor_ms = floor_now(&a->floor) };

        hold_set_advance(a->holds, a->boot_id, now.boot_ms);
        return now;
}

/* Whether what a record tells of happens, or has happened, where the ledger does not take it, and whether it is written
 * down later then. */
enum bond { ANYWAY, LATER, OR_NOT_AT_ALL };

/* No ledger takes what is too large, or no JSON. */
static bool is_no_record(int r) {
        return r == -E2BIG || r == -EINVAL;
}

/* The ledger goes on, and has no room for it. */
static bool lacks_room(const struct agent *a, int r) {
        return r < 0 && !is_no_record(r) && agent_ledger_ok(a);
}

/* It is in the ledger. An id may have been forgotten meanwhile. */
static int remember(struct agent *a, const json_t *body, uint64_t n) {
        struct command_id id;
        int r = command_id_from_str(late_id(body), &id);

        if (r < 0)
                return r;
        return late_is_order(body) ? hold_set_order(a->holds, &id, n)
                                   : hold_set_receipt(a->holds, &id, n, json_is_true(json_object_get(body, "more")));
}

int record_late(struct agent *a) {
        while (json_array_size(a->late) > 0) {
                json_t *body = json_array_get(a->late, 0);
                uint64_t n;
                int r = ledger_append(a->ledger, json_incref(body), &n);

                if (r < 0 && !is_no_record(r))
                        return r;
                /* it was not measured while another one was before it, and nothing behind it waits for ever */
                if (r < 0)
                        log_event(LOG_ERR, NULL, LOG_FIELDS(.hold = late_id(body), .stage = "record"),
                                  "What was carried out can never be recorded: %s", strerror(-r));
                else
                        (void) remember(a, body, n);
                (void) json_array_remove(a->late, 0);
        }
        return 0;
}

static int append_body(struct agent *a, enum bond bond, json_t *body, uint64_t *ret_n) {
        const int r = record_late(a);

        if (r < 0 && late_waits(a->late, bond == LATER ? late_id(body) : NULL))
                return r;
        return bond == OR_NOT_AT_ALL ? ledger_append_or_none(a->ledger, json_incref(body), ret_n)
                                     : ledger_append(a->ledger, json_incref(body), ret_n);
}

/* Adds what every record carries and appends it. Steals the body, NULL included. */
static int append_at(struct agent *a, const struct moment *at, enum bond bond, const char *kind, json_t *body,
                     uint64_t *ret_n) {
        _cleanup_json_ json_t *owned = body;
        char boot[33];
        int r;

        (void) sodium_bin2hex(boot, sizeof(boot), a->boot_id, sizeof(a->boot_id));
        if (!body || json_object_set_new(body, "kind", json_string(kind)) < 0 ||
            json_object_set_new(body, "boot", json_string(boot)) < 0 ||
            json_object_set_new(body, "t_boot", json_integer(at->boot_ms)) < 0 ||
            json_object_set_new(body, "t_wall", json_integer(at->wall_ms)) < 0 ||
            json_object_set_new(body, "floor", json_integer(at->floor_ms)) < 0)
                return -ENOMEM;
        if (!a->ledger)
                return -ENODEV;
        r = append_body(a, bond, body, ret_n);
        if (bond == LATER && lacks_room(a, r))
                late_keep(&a->late, body);
        return r;
}

static int append(struct agent *a, enum bond bond, const char *kind, json_t *body, uint64_t *ret_n) {
        const struct moment now = moment_now(a);

        return append_at(a, &now, bond, kind, body, ret_n);
}

static json_t *people_to_json(const struct trust *t, uint64_t people) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < t->n_people; i++)
                if (people & (UINT64_C(1) << i))
                        (void) json_array_append_new(array, json_string(t->people[i]));
        return array;
}

static int append_order(struct agent *agent, const struct moment *at, const struct authorised *a, const struct dsse *d,
                        const struct sites *sites, uint64_t *ret_n) {
        const enum verb verb = authorised_command(a)->verb;
        _cleanup_free_ char *envelope = NULL;
        char id[33], key[SSHKEY_ID_SIZE];
        int r = dsse_to_json(d, &envelope);

        if (r < 0)
                return r;
        command_id_to_str(&authorised_command(a)->id, id);
        sshkey_id_to_str(authorised_key(a), key);
        return append_at(agent, at, verb_class_lets_go(verb_info(verb)->cls) ? OR_NOT_AT_ALL : LATER, "order",
                         json_pack("{ss ss ss so sb ss so so ss}", "id", id, "verb", verb_info(verb)->id, "role",
                                   authorised_role(a), "people", people_to_json(agent->trust, authorised_people(a)),
                                   "automation", authorised_automation(a), "key", key, "flags",
                                   reasons_to_json(authorised_flags(a), 0), "sites", sites_to_json(sites), "envelope",
                                   envelope),
                         ret_n);
}

int record_order(struct agent *agent, struct authorised *a, const struct dsse *d, struct sites *sites,
                 const struct phases *phases, struct recorded **ret) {
        _cleanup_(recorded_freep) struct recorded *rec = calloc(1, sizeof(*rec));
        const struct command *c = authorised_command(a);
        const struct moment now = moment_now(agent);
        struct account_charge charge = { .floor_ms = now.floor_ms };
        uint64_t n = 0;
        int r;

        if (!rec) {
                authorised_free(a);
                sites_done(sites);
                return -ENOMEM;
        }
        *rec = (struct recorded) {
                .authorised = a, .id = c->id, .verb = c->verb, .flags = authorised_flags(a), .phases = *phases
        };
        memcpy(rec->digest, authorised_digest(a), sizeof(rec->digest));
        r = append_order(agent, &now, a, d, sites, &n);
        if (r < 0) {
                /* FAIL-OPEN: what has to stop is stopped, kept and preserved even if nobody can write it down yet.
                 * FAIL-CLOSED: nothing is let go. */
                if (verb_class_lets_go(verb_info(c->verb)->cls)) {
                        sites_done(sites);
                        return r;
                }
                rec->flags |= reason_bit(REASON_LEDGER);
        }
        memcpy(charge.key, authorised_key(a), sizeof(charge.key));
        r = fold_order(agent, c, rec->digest, &charge, authorised_automation(a), now.wall_ms, n, sites);
        if (r < 0)
                return r;
        phases_stamp(&rec->phases, PHASE_RECORD);
        *ret = TAKE_PTR(rec);
        return 0;
}

int record_recall(struct agent *agent, const struct command_id *hold, struct recorded **ret) {
        const struct hold *h = hold_set_find(agent->holds, hold);
        const struct seen *seen = hold_set_seen(agent->holds, hold);
        struct recorded *rec;

        if (!h)
                return -ENOENT;
        rec = calloc(1, sizeof(*rec));
        if (!rec)
                return -ENOMEM;
        rec->id = *hold;
        rec->verb = h->verb;
        if (seen)
                memcpy(rec->digest, seen->digest, sizeof(rec->digest));
        phases_begin(&rec->phases);
        *ret = rec;
        return 0;
}

void recorded_free(struct recorded *r) {
        if (!r)
                return;
        authorised_free(r->authorised);
        free(r);
}

void recorded_freep(struct recorded **r) {
        recorded_free(*r);
}

const struct command *recorded_command(const struct recorded *r) {
        return r->authorised ? authorised_command(r->authorised) : NULL;
}

const struct command_id *recorded_id(const struct recorded *r) {
        return &r->id;
}

const uint8_t *recorded_digest(const struct recorded *r) {
        return r->digest;
}

enum verb recorded_verb(const struct recorded *r) {
        return r->verb;
}

reason_set recorded_flags(const struct recorded *r) {
        return r->flags;
}

void recorded_add_flags(struct recorded *r, reason_set flags) {
        r->flags |= flags;
}

struct phases *recorded_phases(struct recorded *r) {
        return &r->phases;
}

struct sites *recorded_sites(struct agent *agent, const struct recorded *r) {
        return held_find(&agent->held, &r->id);
}

static json_t *ids_to_json(const struct command_id *ids, size_t n) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < n; i++) {
                char text[33];

                command_id_to_str(&ids[i], text);
                (void) json_array_append_new(array, json_string(text));
        }
        return array;
}

int record_outcome(struct agent *agent, const struct outcome *o) {
        const struct moment now = moment_now(agent);
        char id[33];
        uint64_t n = 0;
        json_t *body;
        int r, folded;

        command_id_to_str(o->id, id);
        body = json_pack("{ss ss so so ss*}", "id", id, "of", o->of, "reasons", reasons_to_json(o->reasons, 0), "ended",
                         ids_to_json(o->ended, o->n_ended), "state", o->settle ? hold_state_id(o->state) : NULL);
        if (body)
                (void) json_object_set_new(body, "receipt", json_string(o->receipt));
        if (body && o->more)
                (void) json_object_set_new(body, "more", json_true());
        r = append_at(agent, &now, LATER, "outcome", body, &n);
        if (r < 0)
                n = 0;
        folded = fold_outcome(agent, o, n, now.floor_ms);
        return r < 0 ? r : folded;
}

void record_resealed(struct agent *agent, const struct outcome *o) {
        json_t *late;
        char id[33];

        command_id_to_str(o->id, id);
        late = late_outcome(agent->late, id);
        /* where there was no place for it, another one waits */
        if (late && strcmp(json_string_value(json_object_get(late, "of")), o->of) == 0)
                (void) json_object_set_new(late, "receipt", json_string(o->receipt));
}

int record_lapse(struct agent *agent, const struct command_id *hold) {
        char id[33];
        int r;

        command_id_to_str(hold, id);
        r = append(agent, OR_NOT_AT_ALL, "lapse", json_pack("{ss}", "id", id), NULL);
        /* FAIL-CLOSED: a hold whose end cannot be recorded stays */
        return r < 0 ? r : fold_lapse(agent, hold);
}

int record_sites(struct agent *agent, const struct command_id *hold) {
        const struct sites *sites = held_find(&agent->held, hold);
        char id[33];

        command_id_to_str(hold, id);
        return sites ? append(agent, ANYWAY, "sites", json_pack("{ss so}", "id", id, "sites", sites_to_json(sites)),
                              NULL)
                     : -ENOENT;
}

int record_attempts(struct agent *agent, const struct command_id *hold, json_t *o) {
        const struct hold *h = hold_set_find(agent->holds, hold);
        char id[33];

        command_id_to_str(hold, id);
        if (o && (json_object_set_new(o, "id", json_string(id)) < 0 ||
                  json_object_set_new(o, "incident", json_string(h ? h->incident : "")) < 0)) {
                json_decref(o);
                o = NULL;
        }
        return append(agent, ANYWAY, "attempts", o, NULL);
}

int record_refusal(struct agent *agent, const struct command_id *id, const uint8_t digest[static 32],
                   enum reason reason) {
        char text[33] = "", hex[65];

        if (id)
                command_id_to_str(id, text);
        (void) sodium_bin2hex(hex, sizeof(hex), digest, 32);
        return append(agent, ANYWAY, "refusal",
                      json_pack("{ss ss ss}", "id", text, "digest", hex, "reason", reason_id(reason)), NULL);
}

int record_start(struct agent *agent) {
        return append(agent, ANYWAY, "start", json_pack("{ss}", "version", AGENT_VERSION), NULL);
}

int record_attributes(struct agent *agent, const struct attributes *attributes, const struct dsse *d) {
        _cleanup_free_ char *envelope = NULL;
        int r = dsse_to_json(d, &envelope);

        return r < 0 ? r
                     : append(agent, OR_NOT_AT_ALL, "attributes",
                              json_pack("{sI ss ss}", "serial", (json_int_t) attributes->n, "name", attributes->name,
                                        "envelope", envelope),
                              &agent->attributes_record);
}

int record_trust(struct agent *agent, int64_t version, const char *envelope) {
        char follows[65];
        /* its place comes first: one that is recorded is in force at the next start, and not refused for want of memory
         */
        int r = record_list_add(&agent->trusted, 0);

        if (r < 0)
                return r;
        (void) sodium_bin2hex(follows, sizeof(follows), agent->trust_payload, sizeof(agent->trust_payload));
        r = append(agent, OR_NOT_AT_ALL, "trust",
                   json_pack("{sI ss ss}", "version", (json_int_t) version, "follows", follows, "envelope", envelope),
                   &agent->trusted.n[agent->trusted.count - 1]);
        if (r < 0)
                agent->trusted.count--;
        return r;
}

int record_hearing(struct agent *agent, const char *state, int64_t n) {
        return append(agent, ANYWAY, "head", json_pack("{ss sI}", "state", state, "head", (json_int_t) n), NULL);
}

int record_custody(struct agent *agent, json_t *o, uint64_t *ret_n) {
        return append(agent, OR_NOT_AT_ALL, "custody", o, ret_n);
}

int record_epoch(struct agent *agent, json_t *o) {
        return append(agent, OR_NOT_AT_ALL, "epoch", o, NULL);
}

/* STATE/evidence/INCIDENT/HOLD as INCIDENT/HOLD. */
static const char *last_two(const char *folder) {
        const char *slash = folder ? strrchr(folder, '/') : NULL;

        while (slash && slash > folder && slash[-1] != '/')
                slash--;
        return slash ? slash : "";
}

static json_t *evidence_to_json(const struct command_id *id, const struct preserved *p, int64_t keep_ms) {
        char text[33], hex[65];
        json_t *o;

        command_id_to_str(id, text);
        o = json_pack("{ss ss ss sI sI sI sI}", "id", text, "folder", last_two(p->folder), "state",
                      preserved_state_id(p->state), "objects", (json_int_t) p->objects, "holes", (json_int_t) p->holes,
                      "sealed", (json_int_t) p->sealed, "keep_ms", (json_int_t) keep_ms);
        if (o && p->has_statement)
                (void) json_object_set_new(o, "statement",
                                           json_string(sodium_bin2hex(hex, sizeof(hex), p->statement_sha256, 32)));
        return o;
}

int record_evidence(struct agent *agent, const struct command_id *id, const struct preserved *p, int64_t keep_ms) {
        const struct moment now = moment_now(agent);
        const struct shelf_item item = { .id = *id,
                                         .sealed_ms = now.floor_ms,
                                         .passed_ms = hold_set_passed(agent->holds),
                                         .keep_ms = keep_ms,
                                         .bytes = p->sealed };
        int r = append_at(agent, &now, ANYWAY, "evidence", evidence_to_json(id, p, keep_ms), NULL);
        /* what the ledger does not tell of is kept until an order, as at the next start */
        int folded = shelf_put(&agent->shelf, r < 0 ? &(struct shelf_item) { .id = *id, .bytes = p->sealed } : &item);

        return r < 0 ? r : folded;
}

int record_expiry(struct agent *agent, const struct command_id *id) {
        char text[33];
        int r;

        command_id_to_str(id, text);
        r = append(agent, OR_NOT_AT_ALL, "expiry", json_pack("{ss}", "id", text), NULL);
        return r < 0 ? r : shelf_condemn(&agent->shelf, id, NULL);
}

int record_deleted(struct agent *agent, const struct command_id *id, json_t *tombstones) {
        char text[33];
        int r;

        command_id_to_str(id, text);
        r = append(agent, ANYWAY, "deleted", json_pack("{ss so}", "id", text, "tombstones", tombstones), NULL);
        if (r == 0)
                shelf_remove(&agent->shelf, id);
        return r;
}

json_t *record_order_of(struct agent *agent, const struct command_id *id) {
        const struct seen *seen = hold_set_seen(agent->holds, id);
        json_t *body = NULL;

        if (!seen || seen->order == 0 || !agent->ledger || ledger_read(agent->ledger, seen->order, &body) < 0)
                return NULL;
        return body;
}

struct command *record_order_command(const json_t *order, uint8_t *ret_digest) {
        const char *envelope = json_string_value(json_object_get(order, "envelope"));
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        struct command *c = NULL;
        enum reason reason;

        if (!envelope || dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE ||
            command_parse(d.payload, d.n_payload, &c, &reason) < 0 || reason != REASON_NONE)
                return NULL;
        if (ret_digest)
                (void) crypto_hash_sha256(ret_digest, d.payload, d.n_payload);
        return c;
}

char *record_envelope(struct agent *agent, const struct command_id *id) {
        _cleanup_json_ json_t *body = record_order_of(agent, id);
        const char *envelope = json_string_value(json_object_get(body, "envelope"));

        return envelope ? strdup(envelope) : NULL;
}

int record_list_add(struct record_list *l, uint64_t n) {
        uint64_t *more = reallocarray(l->n, l->count + 1, sizeof(*l->n));

        if (!more)
                return -ENOMEM;
        l->n = more;
        l->n[l->count++] = n;
        return 0;
}

static int read_body(struct agent *agent, uint64_t n, json_t **ret) {
        return agent->ledger && n > 0 ? ledger_read(agent->ledger, n, ret) : -ENOENT;
}

static int copy_envelope(const json_t *body, char **ret) {
        const char *envelope = json_string_value(json_object_get(body, "envelope"));

        if (!envelope)
                return -EBADMSG;
        *ret = strdup(envelope);
        return *ret ? 0 : -ENOMEM;
}

int record_read_envelope(struct agent *agent, uint64_t n, char **ret) {
        _cleanup_json_ json_t *body = NULL;
        int r = read_body(agent, n, &body);

        return r < 0 ? r : copy_envelope(body, ret);
}

int record_read_trust(struct agent *agent, uint64_t n, char **ret) {
        _cleanup_json_ json_t *body = NULL;
        const char *follows;
        char in_force[65];
        int r = read_body(agent, n, &body);

        if (r < 0)
                return r;
        follows = json_string_value(json_object_get(body, "follows"));
        (void) sodium_bin2hex(in_force, sizeof(in_force), agent->trust_payload, sizeof(agent->trust_payload));
        return follows && strcmp(follows, in_force) == 0 ? copy_envelope(body, ret) : -ESTALE;
}

json_t *record_receipt(struct agent *agent, const struct command_id *id) {
        const struct seen *seen = hold_set_seen(agent->holds, id);
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_json_ json_t *body = NULL;
        json_t *payload;
        const char *envelope;
        enum reason reason;

        if (!seen || seen->receipt == 0 || !agent->ledger || ledger_read(agent->ledger, seen->receipt, &body) < 0)
                return NULL;
        envelope = json_string_value(json_object_get(body, "receipt"));
        if (!envelope || dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE)
                return NULL;
        if (schema_json((const char *) d.payload, d.n_payload, &payload, &reason) < 0 || reason != REASON_NONE)
                return NULL;
        return payload;
}
