/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decide_world.h"

/* The fleet that all of this is asked about is one that a host would take. */
static void the_sample_trust_root_is_a_valid_one(void **state) {
        _cleanup_free_ char *json = NULL;

        (void) state;
        assert_int_equal(trust_to_json(&w.trust, &json), 0);
}

static void an_allowed_stop_carries_all_that_the_next_stage_needs(void **state) {
        (void) state;
        w.c.permits = &w.permit;
        w.c.n_permits = 1;
        by_themselves(BY(ALICE), KEY_ALICE);
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
        d = world_sign(json);
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

/* Zeros are what a hold has for its release while nobody released it. */
static void an_id_of_zeros_is_nobodys(void **state) {
        (void) state;
        for (int verb = 0; verb < _VERB_MAX; verb++) {
                order(verb);
                w.c.id = (struct command_id) { 0 };
                if (verb == VERB_EXTEND || verb == VERB_RELEASE)
                        TARGET_HOLDS(100);
                if (verb == VERB_EXTEND)
                        w.c.lease_ms = HOUR;
                expect_refused(REASON_SCHEMA);
                assert_null(w.parsed);
        }
        order(VERB_CONTAIN);
        people_id(KEY_CLERK, &w.c.id);
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

/* At-least-once transport may bring it late and with fewer signatures; the answer is the old one, never a new
 * judgement. */
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
        assert_true(w.d.allowed);
        w.by = BY(DAVE);
        expect_refused(REASON_ID_REUSED);
        assert_false(w.d.allowed);
        w.by = BY(ALICE);
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
        by_themselves(BY(ALICE) | BY(BOB), KEY_ALICE);
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
                (struct trust_rule) { VERB_RELEASE, ROLE_AUTOMATION, 1, BOT_LEASE_MS, ALL_SEVERITIES, ONLY_HOLDS, 0 };
        expect_refused(REASON_ROLE);
        w.trust.rules[w.trust.n_rules - 1].max_lease_ms = 0;
        expect_go(0);
}

static void a_threshold_says_what_is_missing_where_least_is_missing(void **state) {
        (void) state;
        w.trust.rules[w.trust.n_rules++] =
                (struct trust_rule) { VERB_RELEASE, ROLE_ROOT, 3, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 };
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

/* Ids are no secret: whoever stole a key could else be here before somebody's order, with a small one that has its id.
 */
static void nobody_takes_ids_but_those_of_keys_that_sign(void **state) {
        static const enum key keys[] = { KEY_ALICE, KEY_ALICE_2, KEY_BOT };
        const struct command_id others = { { 0xee, 1, [8] = 2 } };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(keys); k++) {
                w.c.lease_ms = MINUTE;
                by_themselves(1U << keys[k], keys[k]);
                expect_go(0);
                for (size_t i = 8; i < sizeof(w.c.id.b); i++) {
                        by_themselves(1U << keys[k], keys[k]);
                        w.c.id.b[i] ^= 1;
                        expect_refused(REASON_FOREIGN_ID);
                        assert_false(w.d.allowed);
                }
                w.c.id = others;
                expect_refused(REASON_FOREIGN_ID);
                w.c.id = id_of(1);
                expect_refused(REASON_FOREIGN_ID);
                /* of another key, and were it of the same person */
                for (size_t of = 0; of < ELEMENTSOF(keys); of++)
                        if (of != k) {
                                by_themselves(1U << keys[k], keys[of]);
                                expect_refused(REASON_FOREIGN_ID);
                        }
        }
        for (int verb = 0; verb < _VERB_MAX; verb++) {
                order(verb);
                if (verb == VERB_EXTEND || verb == VERB_RELEASE)
                        TARGET_HOLDS(100);
                if (verb == VERB_EXTEND)
                        w.c.lease_ms = HOUR;
                if (verb == VERB_RELEASE)
                        w.by |= BY(BOB);
                w.c.id = others;
                expect_refused(REASON_FOREIGN_ID);
        }
}

/* Whoever of them began, also who may not order it. */
static void an_order_of_several_is_of_any_of_them(void **state) {
        static const enum key keys[] = { KEY_ALICE, KEY_BOB, KEY_BOT, KEY_DAVE };
        const unsigned all = BY(ALICE) | BY(BOB) | BY(BOT) | BY(DAVE);

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(keys); k++) {
                by_themselves(all, keys[k]);
                expect_go(0);
                by_themselves(all & ~(1U << keys[k]), keys[k]);
                ask();
                assert_string_equal(reason_id(w.d.reason), keys[k] <= KEY_BOB ? "threshold" : "foreign-id");
        }
        /* the trust root names who began no more; those who are left are enough, and have to order it anew */
        by_themselves(BY(ALICE) | BY(BOB) | BY(ERIN), KEY_ERIN);
        expect_go(0);
        w.trust.n_keys = KEY_ERIN;
        expect_refused(REASON_FOREIGN_ID);
        by_themselves(BY(ALICE) | BY(BOB), KEY_ALICE);
        expect_go(0);
}

/* What is known stays known, under whichever id: a host that learns the rule loses nothing. */
static void what_was_acted_on_before_is_a_duplicate(void **state) {
        (void) state;
        by_themselves(BY(ALICE), KEY_BOB);
        expect_refused(REASON_FOREIGN_ID);
        assert_int_equal(hold_set_see(w.holds, &w.c.id, w.digest, w.c.exp_ms), 0);
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);
        strcpy(w.c.reason, "tess");
        expect_refused(REASON_ID_REUSED);
        assert_false(w.d.allowed);
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

                                bool dave = by & BY(DAVE), erin = by & BY(ERIN), evidence = verb > VERB_RELEASE;

                                if ((verb == VERB_SNAPSHOT || verb >= VERB_RELEASE) && leased)
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
                                case VERB_EVIDENCE_HOLD:
                                        go = people > 0 || dave || erin;
                                        break;
                                case VERB_EVIDENCE_UNHOLD:
                                case VERB_EVIDENCE_DELETE:
                                        go = dave && erin;
                                        break;
                                default:
                                        go = people > 0;
                                }
                                ask();
                                assert_int_equal(w.d.kind, go ? DECISION_GO : DECISION_REFUSED);
                                if (go)
                                        assert_int_equal(authorised_automation(w.authorised), people == 0 && !evidence);
                        }
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(the_sample_trust_root_is_a_valid_one),
                CASE(an_allowed_stop_carries_all_that_the_next_stage_needs),
                CASE(the_parsed_command_is_not_needed),
                CASE(what_does_not_parse_is_refused_with_the_parsers_reason),
                CASE(an_id_of_zeros_is_nobodys),
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
                CASE(nobody_takes_ids_but_those_of_keys_that_sign),
                RELEASE(an_order_of_several_is_of_any_of_them),
                CASE(what_was_acted_on_before_is_a_duplicate),
                CASE(extend_needs_an_active_hold),
                CASE(automation_extends_only_what_it_holds),
                RELEASE(a_release_of_an_unknown_hold_goes_and_says_so),
                CASE(reasons_come_in_the_order_of_judgement),
                CASE(who_signs_decides_what_goes),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
