/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hold_box.h"
#include "lib/reasons.h"

static void states_read_back_and_are_unique(void **state) {
        (void) state;
        for (int i = 0; i < _HOLD_STATE_MAX; i++) {
                enum hold_state back = _HOLD_STATE_MAX;

                assert_true(hold_state_from_id(hold_state_id(i), &back));
                assert_int_equal(back, i);
        }

        enum hold_state untouched = HOLD_LAPSED;
        assert_false(hold_state_from_id("held", &untouched));
        assert_int_equal(untouched, HOLD_LAPSED);
}

/* Said a second time, by hand: a change of the table has to be meant. */
static void states_follow_each_other_as_drawn(void **state) {
        static const char *const drawn[_HOLD_STATE_MAX] = {
                /*              pending, contained, partial, failed, thawing, releasing, released, lapsed */
                [HOLD_PENDING] = ".xxxxx..",  [HOLD_HELD] = ".xxxxx..",    [HOLD_PARTIAL] = ".xxxxx..",
                [HOLD_FAILED] = ".xxxxx..",   [HOLD_THAWING] = ".xxx.x..", [HOLD_RELEASING] = "......xx",
                [HOLD_RELEASED] = "........", [HOLD_LAPSED] = "........",
        };

        (void) state;
        for (int from = 0; from < _HOLD_STATE_MAX; from++)
                for (int to = 0; to < _HOLD_STATE_MAX; to++)
                        assert_int_equal(hold_state_may_follow(from, to), drawn[from][to] == 'x');
}

/* Brings a fresh hold into a state by the calls alone. */
static struct command_id bring_to(uint32_t n, enum hold_state s) {
        struct command_id id = begin(n, 0, false), by = id_of(n + 1000);

        if (s == HOLD_RELEASING)
                assert_int_equal(hold_set_release(set, &id, &by), 0);
        else if (s == HOLD_THAWING)
                assert_int_equal(hold_set_thaw(set, &id, &by), 0);
        else if (s != HOLD_PENDING)
                assert_int_equal(hold_set_settle(set, &id, s, 0), 0);
        assert_int_equal(get(&id)->state, s);
        return id;
}

static void settle_does_what_the_table_allows_and_nothing_else(void **state) {
        uint32_t n = 0;

        (void) state;
        for (int from = 0; from <= HOLD_RELEASING; from++)
                for (int to = 0; to < _HOLD_STATE_MAX; to++) {
                        struct command_id id = bring_to(++n, from);
                        bool legal =
                                from != HOLD_RELEASING && (to == HOLD_HELD || to == HOLD_PARTIAL || to == HOLD_FAILED);
                        reason_set was = get(&id)->reasons, new = reason_bit(REASON_NO_SYSTEMD);

                        assert_int_equal(hold_set_settle(set, &id, to, new), legal ? 0 : -EPROTO);
                        assert_int_equal(get(&id)->state, legal ? to : from);
                        assert_reasons(get(&id)->reasons, legal ? new : was);
                }
}

static void settle_never_calls_a_gap_contained(void **state) {
        struct command_id id = begin(1, 0, false);

        (void) state;
        assert_int_equal(hold_set_settle(set, &id, HOLD_HELD, reason_bit(REASON_NOT_FROZEN)), -EPROTO);
        assert_int_equal(get(&id)->state, HOLD_PENDING);
        assert_int_equal(hold_set_settle(set, &id, HOLD_PARTIAL, reason_bit(REASON_NOT_FROZEN)), 0);
        assert_int_equal(hold_set_settle(set, &id, HOLD_HELD, reason_bit(REASON_REINFORCED)), 0);
}

static void release_and_end_do_what_the_table_allows_and_nothing_else(void **state) {
        struct command_id by = id_of(9999);

        (void) state;
        for (int from = 0; from <= HOLD_RELEASING; from++) {
                struct command_id id = bring_to(from + 1, from);

                assert_int_equal(hold_set_end(set, &id), from == HOLD_RELEASING ? 0 : -EPROTO);
                if (from == HOLD_RELEASING) {
                        assert_null(hold_set_find(set, &id));
                        continue;
                }

                assert_int_equal(hold_set_release(set, &id, &by), 0);
                assert_true(command_id_equal(&get(&id)->releaser, &by));
                assert_false(get(&id)->lapsing);
                assert_int_equal(hold_set_release(set, &id, &by), -EPROTO);
                assert_int_equal(hold_set_extend(set, &id, MINUTE, NULL), -EPROTO);
        }
}

