/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/gate/limit.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gate/limit.h"
#include "policy/cleanup.h"

#define T0     1000000000LL
#define SECOND 1000000LL

static struct limit limit;

static int forget(void **state) {
        (void) state;
        memset(&limit, 0, sizeof(limit));
        return 0;
}

static void limit_lets_a_new_uid_spend_its_budget_and_no_more(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);
        unsigned int n = 0;

        (void) state;
        assert_true(limit_is_clean(a, T0));
        while (limit_wait_us(a, T0) == 0) {
                limit_fail(a, LIMIT_UNIT_US, T0);
                n++;
        }
        assert_int_equal(n, LIMIT_BUDGET_US / LIMIT_UNIT_US);
}

static void limit_reads_again_only_when_enough_is_back(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);

        (void) state;
        limit_fail(a, LIMIT_BUDGET_US, T0);
        assert_int_equal(limit_wait_us(a, T0), LIMIT_RESUME_US);
        assert_int_equal(limit_wait_us(a, T0 + LIMIT_RESUME_US - 1), 1);
        assert_int_equal(limit_wait_us(a, T0 + LIMIT_RESUME_US), 0);

        /* what is back may be spent to the last microsecond before it waits again */
        limit_fail(a, LIMIT_RESUME_US - 1, T0 + LIMIT_RESUME_US);
        assert_int_equal(limit_wait_us(a, T0 + LIMIT_RESUME_US), 0);
        limit_fail(a, 1, T0 + LIMIT_RESUME_US);
        assert_int_equal(limit_wait_us(a, T0 + LIMIT_RESUME_US), LIMIT_RESUME_US);
}

static void limit_never_saves_more_than_the_budget(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);

        (void) state;
        assert_int_equal(limit_wait_us(a, T0 + 3600 * SECOND), 0);
        limit_fail(a, LIMIT_BUDGET_US, T0 + 3600 * SECOND);
        assert_int_equal(limit_wait_us(a, T0 + 3600 * SECOND), LIMIT_RESUME_US);
}

static void limit_holds_one_uid_to_its_rate_for_an_hour(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);
        const int64_t end = T0 + 3600 * SECOND;
        int64_t spent = 0;

        (void) state;
        for (int64_t now = T0; now < end; now += MAX(limit_wait_us(a, now), 10)) {
                limit_fail(a, limit_cost_us(1200, 1), now);
                spent += limit_cost_us(1200, 1);
        }
        assert_true(spent <= LIMIT_BUDGET_US + (end - T0) + limit_cost_us(1200, 1));
        assert_true(spent >= end - T0);
}

static void limit_debt_has_an_end(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);

        (void) state;
        for (int i = 0; i < 100000; i++)
                limit_fail(a, LIMIT_UNIT_US, T0);
        assert_int_equal(limit_wait_us(a, T0), LIMIT_BUDGET_US + LIMIT_RESUME_US);
}

static void limit_cost_counts_bytes_and_checks(void **state) {
        (void) state;
        assert_int_equal(limit_cost_us(0, 0), LIMIT_UNIT_US);
        assert_int_equal(limit_cost_us(LIMIT_UNIT_BYTES - 1, 0), LIMIT_UNIT_US);
        assert_int_equal(limit_cost_us(LIMIT_UNIT_BYTES, 0), 2 * LIMIT_UNIT_US);
        assert_int_equal(limit_cost_us(64 * 1024, 8), (1 + 16 + 8) * LIMIT_UNIT_US);
}

static void limit_failures_of_one_uid_cost_no_other(void **state) {
        struct limit_account *bad = limit_account(&limit, 1, T0), *good = limit_account(&limit, 2, T0);

        (void) state;
        assert_ptr_not_equal(bad, good);
        limit_fail(bad, LIMIT_BUDGET_US, T0);
        assert_true(limit_wait_us(bad, T0) > 0);
        assert_int_equal(limit_wait_us(good, T0), 0);
        assert_true(limit_is_clean(good, T0));
}

static void limit_forgives_slips_and_after_a_while_everything(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);

        (void) state;
        for (unsigned int i = 0; i < LIMIT_SLIPS_MAX; i++) {
                assert_true(limit_is_clean(a, T0));
                limit_fail(a, LIMIT_UNIT_US, T0);
        }
        assert_false(limit_is_clean(a, T0));
        assert_false(limit_is_clean(a, T0 + LIMIT_CLEAN_US - 1));
        assert_true(limit_is_clean(a, T0 + LIMIT_CLEAN_US));

        /* and a slip then is the first again */
        limit_fail(a, LIMIT_UNIT_US, T0 + LIMIT_CLEAN_US);
        assert_true(limit_is_clean(a, T0 + LIMIT_CLEAN_US));
}

static void limit_sees_who_fails_slowly_but_steadily(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);
        int64_t now = T0;

        (void) state;
        for (unsigned int i = 0; i < LIMIT_SLIPS_MAX; i++)
                limit_fail(a, LIMIT_UNIT_US, now += LIMIT_CLEAN_US - 1);
        assert_false(limit_is_clean(a, now));
}

static void connect_all(uid_t uid, unsigned int n) {
        for (unsigned int i = 0; i < n; i++)
                assert_true(limit_connect(&limit, limit_account(&limit, uid, T0)));
        assert_false(limit_connect(&limit, limit_account(&limit, uid, T0)));
}

