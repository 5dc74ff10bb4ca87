/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A host, its trust root and one command, about which decide() is asked. Included after cmocka.h. */

#include <stdint.h>
#include <string.h>

#include "lib/people.h"
#include "lib/reasons.h"
#include "policy/decide.h"

#define MINUTE (60LL * 1000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    (20000 * DAY)

/* Everything that a decision depends on. Each case starts from a world in which the answer is yes, and flips one thing.
 */
static struct world {
        struct trust trust;
        struct local local;
        struct facts facts;
        struct hold_set *holds;
        struct shelf shelf;
        struct command c;
        struct target targets[COMMAND_TARGETS_MAX];
        struct permit permit;
        uint8_t hosts[3][32];
        unsigned int by; /* keys that sign, and the clerk's */
        bool no_clerk;
        const char *raw; /* signed instead of c */

        /* the last answer */
        struct decision d;
        struct authorised *authorised;
        struct command *parsed;
        uint8_t digest[32];
} w;

/* All ids are of a clerk, who signs each order and is of no role: so an order keeps its id whoever else signs it. */
static inline struct command_id id_of(uint32_t n) {
        static struct command_id id;

        if (id.b[0] == 0)
                people_id(KEY_CLERK, &id);
        id.b[0] = 0xee;
        memcpy(&id.b[4], &n, sizeof(n));
        return id;
}

static inline void trust_clerk(struct trust *t) {
        uint8_t secret[crypto_sign_SECRETKEYBYTES];

        people_key(KEY_CLERK, secret, &t->keys[KEY_CLERK].key);
        t->keys[KEY_CLERK].person = _PERSON_MAX;
        (void) strcpy(t->people[_PERSON_MAX], "frank");
        t->n_keys = KEY_CLERK + 1;
        t->n_people = _PERSON_MAX + 1;
}

/* Signed as the world says. */
static inline struct dsse world_sign(const char *json) {
        return people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), w.by | (w.no_clerk ? 0 : BY(CLERK)));
}

/* By these alone, with an id of that key. */
static inline void by_themselves(unsigned int by, enum key of) {
        w.by = by;
        w.no_clerk = true;
        people_id(of, &w.c.id);
}

static inline void forget_answer(void) {
        authorised_freep(&w.authorised);
        command_freep(&w.parsed);
        w.authorised = NULL;
        w.parsed = NULL;
}

static inline void target_unit(const char *name) {
        assert_int_equal(target_from_str(name, &w.targets[0]), 0);
        w.c.n_targets = 1;
}

static inline void target_holds(size_t n, const uint32_t *ids) {
        for (size_t i = 0; i < n; i++) {
                struct command_id id = id_of(ids[i]);

                w.targets[i] = (struct target) { .cls = TARGET_HOLD };
                command_id_to_str(&id, w.targets[i].name);
        }
        w.c.n_targets = n;
}

#define TARGET_HOLDS(...) target_holds(ELEMENTSOF(((uint32_t[]) { __VA_ARGS__ })), (uint32_t[]) { __VA_ARGS__ })

/* There is evidence with the id 200, and a legal hold with the id 201 on evidence that is yet to come, with 202. */
static inline void order(enum verb verb) {
        w.c.verb = verb;
        w.c.lease_ms = 0;
        w.c.exp_ms = w.c.iat_ms + HOUR;
        target_unit("nginx.service");
        w.by = verb == VERB_FREEZE ? BY(CAROL) : BY(ALICE);
        if (verb == VERB_EVIDENCE_HOLD || verb == VERB_EVIDENCE_DELETE)
                TARGET_HOLDS(200);
        if (verb == VERB_EVIDENCE_UNHOLD)
                TARGET_HOLDS(201);
        if (verb_info(verb)->cls == VERB_CLASS_DROP)
                w.by = BY(DAVE) | BY(ERIN);
}

static inline void fill_shelf(void) {
        const struct command_id hold = id_of(201), item = id_of(202);

        assert_int_equal(shelf_put(&w.shelf, &(struct shelf_item) { .id = id_of(200), .sealed_ms = 1 }), 0);
        assert_int_equal(shelf_hold(&w.shelf, &hold, &item, w.trust.keys[KEY_DAVE].key.id), 0);
}

static inline int set_up(void **state) {
        (void) state;
        w.holds = hold_set_new();
        assert_non_null(w.holds);
        people_trust(NOW - 30 * DAY, &w.trust);
        trust_clerk(&w.trust);
        local_defaults(&w.local);
        w.facts = (struct facts) {
                .host = { 0x11 },
                .wall_ms = NOW,
                .floor_ms = NOW - DAY,
                .clock_synced = true,
                .ledger_ok = true,
                .holds = w.holds,
                .shelf = &w.shelf,
        };
        fill_shelf();
        memset(w.hosts[0], 0x22, 32);
        memset(w.hosts[2], 0x33, 32);
        memcpy(w.hosts[1], w.facts.host, 32);
        w.permit = (struct permit) { .prefix = 128, .addr = { [15] = 1 } };
        w.c = (struct command) {
                .fleet = "prod",
                .id = id_of(1),
                .to = COMMAND_TO_HOSTS,
                .hosts = w.hosts,
                .n_hosts = 3,
                .targets = w.targets,
                .iat_ms = NOW - MINUTE,
                .root_version = 3,
                .severity = SEVERITY_P0,
                .incident = "SA-20261120-001",
                .reason = "test",
        };
        order(VERB_CONTAIN);
        return 0;
}