static void a_step_leaves_a_hold_that_isolates(void **state) {
        const struct command_id by = id_of(9999), later = id_of(9998);

        (void) state;
        for (int from = 0; from <= HOLD_FAILED; from++) {
                struct command_id id = bring_to(from + 1, from);

                assert_int_equal(hold_set_thaw(set, &id, &by), 0);
                assert_int_equal(get(&id)->verb, VERB_ISOLATE);
                assert_int_equal(get(&id)->undo, VERB_CONTAIN);
                assert_true(command_id_equal(&get(&id)->releaser, &by));
                assert_true(hold_is_ending(get(&id)));
                assert_int_equal(hold_set_thaw(set, &id, &by), -EPROTO);
                assert_int_equal(hold_set_end(set, &id), -EPROTO);
                assert_int_equal(hold_set_settle(set, &id, HOLD_HELD, 0), 0);
                assert_int_equal(get(&id)->verb, VERB_ISOLATE);
                assert_int_equal(get(&id)->undo, VERB_ISOLATE);
                assert_false(hold_is_ending(get(&id)));
        }
        /* one that is overtaken by a release still has everything to undo */
        struct command_id id = bring_to(20, HOLD_THAWING);
        assert_int_equal(hold_set_release(set, &id, &later), 0);
        assert_int_equal(get(&id)->undo, VERB_CONTAIN);
        assert_true(command_id_equal(&get(&id)->releaser, &later));
        assert_int_equal(hold_set_thaw(set, &id, &by), -EPROTO);
}

static void a_step_is_nothing_for_a_hold_that_does_not_isolate(void **state) {
        struct command c = order_of(1, 0);
        const struct command_id by = id_of(2);

        (void) state;
        c.verb = VERB_FREEZE;
        assert_int_equal(hold_set_begin(set, &c, NULL, 0), 0);
        assert_int_equal(hold_set_thaw(set, &c.id, &by), -EINVAL);
        assert_int_equal(get(&c.id)->state, HOLD_PENDING);
        assert_int_equal(get(&c.id)->verb, VERB_FREEZE);
}

static void a_hold_without_lease_never_lapses(void **state) {
        struct command_id forever = begin(1, 0, false), leased = begin(2, MINUTE, false);

        (void) state;
        assert_int_equal(hold_set_release(set, &forever, NULL), -EPROTO);
        assert_int_equal(get(&forever)->state, HOLD_PENDING);
        assert_int_equal(hold_set_release(set, &leased, NULL), 0);
        assert_true(get(&leased)->lapsing);
        assert_int_equal(hold_set_end(set, &leased), 0);
}

static void calls_about_unknown_holds_say_so(void **state) {
        struct command_id id = id_of(7);

        (void) state;
        hold_set_free(NULL);
        assert_int_equal(hold_set_settle(set, &id, HOLD_HELD, 0), -ENOENT);
        assert_int_equal(hold_set_release(set, &id, NULL), -ENOENT);
        assert_int_equal(hold_set_thaw(set, &id, &id), -ENOENT);
        assert_int_equal(hold_set_end(set, &id), -ENOENT);
        assert_int_equal(hold_set_extend(set, &id, MINUTE, NULL), -ENOENT);
        assert_int_equal(hold_set_receipt(set, &id, 1, false), -ENOENT);
        assert_null(hold_set_seen(set, &id));
        assert_null(hold_set_at(set, 0));
}

static void begin_keeps_its_own_copy_of_the_order(void **state) {
        struct target target = { TARGET_UNIT, "nginx.service" };
        struct command c = order_of(1, MINUTE);

        (void) state;
        c.targets = &target;
        c.n_targets = 1;
        assert_int_equal(hold_set_begin(set, &c, &robot, 1234), 0);
        memset(&target, 0xff, sizeof(target));
        memset(c.incident, 0xff, sizeof(c.incident));

        const struct hold *h = get(&c.id);
        assert_ptr_equal(h, hold_set_at(set, 0));
        assert_int_equal(h->verb, VERB_CONTAIN);
        assert_int_equal(h->state, HOLD_PENDING);
        assert_int_equal(h->n_targets, 1);
        assert_string_equal(h->targets[0].name, "nginx.service");
        assert_int_equal(h->n_permits, 1);
        assert_int_equal(h->permits[0].port, 443);
        assert_string_equal(h->incident, "SA-20261120-001");
        assert_int_equal(h->severity, SEVERITY_P1);
        assert_true(h->automation);
        assert_int_equal(h->made_ms, 1234);
        assert_int_equal(h->lease_left_ms, MINUTE);
        assert_int_equal(h->lease_total_ms, MINUTE);
}

