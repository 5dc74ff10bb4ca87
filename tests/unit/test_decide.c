/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/people.h"
#include "policy/decide.h"

#define MINUTE (60LL * 1000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define NOW    (20000 * DAY)

/* Everything that a decision depends on. Each case starts from a world in which the answer is yes, and flips one thing. */
static struct world {
        struct trust trust;
        struct local local;
        struct facts facts;
        struct hold_set *holds;
        struct command c;
        struct target targets[COMMAND_TARGETS_MAX];
        struct permit permit;
        uint8_t hosts[3][32];
        unsigned int by; /* keys that sign */
        const char *raw; /* signed instead of c */

        /* the last answer */
        struct decision d;
        struct authorised *authorised;
        struct command *parsed;
        uint8_t digest[32];
} w;

static struct command_id id_of(uint32_t n) {
        struct command_id id = { { 0xee } };

        memcpy(&id.b[12], &n, sizeof(n));
        return id;
}

static void forget_answer(void) {
        authorised_freep(&w.authorised);
        command_freep(&w.parsed);
        w.authorised = NULL;
        w.parsed = NULL;
}

static void target_unit(const char *name) {
        assert_int_equal(target_from_str(name, &w.targets[0]), 0);
        w.c.n_targets = 1;
}

static void target_holds(size_t n, const uint32_t *ids) {
        for (size_t i = 0; i < n; i++) {
                struct command_id id = id_of(ids[i]);

                w.targets[i] = (struct target) { .cls = TARGET_HOLD };
                command_id_to_str(&id, w.targets[i].name);
        }
        w.c.n_targets = n;
}

#define TARGET_HOLDS(...) target_holds(ELEMENTSOF(((uint32_t[]) { __VA_ARGS__ })), (uint32_t[]) { __VA_ARGS__ })

static void order(enum verb verb) {
        w.c.verb = verb;
        w.c.lease_ms = 0;
        w.c.exp_ms = w.c.iat_ms + HOUR;
        target_unit("nginx.service");
        w.by = verb == VERB_FREEZE ? BY(CAROL) : BY(ALICE);
}

static int set_up(void **state) {
        (void) state;
        w.holds = hold_set_new();
        assert_non_null(w.holds);
        people_trust(NOW - 30 * DAY, &w.trust);
        local_defaults(&w.local);
        w.facts = (struct facts) {
                .host = { 0x11 },
                .wall_ms = NOW,
                .floor_ms = NOW - DAY,
                .clock_synced = true,
                .ledger_ok = true,
                .holds = w.holds,
        };
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

static int tear_down(void **state) {
        (void) state;
        forget_answer();
        hold_set_free(w.holds);
        memset(&w, 0, sizeof(w));
        return 0;
}

static int set_up_release(void **state) {
        assert_int_equal(set_up(state), 0);
        order(VERB_RELEASE);
        TARGET_HOLDS(100);
        w.by = BY(ALICE) | BY(BOB);

        struct command made = w.c;
        made.id = id_of(100);
        made.verb = VERB_CONTAIN;
        return hold_set_begin(w.holds, &made, false, NOW);
}

static int set_up_bot(void **state) {
        assert_int_equal(set_up(state), 0);
        w.by = BY(BOT);
        w.c.lease_ms = BOT_LEASE_MS;
        return 0;
}

/* What holds for every answer, whatever the question. */
static void check_promises(void) {
        bool release = w.parsed && w.parsed->verb == VERB_RELEASE;

        assert_int_equal(w.d.kind == DECISION_REFUSED, w.d.reason != REASON_NONE);
        assert_int_equal(w.d.kind == DECISION_GO, w.authorised != NULL);
        assert_true(w.d.reason < _REASON_MAX);
        assert_int_equal(w.d.reason == REASON_THRESHOLD, w.d.have < w.d.need);
        if (w.d.kind == DECISION_GO && release)
                assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_FLAG));
        if (w.d.kind == DECISION_REFUSED && !release)
                assert_int_not_equal(reason_kind(w.d.reason), REASON_KIND_FLAG);
        assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_REFUSE));
        assert_false(reason_set_has_kind(w.d.flags, REASON_KIND_GAP));
        if (w.authorised) {
                assert_int_equal(authorised_flags(w.authorised), w.d.flags);
                assert_memory_equal(authorised_digest(w.authorised), w.digest, sizeof(w.digest));
                assert_ptr_not_equal(authorised_command(w.authorised), w.parsed);
        }
}

