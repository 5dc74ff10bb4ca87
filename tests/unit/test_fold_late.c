/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: clock_boot_ms */
/* WRAP: clock_wall_ms */
/* LINK: agent/core/preserved.c */
/* LINK: agent/core/paths.c */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c agent/util/log.c */

/* What was carried out while the ledger's disk was full, until there is room. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "lib/fold_box.h"

static int64_t later_ms;

int64_t __real_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void);
int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);

int64_t __wrap_clock_boot_ms(void) {
        return __real_clock_boot_ms() + later_ms;
}

int64_t __wrap_clock_wall_ms(void) {
        return __real_clock_wall_ms() + later_ms;
}

/* A segment is a file, and none can be opened. */
static void set_room(bool is_there) {
        static struct rlimit was;
        struct rlimit files;

        if (is_there) {
                assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
                return;
        }
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
        files = (struct rlimit) { .rlim_max = was.rlim_max };
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
}

static int custody(size_t n) {
        _cleanup_free_ char *text = malloc(n + 1);
        uint64_t number;

        assert_non_null(text);
        memset(text, 'x', n);
        text[n] = '\0';
        return record_custody(&agent, json_pack("{ss}", "act", text), &number);
}

/* Until no more than that is left of the segment; there is no other before set_room(true). */
static void fill_ledger(uint64_t left) {
        set_room(false);
        for (size_t n = 100000; n > 0; n /= 10)
                while (ledger_room(agent.ledger) > n + left + 400)
                        assert_int_equal(custody(n), 0);
}

static int outcome_of(uint32_t n, enum hold_state state, size_t size) {
        _cleanup_free_ char *receipt = calloc(1, size + 1);
        const struct command_id id = id_of(n);
        const struct outcome o = {
                .id = &id, .of = "order", .settle = true, .state = state, .receipt = receipt, .more = true
        };

        assert_non_null(receipt);
        memset(receipt, 'x', size);
        return record_outcome(&agent, &o);
}

static const struct seen *seen_of(uint32_t n) {
        const struct command_id id = id_of(n);

        return hold_set_seen(agent.holds, &id);
}

static enum hold_state state_of(uint32_t n) {
        const struct command_id id = id_of(n);

        return hold_set_find(agent.holds, &id)->state;
}

