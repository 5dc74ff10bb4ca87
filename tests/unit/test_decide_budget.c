/* SPDX-License-Identifier: Apache-2.0 */

/* What a key of automation may hold on one host: for an incident, and within a day. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decide_world.h"

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

/* The next order by a key of automation, for an incident of its own, if it is allowed; then it is over at once. */
static bool one_more(unsigned int by, uint32_t n) {
        struct account_charge charge = { .floor_ms = w.facts.floor_ms };

        w.by = by;
        w.c.id = id_of(n);
        (void) snprintf(w.c.incident, sizeof(w.c.incident), "SA-20261121-%03u", n);
        ask();
        if (w.d.kind != DECISION_GO) {
                assert_string_equal(reason_id(w.d.reason), "budget");
                return false;
        }
        memcpy(charge.key, authorised_key(w.authorised), sizeof(charge.key));
        assert_int_equal(hold_set_begin(w.holds, &w.c, &charge, NOW), 0);
        assert_int_equal(hold_set_release(w.holds, &w.c.id, NULL), 0);
        assert_int_equal(hold_set_end(w.holds, &w.c.id), 0);
        return true;
}

static uint32_t as_many_as_go(unsigned int by, uint32_t from) {
        uint32_t n = 0;

        while (one_more(by, from + n))
                n++;
        return n;
}

/* Dave's is a second key of automation. */
static void add_another_bot(void) {
        w.trust.roles[ROLE_AUTOMATION].people |= PERSON(DAVE);
}

static void invented_incidents_are_bounded_by_the_day(void **state) {
        (void) state;
        add_another_bot();
        assert_int_equal(as_many_as_go(BY(BOT), 1000), w.local.automation_day_ms / BOT_LEASE_MS);
        /* neither people nor the other key are refused anything */
        w.by = BY(ALICE);
        expect_go(0);
        w.by = BY(ALICE) | BY(BOT);
        expect_go(0);
        w.by = BY(DAVE);
        expect_go(0);
        assert_true(authorised_automation(w.authorised));
        assert_memory_equal(authorised_key(w.authorised), w.trust.keys[KEY_DAVE].key.id, 32);

        /* the floor counts, whatever the clock says; and an hour more has passed when all of them are over */
        w.facts.wall_ms += 3 * DAY;
        w.c.iat_ms += 3 * DAY;
        w.c.exp_ms += 3 * DAY;
        assert_false(one_more(BY(BOT), 2000));
        w.facts.floor_ms += DAY - 1;
        assert_false(one_more(BY(BOT), 2000));
        w.facts.floor_ms += HOUR + 1;
        assert_int_equal(as_many_as_go(BY(BOT), 3000), w.local.automation_day_ms / BOT_LEASE_MS);

        w.local.automation_day_ms = 0;
        assert_false(one_more(BY(DAVE), 4000));
        w.by = BY(ALICE);
        expect_go(0);
}

static void short_leases_are_bounded_in_number(void **state) {
        (void) state;
        w.c.lease_ms = 1;
        assert_int_equal(as_many_as_go(BY(BOT), 1000), w.local.automation_day_ms / ACCOUNT_LEAST_MS);
}

/* Who names more incidents than can be accounted for is stopped by the day, and nobody else by anything. */
static void invented_incidents_lock_nobody_else_out(void **state) {
        (void) state;
        add_another_bot();
        w.local.automation_day_ms = 1025 * BOT_LEASE_MS;
        assert_int_equal(as_many_as_go(BY(BOT), 1000), 1025);
        w.local.automation_day_ms = 8 * HOUR;
        assert_int_equal(as_many_as_go(BY(DAVE), 5000), 8 * HOUR / BOT_LEASE_MS);
}

/* What somebody else is charged for an incident leaves a key what it has. */
static void keys_of_automation_share_no_incident(void **state) {
        (void) state;
        add_another_bot();
        w.local.automation_budget_ms = BOT_LEASE_MS;
        make_hold(50, BOT_LEASE_MS, true, "SA-20261120-001");
        expect_refused(REASON_BUDGET);
        w.by = BY(DAVE);
        expect_go(0);
        /* begun by neither, it is charged to the one that the trust root names first */
        w.by = BY(DAVE) | BY(BOT);
        expect_refused(REASON_BUDGET);
        /* a signature that is added by whoever has the key that is used up does not make the order its own */
        by_themselves(BY(DAVE) | BY(BOT), KEY_DAVE);
        expect_go(0);
        assert_memory_equal(authorised_key(w.authorised), w.trust.keys[KEY_DAVE].key.id, 32);
        by_themselves(BY(DAVE) | BY(BOT), KEY_BOT);
        expect_refused(REASON_BUDGET);
}

/* The person has another key, in the next trust root say: what was charged to the stolen one is not charged to it. */
static void a_key_in_place_of_a_stolen_one_starts_anew(void **state) {
        (void) state;
        w.trust.keys[KEY_DAVE].person = PERSON_BOT;
        (void) as_many_as_go(BY(BOT), 1000);
        assert_true(one_more(BY(DAVE), 5000));
}

static void extending_costs_of_the_day_as_well(void **state) {
        (void) state;
        make_hold(50, MINUTE, true, "SA-20261120-001");
        make_hold(51, MINUTE, true, "SA-20261120-002");
        order(VERB_EXTEND);
        w.by = BY(BOT);
        w.c.lease_ms = 3 * MINUTE;
        TARGET_HOLDS(50, 51);
        w.local.automation_day_ms = 6 * MINUTE;
        expect_go(0);
        w.local.automation_day_ms--;
        expect_refused(REASON_BUDGET);
        w.by = BY(ALICE);
        expect_go(0);
        /* one that gains nothing takes an id */
        w.by = BY(BOT);
        w.c.lease_ms = 1;
        w.local.automation_day_ms = 4 * MINUTE;
        expect_go(0);
        w.local.automation_day_ms--;
        expect_refused(REASON_BUDGET);
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

int main(void) {
        const struct CMUnitTest cases[] = {
                BOT(automation_has_a_budget_per_incident),
                BOT(the_budget_outlives_the_hold),
                BOT(invented_incidents_are_bounded_by_the_day),
                BOT(short_leases_are_bounded_in_number),
                BOT(invented_incidents_lock_nobody_else_out),
                BOT(keys_of_automation_share_no_incident),
                BOT(a_key_in_place_of_a_stolen_one_starts_anew),
                CASE(extending_costs_of_the_day_as_well),
                CASE(what_automation_gains_by_extending_counts_together),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