/* Signs, verifies, decides. */
static void ask(void) {
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

        d = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), w.by);
        assert_int_equal(verify_command(&w.trust, &d, &v, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        memcpy(w.digest, verified_digest(v), sizeof(w.digest));
        assert_int_equal(decide(v, &w.trust, &w.local, &w.facts, &w.d, &w.authorised, &w.parsed), 0);
        check_promises();
}

static void expect_go(reason_set flags) {
        ask();
        assert_string_equal(reason_id(w.d.reason), "none");
        assert_int_equal(w.d.kind, DECISION_GO);
        assert_int_equal(w.d.flags, flags);
}

static void expect_refused(enum reason reason) {
        ask();
        assert_string_equal(reason_id(w.d.reason), reason_id(reason));
        assert_int_equal(w.d.kind, DECISION_REFUSED);
}

static void see(uint32_t n, const uint8_t digest[static 32]) {
        struct command_id id = id_of(n);

        assert_int_equal(hold_set_see(w.holds, &id, digest, w.c.exp_ms), 0);
}

static void make_hold(uint32_t n, int64_t lease_ms, bool automation, const char *incident) {
        struct command c = w.c;
        struct target t = { TARGET_UNIT, "nginx.service" };

        c.id = id_of(n);
        c.verb = VERB_CONTAIN;
        c.lease_ms = lease_ms;
        c.targets = &t;
        c.n_targets = 1;
        (void) snprintf(c.incident, sizeof(c.incident), "%s", incident);
        assert_int_equal(hold_set_begin(w.holds, &c, automation, NOW), 0);
}

static void make_room_for(size_t n) {
        static const uint8_t digest[32] = { 7 };

        for (uint32_t i = 0; hold_set_seen_room(w.holds) > n; i++)
                see(0x10000 + i, digest);
}

static void an_allowed_stop_carries_all_that_the_next_stage_needs(void **state) {
        (void) state;
        w.c.permits = &w.permit;
        w.c.n_permits = 1;
        expect_go(0);
        assert_string_equal(authorised_role(w.authorised), "responder");
        assert_false(authorised_automation(w.authorised));
        assert_int_equal(authorised_people(w.authorised), PERSON(ALICE));

        const struct command *c = authorised_command(w.authorised);
        assert_true(command_id_equal(&c->id, &w.c.id));
        assert_string_equal(c->targets[0].name, "nginx.service");
        assert_memory_equal(c->hosts, w.hosts, sizeof(w.hosts));
        assert_memory_equal(c->permits, &w.permit, sizeof(w.permit));
        assert_true(command_id_equal(&w.parsed->id, &w.c.id));

        size_t n;
        (void) authorised_holds(w.authorised, &n);
        assert_int_equal(n, 0);
}

static void the_parsed_command_is_not_needed(void **state) {
        _cleanup_(authorised_freep) struct authorised *a = NULL;
        _cleanup_(verified_freep) struct verified *v = NULL;
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        enum reason reason;

        (void) state;
        assert_int_equal(command_to_json(&w.c, &json), 0);
        d = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), w.by);
        assert_int_equal(verify_command(&w.trust, &d, &v, &reason), 0);
        assert_int_equal(decide(v, &w.trust, &w.local, &w.facts, &w.d, &a, NULL), 0);
        assert_int_equal(w.d.kind, DECISION_GO);
        assert_true(command_id_equal(&authorised_command(a)->id, &w.c.id));
}

static void what_does_not_parse_is_refused_with_the_parsers_reason(void **state) {
        (void) state;
        w.raw = "{";
        expect_refused(REASON_MALFORMED);
        w.raw = "";
        expect_refused(REASON_MALFORMED);
        w.raw = "{\"v\":2}";
        expect_refused(REASON_VERSION);
        w.raw = "{\"v\":1,\"later\":1}";
        expect_refused(REASON_FIELD);
        assert_null(w.parsed);
        w.raw = NULL;
        expect_go(0);
}

static void another_fleets_command_is_refused(void **state) {
        (void) state;
        strcpy(w.c.fleet, "staging");
        expect_refused(REASON_FLEET);
        assert_non_null(w.parsed);
        strcpy(w.trust.fleet, "staging");
        expect_go(0);
}

static void a_command_to_others_is_refused(void **state) {
        (void) state;
        w.facts.host[31] ^= 1;
        expect_refused(REASON_HOST);
        memcpy(w.hosts[2], w.facts.host, 32);
        expect_go(0);
        w.c.n_hosts = 2;
        expect_refused(REASON_HOST);
        w.c.to = COMMAND_TO_ALL;
        w.c.max_hosts = 10;
        expect_go(0);
        w.c.to = COMMAND_TO_GROUP;
        strcpy(w.c.group, "web");
        expect_refused(REASON_HOST);
}

static void a_seen_command_is_a_duplicate_for_every_verb(void **state) {
        (void) state;
        for (int verb = 0; verb < _VERB_MAX; verb++) {
                order(verb);
                w.c.id = id_of(verb + 1);
                if (verb == VERB_EXTEND || verb == VERB_RELEASE)
                        TARGET_HOLDS(100);
                if (verb == VERB_EXTEND)
                        w.c.lease_ms = HOUR;
                ask();
                assert_int_not_equal(w.d.kind, DECISION_DUPLICATE);
                see(verb + 1, w.digest);
                ask();
                assert_int_equal(w.d.kind, DECISION_DUPLICATE);
        }
}

/* At-least-once transport may bring it late and with fewer signatures; the answer is the old one, never a new judgement. */
static void a_duplicate_stays_one_when_the_command_would_be_refused_by_now(void **state) {
        (void) state;
        ask();
        see(100, w.digest);
        w.c.id = id_of(100);
        ask();
        w.c.id = id_of(1);
        ask();
        see(1, w.digest);
        w.facts.wall_ms = w.facts.floor_ms = NOW + 3 * DAY;
        w.by = BY(BOT);
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);
        assert_non_null(w.parsed);
}

static void an_id_with_other_bytes_is_refused(void **state) {
        (void) state;
        ask();
        see(1, w.digest);
        strcpy(w.c.reason, "tess");
        expect_refused(REASON_ID_REUSED);
        strcpy(w.c.reason, "test");
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);
}