static void begin_refuses_what_makes_no_hold(void **state) {
        struct command c = order_of(1, 0);

        (void) state;
        /* automation without a lease; the twin with one is in begin_keeps_its_own_copy_of_the_order */
        assert_int_equal(hold_set_begin(set, &c, &robot, 0), -EINVAL);
        for (int v = 0; v < _VERB_MAX; v++) {
                bool stops = verb_info(v)->cls == VERB_CLASS_STOP;

                c.id = id_of(v + 1);
                c.verb = v;
                assert_int_equal(hold_set_begin(set, &c, NULL, 0), stops ? 0 : -EINVAL);
                assert_true(!stops == !hold_set_find(set, &c.id));
                assert_int_equal(hold_set_begin(set, &c, NULL, 0), stops ? -EEXIST : -EINVAL);
        }
}

static void begin_refuses_a_buried_order(void **state) {
        struct command c = order_of(1, 0);

        (void) state;
        assert_int_equal(hold_set_bury(set, &c.id, c.exp_ms), 0);
        assert_int_equal(hold_set_begin(set, &c, NULL, 0), -EEXIST);
        assert_int_equal(hold_set_count(set), 0);
}

static void active_holds_are_limited_and_an_ended_one_makes_room(void **state) {
        struct command_id second = id_of(2);
        struct command c;

        (void) state;
        for (uint32_t i = 0; i < HOLD_ACTIVE_MAX; i++)
                begin(i + 1, i % 2 ? MINUTE : 0, i % 2);
        assert_int_equal(hold_set_count(set), HOLD_ACTIVE_MAX);
        assert_int_equal(hold_set_count_automation(set), HOLD_ACTIVE_MAX / 2);

        c = order_of(1000, 0);
        assert_int_equal(hold_set_begin(set, &c, NULL, 0), -ENOSPC);

        struct command_id first = id_of(1), by = id_of(2000);
        assert_int_equal(hold_set_release(set, &first, &by), 0);
        assert_int_equal(hold_set_end(set, &first), 0);
        assert_null(hold_set_at(set, hold_set_count(set)));
        assert_int_equal(hold_set_begin(set, &c, NULL, 0), 0);

        /* the others kept their order and are all still there */
        assert_true(command_id_equal(&hold_set_at(set, 0)->id, &second));
        assert_true(command_id_equal(&hold_set_at(set, HOLD_ACTIVE_MAX - 1)->id, &c.id));
        for (uint32_t i = 1; i < HOLD_ACTIVE_MAX; i++) {
                struct command_id id = id_of(i + 1);
                assert_non_null(hold_set_find(set, &id));
        }
}

static void releasing_one_hold_leaves_another_on_the_same_target(void **state) {
        struct command_id a = begin(1, 0, false), b = begin(2, 0, false), by = id_of(3);

        (void) state;
        assert_int_equal(hold_set_settle(set, &a, HOLD_HELD, 0), 0);
        assert_int_equal(hold_set_settle(set, &b, HOLD_HELD, 0), 0);
        assert_int_equal(hold_set_release(set, &a, &by), 0);
        assert_int_equal(hold_set_end(set, &a), 0);
        assert_null(hold_set_find(set, &a));
        assert_int_equal(get(&b)->state, HOLD_HELD);
}

static void leases_run_on_boot_time(void **state) {
        (void) state;
        hold_set_advance(set, boot_a, 1000 * MINUTE);
        struct command_id id = begin(1, 10 * MINUTE, false), forever = begin(2, 0, false);

        assert_int_equal(hold_set_next_lapse(set), 10 * MINUTE);
        hold_set_advance(set, boot_a, 1004 * MINUTE);
        assert_int_equal(get(&id)->lease_left_ms, 6 * MINUTE);
        assert_int_equal(get(&id)->held_ms, 4 * MINUTE);
        assert_int_equal(hold_set_next_lapse(set), 6 * MINUTE);

        hold_set_advance(set, boot_a, 1100 * MINUTE);
        assert_int_equal(get(&id)->lease_left_ms, 0);
        assert_int_equal(hold_set_next_lapse(set), 0);
        assert_int_equal(get(&forever)->lease_left_ms, INT64_MAX);
        assert_int_equal(get(&forever)->held_ms, 100 * MINUTE);

        /* one that is on its way out does not wake anyone again */
        assert_int_equal(hold_set_release(set, &id, NULL), 0);
        assert_int_equal(hold_set_next_lapse(set), INT64_MAX);
}

