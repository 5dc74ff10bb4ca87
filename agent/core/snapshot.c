/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/snapshot.h"

#include <string.h>

#include <sodium.h>

#include "agent/core/folder.h"
#include "agent/core/head.h"
#include "agent/core/plain.h"
#include "agent/core/preserve.h"
#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/retain.h"
#include "agent/core/room.h"
#include "agent/util/clock.h"
#include "agent/util/collect_abi.h"
#include "agent/util/log.h"
#include "policy/schema.h"

/* Each is a process that reads for up to a minute. One more is answered with `evidence-failed`: its target is held, and
 * can be asked for again. */
#define SNAPSHOTS_MAX 16U

/* One collector at work and what it was started for. */
struct snapshot {
        struct snapshot *next;
        struct agent *agent;
        struct preserve *preserve;
        struct command_id id;
        struct answer to;
        bool of_hold; /* else the snapshot is all that was ordered */
        uint64_t granted;
        bool lessened; /* it was granted less than the policy allows */
        json_t *receipt;
};

static void snapshot_free(struct snapshot *s) {
        preserve_free(s->preserve);
        json_decref(s->receipt);
        free(s);
}

void snapshot_free_all(struct agent *a) {
        while (a->snapshots) {
                struct snapshot *s = a->snapshots;

                a->snapshots = s->next;
                snapshot_free(s);
        }
}

static void forget(struct snapshot *s) {
        struct snapshot **at = &s->agent->snapshots;

        while (*at && *at != s)
                at = &(*at)->next;
        if (*at)
                *at = s->next;
        snapshot_free(s);
}

/* Issues the receipt again, now with the evidence, and stores it as the command's last one. */
static void conclude(struct snapshot *s) {
        struct outcome o = { .id = &s->id, .of = "evidence" };
        _cleanup_free_ char *envelope = NULL;

        if (receipt_conclude(s->agent, s->receipt, true, &o, &envelope) == 0)
                link_answer(&s->to, envelope, false);
        else
                link_refuse(&s->to, REASON_INTERNAL);
}

bool snapshot_runs(const struct agent *a, const struct command_id *id) {
        for (const struct snapshot *s = a->snapshots; s; s = s->next)
                if (command_id_equal(&s->id, id))
                        return true;
        return false;
}

/* Where the snapshot is all that was ordered, the receipt's state is what became of it. */
static void fall_short(struct snapshot *s, const char *state) {
        if (!s->of_hold && json_object_set_new(s->receipt, "state", json_string(state)) < 0)
                receipt_add_flag(s->receipt, REASON_NO_EVIDENCE);
}

static void tell_state(struct snapshot *s, enum preserve_state state, uint64_t holes) {
        if (state != PRESERVE_COMPLETE)
                fall_short(s, state == PRESERVE_FAILED ? "failed" : "partial");
        if (state == PRESERVE_FAILED)
                receipt_add_flag(s->receipt, REASON_NO_EVIDENCE);
        else if (holes > 0 || state != PRESERVE_COMPLETE)
                receipt_add_flag(s->receipt, REASON_EVIDENCE_HOLES);
}

/* What was promised when it was sealed is what holds. */
static void record_it(struct snapshot *s, const struct preserved *p) {
        struct agent *a = s->agent;
        int r = record_evidence(a, &s->id, p, a->trust ? a->trust->retention_ms : 0);

        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "preserve"),
                          "The ledger cannot record evidence; it is kept until an order: %s", strerror(-r));
        retain_sealed(a, &s->id);
}

static void on_preserved(const struct preserved *p, void *userdata) {
        struct snapshot *s = userdata;

        if (s->of_hold)
                receipt_catch_up(s->agent, &s->id, &s->receipt);
        tell_state(s, receipt_add_evidence(s->receipt, p) < 0 ? PRESERVE_FAILED : p->state, p->holes);
        if (s->lessened && p->state != PRESERVE_COMPLETE)
                receipt_add_flag(s->receipt, REASON_LITTLE_ROOM);
        record_it(s, p);
        conclude(s);
        if (p->state != PRESERVE_FAILED)
                head_turn(s->agent, EPOCH_EVIDENCE);
        forget(s);
}

static struct preserve_target *targets_of(const struct agent *a, const struct sites *sites, size_t *ret_n) {
        struct preserve_target *t = calloc(sites->n ? sites->n : 1, sizeof(*t));
        size_t n = 0;

        for (size_t i = 0; t && i < sites->n; i++) {
                char *path;

                if (sites->v[i].missing != REASON_NONE || asprintf(&path, "%s%s", a->cgroup_root, sites->v[i].path) < 0)
                        continue;
                t[n++] = (struct preserve_target) { .cgroup = path, .unit = site_unit(&sites->v[i]) };
        }
        *ret_n = n;
        return t;
}