static void a_plan_is_judged_as_what_it_plans(void **state) {
        (void) state;
        w.c.plan = true;
        expect_go(0);
        see(1, w.digest);
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);
        w.c.plan = false;
        expect_refused(REASON_ID_REUSED);
}

static void an_order_that_comes_after_its_release_is_superseded(void **state) {
        struct command_id id = id_of(1);

        (void) state;
        expect_go(0);
        assert_int_equal(hold_set_bury(w.holds, &id, w.c.exp_ms), 0);
        expect_refused(REASON_SUPERSEDED);
        order(VERB_ISOLATE);
        expect_refused(REASON_SUPERSEDED);
        order(VERB_SNAPSHOT);
        expect_go(0);
        w.c.id = id_of(2);
        order(VERB_CONTAIN);
        expect_go(0);
}

static void a_role_without_a_rule_for_the_verb_is_refused(void **state) {
        (void) state;
        order(VERB_FREEZE);
        expect_go(0);
        assert_string_equal(authorised_role(w.authorised), "lead");
        w.by = BY(ALICE) | BY(BOB) | BY(BOT);
        expect_refused(REASON_ROLE);
        w.by |= BY(CAROL);
        expect_go(0);
        w.trust.n_rules = 0;
        expect_refused(REASON_ROLE);
}

static void release_needs_two_people(void **state) {
        size_t n;

        (void) state;
        expect_go(0);
        assert_int_equal(authorised_people(w.authorised), PERSON(ALICE) | PERSON(BOB));
        const struct command_id *ids = authorised_holds(w.authorised, &n), expected = id_of(100);
        assert_int_equal(n, 1);
        assert_true(command_id_equal(&ids[0], &expected));

        w.by = BY(ALICE);
        expect_refused(REASON_THRESHOLD);
        assert_int_equal(w.d.have, 1);
        assert_int_equal(w.d.need, 2);
}

static void two_keys_of_one_person_do_not_release(void **state) {
        (void) state;
        w.by = BY(ALICE) | BY(ALICE_2);
        expect_refused(REASON_THRESHOLD);
        assert_int_equal(w.d.have, 1);
        w.by |= BY(CAROL);
        expect_go(0);
        /* the same two keys, were they of two people */
        w.by = BY(ALICE) | BY(ALICE_2);
        w.trust.keys[KEY_ALICE_2].person = PERSON_BOB;
        expect_go(0);
}

static void only_people_of_the_role_count(void **state) {
        (void) state;
        w.by = BY(ALICE) | BY(BOT);
        expect_refused(REASON_THRESHOLD);
        assert_int_equal(w.d.have, 1);
        w.trust.roles[ROLE_RESPONDER].people |= PERSON(BOT);
        expect_go(0);
}

static void automation_never_releases(void **state) {
        (void) state;
        w.by = BY(BOT);
        expect_refused(REASON_ROLE);

        /* not even when a trust root, past its own parser, says so */
        w.trust.rules[w.trust.n_rules++] =
                (struct trust_rule) { VERB_RELEASE, ROLE_AUTOMATION, 1, BOT_LEASE_MS, ALL_SEVERITIES, ONLY_HOLDS };
        expect_refused(REASON_ROLE);
        w.trust.rules[w.trust.n_rules - 1].max_lease_ms = 0;
        expect_go(0);
}

static void a_threshold_says_what_is_missing_where_least_is_missing(void **state) {
        (void) state;
        w.trust.rules[w.trust.n_rules++] =
                (struct trust_rule) { VERB_RELEASE, ROLE_ROOT, 3, 0, ALL_SEVERITIES, ONLY_HOLDS };
        w.by = BY(ALICE);
        expect_refused(REASON_THRESHOLD);
        assert_int_equal(w.d.need, 2);
        w.trust.rules[7].k = 4;
        expect_refused(REASON_THRESHOLD);
        assert_int_equal(w.d.need, 3);
}

static void the_refusal_is_of_the_rule_that_came_closest(void **state) {
        struct trust_rule *bot = &w.trust.rules[0], *responder = &w.trust.rules[1];

        (void) state;
        w.by = BY(ALICE) | BY(BOT);
        expect_go(0);
        responder->role = ROLE_LEAD;
        bot->k = 2;
        expect_refused(REASON_THRESHOLD);
        bot->k = 1;
        bot->severities = 1U << SEVERITY_P1;
        expect_refused(REASON_SEVERITY);
        bot->severities = ALL_SEVERITIES;
        bot->targets = 1U << TARGET_SLICE;
        expect_refused(REASON_TARGET_CLASS);
        bot->targets = ALL_PLACES;
        expect_refused(REASON_LEASE_REQUIRED);
        w.c.lease_ms = BOT_LEASE_MS + 1;
        expect_refused(REASON_LEASE_LONG);

        /* the order in the file does not matter */
        struct trust_rule swap = *bot;
        *bot = *responder;
        *responder = swap;
        expect_refused(REASON_LEASE_LONG);
        w.c.lease_ms = BOT_LEASE_MS;
        expect_go(0);
}

