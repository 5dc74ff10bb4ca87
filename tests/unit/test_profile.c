/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/local.h"
#include "policy/profile.h"

static void profile_ids_lead_back_to_their_profiles(void **state) {
        static const char *const others[] = { "", "Default", "default ", "ful", "all", "none" };
        enum profile p;

        (void) state;
        for (size_t i = 0; i < _PROFILE_MAX; i++) {
                p = _PROFILE_MAX;
                assert_true(profile_from_id(profile_info((enum profile) i)->id, &p));
                assert_int_equal(p, i);
        }
        p = PROFILE_FULL;
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                assert_false(profile_from_id(others[i], &p));
                assert_int_equal(p, PROFILE_FULL);
        }
}

static void profile_budgets_are_ones_that_a_policy_could_say(void **state) {
        (void) state;
        for (size_t i = 0; i < _PROFILE_MAX; i++) {
                const struct profile_budget *b = &profile_info((enum profile) i)->budget;

                assert_in_range(b->deadline_ms, LOCAL_DEADLINE_MIN_MS, LOCAL_DEADLINE_MAX_MS);
                assert_true(b->window_ms > 0 && b->max_bytes > 0);
        }
}

/* An order that names none is one for the default. */
static void profile_zero_is_the_default_and_only_logs_takes_no_memory(void **state) {
        (void) state;
        assert_int_equal(PROFILE_DEFAULT, 0);
        for (size_t i = 0; i < _PROFILE_MAX; i++)
                assert_int_equal(profile_info((enum profile) i)->memory, i != PROFILE_LOGS);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(profile_ids_lead_back_to_their_profiles),
                cmocka_unit_test(profile_budgets_are_ones_that_a_policy_could_say),
                cmocka_unit_test(profile_zero_is_the_default_and_only_logs_takes_no_memory),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
