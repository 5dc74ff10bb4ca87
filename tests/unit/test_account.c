/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/account.h"

#define MINUTE (60LL * 1000)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
/* an hour of the floor begins */
#define T0 (20000 * DAY)

static struct account_set set;

static int tear_down(void **state) {
        (void) state;
        account_done(&set);
        return 0;
}

/* Keys that differ in their last byte only. */
static struct account_charge at(uint8_t key, int64_t floor_ms) {
        return (struct account_charge) { { [0] = 1, [31] = key }, floor_ms };
}

static void grant(uint8_t key, int64_t floor_ms, const char *incident, int64_t ms) {
        const struct account_charge to = at(key, floor_ms);

        assert_int_equal(account_add(&set, &to, incident, ms), 0);
}

static void check_incident(uint8_t key, int64_t floor_ms, const char *incident, int64_t expected) {
        const struct account_charge of = at(key, floor_ms);

        assert_int_equal(account_incident_used(&set, &of, incident), expected);
}

static void check_day(uint8_t key, int64_t floor_ms, int64_t expected) {
        const struct account_charge of = at(key, floor_ms);

        assert_int_equal(account_day_used(&set, &of), expected);
}

static void a_key_is_charged_for_its_own_orders_only(void **state) {
        (void) state;
        check_incident(1, T0, "a", 0);
        check_day(1, T0, 0);
        grant(1, T0, "a", 10 * MINUTE);
        grant(1, T0, "a", 5 * MINUTE);
        grant(1, T0, "", 2 * MINUTE);
        grant(2, T0, "a", 3 * MINUTE);
        check_incident(1, T0, "a", 15 * MINUTE);
        check_incident(1, T0, "", 2 * MINUTE);
        check_incident(1, T0, "b", 0);
        check_incident(2, T0, "a", 3 * MINUTE);
        check_day(1, T0, 17 * MINUTE);
        check_day(2, T0, 3 * MINUTE);
        check_day(3, T0, 0);
}

static void what_is_charged_counts_for_a_day_and_no_longer_than_an_hour_more(void **state) {
        (void) state;
        grant(1, T0 + 10 * MINUTE, "a", 5 * MINUTE);
        grant(1, T0 + 3 * HOUR, "b", 7 * MINUTE);
        check_day(1, T0 + 10 * MINUTE + DAY, 12 * MINUTE);
        check_day(1, T0 + HOUR + DAY - 1, 12 * MINUTE);
        check_day(1, T0 + HOUR + DAY, 7 * MINUTE);
        check_day(1, T0 + 4 * HOUR + DAY - 1, 7 * MINUTE);
        check_day(1, T0 + 4 * HOUR + DAY, 0);

        /* what comes in the place of an hour that is over takes nothing of it over */
        grant(1, T0 + ACCOUNT_SLOTS * HOUR, "c", 2 * MINUTE);
        check_day(1, T0 + ACCOUNT_SLOTS * HOUR, 9 * MINUTE);
}

static void every_hour_of_a_day_counts(void **state) {
        (void) state;
        for (int64_t h = 0; h < 100; h++) {
                grant(1, T0 + h * HOUR, "a", MINUTE);
                check_day(1, T0 + h * HOUR, (h < ACCOUNT_SLOTS ? h + 1 : ACCOUNT_SLOTS) * MINUTE);
        }
}

static void a_short_hold_costs_a_minute_of_the_day(void **state) {
        (void) state;
        grant(1, T0, "a", 1);
        grant(1, T0, "a", 0);
        check_incident(1, T0, "a", 1);
        check_day(1, T0, 2 * MINUTE);
        assert_int_equal(account_day_cost(MINUTE + 1), MINUTE + 1);
}

static void an_incident_is_forgotten_a_week_after_it_was_charged_last(void **state) {
        (void) state;
        grant(1, T0, "a", MINUTE);
        grant(1, T0 + DAY, "a", MINUTE);
        check_incident(1, T0 + 8 * DAY - 1, "a", 2 * MINUTE);
        check_incident(1, T0 + 8 * DAY, "a", 0);
        grant(1, T0 + 8 * DAY, "a", 3 * MINUTE);
        check_incident(1, T0 + 8 * DAY, "a", 3 * MINUTE);
}

/* A thief who names incident after incident is charged for all of them within the day, and takes no place of another
 * key; its own oldest ones make room. */
static void invented_incidents_take_nothing_from_another_key(void **state) {
        char name[COMMAND_INCIDENT_MAX + 1];

        (void) state;
        grant(2, T0, "honest", 4 * MINUTE);
        for (int i = 0; i < 2000; i++) {
                (void) snprintf(name, sizeof(name), "invented-%d", i);
                grant(1, T0 + i, name, 2 * MINUTE);
        }
        check_day(1, T0 + 2000, 2000 * 2 * MINUTE);
        check_incident(1, T0 + 2000, "invented-1999", 2 * MINUTE);
        (void) snprintf(name, sizeof(name), "invented-%u", 2000 - ACCOUNT_INCIDENTS_MAX);
        check_incident(1, T0 + 2000, name, 2 * MINUTE);
        (void) snprintf(name, sizeof(name), "invented-%u", 2000 - ACCOUNT_INCIDENTS_MAX - 1);
        check_incident(1, T0 + 2000, name, 0);

        check_incident(2, T0 + 2000, "honest", 4 * MINUTE);
        check_day(2, T0 + 2000, 4 * MINUTE);
        grant(2, T0 + 2000, "new", 5 * MINUTE);
        check_incident(2, T0 + 2000, "new", 5 * MINUTE);
        check_incident(3, T0 + 2000, "new", 0);
}

static void the_key_that_was_charged_least_recently_makes_room(void **state) {
        (void) state;
        for (uint8_t k = 0; k < ACCOUNT_KEYS_MAX; k++)
                grant(k, T0 + k, "a", 2 * MINUTE);
        grant(0, T0 + 100, "a", MINUTE);
        grant(200, T0 + 101, "a", 5 * MINUTE);
        check_day(0, T0 + 101, 3 * MINUTE);
        check_day(1, T0 + 101, 0);
        check_incident(1, T0 + 101, "a", 0);
        check_day(2, T0 + 101, 2 * MINUTE);
        check_day(200, T0 + 101, 5 * MINUTE);
        check_incident(200, T0 + 101, "a", 5 * MINUTE);
}

static void sums_do_not_overflow(void **state) {
        (void) state;
        for (int i = 0; i < 3; i++) {
                grant(1, T0 + i * HOUR, "a", INT64_MAX / 2);
                grant(1, T0 + i * HOUR, "a", INT64_MAX / 2);
        }
        check_incident(1, T0 + 3 * HOUR, "a", INT64_MAX);
        check_day(1, T0 + 3 * HOUR, INT64_MAX);
}

#define CASE(name) cmocka_unit_test_teardown(name, tear_down)

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(a_key_is_charged_for_its_own_orders_only),
                CASE(what_is_charged_counts_for_a_day_and_no_longer_than_an_hour_more),
                CASE(every_hour_of_a_day_counts),
                CASE(a_short_hold_costs_a_minute_of_the_day),
                CASE(an_incident_is_forgotten_a_week_after_it_was_charged_last),
                CASE(invented_incidents_take_nothing_from_another_key),
                CASE(the_key_that_was_charged_least_recently_makes_room),
                CASE(sums_do_not_overflow),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