static void severity_and_target_class_are_the_rules(void **state) {
        (void) state;
        order(VERB_FREEZE);
        expect_go(0);
        w.c.severity = SEVERITY_P1;
        expect_refused(REASON_SEVERITY);
        w.c.severity = SEVERITY_P0;
        assert_int_equal(target_from_str("app.slice", &w.targets[1]), 0);
        w.c.n_targets = 2;
        expect_refused(REASON_TARGET_CLASS);
        w.trust.rules[3].targets = ALL_PLACES;
        expect_go(0);
}

static void a_person_who_may_hold_without_lease_is_not_taken_for_automation(void **state) {
        (void) state;
        w.by = BY(BOT) | BY(ALICE);
        w.c.lease_ms = MINUTE;
        expect_go(0);
        assert_string_equal(authorised_role(w.authorised), "responder");
        assert_false(authorised_automation(w.authorised));
        w.by = BY(BOT);
        expect_go(0);
        assert_string_equal(authorised_role(w.authorised), "automation");
        assert_true(authorised_automation(w.authorised));
}

static void automation_holds_only_with_a_lease(void **state) {
        (void) state;
        expect_go(0);
        w.c.lease_ms = 0;
        expect_refused(REASON_LEASE_REQUIRED);
        w.by = BY(ALICE);
        expect_go(0);
        w.c.lease_ms = BOT_LEASE_MS + 1;
        expect_go(0);
        w.by = BY(BOT);
        expect_refused(REASON_LEASE_LONG);
}

static void automation_has_a_budget_per_incident(void **state) {
        (void) state;
        w.local.automation_budget_ms = 2 * BOT_LEASE_MS;
        make_hold(50, BOT_LEASE_MS, true, "SA-20261120-001");
        expect_go(0);
        w.c.lease_ms = BOT_LEASE_MS - 1;
        make_hold(51, 1, true, "SA-20261120-001");
        expect_go(0);
        w.c.lease_ms = BOT_LEASE_MS;
        expect_refused(REASON_BUDGET);
        strcpy(w.c.incident, "SA-20261120-002");
        expect_go(0);
        strcpy(w.c.incident, "SA-20261120-001");
        w.by = BY(ALICE);
        expect_go(0);
        w.by = BY(BOT);
        w.local.automation_budget_ms = 0;
        strcpy(w.c.incident, "SA-20261120-002");
        expect_refused(REASON_BUDGET);
}

static void the_budget_outlives_the_hold(void **state) {
        struct command_id id = id_of(50);

        (void) state;
        w.local.automation_budget_ms = 2 * BOT_LEASE_MS - 1;
        make_hold(50, BOT_LEASE_MS, true, "SA-20261120-001");
        expect_refused(REASON_BUDGET);
        assert_int_equal(hold_set_release(w.holds, &id, NULL), 0);
        assert_int_equal(hold_set_end(w.holds, &id), 0);
        expect_refused(REASON_BUDGET);
        w.local.automation_budget_ms++;
        expect_go(0);
}

static void extend_needs_an_active_hold(void **state) {
        struct command_id id = id_of(50);
        size_t n;

        (void) state;
        make_hold(50, MINUTE, false, "");
        order(VERB_EXTEND);
        w.c.lease_ms = HOUR;
        TARGET_HOLDS(50);
        expect_go(0);
        assert_true(command_id_equal(authorised_holds(w.authorised, &n), &id));
        assert_int_equal(n, 1);
        TARGET_HOLDS(50, 51);
        expect_refused(REASON_NO_HOLD);
        TARGET_HOLDS(50);
        assert_int_equal(hold_set_release(w.holds, &id, NULL), 0);
        expect_refused(REASON_NO_HOLD);
}

static void automation_extends_only_what_it_holds(void **state) {
        (void) state;
        make_hold(50, MINUTE, true, "SA-20261120-001");
        make_hold(51, MINUTE, false, "SA-20261120-001");
        order(VERB_EXTEND);
        w.by = BY(BOT);
        w.c.lease_ms = BOT_LEASE_MS;
        TARGET_HOLDS(50);
        expect_go(0);
        assert_true(authorised_automation(w.authorised));
        TARGET_HOLDS(51);
        expect_refused(REASON_NOT_OWNER);
        TARGET_HOLDS(50, 51);
        expect_refused(REASON_NOT_OWNER);
        w.by = BY(ALICE);
        expect_go(0);
        w.by = BY(BOT);
        TARGET_HOLDS(50);
        w.c.lease_ms = BOT_LEASE_MS + 1;
        expect_refused(REASON_LEASE_LONG);
}

static void what_automation_gains_by_extending_counts_together(void **state) {
        (void) state;
        make_hold(50, MINUTE, true, "SA-20261120-001");
        make_hold(51, MINUTE, true, "SA-20261120-001");
        make_hold(52, MINUTE, true, "SA-20261120-002");
        order(VERB_EXTEND);
        w.by = BY(BOT);
        w.c.lease_ms = 3 * MINUTE;
        w.local.automation_budget_ms = 6 * MINUTE;
        TARGET_HOLDS(50, 51, 52);
        expect_go(0);
        w.local.automation_budget_ms--;
        expect_refused(REASON_BUDGET);
        TARGET_HOLDS(50, 52);
        expect_go(0);
        w.by = BY(ALICE);
        TARGET_HOLDS(50, 51, 52);
        expect_go(0);
}

