/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An agent with a ledger, which begins with what that tells: real orders, signed and decided, and the comparison with
 * an agent that reads it all again. Included after cmocka.h. */

#include <stdint.h>
#include <string.h>

#include "lib/decide_world.h"
#include "lib/reasons.h"
#include "lib/scratch.h"
#include "lib/order_box.h"

#include "agent/core/fold.h"

#define SEGMENT_SIZE (1024U * 1024)
/* between an event and its record */
#define SLACK_MS 30000

static struct scratch dir;

static inline int begin(void **state) {
        bool torn;

        scratch_make(&dir);
        assert_int_equal(set_up(state), 0);
        /* it begins with what the ledger tells, and that is nothing */
        shelf_done(&w.shelf);
        agent_begin();
        assert_int_equal(ledger_open(dir.path, SEGMENT_SIZE, fold_replay, &agent, &torn, &agent.ledger), 0);
        return 0;
}

static inline int end(void **state) {
        agent_end();
        scratch_remove(&dir);
        return tear_down(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static inline void check_close(int64_t a, int64_t b) {
        assert_true(a - b <= SLACK_MS && b - a <= SLACK_MS);
}

static inline void same_hold(const struct hold *a, const struct hold *b) {
        assert_non_null(b);
        assert_int_equal(a->verb, b->verb);
        assert_int_equal(a->undo, b->undo);
        assert_string_equal(hold_state_id(a->state), hold_state_id(b->state));
        assert_reasons(a->reasons, b->reasons);
        assert_int_equal(a->n_targets, b->n_targets);
        assert_memory_equal(a->targets, b->targets, a->n_targets * sizeof(*a->targets));
        assert_int_equal(a->n_permits, b->n_permits);
        if (a->n_permits > 0)
                assert_memory_equal(a->permits, b->permits, a->n_permits * sizeof(*a->permits));
        assert_string_equal(a->incident, b->incident);
        assert_int_equal(a->severity, b->severity);
        assert_int_equal(a->automation, b->automation);
        assert_int_equal(a->lapsing, b->lapsing);
        check_close(a->made_ms, b->made_ms);
        check_close(a->held_ms, b->held_ms);
        check_close(a->lease_left_ms, b->lease_left_ms);
        assert_int_equal(a->lease_total_ms, b->lease_total_ms);
        assert_true(command_id_equal(&a->releaser, &b->releaser));
}

static inline void same_sites(const struct sites *a, const struct sites *b) {
        assert_int_equal(!a, !b);
        if (!a)
                return;
        _cleanup_json_ json_t *x = sites_to_json(a), *y = sites_to_json(b);

        assert_true(json_equal(x, y));
}

/* Every id that the tests use. */
#define IDS_MAX 40

static inline void same_shelf(const struct shelf *a, const struct shelf *b) {
        assert_int_equal(a->n, b->n);
        for (size_t i = 0; i < a->n; i++) {
                assert_true(command_id_equal(&a->items[i].id, &b->items[i].id));
                assert_true(command_id_equal(&a->items[i].by, &b->items[i].by));
                assert_int_equal(a->items[i].condemned, b->items[i].condemned);
                assert_int_equal(a->items[i].keep_ms, b->items[i].keep_ms);
                assert_int_equal(a->items[i].bytes, b->items[i].bytes);
                check_close(a->items[i].sealed_ms, b->items[i].sealed_ms);
        }
        assert_int_equal(a->n_bonds, b->n_bonds);
        assert_int_equal(a->n_unanswered, b->n_unanswered);
        if (a->n_bonds > 0)
                assert_memory_equal(a->bonds, b->bonds, a->n_bonds * sizeof(*a->bonds));
        if (a->n_unanswered > 0)
                assert_memory_equal(a->unanswered, b->unanswered, a->n_unanswered * sizeof(*a->unanswered));
}

/* Of every key that could be charged, and of none. */
static inline void same_accounts(const struct hold_set *a, const struct hold_set *b) {
        const struct account_set *x = hold_set_accounts(a), *y = hold_set_accounts(b);

        for (int k = 0; k <= KEY_STRANGER; k++) {
                const struct account_charge of =
                        k < KEY_STRANGER ? charge_of(k) : (struct account_charge) { .floor_ms = NOW };

                assert_int_equal(account_incident_used(x, &of, "SA-20261120-001"),
                                 account_incident_used(y, &of, "SA-20261120-001"));
                assert_int_equal(account_day_used(x, &of), account_day_used(y, &of));
        }
}

/* How long each has been kept. */
static inline void same_ages(const struct agent *a, const struct agent *b) {
        for (size_t i = 0; i < a->shelf.n; i++)
                check_close(hold_set_passed(a->holds) - a->shelf.items[i].passed_ms,
                            hold_set_passed(b->holds) - b->shelf.items[i].passed_ms);
}

static inline void same_memory(const struct agent *a, const struct agent *b) {
        same_shelf(&a->shelf, &b->shelf);
        same_ages(a, b);
        assert_int_equal(hold_set_count(a->holds), hold_set_count(b->holds));
        assert_int_equal(hold_set_count_automation(a->holds), hold_set_count_automation(b->holds));
        for (size_t i = 0; i < hold_set_count(a->holds); i++)
                same_hold(hold_set_at(a->holds, i), hold_set_find(b->holds, &hold_set_at(a->holds, i)->id));
        assert_int_equal(hold_set_seen_room(a->holds), hold_set_seen_room(b->holds));
        for (uint32_t n = 0; n < IDS_MAX; n++) {
                const struct command_id id = id_of(n);
                const struct seen *x = hold_set_seen(a->holds, &id), *y = hold_set_seen(b->holds, &id);

                assert_int_equal(!x, !y);
                if (x)
                        assert_memory_equal(x, y, sizeof(*x));
                assert_int_equal(hold_set_buried(a->holds, &id), hold_set_buried(b->holds, &id));
                same_sites(held_find(&a->held, &id), held_find(&b->held, &id));
        }
        assert_int_equal(a->held.n, b->held.n);
        same_accounts(a->holds, b->holds);
        check_close(floor_now(&a->floor), floor_now(&b->floor));
}

/* Reads the ledger as a start does, and compares with the memory that saw it happen. */
static inline void check_replay(void) {
        struct agent again = { .trust = &w.trust };
        bool torn;

        memcpy(again.boot_id, agent.boot_id, sizeof(again.boot_id));
        again.holds = hold_set_new();
        ledger_free(TAKE_PTR(agent.ledger));
        assert_int_equal(ledger_open(dir.path, SEGMENT_SIZE, fold_replay, &again, &torn, &agent.ledger), 0);
        assert_false(torn);
        hold_set_advance(again.holds, again.boot_id, clock_boot_ms());
        hold_set_advance(agent.holds, agent.boot_id, clock_boot_ms());
        same_memory(&agent, &again);
        held_list_done(&again.held);
        shelf_done(&again.shelf);
        hold_set_free(again.holds);
}

static inline struct sites sites_of(const char *target, const char *path, bool was_frozen) {
        struct sites s = { .v = calloc(1, sizeof(*s.v)), .n = 1 };

        assert_non_null(s.v);
        s.v[0] = SITE_NULL;
        assert_int_equal(target_from_str(target, &s.v[0].target), 0);
        s.v[0].path = strdup(path);
        s.v[0].cgroup_id = 4711;
        s.v[0].was_frozen = was_frozen;
        return s;
}

static inline void stop(uint32_t n, enum verb verb, int64_t lease_ms, unsigned int by) {
        struct sites s = sites_of("unit:nginx.service", "/system.slice/nginx.service", n % 2);

        order(verb);
        w.c.id = id_of(n);
        w.c.lease_ms = lease_ms;
        w.by = by;
        recorded_free(agent_record(&s));
        assert_null(s.v);
}

static inline void settle(uint32_t n, enum hold_state state, reason_set reasons) {
        const struct command_id id = id_of(n);
        const struct outcome o = {
                .id = &id, .of = "order", .settle = true, .state = state, .reasons = reasons, .receipt = "{}"
        };

        assert_int_equal(record_outcome(&agent, &o), 0);
}

static inline void let_go(uint32_t n, uint32_t hold, bool step) {
        struct sites none = { 0 };

        order(VERB_RELEASE);
        w.c.id = id_of(n);
        w.c.step = step;
        TARGET_HOLDS(hold);
        w.by = BY(ALICE) | BY(BOB);
        recorded_free(agent_record(&none));
}

static inline void ended(uint32_t by, uint32_t hold) {
        const struct command_id id = id_of(by), gone = id_of(hold);
        const struct outcome o = { .id = &id, .of = "order", .ended = &gone, .n_ended = 1, .receipt = "{}" };

        assert_int_equal(record_outcome(&agent, &o), 0);
}
