/* SPDX-License-Identifier: Apache-2.0 */

/* Who certifies hosts and who says what is ordered: nobody who lets go. And how many hosts a rule may reach. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fleet.h"

static bool is_taken(const struct trust *t) {
        _cleanup_free_ char *json = NULL;

        return trust_to_json(t, &json) == 0;
}

static void nobody_who_lets_go_certifies_or_is_a_herald(void **state) {
        static const char *const roles[] = { TRUST_REGISTRAR_ROLE, TRUST_HERALD_ROLE };
        static const enum person openers[] = { PERSON_ALICE, PERSON_CAROL, PERSON_DAVE };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(roles); i++) {
                struct trust t;

                fleet_trust(roles[i], &t);
                assert_true(is_taken(&t));
                for (size_t k = 0; k < ELEMENTSOF(openers); k++) {
                        t.roles[_ROLE_MAX].people = PERSON(BOT) | UINT64_C(1) << openers[k];
                        assert_false(is_taken(&t));
                }
                t.roles[_ROLE_MAX].people = PERSON(BOT);
                t.rules[t.n_rules++] =
                        (struct trust_rule) { VERB_RELEASE, _ROLE_MAX, 1, 0, ALL_SEVERITIES, ONLY_HOLDS, 0 };
                assert_false(is_taken(&t));
        }
}

static void who_only_stops_may_be_one(void **state) {
        struct trust t;

        (void) state;
        fleet_trust(TRUST_REGISTRAR_ROLE, &t);
        t.rules[t.n_rules++] = (struct trust_rule) { VERB_FREEZE, _ROLE_MAX, 1, 0, ALL_SEVERITIES, ALL_PLACES, 0 };
        assert_true(is_taken(&t));
}

static void a_rule_may_say_how_many_hosts(void **state) {
        static const int64_t taken[] = { 0, 1, UINT32_MAX };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(taken); i++) {
                _cleanup_trust_ struct trust *back = NULL;
                _cleanup_free_ char *json = NULL;
                enum reason reason;
                struct trust t;

                people_trust(1000, &t);
                t.rules[0].max_hosts = (uint32_t) taken[i];
                assert_int_equal(trust_to_json(&t, &json), 0);
                assert_int_equal(strstr(json, "max_hosts") != NULL, taken[i] != 0);
                assert_int_equal(trust_parse((uint8_t *) json, strlen(json), &back, &reason), 0);
                assert_true(back && back->rules[0].max_hosts == taken[i]);
        }
}

static void a_bound_that_is_none_is_refused(void **state) {
        static const char *const refused[] = { "0", "-1", "4294967296", "1.5", "\"50\"", "null" };
        _cleanup_free_ char *json = NULL;
        struct trust t;

        (void) state;
        people_trust(1000, &t);
        t.rules[0].max_hosts = 77;
        assert_int_equal(trust_to_json(&t, &json), 0);
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                struct trust *got = NULL;
                enum reason reason;
                char to[64];

                (void) snprintf(to, sizeof(to), "\"max_hosts\":%s", refused[i]);
                _cleanup_free_ char *changed = with(json, "\"max_hosts\":77", to);
                assert_int_equal(trust_parse((uint8_t *) changed, strlen(changed), &got, &reason), 0);
                assert_int_equal(reason, REASON_SCHEMA);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(nobody_who_lets_go_certifies_or_is_a_herald),
                cmocka_unit_test(who_only_stops_may_be_one),
                cmocka_unit_test(a_rule_may_say_how_many_hosts),
                cmocka_unit_test(a_bound_that_is_none_is_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