static void a_release_of_an_unknown_hold_goes_and_says_so(void **state) {
        size_t n;

        (void) state;
        TARGET_HOLDS(100, 101);
        expect_go(reason_bit(REASON_UNKNOWN_HOLD));
        const struct command_id *ids = authorised_holds(w.authorised, &n), expected = id_of(101);
        assert_int_equal(n, 2);
        assert_true(command_id_equal(&ids[1], &expected));
        TARGET_HOLDS(100);
        expect_go(0);
}

static void an_expired_root_flags_a_stop(void **state) {
        (void) state;
        for (int verb = 0; verb < VERB_EXTEND; verb++) {
                order(verb);
                w.trust.expires_ms = NOW + 1;
                expect_go(0);
                w.trust.expires_ms = NOW;
                expect_go(reason_bit(REASON_ROOT_EXPIRED));
                /* the clock stands back, but the floor knows */
                w.facts.wall_ms = NOW - MINUTE;
                w.facts.floor_ms = NOW;
                expect_go(reason_bit(REASON_ROOT_EXPIRED));
                w.facts.wall_ms = NOW;
                w.facts.floor_ms = NOW - DAY;
        }
}

static void an_expired_root_flags_an_extension(void **state) {
        (void) state;
        make_hold(50, MINUTE, false, "");
        order(VERB_EXTEND);
        w.c.lease_ms = HOUR;
        TARGET_HOLDS(50);
        w.trust.expires_ms = NOW;
        expect_go(reason_bit(REASON_ROOT_EXPIRED));
}

static void an_expired_root_refuses_a_release(void **state) {
        (void) state;
        w.trust.expires_ms = NOW + 1;
        expect_go(0);
        w.trust.expires_ms = NOW;
        expect_refused(REASON_ROOT_EXPIRED);
        w.facts.wall_ms--;
        expect_go(0);
        w.facts.floor_ms = NOW;
        expect_refused(REASON_ROOT_EXPIRED);
}

static void a_newer_root_elsewhere_refuses_a_release_and_not_a_stop(void **state) {
        (void) state;
        w.c.root_version = 2;
        expect_go(0);
        w.c.root_version = 4;
        expect_refused(REASON_ROOT_STALE);
        w.trust.version = 4;
        expect_go(0);

        order(VERB_CONTAIN);
        w.c.root_version = 5;
        expect_go(0);
}

static void an_expired_stop_is_refused_by_a_clock_that_is_synchronised(void **state) {
        (void) state;
        w.facts.wall_ms = w.c.exp_ms - 1;
        expect_go(0);
        w.facts.wall_ms = w.c.exp_ms;
        expect_refused(REASON_EXPIRED);
        /* the same clock, when nothing disciplines it, is no reason to refuse */
        w.facts.clock_synced = false;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC));
        w.facts.floor_ms = w.c.exp_ms - 1;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC));
        w.facts.floor_ms = w.c.exp_ms;
        expect_refused(REASON_EXPIRED);
}

static void a_clock_far_ahead_or_behind_does_not_disarm_a_stop(void **state) {
        (void) state;
        w.facts.clock_synced = false;
        w.facts.wall_ms = NOW + 100 * DAY;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC));
        w.facts.wall_ms = 0;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC) | reason_bit(REASON_CLOCK) | reason_bit(REASON_CLOCK_SKEW));
        w.facts.clock_synced = true;
        expect_go(reason_bit(REASON_CLOCK) | reason_bit(REASON_CLOCK_SKEW));
}

static void a_clock_provably_behind_flags_a_stop(void **state) {
        (void) state;
        w.facts.floor_ms = NOW + DECIDE_BEHIND_MS;
        expect_go(0);
        w.facts.floor_ms++;
        expect_go(reason_bit(REASON_CLOCK));
}

/* If the clock alone had a say, setting it back would let the order act again. */
static void an_order_whose_id_may_be_forgotten_never_acts_again(void **state) {
        (void) state;
        w.c.exp_ms = NOW + 10;
        expect_go(0);
        see(1, w.digest);
        w.facts.floor_ms = NOW + 10 + SEEN_GRACE_MS;
        w.facts.wall_ms = NOW;
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);

        w.c.exp_ms = NOW + DAY;
        make_room_for(SEEN_MAX - SEEN_KEPT - 1);
        hold_set_forget(w.holds, w.facts.floor_ms);
        w.c.exp_ms = NOW + 10;
        expect_refused(REASON_EXPIRED);
        /* one that was never here, and cannot have been forgotten either */
        w.c.id = id_of(2);
        expect_refused(REASON_EXPIRED);
        w.c.exp_ms++;
        expect_go(reason_bit(REASON_CLOCK));
}

/* One answer of a wrong time server, long ago. */
static void a_floor_that_is_wrong_by_years_does_not_disarm_a_stop(void **state) {
        (void) state;
        ask();
        see(50, w.digest);
        w.facts.floor_ms = NOW + 40000 * DAY;
        hold_set_forget(w.holds, w.facts.floor_ms);
        expect_go(reason_bit(REASON_CLOCK) | reason_bit(REASON_ROOT_EXPIRED));
}

static void a_release_is_judged_by_the_later_of_clock_and_floor(void **state) {
        (void) state;
        w.facts.wall_ms = w.c.exp_ms - 1;
        expect_go(0);
        w.facts.wall_ms = w.c.exp_ms;
        expect_refused(REASON_EXPIRED);
        w.facts.clock_synced = false;
        expect_refused(REASON_EXPIRED);
        w.facts.wall_ms = w.c.exp_ms - MINUTE;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC));
        w.facts.floor_ms = w.c.exp_ms;
        expect_refused(REASON_EXPIRED);
}

