/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decide_world.h"

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

/* Who was away since before the order hears of both when the release is over, and the order is not. */
static void a_release_that_is_over_still_buries_what_never_began_here(void **state) {
        (void) state;
        w.facts.wall_ms = w.c.exp_ms;
        TARGET_HOLDS(101, 102);
        expect_go(reason_bit(REASON_UNKNOWN_HOLD));
        /* it lets nothing go, not with others either */
        TARGET_HOLDS(101, 100);
        expect_refused(REASON_EXPIRED);
        TARGET_HOLDS(101);
        /* as long as an order that it names can come */
        w.facts.wall_ms = w.c.exp_ms + COMMAND_STOP_LIFE_MS - 1;
        expect_go(reason_bit(REASON_UNKNOWN_HOLD));
        w.facts.wall_ms++;
        expect_refused(REASON_EXPIRED);
        /* played again after it was forgotten, it is recorded no second time */
        w.facts.wall_ms = w.c.exp_ms;
        expect_go(reason_bit(REASON_UNKNOWN_HOLD));
        see(50, w.digest);
        make_room_for(SEEN_MAX - SEEN_KEPT - 1);
        hold_set_forget(w.holds, w.c.exp_ms + SEEN_GRACE_MS);
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

/* Or whoever made the root has one that is ahead: a synchronised clock knows. */
static void a_root_from_the_future_refuses_a_release_only_where_the_clock_is_in_doubt(void **state) {
        (void) state;
        w.facts.clock_synced = false;
        w.trust.iat_ms = NOW + DECIDE_BEHIND_MS;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC));
        w.trust.iat_ms++;
        expect_refused(REASON_CLOCK);
        w.facts.clock_synced = true;
        expect_go(0);

        order(VERB_CONTAIN);
        expect_go(0);
        w.facts.clock_synced = false;
        w.trust.iat_ms = NOW + 100 * DAY;
        expect_go(reason_bit(REASON_CLOCK_UNSYNC) | reason_bit(REASON_CLOCK));
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
}

/* Of one key, with leases that end at once. */
static void one_person_cannot_take_the_last_ids(void **state) {
        (void) state;
        make_room_for(HOLD_SEEN_JOINT + 1);
        expect_go(0);
        make_room_for(HOLD_SEEN_JOINT);
        expect_refused(REASON_LIMIT);
        /* nor is a second key, of somebody who may not order it or of the same person */
        w.by = BY(ALICE) | BY(BOT);
        expect_refused(REASON_LIMIT);
        w.by = BY(ALICE) | BY(ALICE_2);
        expect_refused(REASON_LIMIT);
        w.by = BY(ALICE) | BY(BOB);
        expect_go(0);
        make_room_for(HOLD_SEEN_RELEASE + 1);
        expect_go(0);
        make_room_for(HOLD_SEEN_RELEASE);
        expect_refused(REASON_LIMIT);
        order(VERB_RELEASE);
        TARGET_HOLDS(100);
        w.by = BY(ALICE) | BY(BOB);
        expect_go(reason_bit(REASON_UNKNOWN_HOLD));
}

/* Or a host would be full for ever: their ids are not forgotten. */
static void what_is_dated_ahead_leaves_room_for_what_is_not(void **state) {
        (void) state;
        w.c.iat_ms = NOW + 100 * DAY;
        w.c.exp_ms = w.c.iat_ms + HOUR;
        make_room_for(HOLD_SEEN_AHEAD + 1);
        expect_go(reason_bit(REASON_CLOCK_SKEW));
        make_room_for(HOLD_SEEN_AHEAD);
        expect_refused(REASON_LIMIT);
        w.by = BY(BOT);
        w.c.lease_ms = BOT_LEASE_MS;
        expect_refused(REASON_LIMIT);
        /* it may be the host's clock that is wrong */
        w.by = BY(ALICE) | BY(BOB);
        expect_go(reason_bit(REASON_CLOCK_SKEW));
        w.by = BY(ALICE);
        w.c.iat_ms = NOW;
        w.c.exp_ms = NOW + HOUR;
        expect_go(0);
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
                "cgroup:/payments/dbus.service",
                "cgroup:/docker/5eedf00d/system.slice",
                "cgroup:/system.slice/nginx.service/init.scope",
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

/* Every mixture of what can be wrong with a host, for every verb. check_promises() holds for each; the answers are also
 * foretold. */
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
                                        bool release = verb_class_lets_go(verb_info((enum verb) verb)->cls), late;

                                        order(verb);
                                        if (verb == VERB_EXTEND || verb == VERB_RELEASE)
                                                TARGET_HOLDS(100);
                                        w.c.lease_ms = verb == VERB_EXTEND ? HOUR : 0;
                                        w.by = verb == VERB_RELEASE ? BY(ALICE) | BY(BOB) : w.by;
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
                                        int64_t past = NOW + offsets[floor];
                                        past = bits & 1 ? past : MAX(past, w.trust.iat_ms);
                                        bool behind = w.facts.wall_ms < past - DECIDE_BEHIND_MS;

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

static void one_message_raises_the_floor_a_little_at_most(void **state) {
        (void) state;
        assert_int_equal(decide_raise_floor(NOW, NOW - DAY), NOW);
        assert_int_equal(decide_raise_floor(NOW, NOW), NOW);
        assert_int_equal(decide_raise_floor(NOW, NOW + 1), NOW + 1);
        assert_int_equal(decide_raise_floor(NOW, NOW + DECIDE_FLOOR_STEP_MS), NOW + DECIDE_FLOOR_STEP_MS);
        assert_int_equal(decide_raise_floor(NOW, NOW + DECIDE_FLOOR_STEP_MS + 1), NOW + DECIDE_FLOOR_STEP_MS);
        assert_int_equal(decide_raise_floor(0, COMMAND_INT_MAX), DECIDE_FLOOR_STEP_MS);
}

int main(void) {
        const struct CMUnitTest cases[] = {
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
                RELEASE(a_release_that_is_over_still_buries_what_never_began_here),
                RELEASE(a_clock_provably_behind_refuses_a_release),
                RELEASE(a_root_from_the_future_refuses_a_release_only_where_the_clock_is_in_doubt),
                RELEASE(a_command_from_the_future_waits_when_it_releases_and_is_noted_when_it_stops),
                RELEASE(a_failed_ledger_flags_a_stop_and_refuses_a_release),
                CASE(the_number_of_holds_is_limited),
                BOT(automation_cannot_take_the_last_holds),
                BOT(automation_cannot_take_the_last_ids),
                CASE(one_person_cannot_take_the_last_ids),
                CASE(what_is_dated_ahead_leaves_room_for_what_is_not),
                RELEASE(a_release_needs_room_for_its_tombstones),
                CASE(protected_units_are_not_held),
                CASE(the_longest_names_are_judged_too),
                CASE(the_hosts_own_patterns_protect_too),
                CASE(no_state_of_the_host_disarms_a_stop_or_slips_a_release_through),
                CASE(one_message_raises_the_floor_a_little_at_most),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
