/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/hearing.c agent/core/heard.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/fault.c agent/util/log.c */

/* What a host makes of heads. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hearing_rig.h"
#include "lib/reasons.h"
#include "policy/decide.h"

static void a_head_is_fresh_until_it_is_over_and_then_the_host_says_so(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(state_now(), "unknown");
        assert_reasons(heard_notes(&r.a), 0);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "fresh");
        assert_timer(START + 90000);
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "stale");
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_HEAD_STALE));
        const struct herald_head next = head_of(6);
        assert_string_equal(take(&next), "taken");
        assert_string_equal(state_now(), "fresh");
        assert_reasons(heard_notes(&r.a), 0);
        pass(61000);
        assert_recorded("fsf");
}

/* It has not been up for long, but knows that there is somebody to be heard. */
static void who_has_heard_a_head_to_its_end_is_not_too_early_to_miss_the_next(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        pass(89999);
        assert_string_equal(state_now(), "fresh");
        pass(1);
        assert_string_equal(state_now(), "stale");
        assert_recorded("fs");
        /* somebody else is to be heard, who has time to begin */
        trust.roles[_ROLE_MAX].people = 0;
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "none");
        trust.roles[_ROLE_MAX].people = PERSON(BOT);
        r.a.heard.recorded = HEARD_FRESH;
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "unknown");
        assert_timer(clocks.boot_ms + HERALD_LIFE_MS);
}

static void a_host_that_never_hears_anything_says_so(void **state) {
        (void) state;
        assert_timer(START + HERALD_LIFE_MS);
        pass(HERALD_LIFE_MS - 1);
        assert_string_equal(state_now(), "unknown");
        pass(1);
        assert_string_equal(state_now(), "stale");
        assert_recorded("s");
}

static void without_a_herald_nothing_is_missed(void **state) {
        (void) state;
        fleet_trust(TRUST_REGISTRAR_ROLE, &trust);
        hearing_begin(&r.a);
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "none");
        assert_reasons(heard_notes(&r.a), 0);
        const struct herald_head h = head_of(5);
        assert_string_equal(take(&h), "wrong-role");
        assert_string_equal(state_now(), "none");
        assert_recorded("");
}

static void an_old_head_does_not_make_a_host_believe_that_it_hears(void **state) {
        const struct herald_head old = head_of(5), newer = head_of(6);
        _cleanup_(dsse_done) struct dsse d = signed_head(&old, BY(BOT));

        (void) state;
        assert_string_equal(take(&newer), "taken");
        assert_string_equal(take_signed(&d), "head-stale");
        pass(90000);
        assert_string_equal(take_signed(&d), "expired");
        assert_string_equal(take(&newer), "expired");
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "stale");
}

/* The agent died, and what it remembered with it. */
static void a_head_that_is_played_again_lives_no_longer_than_it_was_made_for(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        pass(60000);
        heard_done(&r.a.heard);
        r.a.heard = (struct heard) { 0 };
        hearing_begin(&r.a);
        assert_string_equal(take(&h), "taken");
        pass(29999);
        assert_string_equal(state_now(), "fresh");
        pass(1);
        assert_string_not_equal(state_now(), "fresh");
}

static void the_same_head_again_changes_nothing(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        pass(60000);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(r.a.heard.until_ms, r.a.heard.came_ms + 90000);
        pass(30000);
        assert_string_not_equal(state_now(), "fresh");
        /* another one with the same number */
        struct herald_head one = head_of(9), other = one;
        other.trust_version = 2;
        assert_string_equal(take(&one), "taken");
        assert_string_equal(take(&other), "head-stale");
}

