/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserved.c */
/* LINK: agent/core/paths.c */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c agent/util/log.c */

/* What automation was granted, as the ledger tells it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fold_box.h"

/* A start gives the decision that there would have been without it, neither more nor less. */
static void what_automation_has_used_up_is_told_by_the_ledger(void **state) {
        const struct account_charge bot = { .floor_ms = NOW };
        const struct command_id first = id_of(3);
        struct sites none = { 0 };
        struct account_charge of;

        (void) state;
        floor_raise(&agent.floor, NOW - 30 * MINUTE);
        w.facts.floor_ms = NOW;
        w.local.automation_day_ms = 2 * BOT_LEASE_MS + MINUTE;
        stop(3, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        strcpy(w.c.incident, "SA-20261121-001");
        stop(4, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        order(VERB_EXTEND);
        TARGET_HOLDS(3);
        w.c.id = id_of(5);
        w.c.lease_ms = 1;
        w.by = BY(BOT);
        recorded_free(agent_record(&none));
        assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &bot), 0);
        of = charge_of(KEY_BOT);
        assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &of), w.local.automation_day_ms);
        check_replay();
        assert_true(hold_set_find(agent.holds, &first)->automation);

        /* a person's extension is nobody's */
        order(VERB_EXTEND);
        TARGET_HOLDS(3);
        w.c.id = id_of(6);
        w.c.lease_ms = HOUR;
        recorded_free(agent_record(&none));
        assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &of), w.local.automation_day_ms);
}

/* What an order was charged to is what its record says, and nobody's when it says nothing. */
static void a_record_without_a_key_charges_nobodys(void **state) {
        const struct command_id id = id_of(3);
        _cleanup_json_ json_t *body = NULL;
        struct agent again = { .trust = &w.trust };
        struct account_charge of;

        (void) state;
        floor_raise(&agent.floor, NOW);
        w.facts.floor_ms = NOW;
        stop(3, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        body = record_order_of(&agent, &id);
        assert_non_null(body);
        again.holds = hold_set_new();
        assert_int_equal(json_object_set_new(body, "key", json_string("SHA256:short")), 0);
        assert_int_equal(fold_replay(body, 1, &again), -EBADMSG);
        assert_int_equal(json_object_set_new(body, "key", json_true()), 0);
        assert_int_equal(fold_replay(body, 1, &again), -EBADMSG);
        assert_int_equal(json_object_del(body, "key"), 0);
        assert_int_equal(fold_replay(body, 1, &again), 0);
        of = charge_of(KEY_BOT);
        assert_int_equal(account_day_used(hold_set_accounts(again.holds), &of), 0);
        assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &of), BOT_LEASE_MS);
        of = (struct account_charge) { .floor_ms = NOW };
        assert_int_equal(account_day_used(hold_set_accounts(again.holds), &of), BOT_LEASE_MS);
        held_list_done(&again.held);
        hold_set_free(again.holds);
}

/* A time before all time is of no hour that there is a place for. */
static void a_record_of_no_time_charges_nobody(void **state) {
        static const int64_t floors[] = { -HOUR, -ACCOUNT_SLOTS * HOUR, -1, INT64_MIN, INT64_MAX };
        const struct command_id id = id_of(3);
        _cleanup_json_ json_t *body = NULL;
        struct agent again = { .trust = &w.trust };
        struct account_charge of = charge_of(KEY_BOT);

        (void) state;
        floor_raise(&agent.floor, NOW);
        stop(3, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        body = record_order_of(&agent, &id);
        assert_non_null(body);
        again.holds = hold_set_new();
        for (size_t i = 0; i < ELEMENTSOF(floors); i++) {
                assert_int_equal(json_object_set_new(body, "floor", json_integer(floors[i])), 0);
                assert_int_equal(fold_replay(body, 1, &again), -EBADMSG);
        }
        assert_int_equal(account_day_used(hold_set_accounts(again.holds), &of), 0);
        assert_int_equal(json_object_set_new(body, "floor", json_integer(NOW)), 0);
        assert_int_equal(fold_replay(body, 1, &again), 0);
        assert_int_equal(account_day_used(hold_set_accounts(again.holds), &of), BOT_LEASE_MS);
        held_list_done(&again.held);
        hold_set_free(again.holds);
}

/* At the next start one of them is not there, and the other's lease must not end before its time. */
static void an_extension_is_of_each_hold_that_is_there(void **state) {
        struct ledger *ledger = TAKE_PTR(agent.ledger);
        const struct command_id forgotten = id_of(3), kept = id_of(4);
        struct agent again = { .trust = &w.trust };
        struct sites none = { 0 };
        bool torn;

        (void) state;
        stop(3, VERB_CONTAIN, MINUTE, BY(ALICE));
        agent.ledger = ledger;
        stop(4, VERB_CONTAIN, MINUTE, BY(ALICE));
        order(VERB_EXTEND);
        TARGET_HOLDS(3, 4);
        w.c.id = id_of(5);
        w.c.lease_ms = DAY;
        recorded_free(agent_record(&none));
        ledger_free(TAKE_PTR(agent.ledger));
        again.holds = hold_set_new();
        assert_int_equal(ledger_open(dir.path, SEGMENT_SIZE, fold_replay, &again, &torn, &agent.ledger), 0);
        assert_null(hold_set_find(again.holds, &forgotten));
        check_close(hold_set_find(again.holds, &kept)->lease_left_ms, DAY);
        held_list_done(&again.held);
        hold_set_free(again.holds);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_automation_has_used_up_is_told_by_the_ledger),
                CASE(a_record_without_a_key_charges_nobodys),
                CASE(a_record_of_no_time_charges_nobody),
                CASE(an_extension_is_of_each_hold_that_is_there),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