static void limit_counts_connections_by_uid_and_in_all(void **state) {
        const unsigned int people = LIMIT_CONNECTIONS_MAX - 2 * LIMIT_CONNECTIONS_KEPT;

        (void) state;
        for (uid_t uid = 1000; uid < 1000 + people / LIMIT_CONNECTIONS_PER_UID; uid++)
                connect_all(uid, LIMIT_CONNECTIONS_PER_UID);
        assert_int_equal(limit.n_from[0], people);
        assert_true(limit_is_full(&limit, 1099));
        assert_false(limit_connect(&limit, limit_account(&limit, 1099, T0)));

        limit_disconnect(&limit, limit_account(&limit, 1000, T0));
        assert_false(limit_connect(&limit, limit_account(&limit, 1001, T0)));
        assert_true(limit_connect(&limit, limit_account(&limit, 1099, T0)));
        assert_false(limit_connect(&limit, limit_account(&limit, 1000, T0)));

        connect_all(LIMIT_SERVICE_UID_MAX, LIMIT_CONNECTIONS_KEPT);
        connect_all(0, LIMIT_CONNECTIONS_KEPT);
        assert_int_equal(limit.n_from[0], LIMIT_CONNECTIONS_MAX);

        /* whoever makes room for another of his kind makes it whatever others have */
        limit_disconnect(&limit, limit_account(&limit, 1099, T0));
        assert_true(limit_connect(&limit, limit_account(&limit, 1099, T0)));
        limit_disconnect(&limit, limit_account(&limit, 0, T0));
        assert_false(limit_connect(&limit, limit_account(&limit, 1098, T0)));
}

static void limit_reconnecting_buys_nothing(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);

        (void) state;
        assert_true(limit_connect(&limit, a));
        limit_fail(a, LIMIT_BUDGET_US, T0);
        limit_disconnect(&limit, a);

        /* as many strangers as there are accounts, all of whom behave */
        for (uid_t uid = 1000; uid < 1000 + 2 * LIMIT_ACCOUNTS_MAX; uid++)
                (void) limit_account(&limit, uid, T0);
        assert_true(limit_wait_us(limit_account(&limit, 1, T0), T0) > 0);
}

static void limit_keeps_accounts_with_connections(void **state) {
        struct limit_account *connected[LIMIT_CONNECTIONS_MAX - LIMIT_CONNECTIONS_KEPT];

        (void) state;
        for (uid_t uid = 0; uid < ELEMENTSOF(connected); uid++) {
                connected[uid] = limit_account(&limit, uid, T0);
                assert_true(limit_connect(&limit, connected[uid]));
        }
        for (uid_t uid = 1000; uid < 2000; uid++)
                limit_fail(limit_account(&limit, uid, T0 + uid), LIMIT_UNIT_US, T0 + uid);
        for (uid_t uid = 0; uid < ELEMENTSOF(connected); uid++)
                assert_ptr_equal(limit_account(&limit, uid, T0 + 2000), connected[uid]);

        /* who failed last is remembered longest */
        assert_true(limit_account(&limit, 1999, T0 + 2000)->n_failed > 0);
        assert_false(limit_account(&limit, 1000, T0 + 2000)->n_failed > 0);
}

static void limit_says_once_a_minute_with_the_count(void **state) {
        struct limit_account *a = limit_account(&limit, 1, T0);
        uint64_t n = 0;

        (void) state;
        assert_false(limit_say(a, T0, &n));
        limit_fail(a, 1, T0);
        assert_true(limit_say(a, T0, &n));
        assert_int_equal(n, 1);
        for (int i = 0; i < 500; i++) {
                limit_fail(a, 1, T0 + i);
                assert_false(limit_say(a, T0 + i, &n));
        }
        assert_false(limit_say(a, T0 + LIMIT_SAY_US - 1, &n));
        assert_true(limit_say(a, T0 + LIMIT_SAY_US, &n));
        assert_int_equal(n, 500);
        assert_false(limit_say(a, T0 + 2 * LIMIT_SAY_US, &n));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(limit_lets_a_new_uid_spend_its_budget_and_no_more, forget),
                cmocka_unit_test_setup(limit_reads_again_only_when_enough_is_back, forget),
                cmocka_unit_test_setup(limit_never_saves_more_than_the_budget, forget),
                cmocka_unit_test_setup(limit_holds_one_uid_to_its_rate_for_an_hour, forget),
                cmocka_unit_test_setup(limit_debt_has_an_end, forget),
                cmocka_unit_test_setup(limit_cost_counts_bytes_and_checks, forget),
                cmocka_unit_test_setup(limit_failures_of_one_uid_cost_no_other, forget),
                cmocka_unit_test_setup(limit_forgives_slips_and_after_a_while_everything, forget),
                cmocka_unit_test_setup(limit_sees_who_fails_slowly_but_steadily, forget),
                cmocka_unit_test_setup(limit_counts_connections_by_uid_and_in_all, forget),
                cmocka_unit_test_setup(limit_reconnecting_buys_nothing, forget),
                cmocka_unit_test_setup(limit_keeps_accounts_with_connections, forget),
                cmocka_unit_test_setup(limit_says_once_a_minute_with_the_count, forget),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
