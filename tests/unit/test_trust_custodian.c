/* SPDX-License-Identifier: Apache-2.0 */

/* Who may let evidence go: what a trust root has to say about that to be one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/people.h"

static struct trust t;

static int set_up(void **state) {
        (void) state;
        people_trust(1000, &t);
        return 0;
}

/* What trust_parse makes of it. */
static bool is_taken(void) {
        _cleanup_free_ char *json = NULL;

        return trust_to_json(&t, &json) == 0;
}

static void rule(enum verb verb, enum role role) {
        t.rules[t.n_rules++] = (struct trust_rule) { verb, role, 1, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 };
}

static void nobody_who_stops_or_releases_is_a_custodian(void **state) {
        static const enum role others[] = { ROLE_AUTOMATION, ROLE_LEAD, ROLE_RESPONDER };

        (void) state;
        assert_true(is_taken());
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                const uint64_t before = t.roles[others[i]].people;

                t.roles[others[i]].people |= PERSON(ERIN);
                assert_false(is_taken());
                t.roles[others[i]].people = before;
        }
        t.roles[ROLE_CUSTODIAN].people |= PERSON(BOT);
        assert_false(is_taken());
}

/* They sign trust roots, which take more of them, and order nothing by that. */
static void root_people_can_be_custodians(void **state) {
        (void) state;
        t.roles[ROLE_ROOT].people |= PERSON(DAVE);
        assert_true(is_taken());
}

static void only_the_custodians_role_lets_evidence_go(void **state) {
        (void) state;
        rule(VERB_EVIDENCE_DELETE, ROLE_ROOT);
        assert_false(is_taken());
        t.n_rules--;
        rule(VERB_EVIDENCE_UNHOLD, ROLE_RESPONDER);
        assert_false(is_taken());
        t.n_rules--;
        rule(VERB_EVIDENCE_HOLD, ROLE_LEAD);
        assert_true(is_taken());
}

static void the_custodians_role_orders_nothing_else(void **state) {
        (void) state;
        rule(VERB_RELEASE, ROLE_CUSTODIAN);
        assert_false(is_taken());
        t.rules[t.n_rules - 1] =
                (struct trust_rule) { VERB_SNAPSHOT, ROLE_CUSTODIAN, 1, 0, ALL_SEVERITIES, ALL_PLACES, 0 };
        assert_false(is_taken());
}

static void a_role_of_that_name_that_deletes_nothing_is_like_any_other(void **state) {
        size_t kept = 0;

        (void) state;
        for (size_t i = 0; i < t.n_rules; i++)
                if (verb_info(t.rules[i].verb)->cls != VERB_CLASS_DROP)
                        t.rules[kept++] = t.rules[i];
        t.n_rules = kept;
        t.roles[ROLE_RESPONDER].people |= PERSON(ERIN);
        assert_true(is_taken());
}

static void rules_about_evidence_are_about_ids_and_have_no_lease(void **state) {
        struct trust_rule *last;

        (void) state;
        rule(VERB_EVIDENCE_HOLD, ROLE_LEAD);
        last = &t.rules[t.n_rules - 1];
        last->max_lease_ms = 1;
        assert_false(is_taken());
        last->max_lease_ms = 0;
        last->targets = 1U << TARGET_UNIT;
        assert_false(is_taken());
        last->targets = ONLY_HOLDS | 1U << TARGET_UNIT;
        assert_false(is_taken());
        last->targets = ONLY_HOLDS;
        assert_true(is_taken());
}

static void how_long_evidence_is_kept_is_a_time_or_absent(void **state) {
        static const int64_t taken[] = { 0, 1, SCHEMA_INT_MAX }, refused[] = { -1, SCHEMA_INT_MAX + 1 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(taken); i++) {
                _cleanup_trust_ struct trust *back = NULL;
                _cleanup_free_ char *json = NULL;
                enum reason reason;

                t.retention_ms = taken[i];
                assert_int_equal(trust_to_json(&t, &json), 0);
                assert_int_equal(strstr(json, "retention_ms") != NULL, taken[i] != 0);
                assert_int_equal(trust_parse((uint8_t *) json, strlen(json), &back, &reason), 0);
                assert_true(back && back->retention_ms == taken[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                t.retention_ms = refused[i];
                assert_false(is_taken());
        }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup(name, set_up)
        static const struct CMUnitTest tests[] = {
                CASE(nobody_who_stops_or_releases_is_a_custodian),
                CASE(root_people_can_be_custodians),
                CASE(only_the_custodians_role_lets_evidence_go),
                CASE(the_custodians_role_orders_nothing_else),
                CASE(a_role_of_that_name_that_deletes_nothing_is_like_any_other),
                CASE(rules_about_evidence_are_about_ids_and_have_no_lease),
                CASE(how_long_evidence_is_kept_is_a_time_or_absent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