/* The one that is about to begin included. */
static size_t count(const struct agent *a) {
        size_t n = 0;

        for (const struct snapshot *s = a->snapshots; s; s = s->next)
                n++;
        return n;
}

static bool has_recipient(const struct agent *a) {
        return a->trust && a->trust->n_recipients > 0;
}

_Static_assert(LOCAL_LOGS_MAX <= COLLECT_LOGS_MAX, "the collector takes every log file that a policy can list");

/* FAIL-OPEN: of an order that is not known any more all is taken that the default says. */
static enum profile profile_of(const char *envelope) {
        _cleanup_command_ struct command *c = NULL;
        enum profile p = PROFILE_DEFAULT;
        struct dsse d = DSSE_NULL;
        enum reason reason;

        if (!envelope || dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE)
                return p;
        if (command_parse(d.payload, d.n_payload, &c, &reason) == 0 && reason == REASON_NONE)
                p = c->profile;
        dsse_done(&d);
        return p;
}

static uint64_t granted(const struct agent *a) {
        uint64_t sum = 0;

        for (const struct snapshot *s = a->snapshots; s; s = s->next)
                sum += s->granted;
        return sum;
}

/* -EDQUOT when there is too little to begin. */
static int find_room(struct snapshot *s, uint64_t *bytes) {
        const struct agent *a = s->agent;
        const uint64_t room = room_for_snapshot(a->config.state, &a->local, &a->shelf, granted(a), *bytes);

        s->lessened = room < *bytes;
        if (s->lessened && room < ROOM_LEAST)
                return -EDQUOT;
        s->granted = *bytes = room;
        return 0;
}

static void make_room(void *userdata) {
        const struct snapshot *s = userdata;

        (void) room_provide(s->agent->config.state, ROOM_TAGS);
}

static int begin(struct snapshot *s, const char *incident, const struct sites *sites) {
        struct agent *a = s->agent;
        const struct seen *seen = hold_set_seen(a->holds, &s->id);
        _cleanup_free_ char *order = record_envelope(a, &s->id);
        const enum profile profile = profile_of(order);
        const struct profile_budget *budget = &a->local.profiles[profile];
        const int64_t now = clock_wall_ms();
        struct preserve_job job = {
                .collector = a->config.collector,
                .state = a->config.state,
                .key = a->key,
                .hold = s->id,
                .incident = incident,
                .order = order,
                .recipients = a->trust->recipients,
                .n_recipients = a->trust->n_recipients,
                .profile = profile,
                .since_ms = now - budget->window_ms,
                .until_ms = now,
                .deadline_ms = budget->deadline_ms,
                .max_bytes = (uint64_t) budget->max_bytes,
                .position = head_position(a),
                .before_seal = make_room,
        };
        int r = find_room(s, &job.max_bytes);
        struct preserve_target *targets = r < 0 ? NULL : targets_of(a, sites, &job.n_targets);
        const char *logs[LOCAL_LOGS_MAX];

        if (r < 0)
                return r;

        if (!targets)
                return -ENOMEM;
        job.targets = targets;
        for (; job.n_logs < a->local.n_logs; job.n_logs++)
                logs[job.n_logs] = a->local.logs[job.n_logs];
        job.logs = logs;
        if (seen)
                memcpy(job.digest, seen->digest, sizeof(job.digest));
        r = preserve_start(a->event, &job, on_preserved, s, &s->preserve);
        for (size_t i = 0; i < job.n_targets; i++)
                free((char *) targets[i].cgroup);
        free(targets);
        return r;
}

int snapshot_of_sites(struct agent *a, const struct command_id *id, const char *incident, const struct sites *sites,
                      json_t *receipt, const struct answer *to) {
        struct snapshot *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        *s = (struct snapshot) { .next = a->snapshots,
                                 .agent = a,
                                 .id = *id,
                                 .to = *to,
                                 .of_hold = hold_set_find(a->holds, id) != NULL,
                                 .receipt = json_incref(receipt) };
        a->snapshots = s;
        if (!has_recipient(a)) {
                fall_short(s, "failed");
                receipt_add_flag(s->receipt, REASON_NOT_PRESERVED);
                conclude(s);
                forget(s);
                return 0;
        }
        r = a->aside || count(a) > SNAPSHOTS_MAX ? -EBUSY : begin(s, incident, sites);
        if (r < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "preserve"), "A snapshot could not be begun: %s",
                          strerror(-r));
                fall_short(s, "failed");
                receipt_add_flag(s->receipt, REASON_NO_EVIDENCE);
                if (r == -EDQUOT)
                        receipt_add_flag(s->receipt, REASON_NO_ROOM);
                conclude(s);
                forget(s);
        }
        return 0;
}