static void a_number_that_jumps_to_the_end_deafens_for_one_life_of_a_head(void **state) {
        struct herald_head jump = head_of(SCHEMA_INT_MAX);

        (void) state;
        jump.exp_ms = jump.iat_ms + HERALD_LIFE_MS;
        assert_string_equal(take(&jump), "taken");
        for (int64_t i = 0; i < HERALD_LIFE_MS; i += 15000) {
                const struct herald_head h = head_of(10 + i);

                assert_string_equal(take(&h), "head-stale");
                pass(15000);
        }
        const struct herald_head h = head_of(7);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "fresh");
}

static void a_stolen_key_is_of_no_more_use_with_the_next_trust_root(void **state) {
        struct herald_head jump = head_of(SCHEMA_INT_MAX);
        struct herald_order fake = order_to_all(1);

        (void) state;
        jump.orders = &fake;
        jump.n_orders = 1;
        assert_string_equal(take(&jump), "taken");
        assert_int_equal(missing(), 1);
        trust.roles[_ROLE_MAX].people = PERSON(CAROL);
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "unknown");
        assert_string_equal(take(&jump), "wrong-role");
        assert_int_equal(missing(), 0);
        const struct herald_head h = head_of(3);
        _cleanup_(dsse_done) struct dsse d = signed_head(&h, BY(CAROL));
        assert_string_equal(take_signed(&d), "taken");
        assert_string_equal(state_now(), "fresh");
        /* and a trust root that names it still changes nothing */
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "fresh");
}

static void a_head_of_next_year_is_not_taken(void **state) {
        struct herald_head h = head_of(5);

        (void) state;
        h.iat_ms += 365LL * 24 * 3600 * 1000;
        h.exp_ms = h.iat_ms + 90000;
        assert_string_equal(take(&h), "not-yet-valid");
        assert_string_equal(state_now(), "unknown");
}

static void a_clock_that_nobody_vouches_for_proves_nothing(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        clocks.synced = false;
        clocks.wall_ms += 400LL * 24 * 3600 * 1000;
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "unknown");
        assert_recorded("");
        clocks.synced = true;
        clocks.wall_ms = h.iat_ms;
        assert_string_equal(state_now(), "fresh");
}

/* What a clock that was wrong let in is out when it is right, with its number. */
static void a_head_is_judged_again_by_a_clock_that_is_right_since(void **state) {
        static const int64_t wrong_by[] = { 3600000, 90000, -DECIDE_AHEAD_MS - 1, -3600000 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong_by); i++) {
                struct herald_head h = head_of(9), real;

                clocks.synced = false;
                assert_string_equal(take(&h), "taken");
                assert_string_equal(state_now(), "unknown");
                clocks.synced = true;
                clocks.wall_ms += wrong_by[i];
                assert_string_equal(state_now(), "unknown");
                _cleanup_json_ json_t *told = heard_to_json(&r.a);
                assert_null(json_object_get(told, "n"));
                real = head_of(3);
                assert_string_equal(take(&real), "taken");
                assert_string_equal(state_now(), "fresh");
                clocks.wall_ms -= wrong_by[i];
                tear_down(state);
                set_up(state);
        }
}

/* Nobody came after it: its own time is all that it gave. */
static void a_head_that_the_clock_ended_buys_no_more_time_than_it_had(void **state) {
        struct herald_head h = head_of(9);

        (void) state;
        clocks.synced = false;
        assert_string_equal(take(&h), "taken");
        clocks.synced = true;
        clocks.wall_ms += 3600000;
        pass(0);
        assert_timer(START + 90000);
        pass(89999);
        assert_string_equal(state_now(), "unknown");
        pass(1);
        assert_string_equal(state_now(), "stale");
        assert_recorded("s");
}

/* Silence needs no clock to be heard. */
static void silence_is_told_whatever_the_clock(void **state) {
        (void) state;
        clocks.synced = false;
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "stale");
}