static void a_clock_provably_behind_refuses_a_release(void **state) {
        (void) state;
        w.facts.floor_ms = NOW + DECIDE_BEHIND_MS;
        expect_go(0);
        w.facts.floor_ms++;
        expect_refused(REASON_CLOCK);
        w.facts.wall_ms++;
        expect_go(0);
}

static void a_command_from_the_future_waits_when_it_releases_and_is_noted_when_it_stops(void **state) {
        (void) state;
        w.c.iat_ms = NOW + DECIDE_AHEAD_MS;
        w.c.exp_ms = w.c.iat_ms + HOUR;
        expect_go(0);
        w.c.iat_ms++;
        expect_refused(REASON_NOT_YET);
        /* the floor counts as well as the clock */
        w.facts.floor_ms = NOW + 1;
        expect_go(reason_bit(REASON_CLOCK_SKEW));
        w.facts.floor_ms = NOW;

        order(VERB_CONTAIN);
        expect_go(reason_bit(REASON_CLOCK_SKEW));
        w.c.iat_ms--;
        expect_go(0);
}

static void a_failed_ledger_flags_a_stop_and_refuses_a_release(void **state) {
        (void) state;
        expect_go(0);
        w.facts.ledger_ok = false;
        expect_refused(REASON_LEDGER);
        order(VERB_CONTAIN);
        expect_go(reason_bit(REASON_LEDGER));
        order(VERB_SNAPSHOT);
        expect_go(reason_bit(REASON_LEDGER));
}

static void the_number_of_holds_is_limited(void **state) {
        (void) state;
        for (uint32_t i = 0; i < HOLD_ACTIVE_MAX - 1; i++)
                make_hold(1000 + i, 0, false, "");
        expect_go(0);
        make_hold(1000 + HOLD_ACTIVE_MAX, 0, false, "");
        expect_refused(REASON_LIMIT);
        /* what makes no hold is not concerned */
        order(VERB_SNAPSHOT);
        expect_go(0);
}

static void automation_cannot_take_the_last_holds(void **state) {
        (void) state;
        for (uint32_t i = 0; i < HOLD_AUTOMATION_MAX - 1; i++)
                make_hold(1000 + i, 1, true, "");
        expect_go(0);
        make_hold(1000 + HOLD_AUTOMATION_MAX, 1, true, "");
        expect_refused(REASON_LIMIT);
        w.by = BY(ALICE);
        expect_go(0);
}

static void automation_cannot_take_the_last_ids(void **state) {
        (void) state;
        make_room_for(HOLD_SEEN_RESERVE + 1);
        expect_go(0);
        make_room_for(HOLD_SEEN_RESERVE);
        expect_refused(REASON_LIMIT);
        order(VERB_SNAPSHOT);
        expect_refused(REASON_LIMIT);
        order(VERB_CONTAIN);
        expect_go(0);
        make_room_for(1);
        expect_go(0);
        make_room_for(0);
        expect_refused(REASON_LIMIT);
}

static void a_release_needs_room_for_its_tombstones(void **state) {
        (void) state;
        make_room_for(2);
        expect_go(0);
        make_room_for(1);
        expect_refused(REASON_LIMIT);
}

static void protected_units_are_not_held(void **state) {
        static const char *const safe[] = {
                "nginx.service",
                "cgroup:/system.slice/nginx.service",
                "cgroup:/system.slice/nginx.service/sub",
                "cgroup:/payments",
                "app.slice",
        };
        static const char *const protected[] = {
                "dbus.service",
                "system.slice",
                "systemd-journald.service",
                "freezed.service",
                "cgroup:/system.slice",
                "cgroup:/system.slice/dbus.service",
                "cgroup:/system.slice/dbus.service/sub",
                "cgroup:/init.scope",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(safe); i++) {
                target_unit(safe[i]);
                expect_go(0);
        }
        for (size_t i = 0; i < ELEMENTSOF(protected); i++) {
                target_unit(protected[i]);
                expect_refused(REASON_PROTECTED);

                target_unit("nginx.service");
                assert_int_equal(target_from_str(protected[i], &w.targets[1]), 0);
                w.c.n_targets = 2;
                expect_refused(REASON_PROTECTED);
        }
}

static void the_longest_names_are_judged_too(void **state) {
        char path[sizeof("cgroup:") + TARGET_NAME_MAX] = "cgroup:/";

        (void) state;
        memset(path + strlen(path), 'a', TARGET_NAME_MAX - 1);
        target_unit(path);
        expect_go(0);
        memset(w.trust.roles[ROLE_RESPONDER].name, 'r', TRUST_NAME_MAX);
        expect_go(0);
        assert_int_equal(strlen(authorised_role(w.authorised)), TRUST_NAME_MAX);
}

static void the_hosts_own_patterns_protect_too(void **state) {
        (void) state;
        strcpy(w.local.patterns[w.local.n_patterns++], "ngin?.*");
        expect_refused(REASON_PROTECTED);
        /* looking harms nothing */
        order(VERB_SNAPSHOT);
        expect_go(0);
        order(VERB_CONTAIN);
        w.local.n_patterns--;
        expect_go(0);
}