static void the_first_advance_only_sets_the_clock(void **state) {
        struct command_id id = begin(1, MINUTE, false);

        (void) state;
        hold_set_advance(set, boot_a, 100 * MINUTE);
        assert_int_equal(get(&id)->lease_left_ms, MINUTE);
        hold_set_advance(set, boot_a, 100 * MINUTE + 1);
        assert_int_equal(get(&id)->lease_left_ms, MINUTE - 1);
}

static void the_time_a_host_was_off_does_not_end_a_lease(void **state) {
        (void) state;
        hold_set_advance(set, boot_a, 500 * MINUTE);
        struct command_id id = begin(1, 10 * MINUTE, false);

        hold_set_advance(set, boot_a, 503 * MINUTE);
        /* off for a day; up for two minutes */
        hold_set_advance(set, boot_b, 2 * MINUTE);
        assert_int_equal(get(&id)->lease_left_ms, 5 * MINUTE);
        assert_int_equal(get(&id)->held_ms, 5 * MINUTE);
        hold_set_advance(set, boot_b, 3 * MINUTE);
        assert_int_equal(get(&id)->lease_left_ms, 4 * MINUTE);
}

static void boot_time_that_runs_backwards_stands_still(void **state) {
        static const uint8_t untold[16];

        (void) state;
        hold_set_advance(set, untold, INT64_MIN);
        hold_set_advance(set, untold, 500 * MINUTE);
        struct command_id id = begin(1, 10 * MINUTE, false);

        hold_set_advance(set, untold, 2 * MINUTE);
        hold_set_advance(set, untold, -1);
        hold_set_advance(set, boot_b, INT64_MIN);
        assert_int_equal(get(&id)->lease_left_ms, 10 * MINUTE);
        assert_int_equal(get(&id)->held_ms, 0);
        hold_set_advance(set, untold, 501 * MINUTE);
        assert_int_equal(get(&id)->lease_left_ms, 9 * MINUTE);
}

/* For the incident of order_of(), and within the day. */
static void check_charged(const struct account_charge *of, int64_t incident_ms, int64_t day_ms) {
        assert_int_equal(account_incident_used(hold_set_accounts(set), of, "SA-20261120-001"), incident_ms);
        assert_int_equal(account_incident_used(hold_set_accounts(set), of, ""), 0);
        assert_int_equal(account_day_used(hold_set_accounts(set), of), day_ms);
}

static void time_arithmetic_does_not_overflow(void **state) {
        (void) state;
        hold_set_advance(set, boot_a, 0);
        struct command_id id = begin(1, COMMAND_INT_MAX, true);

        hold_set_advance(set, boot_a, INT64_MAX);
        hold_set_advance(set, boot_b, INT64_MAX);
        assert_int_equal(get(&id)->lease_left_ms, 0);
        assert_int_equal(get(&id)->held_ms, INT64_MAX);
        for (int i = 0; i < 1100; i++) {
                assert_int_equal(hold_set_extend(set, &id, COMMAND_INT_MAX, &robot), 0);
                assert_int_equal(get(&id)->lease_left_ms, COMMAND_INT_MAX);
                /* each a whole boot, in which the lease ends */
                hold_set_advance(set, i % 2 ? boot_b : boot_a, INT64_MAX);
        }
        assert_int_equal(get(&id)->lease_total_ms, INT64_MAX);
        check_charged(&robot, INT64_MAX, INT64_MAX);
}

static void extend_never_shortens(void **state) {
        (void) state;
        hold_set_advance(set, boot_a, 0);
        struct command_id id = begin(1, 10 * MINUTE, false), forever = begin(2, 0, false);

        hold_set_advance(set, boot_a, 4 * MINUTE);
        assert_int_equal(hold_lease_gain(get(&id), 6 * MINUTE), 0);
        assert_int_equal(hold_set_extend(set, &id, 1, NULL), 0);
        assert_int_equal(get(&id)->lease_left_ms, 6 * MINUTE);
        assert_int_equal(hold_lease_gain(get(&id), 15 * MINUTE), 9 * MINUTE);
        assert_int_equal(hold_set_extend(set, &id, 15 * MINUTE, NULL), 0);
        assert_int_equal(get(&id)->lease_left_ms, 15 * MINUTE);
        assert_int_equal(get(&id)->lease_total_ms, 19 * MINUTE);

        assert_int_equal(hold_set_extend(set, &forever, MINUTE, NULL), 0);
        assert_int_equal(get(&forever)->lease_left_ms, INT64_MAX);
        assert_int_equal(get(&forever)->lease_total_ms, 0);

        assert_int_equal(hold_set_extend(set, &id, 0, NULL), -EINVAL);
        assert_int_equal(hold_set_extend(set, &id, -1, NULL), -EINVAL);
        assert_int_equal(get(&id)->lease_left_ms, 15 * MINUTE);
}