/* A thief of the key could have it change all day. */
static void the_ledger_has_one_change_a_minute(void **state) {
        (void) state;
        pass(HERALD_LIFE_MS);
        for (int64_t i = 0; i < 60; i++) {
                struct herald_head h = head_of(10 + i);

                h.exp_ms = h.iat_ms + 500;
                assert_string_equal(take(&h), "taken");
                pass(1000);
        }
        for (int64_t i = 0; i < 60; i++)
                pass(1000);
        assert_string_equal(state_now(), "stale");
        assert_true(ledger_head(r.a.ledger).n < 8);
}

static void a_change_during_that_minute_is_recorded_after_it(void **state) {
        struct herald_head h = head_of(5);

        (void) state;
        pass(HERALD_LIFE_MS);
        h = head_of(5);
        h.exp_ms = h.iat_ms + HERALD_LIFE_MS;
        assert_string_equal(take(&h), "taken");
        assert_recorded("s");
        for (int64_t i = 0; i < 61; i++)
                pass(1000);
        assert_recorded("sf");
}

static void a_restart_knows_what_was_recorded_last(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        assert_recorded("f");
        heard_done(&r.a.heard);
        r.a.heard = (struct heard) { 0 };
        rig_stop(&r);
        rig_start(&r);
        r.a.trust = &trust;
        assert_int_equal(r.a.heard.recorded, HEARD_FRESH);
        hearing_begin(&r.a);
        assert_string_equal(take(&h), "taken");
        assert_recorded("f");
}

static void who_was_deaf_before_a_restart_still_is(void **state) {
        (void) state;
        pass(HERALD_LIFE_MS);
        assert_recorded("s");
        heard_done(&r.a.heard);
        rig_stop(&r);
        rig_start(&r);
        r.a.trust = &trust;
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "stale");
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_HEAD_STALE));
        const struct herald_head h = head_of(5);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "fresh");
        assert_recorded("sf");
}

static void whoever_is_no_herald_is_not_heard(void **state) {
        const struct herald_head h = head_of(5);
        static const unsigned int by[] = { BY(ALICE), BY(ALICE) | BY(BOB), BY(STRANGER), 0 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(by); i++) {
                _cleanup_(dsse_done) struct dsse d = signed_head(&h, by[i]);

                assert_string_equal(take_signed(&d), i < 2 ? "wrong-role" : "untrusted-signer");
                assert_string_equal(state_now(), "unknown");
        }
        _cleanup_(dsse_done) struct dsse changed = signed_head(&h, BY(BOT));
        changed.payload[20] ^= 1;
        assert_string_equal(take_signed(&changed), "bad-signature");
        r.a.trust = NULL;
        assert_string_equal(take(&h), "no-trust-root");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                CASE(a_head_is_fresh_until_it_is_over_and_then_the_host_says_so),
                CASE(who_has_heard_a_head_to_its_end_is_not_too_early_to_miss_the_next),
                CASE(a_host_that_never_hears_anything_says_so),
                CASE(without_a_herald_nothing_is_missed),
                CASE(an_old_head_does_not_make_a_host_believe_that_it_hears),
                CASE(a_head_that_is_played_again_lives_no_longer_than_it_was_made_for),
                CASE(the_same_head_again_changes_nothing),
                CASE(a_number_that_jumps_to_the_end_deafens_for_one_life_of_a_head),
                CASE(a_stolen_key_is_of_no_more_use_with_the_next_trust_root),
                CASE(a_head_of_next_year_is_not_taken),
                CASE(a_clock_that_nobody_vouches_for_proves_nothing),
                CASE(a_head_is_judged_again_by_a_clock_that_is_right_since),
                CASE(a_head_that_the_clock_ended_buys_no_more_time_than_it_had),
                CASE(silence_is_told_whatever_the_clock),
                CASE(the_ledger_has_one_change_a_minute),
                CASE(a_change_during_that_minute_is_recorded_after_it),
                CASE(a_restart_knows_what_was_recorded_last),
                CASE(who_was_deaf_before_a_restart_still_is),
                CASE(whoever_is_no_herald_is_not_heard),
        };

        if (sodium_init() < 0)
                return 1;
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