/* Several things wrong at once: the one that is named first in the order of judgement is the answer. */
static void reasons_come_in_the_order_of_judgement(void **state) {
        struct command_id id = id_of(1);

        (void) state;
        w.c.exp_ms = NOW - 10;
        w.c.iat_ms = NOW - HOUR;
        w.c.severity = SEVERITY_P3;
        w.by = BY(BOT);
        w.c.n_hosts = 1;
        strcpy(w.c.fleet, "staging");
        target_unit("dbus.service");
        assert_int_equal(hold_set_bury(w.holds, &id, w.c.exp_ms), 0);
        make_room_for(0);

        expect_refused(REASON_FLEET);
        strcpy(w.c.fleet, "prod");
        expect_refused(REASON_HOST);
        w.c.n_hosts = 3;
        expect_refused(REASON_SUPERSEDED);
        w.c.id = id_of(2);
        expect_refused(REASON_SEVERITY);
        w.by = BY(ALICE);
        expect_refused(REASON_EXPIRED);
        w.c.exp_ms = NOW + 10;
        expect_refused(REASON_LIMIT);
        hold_set_forget(w.holds, NOW - 10 + SEEN_GRACE_MS);
        expect_refused(REASON_PROTECTED);
        target_unit("nginx.service");
        expect_go(0);
}

/* Every mixture of what can be wrong with a host, for every verb. check_promises() holds for each; the answers are also foretold. */
static void no_state_of_the_host_disarms_a_stop_or_slips_a_release_through(void **state) {
        static const int64_t offsets[] = {
                -100 * DAY, -SEEN_GRACE_MS, -DAY, -HOUR, -DECIDE_BEHIND_MS, 0, DECIDE_AHEAD_MS, HOUR, DAY, 400 * DAY,
        };
        unsigned int went[_VERB_MAX] = {};

        (void) state;
        make_hold(100, MINUTE, false, "");
        for (int verb = 0; verb < _VERB_MAX; verb++)
                for (size_t wall = 0; wall < ELEMENTSOF(offsets); wall++)
                        for (size_t floor = 0; floor < ELEMENTSOF(offsets); floor++)
                                for (unsigned int bits = 0; bits < 16; bits++) {
                                        bool release = verb == VERB_RELEASE, late;

                                        order(verb);
                                        if (verb == VERB_EXTEND || release)
                                                TARGET_HOLDS(100);
                                        w.c.lease_ms = verb == VERB_EXTEND ? HOUR : 0;
                                        w.by = release ? BY(ALICE) | BY(BOB) : w.by;
                                        w.facts.wall_ms = NOW + offsets[wall];
                                        w.facts.floor_ms = NOW + offsets[floor];
                                        w.facts.clock_synced = bits & 1;
                                        w.facts.ledger_ok = bits & 2;
                                        w.trust.expires_ms = bits & 4 ? NOW - 1 : NOW + 200 * DAY;
                                        w.c.root_version = bits & 8 ? 9 : 3;

                                        if (release)
                                                late = MAX(offsets[wall], offsets[floor]) >= 59 * MINUTE;
                                        else
                                                late = (bits & 1 ? offsets[wall] : offsets[floor]) >= 59 * MINUTE;
                                        bool expired = NOW + MAX(offsets[wall], offsets[floor]) >= w.trust.expires_ms;
                                        bool behind = offsets[wall] < offsets[floor] - DECIDE_BEHIND_MS;

                                        ask();
                                        if (!release)
                                                assert_int_equal(w.d.kind, late ? DECISION_REFUSED : DECISION_GO);
                                        else if (late || expired || behind || !w.facts.ledger_ok || bits & 8)
                                                assert_int_equal(w.d.kind, DECISION_REFUSED);
                                        if (w.d.kind == DECISION_GO && !release) {
                                                assert_int_equal(!!(w.d.flags & reason_bit(REASON_LEDGER)),
                                                                 !w.facts.ledger_ok);
                                                assert_int_equal(!!(w.d.flags & reason_bit(REASON_ROOT_EXPIRED)),
                                                                 expired);
                                                assert_int_equal(!!(w.d.flags & reason_bit(REASON_CLOCK)), behind);
                                        }
                                        went[verb] += w.d.kind == DECISION_GO;
                                }
        for (int verb = 0; verb < _VERB_MAX; verb++)
                assert_true(went[verb] > 0);
}

/* Every set of signers, for every verb: what they may order follows from who they are and from nothing else. */
static void who_signs_decides_what_goes(void **state) {
        (void) state;
        make_hold(100, MINUTE, true, "");
        for (int verb = 0; verb < _VERB_MAX; verb++)
                for (unsigned int by = 1; by < BY(STRANGER); by++)
                        for (int leased = 0; leased < 2; leased++) {
                                bool alice = by & (BY(ALICE) | BY(ALICE_2)), bob = by & BY(BOB), carol = by & BY(CAROL);
                                bool bot = by & BY(BOT), go;
                                int people = alice + bob + carol;

                                if ((verb == VERB_SNAPSHOT || verb == VERB_RELEASE) && leased)
                                        continue;
                                order(verb);
                                if (verb == VERB_EXTEND || verb == VERB_RELEASE)
                                        TARGET_HOLDS(100);
                                w.c.lease_ms = verb == VERB_EXTEND ? (leased ? HOUR : MINUTE) : leased ? MINUTE : 0;
                                w.by = by;

                                switch ((enum verb) verb) {
                                case VERB_CONTAIN:
                                        go = people > 0 || (bot && leased);
                                        break;
                                case VERB_FREEZE:
                                        go = carol;
                                        break;
                                case VERB_EXTEND:
                                        go = people > 0 || (bot && !leased);
                                        break;
                                case VERB_RELEASE:
                                        go = people >= 2;
                                        break;
                                default:
                                        go = people > 0;
                                }
                                ask();
                                assert_int_equal(w.d.kind, go ? DECISION_GO : DECISION_REFUSED);
                                if (go)
                                        assert_int_equal(authorised_automation(w.authorised), people == 0);
                        }
}