static void automation_is_charged_for_what_it_was_granted_also_when_it_is_over(void **state) {
        const struct account_charge other = { { 0x41 }, robot.floor_ms };

        (void) state;
        hold_set_advance(set, boot_a, 0);
        check_charged(&robot, 0, 0);
        begin(1, 30 * MINUTE, false);
        check_charged(&robot, 0, 0);
        struct command_id id = begin(2, 10 * MINUTE, true);

        check_charged(&robot, 10 * MINUTE, 10 * MINUTE);
        check_charged(&other, 0, 0);

        hold_set_advance(set, boot_a, 8 * MINUTE);
        assert_int_equal(hold_set_extend(set, &id, 10 * MINUTE, &robot), 0);
        check_charged(&robot, 18 * MINUTE, 18 * MINUTE);
        /* one that gains nothing is an order all the same */
        assert_int_equal(hold_set_extend(set, &id, 5 * MINUTE, &robot), 0);
        check_charged(&robot, 18 * MINUTE, 19 * MINUTE);
        /* whoever asks for more is charged: not the maker of the hold, and no person */
        assert_int_equal(hold_set_extend(set, &id, 13 * MINUTE, &other), 0);
        check_charged(&other, 3 * MINUTE, 3 * MINUTE);
        assert_int_equal(hold_set_extend(set, &id, 20 * MINUTE, NULL), 0);
        check_charged(&robot, 18 * MINUTE, 19 * MINUTE);

        hold_set_advance(set, boot_a, 28 * MINUTE);
        assert_int_equal(hold_set_release(set, &id, NULL), 0);
        assert_int_equal(hold_set_end(set, &id), 0);
        check_charged(&robot, 18 * MINUTE, 19 * MINUTE);
        begin(3, MINUTE, true);
        check_charged(&robot, 19 * MINUTE, 20 * MINUTE);
}

static void what_makes_no_hold_is_not_charged(void **state) {
        struct command c = order_of(1, 0);

        (void) state;
        assert_int_equal(hold_set_begin(set, &c, &robot, 0), -EINVAL);
        begin(1, MINUTE, false);
        c.lease_ms = MINUTE;
        assert_int_equal(hold_set_begin(set, &c, &robot, 0), -EEXIST);
        assert_int_equal(hold_set_extend(set, &c.id, 0, &robot), -EINVAL);
        check_charged(&robot, 0, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(states_read_back_and_are_unique),
                CASE(states_follow_each_other_as_drawn),
                CASE(settle_does_what_the_table_allows_and_nothing_else),
                CASE(settle_never_calls_a_gap_contained),
                CASE(release_and_end_do_what_the_table_allows_and_nothing_else),
                CASE(a_step_leaves_a_hold_that_isolates),
                CASE(a_step_is_nothing_for_a_hold_that_does_not_isolate),
                CASE(a_hold_without_lease_never_lapses),
                CASE(calls_about_unknown_holds_say_so),
                CASE(begin_keeps_its_own_copy_of_the_order),
                CASE(begin_refuses_what_makes_no_hold),
                CASE(begin_refuses_a_buried_order),
                CASE(active_holds_are_limited_and_an_ended_one_makes_room),
                CASE(releasing_one_hold_leaves_another_on_the_same_target),
                CASE(leases_run_on_boot_time),
                CASE(the_first_advance_only_sets_the_clock),
                CASE(the_time_a_host_was_off_does_not_end_a_lease),
                CASE(boot_time_that_runs_backwards_stands_still),
                CASE(time_arithmetic_does_not_overflow),
                CASE(extend_never_shortens),
                CASE(automation_is_charged_for_what_it_was_granted_also_when_it_is_over),
                CASE(what_makes_no_hold_is_not_charged),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