/* A restart would else let go of what is held, and of what must not be deleted. */
static void what_had_no_room_is_recorded_when_there_is_some(void **state) {
        const struct command_id held = id_of(3), evidence = id_of(9);
        struct sites none = { 0 };

        (void) state;
        floor_raise(&agent.floor, NOW);
        w.facts.floor_ms = NOW;
        assert_int_equal(record_evidence(&agent, &evidence, &(struct preserved) { .sealed = 1 }, DAY), 0);
        fill_ledger(0);
        stop(3, VERB_CONTAIN, HOUR, BY(ALICE));
        assert_true(outcome_of(3, HOLD_FAILED, 2) < 0);
        assert_true(outcome_of(3, HOLD_HELD, 2) < 0);
        assert_true(seen_of(3)->unwritten);
        stop(4, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        order(VERB_EVIDENCE_HOLD);
        w.c.id = id_of(20);
        TARGET_HOLDS(9);
        recorded_free(agent_record(&none));
        later_ms += 10 * MINUTE;
        assert_true(record_late(&agent) < 0);
        assert_int_equal(seen_of(3)->order, 0);
        set_room(true);
        assert_int_equal(record_late(&agent), 0);
        assert_true(seen_of(3)->order > 0 && seen_of(4)->order > seen_of(3)->order && seen_of(20)->order > 0);
        assert_true(seen_of(3)->receipt > seen_of(3)->order && !seen_of(3)->unwritten);
        assert_true(seen_of(3)->more);
        check_replay();
        assert_int_equal(state_of(3), HOLD_HELD);
        check_close(hold_set_find(agent.holds, &held)->lease_left_ms, HOUR - 10 * MINUTE);
        settle(4, HOLD_HELD, 0);
        check_replay();
}

/* It has the times of its own, and what is read after it happened after it. */
static void nothing_is_recorded_before_an_order_that_waits(void **state) {
        uint64_t n;

        (void) state;
        fill_ledger(500);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        n = ledger_head(agent.ledger).n;
        assert_true(ledger_room(agent.ledger) > 500);
        assert_true(custody(1) < 0);
        set_room(true);
        assert_int_equal(custody(1), 0);
        assert_int_equal(seen_of(3)->order, n + 1);
        assert_int_equal(ledger_head(agent.ledger).n, n + 2);
        check_replay();
}

/* A receipt can be as large as many orders. */
static void a_release_does_not_wait_for_an_outcome(void **state) {
        const struct command_id hold = id_of(3);

        (void) state;
        fill_ledger(50000);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        stop(4, VERB_CONTAIN, 0, BY(ALICE));
        assert_true(outcome_of(3, HOLD_PARTIAL, 100000) < 0);
        assert_true(outcome_of(3, HOLD_HELD, 2) < 0); /* it would be overtaken by the one before */
        assert_int_equal(outcome_of(4, HOLD_HELD, 2), 0);
        assert_int_equal(state_of(3), HOLD_HELD);
        let_go(6, 3, false);
        assert_true(seen_of(6)->order > 0);
        ended(6, 3);
        assert_null(hold_set_find(agent.holds, &hold));
        set_room(true);
        assert_int_equal(record_late(&agent), 0);
        assert_true(seen_of(3)->receipt > seen_of(6)->receipt);
        check_replay();
}

static void the_receipt_that_waits_is_the_one_that_was_sent(void **state) {
        const struct command_id id = id_of(3);
        const struct outcome sent = { .id = &id, .of = "order", .receipt = "sent" };
        _cleanup_json_ json_t *body = NULL;

        (void) state;
        fill_ledger(0);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        record_resealed(&agent, &sent); /* an order has none */
        assert_true(outcome_of(3, HOLD_HELD, 2) < 0);
        record_resealed(&agent, &sent);
        set_room(true);
        assert_int_equal(record_late(&agent), 0);
        record_resealed(&agent, &sent);
        assert_int_equal(ledger_read(agent.ledger, seen_of(3)->receipt, &body), 0);
        assert_string_equal(json_string_value(json_object_get(body, "receipt")), "sent");
        json_decref(body);
        assert_int_equal(ledger_read(agent.ledger, seen_of(3)->order, &body), 0);
        assert_null(json_object_get(body, "receipt"));
        check_replay();
}

static void outcomes_leave_room_for_orders(void **state) {
        (void) state;
        fill_ledger(0);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        for (uint32_t i = 0; i < 1000; i++)
                assert_true(outcome_of(1000 + i, HOLD_HELD, 2) < 0);
        assert_true(json_array_size(agent.late) < 1000);
        stop(4, VERB_CONTAIN, 0, BY(ALICE));
        set_room(true);
        assert_int_equal(record_late(&agent), 0);
        assert_true(seen_of(3)->order > 0 && seen_of(4)->order > 0);
}

/* Else whoever asks is promised it for ever. What the first told and the last does not stays. */
static void the_last_outcome_has_the_place_of_the_first(void **state) {
        const struct command_id id = id_of(3), one = id_of(11), other = id_of(12);
        struct outcome o = { .id = &id, .of = "order", .receipt = "first", .more = true, .n_ended = 1 };
        _cleanup_json_ json_t *body = NULL;

        (void) state;
        fill_ledger(0);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        o.settle = true;
        o.state = HOLD_PARTIAL;
        o.reasons = reason_bit(REASON_NOT_FROZEN);
        o.ended = &one;
        assert_true(record_outcome(&agent, &o) < 0);
        for (uint32_t i = 0; i < 200; i++)
                assert_true(outcome_of(1000 + i, HOLD_HELD, 2) < 0);
        o = (struct outcome) { .id = &id, .of = "evidence", .receipt = "last", .ended = &other, .n_ended = 1 };
        assert_true(record_outcome(&agent, &o) < 0);
        o.receipt = "sent";
        record_resealed(&agent, &o);
        set_room(true);
        assert_int_equal(record_late(&agent), 0);
        assert_false(seen_of(3)->more);
        assert_int_equal(ledger_read(agent.ledger, seen_of(3)->receipt, &body), 0);
        assert_string_equal(json_string_value(json_object_get(body, "receipt")), "sent");
        assert_string_equal(json_string_value(json_object_get(body, "state")), "partial");
        assert_int_equal(json_array_size(json_object_get(body, "reasons")), 1);
        assert_int_equal(json_array_size(json_object_get(body, "ended")), 2);
}

/* It is measured when it is its turn only. */
static void what_no_ledger_takes_keeps_nothing_waiting(void **state) {
        (void) state;
        fill_ledger(0);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        assert_true(outcome_of(3, HOLD_HELD, 2 * LEDGER_RECORD_MAX) < 0);
        stop(4, VERB_CONTAIN, 0, BY(ALICE));
        set_room(true);
        assert_int_equal(record_late(&agent), 0);
        assert_true(seen_of(3)->order > 0 && seen_of(4)->order > seen_of(3)->order);
        assert_int_equal(seen_of(3)->receipt, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_had_no_room_is_recorded_when_there_is_some),
                CASE(nothing_is_recorded_before_an_order_that_waits),
                CASE(a_release_does_not_wait_for_an_outcome),
                CASE(the_receipt_that_waits_is_the_one_that_was_sent),
                CASE(outcomes_leave_room_for_orders),
                CASE(the_last_outcome_has_the_place_of_the_first),
                CASE(what_no_ledger_takes_keeps_nothing_waiting),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