static void one_message_raises_the_floor_a_little_at_most(void **state) {
        (void) state;
        assert_int_equal(decide_raise_floor(NOW, NOW - DAY), NOW);
        assert_int_equal(decide_raise_floor(NOW, NOW), NOW);
        assert_int_equal(decide_raise_floor(NOW, NOW + 1), NOW + 1);
        assert_int_equal(decide_raise_floor(NOW, NOW + DECIDE_FLOOR_STEP_MS), NOW + DECIDE_FLOOR_STEP_MS);
        assert_int_equal(decide_raise_floor(NOW, NOW + DECIDE_FLOOR_STEP_MS + 1), NOW + DECIDE_FLOOR_STEP_MS);
        assert_int_equal(decide_raise_floor(0, COMMAND_INT_MAX), DECIDE_FLOOR_STEP_MS);
}

/* The fleet that all of this is asked about is one that a host would take. */
static void the_sample_trust_root_is_a_valid_one(void **state) {
        _cleanup_free_ char *json = NULL;

        (void) state;
        assert_int_equal(trust_to_json(&w.trust, &json), 0);
}

#define CASE(name)    cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define RELEASE(name) cmocka_unit_test_setup_teardown(name, set_up_release, tear_down)
#define BOT(name)     cmocka_unit_test_setup_teardown(name, set_up_bot, tear_down)

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(the_sample_trust_root_is_a_valid_one),
                CASE(an_allowed_stop_carries_all_that_the_next_stage_needs),
                CASE(the_parsed_command_is_not_needed),
                CASE(what_does_not_parse_is_refused_with_the_parsers_reason),
                CASE(another_fleets_command_is_refused),
                CASE(a_command_to_others_is_refused),
                CASE(a_seen_command_is_a_duplicate_for_every_verb),
                CASE(a_duplicate_stays_one_when_the_command_would_be_refused_by_now),
                CASE(an_id_with_other_bytes_is_refused),
                CASE(a_plan_is_judged_as_what_it_plans),
                CASE(an_order_that_comes_after_its_release_is_superseded),
                CASE(a_role_without_a_rule_for_the_verb_is_refused),
                RELEASE(release_needs_two_people),
                RELEASE(two_keys_of_one_person_do_not_release),
                RELEASE(only_people_of_the_role_count),
                RELEASE(automation_never_releases),
                RELEASE(a_threshold_says_what_is_missing_where_least_is_missing),
                CASE(the_refusal_is_of_the_rule_that_came_closest),
                CASE(severity_and_target_class_are_the_rules),
                CASE(a_person_who_may_hold_without_lease_is_not_taken_for_automation),
                BOT(automation_holds_only_with_a_lease),
                BOT(automation_has_a_budget_per_incident),
                BOT(the_budget_outlives_the_hold),
                CASE(extend_needs_an_active_hold),
                CASE(automation_extends_only_what_it_holds),
                CASE(what_automation_gains_by_extending_counts_together),
                RELEASE(a_release_of_an_unknown_hold_goes_and_says_so),
                CASE(an_expired_root_flags_a_stop),
                CASE(an_expired_root_flags_an_extension),
                RELEASE(an_expired_root_refuses_a_release),
                RELEASE(a_newer_root_elsewhere_refuses_a_release_and_not_a_stop),
                CASE(an_expired_stop_is_refused_by_a_clock_that_is_synchronised),
                CASE(a_clock_far_ahead_or_behind_does_not_disarm_a_stop),
                CASE(a_clock_provably_behind_flags_a_stop),
                CASE(an_order_whose_id_may_be_forgotten_never_acts_again),
                CASE(a_floor_that_is_wrong_by_years_does_not_disarm_a_stop),
                RELEASE(a_release_is_judged_by_the_later_of_clock_and_floor),
                RELEASE(a_clock_provably_behind_refuses_a_release),
                RELEASE(a_command_from_the_future_waits_when_it_releases_and_is_noted_when_it_stops),
                RELEASE(a_failed_ledger_flags_a_stop_and_refuses_a_release),
                CASE(the_number_of_holds_is_limited),
                BOT(automation_cannot_take_the_last_holds),
                BOT(automation_cannot_take_the_last_ids),
                RELEASE(a_release_needs_room_for_its_tombstones),
                CASE(protected_units_are_not_held),
                CASE(the_longest_names_are_judged_too),
                CASE(the_hosts_own_patterns_protect_too),
                CASE(reasons_come_in_the_order_of_judgement),
                CASE(no_state_of_the_host_disarms_a_stop_or_slips_a_release_through),
                CASE(who_signs_decides_what_goes),
                CASE(one_message_raises_the_floor_a_little_at_most),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