static inline int tear_down(void **state) {
        (void) state;
        forget_answer();
        hold_set_free(w.holds);
        shelf_done(&w.shelf);
        memset(&w, 0, sizeof(w));
        return 0;
}

static inline int set_up_release(void **state) {
        assert_int_equal(set_up(state), 0);
        order(VERB_RELEASE);
        TARGET_HOLDS(100);
        w.by = BY(ALICE) | BY(BOB);

        struct command made = w.c;
        made.id = id_of(100);
        made.verb = VERB_CONTAIN;
        return hold_set_begin(w.holds, &made, NULL, NOW);
}

static inline int set_up_bot(void **state) {
        assert_int_equal(set_up(state), 0);
        w.by = BY(BOT);
        w.c.lease_ms = BOT_LEASE_MS;
        return 0;
}

/* What holds for every answer, whatever the question. */
static inline void check_promises(void) {
        bool release = w.parsed && verb_class_lets_go(verb_info(w.parsed->verb)->cls);

        assert_int_equal(w.d.kind == DECISION_REFUSED, w.d.reason != REASON_NONE);
        assert_int_equal(w.d.kind == DECISION_GO, w.authorised != NULL);
        assert_true(w.d.reason < _REASON_MAX);
        assert_int_equal(w.d.reason == REASON_THRESHOLD, w.d.have < w.d.need);
        if (w.d.kind == DECISION_GO && release)
                assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_FLAG));
        if (w.d.kind == DECISION_REFUSED && !release)
                assert_int_not_equal(reason_kind(w.d.reason), REASON_KIND_FLAG);
        assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_REFUSE));
        assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_WAIT));
        assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_GAP));
        if (w.authorised) {
                assert_reasons(authorised_flags(w.authorised), w.d.flags);
                assert_memory_equal(authorised_digest(w.authorised), w.digest, sizeof(w.digest));
                assert_ptr_not_equal(authorised_command(w.authorised), w.parsed);
        }
}

/* Signs, verifies, decides. */
static inline void ask(void) {
        _cleanup_(verified_freep) struct verified *v = NULL;
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        enum reason reason;

        forget_answer();
        if (w.raw)
                json = strdup(w.raw);
        else
                assert_int_equal(command_to_json(&w.c, &json), 0);
        assert_non_null(json);

        d = world_sign(json);
        assert_int_equal(verify_command(&w.trust, &d, &v, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        memcpy(w.digest, verified_digest(v), sizeof(w.digest));
        assert_int_equal(decide(v, &w.trust, &w.local, &w.facts, &w.d, &w.authorised, &w.parsed), 0);
        check_promises();
}

static inline void expect_go(reason_set flags) {
        ask();
        assert_string_equal(reason_id(w.d.reason), "none");
        assert_int_equal(w.d.kind, DECISION_GO);
        assert_reasons(w.d.flags, flags);
}

static inline void expect_refused(enum reason reason) {
        ask();
        assert_string_equal(reason_id(w.d.reason), reason_id(reason));
        assert_int_equal(w.d.kind, DECISION_REFUSED);
}

static inline void see(uint32_t n, const uint8_t digest[static 32]) {
        struct command_id id = id_of(n);

        assert_int_equal(hold_set_see(w.holds, &id, digest, w.c.exp_ms), 0);
}

/* Charged to a key when it is automation's. */
static inline struct account_charge charge_of(enum key key) {
        struct account_charge charge = { .floor_ms = w.facts.floor_ms };

        memcpy(charge.key, w.trust.keys[key].key.id, sizeof(charge.key));
        return charge;
}

static inline void make_hold(uint32_t n, int64_t lease_ms, bool automation, const char *incident) {
        const struct account_charge bot = charge_of(KEY_BOT);
        struct command c = w.c;
        struct target t = { TARGET_UNIT, "nginx.service" };

        c.id = id_of(n);
        c.verb = VERB_CONTAIN;
        c.lease_ms = lease_ms;
        c.targets = &t;
        c.n_targets = 1;
        (void) snprintf(c.incident, sizeof(c.incident), "%s", incident);
        assert_int_equal(hold_set_begin(w.holds, &c, automation ? &bot : NULL, NOW), 0);
}

static inline void make_room_for(size_t n) {
        static const uint8_t digest[32] = { 7 };

        for (uint32_t i = 0; hold_set_seen_room(w.holds) > n; i++)
                see(0x10000 + i, digest);
}

#define CASE(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RELEASE(name) cmocka_unit_test_setup_teardown(name, set_up_release, tear_down)
#define BOT(name)     cmocka_unit_test_setup_teardown(name, set_up_bot, tear_down)