int snapshot_of_hold(struct agent *a, const struct command_id *hold, json_t *receipt, const struct answer *to) {
        const struct hold *h = hold_set_find(a->holds, hold);
        const struct sites *sites = held_find(&a->held, hold);
        const struct sites none = { 0 };

        return snapshot_of_sites(a, hold, h ? h->incident : "", sites ? sites : &none, receipt, to);
}

/* What the host itself has signed of a folder. Anything else that lies there the collector may have made. */
static json_t *read_statement(const struct agent *a, const struct folder *f, uint8_t ret_sha256[static 32]) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_json_ json_t *statement = NULL;
        _cleanup_free_ char *text = NULL;
        enum reason reason = REASON_NONE;
        uint64_t signers = 0;
        json_t *predicate;
        const char *hold;
        char id[33];
        size_t n;

        if (plain_read(f->fd, FOLDER_STATEMENT, DSSE_HOST_ENVELOPE_MAX, &text, &n, ret_sha256) < 0 ||
            dsse_parse(text, n, &d, &reason) < 0 || reason != REASON_NONE || d.type != DSSE_EVIDENCE ||
            dsse_verify(&d, hostkey_public(a->key), 1, &signers, &reason) < 0 || signers == 0 ||
            schema_json((const char *) d.payload, d.n_payload, &statement, &reason) < 0 || reason != REASON_NONE)
                return NULL;
        predicate = json_object_get(statement, "predicate");
        hold = json_string_value(json_object_get(predicate, "hold"));
        command_id_to_str(&f->id, id);
        return hold && strcmp(hold, id) == 0 ? json_incref(predicate) : NULL;
}

struct remains {
        const struct agent *agent;
        json_t *evidence; /* of the best folder, as receipts list it; NULL: not even one */
};

static enum preserve_state state_of(const json_t *evidence) {
        const char *id = json_string_value(json_object_get(evidence, "state"));

        for (enum preserve_state s = 0; id && s < _PRESERVE_STATE_MAX; s++)
                if (strcmp(preserved_state_id(s), id) == 0)
                        return s;
        return PRESERVE_FAILED;
}

/* One that is signed is better than one of which nobody knows; a snapshot that was taken again has several. */
static bool is_better(const json_t *evidence, const json_t *than) {
        const bool is_signed = json_object_get(evidence, "statement_sha256"),
                   other = json_object_get(than, "statement_sha256");

        return evidence && (!than || (is_signed != other ? is_signed : state_of(evidence) < state_of(than)));
}

static int on_remains(const struct folder *f, void *userdata) {
        static const char *const told[] = { "state", "objects", "holes", "bytes", "sealed", "flags" };
        struct remains *r = userdata;
        uint8_t sha256[32];
        char hex[65];
        _cleanup_json_ json_t *statement = read_statement(r->agent, f, sha256);
        json_t *o = json_pack("{ss so}", "state", preserved_state_id(PRESERVE_FAILED), "folder",
                              json_sprintf("%s/evidence/%s", r->agent->config.state, f->path));

        for (size_t i = 0; o && i < ELEMENTSOF(told); i++) {
                json_t *v = json_object_get(statement, told[i]);

                if (v)
                        (void) json_object_set(o, told[i], v);
        }
        if (o && statement)
                (void) json_object_set_new(o, "statement_sha256",
                                           json_string(sodium_bin2hex(hex, sizeof(hex), sha256, sizeof(sha256))));
        if (is_better(o, r->evidence)) {
                json_t *worse = r->evidence;

                r->evidence = o;
                o = worse;
        }
        json_decref(o);
        return 0;
}

void snapshot_remains(struct agent *a, const struct command *c, const uint8_t digest[static 32]) {
        const struct verb_info *verb = verb_info(c->verb);
        const bool held = verb->cls == VERB_CLASS_STOP;
        _cleanup_json_ json_t *receipt =
                receipt_plain(a, &c->id, digest, verb->id, held ? hold_state_id(HOLD_RELEASED) : "snapshot",
                              reason_bit(REASON_RECOVERED));
        struct snapshot s = { .agent = a, .id = c->id, .of_hold = held, .receipt = receipt };
        struct remains left = { .agent = a };
        enum preserve_state state;
        json_int_t holes;
        int r;

        if (!receipt)
                return;
        r = folder_each(a->config.state, &c->id, on_remains, &left);
        state = state_of(left.evidence);
        holes = json_integer_value(json_object_get(left.evidence, "holes"));
        if (r < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "preserve"),
                          "The evidence could not be looked through: %s", strerror(-r));
        (void) json_object_set_new(receipt, "incident", json_string(c->incident));
        if (left.evidence)
                (void) json_object_set_new(receipt, "evidence", left.evidence);
        if (verb->snapshots)
                tell_state(&s, state, (uint64_t) holes);
        conclude(&s);
}
