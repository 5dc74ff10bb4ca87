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

/* What happened and what the ledger tells of it give the same memory: real orders, signed and decided, in a real ledger
 * that is read again after each of them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/util/fault.h"
#include "lib/fold_box.h"

/* Between two looks at a clock there may be a disk that takes its time. */
static int64_t tick_ms, ticked_ms;

int64_t __real_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void);
int64_t __real_clock_wall_ms(void);
int64_t __wrap_clock_wall_ms(void);

int64_t __wrap_clock_boot_ms(void) {
        ticked_ms += tick_ms;
        return __real_clock_boot_ms() + ticked_ms;
}

int64_t __wrap_clock_wall_ms(void) {
        ticked_ms += tick_ms;
        return __real_clock_wall_ms() + ticked_ms;
}

static void every_step_is_told_by_the_ledger(void **state) {
        const struct command_id id4 = id_of(4), id3 = id_of(3);
        const struct outcome first = { .id = &id3, .of = "order", .receipt = "{}", .more = true };
        struct sites moved, none = { 0 };
        const uint8_t digest[32] = { 9 };

        (void) state;
        assert_int_equal(record_start(&agent), 0);
        check_replay();
        w.c.permits = &w.permit;
        w.c.n_permits = 1;
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        check_replay();
        assert_int_equal(record_outcome(&agent, &first), 0);
        assert_true(hold_set_seen(agent.holds, &id3)->more);
        check_replay();
        settle(3, HOLD_HELD, reason_bit(REASON_NO_SYSTEMD));
        check_replay();
        w.c.n_permits = 0;
        stop(4, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        check_replay();
        settle(4, HOLD_PARTIAL, reason_bit(REASON_FOREIGN_SOCKET));
        settle(4, HOLD_FAILED, reason_bit(REASON_NO_BPF) | reason_bit(REASON_NOT_FROZEN));
        check_replay();
        order(VERB_EXTEND);
        TARGET_HOLDS(4);
        w.c.id = id_of(5);
        w.c.lease_ms = MINUTE;
        recorded_free(agent_record(&none));
        check_replay();
        moved = sites_of("unit:nginx.service", "/other.slice/nginx.service", true);
        assert_int_equal(held_put(&agent.held, &id3, &moved), 0);
        assert_int_equal(record_sites(&agent, &id3), 0);
        check_replay();
        assert_int_equal(record_refusal(&agent, NULL, digest, REASON_ROLE), 0);
        assert_int_equal(record_refusal(&agent, &id3, digest, REASON_EXPIRED), 0);
        check_replay();
        let_go(10, 3, true);
        assert_int_equal(hold_set_find(agent.holds, &id3)->state, HOLD_THAWING);
        check_replay();
        settle(3, HOLD_PARTIAL, reason_bit(REASON_PACKET_SOCKETS));
        assert_int_equal(hold_set_find(agent.holds, &id3)->verb, VERB_ISOLATE);
        check_replay();
        let_go(6, 3, false);
        assert_int_equal(hold_set_find(agent.holds, &id3)->state, HOLD_RELEASING);
        check_replay();
        ended(6, 3);
        assert_null(hold_set_find(agent.holds, &id3));
        check_replay();
        assert_int_equal(record_lapse(&agent, &id4), 0);
        assert_true(hold_set_find(agent.holds, &id4)->lapsing);
        check_replay();
        ended(4, 4);
        assert_int_equal(hold_set_count(agent.holds), 0);
        check_replay();
        /* released before it was ordered */
        let_go(7, 8, false);
        check_replay();
        order(VERB_SNAPSHOT);
        w.c.id = id_of(9);
        recorded_free(agent_record(&none));
        check_replay();
}

static void about_evidence(uint32_t n, enum verb verb, uint32_t target) {
        struct sites none = { 0 };

        order(verb);
        w.c.id = id_of(n);
        TARGET_HOLDS(target);
        recorded_free(agent_record(&none));
        check_replay();
}

static void sealed(uint32_t n, int64_t keep_ms, uint64_t bytes) {
        const struct command_id id = id_of(n);
        const struct preserved p = { .folder = "/var/lib/freezed/evidence/SA-1/00", .sealed = bytes };

        assert_int_equal(record_evidence(&agent, &id, &p, keep_ms), 0);
        check_replay();
}

static void what_becomes_of_evidence_is_told_by_the_ledger(void **state) {
        const struct command_id kept = id_of(9), condemned = id_of(8), deletion = id_of(23);
        const struct outcome answered = { .id = &deletion, .of = "order", .receipt = "{}" };
        const struct outcome not_yet = {
                .id = &deletion, .of = "order", .reasons = reason_bit(REASON_NOT_DELETED), .receipt = "{}"
        };

        (void) state;
        sealed(9, DAY, 7);
        sealed(9, 2 * DAY, 5);
        assert_int_equal(shelf_find(&agent.shelf, &kept)->bytes, 12);
        sealed(8, 0, 1);
        about_evidence(20, VERB_EVIDENCE_HOLD, 9);
        about_evidence(21, VERB_EVIDENCE_HOLD, 9);
        assert_int_equal(shelf_count_holds(&agent.shelf, &kept), 2);
        about_evidence(22, VERB_EVIDENCE_UNHOLD, 20);
        assert_int_equal(shelf_count_holds(&agent.shelf, &kept), 1);
        about_evidence(23, VERB_EVIDENCE_DELETE, 8);
        assert_true(shelf_find(&agent.shelf, &condemned)->condemned);
        assert_int_equal(agent.shelf.n_unanswered, 4);
        assert_int_equal(record_outcome(&agent, &not_yet), 0);
        check_replay();
        assert_int_equal(agent.shelf.n_unanswered, 4);
        assert_int_equal(record_deleted(&agent, &condemned, json_object()), 0);
        check_replay();
        assert_null(shelf_find(&agent.shelf, &condemned));
        assert_int_equal(agent.shelf.n_unanswered, 4);
        assert_int_equal(record_outcome(&agent, &answered), 0);
        assert_int_equal(agent.shelf.n_unanswered, 3);
        check_replay();
        about_evidence(24, VERB_EVIDENCE_UNHOLD, 21);
        assert_int_equal(record_expiry(&agent, &kept), 0);
        check_replay();
}

/* A record as it stands in the ledger; more is members of its own. */
static json_t *body_of(const char *kind, const uint8_t boot[static 16], int64_t boot_ms, int64_t floor_ms,
                       const char *more) {
        json_t *o = json_loads(more, JSON_REJECT_DUPLICATES, NULL);
        char hex[33];

        assert_non_null(o);
        (void) sodium_bin2hex(hex, sizeof(hex), boot, 16);
        assert_int_equal(json_object_set_new(o, "kind", json_string(kind)), 0);
        assert_int_equal(json_object_set_new(o, "boot", json_string(hex)), 0);
        assert_int_equal(json_object_set_new(o, "t_boot", json_integer(boot_ms)), 0);
        assert_int_equal(json_object_set_new(o, "t_wall", json_integer(NOW)), 0);
        assert_int_equal(json_object_set_new(o, "floor", json_integer(floor_ms)), 0);
        return o;
}

static void replay_start(const uint8_t boot[static 16], int64_t boot_ms, int64_t floor_ms) {
        _cleanup_json_ json_t *o = body_of("start", boot, boot_ms, floor_ms, "{}");

        assert_int_equal(fold_replay(o, 1, &agent), 0);
}

/* Of the evidence that was taken for order n. */
static int64_t left(uint32_t n) {
        const struct command_id id = id_of(n);

        return shelf_left(shelf_find(&agent.shelf, &id), floor_now(&agent.floor), hold_set_passed(agent.holds));
}

static void the_time_of_evidence_begins_with_the_end_of_its_hold(void **state) {
        const struct command_id id = id_of(3);

        (void) state;
        floor_raise(&agent.floor, NOW - DAY);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        sealed(3, DAY, 1);
        floor_raise(&agent.floor, floor_now(&agent.floor) + 5 * DAY);
        let_go(6, 3, false);
        ended(6, 3);
        check_replay();
        check_close(shelf_find(&agent.shelf, &id)->sealed_ms, floor_now(&agent.floor));
        check_close(left(3), DAY);
}

static void a_leap_of_the_floor_ends_no_time_of_evidence(void **state) {
        (void) state;
        floor_raise(&agent.floor, NOW - DAY);
        sealed(9, DAY, 1);
        floor_raise(&agent.floor, NOW + 5 * DAY);
        assert_int_equal(record_start(&agent), 0);
        check_close(left(9), DAY);
        check_replay();
        ticked_ms += DAY / 2;
        check_replay();
        check_close(left(9), DAY / 2);
        ticked_ms += DAY / 2 + SLACK_MS;
        check_replay();
        assert_true(left(9) <= 0);
}

/* Of whichever version, and whatever the host's time was when: as long as the host was on. */
static void the_time_of_evidence_is_counted_in_what_is_read(void **state) {
        static const uint8_t before[16] = { 1 }, after[16] = { 2 };
        _cleanup_json_ json_t *seal =
                body_of("evidence", before, HOUR, NOW, "{\"id\":\"09000000000000000000000000000000\",\"sealed\":1}");

        (void) state;
        assert_int_equal(json_object_set_new(seal, "keep_ms", json_integer(DAY)), 0);
        assert_int_equal(fold_replay(seal, 1, &agent), 0);
        replay_start(before, 3 * HOUR, NOW + 2 * HOUR);
        replay_start(after, MINUTE, NOW + 9 * DAY);
        replay_start(after, 4 * HOUR, NOW + 9 * DAY);
        assert_int_equal(shelf_left(&agent.shelf.items[0], NOW + 9 * DAY, hold_set_passed(agent.holds)),
                         DAY - 6 * HOUR);
        /* an agent that was not there for a while of a boot has the floor behind */
        replay_start(after, 5 * DAY, NOW + 9 * DAY);
        assert_int_equal(shelf_left(&agent.shelf.items[0], NOW + HOUR, hold_set_passed(agent.holds)), DAY - HOUR);
}

/* A disk that was full when it was sealed must not be what lets it go. */
static void evidence_that_could_not_be_recorded_has_no_end(void **state) {
        const struct command_id id = id_of(9);
        struct ledger *l = TAKE_PTR(agent.ledger);

        (void) state;
        assert_true(record_evidence(&agent, &id, &(struct preserved) { .sealed = 3 }, 1) < 0);
        assert_int_equal(shelf_left(shelf_find(&agent.shelf, &id), INT64_MAX, INT64_MAX), INT64_MAX);
        assert_true(record_expiry(&agent, &id) < 0);
        assert_false(shelf_find(&agent.shelf, &id)->condemned);
        assert_true(record_deleted(&agent, &id, json_object()) < 0);
        assert_non_null(shelf_find(&agent.shelf, &id));
        agent.ledger = l;
}

static void a_step_ends_what_does_not_isolate_and_buries_nothing(void **state) {
        const struct command_id frozen = id_of(3), unknown = id_of(4);

        (void) state;
        stop(3, VERB_FREEZE, 0, BY(CAROL));
        settle(3, HOLD_HELD, 0);
        let_go(6, 3, true);
        assert_int_equal(hold_set_find(agent.holds, &frozen)->state, HOLD_RELEASING);
        check_replay();
        let_go(7, 4, true);
        assert_false(hold_set_buried(agent.holds, &unknown));
        check_replay();
}

/* As a host has it that knows the rule since yesterday, or since when a key is gone: it was authorised then. */
static void an_order_whose_id_is_of_none_who_signed_it_is_held_as_before(void **state) {
        const struct command_id id = id_of(3);
        struct sites none = { 0 };

        (void) state;
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        settle(3, HOLD_HELD, 0);
        w.trust.n_keys = KEY_CLERK;
        ask();
        assert_int_equal(w.d.kind, DECISION_DUPLICATE);
        check_replay();
        assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_HELD);
        order(VERB_RELEASE);
        w.c.id = id_of(6);
        TARGET_HOLDS(3);
        w.by = BY(ALICE) | BY(BOB);
        expect_refused(REASON_FOREIGN_ID);
        by_themselves(BY(ALICE) | BY(BOB), KEY_BOB);
        recorded_free(agent_record(&none));
        assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_RELEASING);
        check_replay();
}

static void what_the_ledger_did_not_take_is_in_memory_only(void **state) {
        struct ledger *ledger = TAKE_PTR(agent.ledger);
        const struct command_id id = id_of(3), by = id_of(6);
        const struct outcome o = { .id = &id, .of = "order", .settle = true, .state = HOLD_HELD, .receipt = "{}" };
        struct sites s = sites_of("unit:nginx.service", "/a", false);
        struct agent again = { .trust = &w.trust };
        struct recorded *recorded;
        bool torn;

        (void) state;
        /* what has to stop is stopped all the same, and says so */
        w.c.id = id;
        recorded = agent_record(&s);
        assert_true(!!(recorded_flags(recorded) & reason_bit(REASON_LEDGER)));
        recorded_free(recorded);
        assert_int_equal(record_outcome(&agent, &o), -ENODEV);
        assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_HELD);
        assert_int_equal(record_lapse(&agent, &id), -ENODEV);
        assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_HELD);
        /* its end, which is recorded, has no beginning when it is read: that is no error, and the order is not taken
         * any more */
        agent.ledger = ledger;
        let_go(6, 3, false);
        ended(6, 3);
        ledger_free(TAKE_PTR(agent.ledger));
        again.holds = hold_set_new();
        assert_int_equal(ledger_open(dir.path, SEGMENT_SIZE, fold_replay, &again, &torn, &agent.ledger), 0);
        assert_int_equal(hold_set_count(again.holds), 0);
        assert_true(hold_set_buried(again.holds, &id));
        assert_non_null(hold_set_seen(again.holds, &by));
        held_list_done(&again.held);
        hold_set_free(again.holds);
}

/* NULL: none from now on. */
static void fault(const char *setting) {
        assert_int_equal(setting ? setenv("FREEZED_FAULT", setting, 1) : unsetenv("FREEZED_FAULT"), 0);
        if (!setting)
                assert_int_equal(fault_effect("it counts anew from here"), 0);
}

/* Records the order that the world holds, while the disk fails to take it: as the record is written, or synced. */
static int record_with_fault(const char *setting) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        const struct phases phases = { 0 };
        struct recorded *recorded = NULL;
        struct sites none = { 0 };
        int r;

        ask();
        assert_int_equal(command_to_json(&w.c, &json), 0);
        d = world_sign(json);
        fault(setting);
        r = record_order(&agent, TAKE_PTR(w.authorised), &d, &none, &phases, &recorded);
        fault(NULL);
        recorded_free(recorded);
        return r;
}

/* It is refused, and no later start may think otherwise: neither of a release, nor of a deletion that a legal hold came
 * after. */
static void what_lets_go_and_was_not_recorded_is_not_found_later(void **state) {
        static const char *const faults[] = { "fail:1", "fail:2" };
        const struct command_id id = id_of(3);

        (void) state;
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        settle(3, HOLD_HELD, 0);
        for (size_t i = 0; i < ELEMENTSOF(faults); i++) {
                order(VERB_RELEASE);
                w.c.id = id_of(6);
                TARGET_HOLDS(3);
                w.by = BY(ALICE) | BY(BOB);
                assert_int_equal(record_with_fault(faults[i]), -EIO);
                assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_HELD);
                check_replay();
                fault(faults[i]);
                assert_int_equal(record_lapse(&agent, &id), -EIO);
                fault(NULL);
                check_replay();
                fault(faults[i]);
                assert_int_equal(record_expiry(&agent, &id), -EIO);
                fault(NULL);
                check_replay();
        }
        assert_int_equal(ledger_head(agent.ledger).n, 2);
        assert_true(ledger_ok(agent.ledger));
}

static void a_release_without_a_record_does_nothing(void **state) {
        struct ledger *ledger;
        const struct command_id id = id_of(3);
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        struct recorded *untouched = (struct recorded *) 1, *recorded = untouched;
        const struct phases phases = { 0 };
        struct sites none = { 0 };

        (void) state;
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        settle(3, HOLD_HELD, 0);
        ledger = TAKE_PTR(agent.ledger);
        order(VERB_RELEASE);
        w.c.id = id_of(6);
        TARGET_HOLDS(3);
        w.by = BY(ALICE) | BY(BOB);
        ask();
        assert_int_equal(command_to_json(&w.c, &json), 0);
        d = world_sign(json);
        assert_int_equal(record_order(&agent, TAKE_PTR(w.authorised), &d, &none, &phases, &recorded), -ENODEV);
        assert_ptr_equal(recorded, untouched);
        assert_int_equal(hold_set_find(agent.holds, &id)->state, HOLD_HELD);
        assert_null(hold_set_seen(agent.holds, &w.c.id));
        agent.ledger = ledger;
}

static void the_floor_goes_on_within_a_boot_and_never_falls(void **state) {
        static const uint8_t other_boot[16] = { 1 };
        const int64_t boot_ms = clock_boot_ms();

        (void) state;
        assert_int_equal(floor_now(&agent.floor), 0);
        /* of another boot: how long the host was off is not known */
        replay_start(other_boot, 5, NOW);
        assert_false(agent.same_boot);
        check_close(floor_now(&agent.floor), NOW);
        replay_start(other_boot, boot_ms + DAY, NOW + MINUTE);
        check_close(floor_now(&agent.floor), NOW + MINUTE);
        /* of this one, ten minutes ago */
        replay_start(agent.boot_id, boot_ms - 10 * MINUTE, NOW);
        assert_true(agent.same_boot);
        check_close(floor_now(&agent.floor), NOW + 10 * MINUTE);
        replay_start(agent.boot_id, boot_ms, NOW + 9 * MINUTE);
        check_close(floor_now(&agent.floor), NOW + 10 * MINUTE);
        replay_start(agent.boot_id, boot_ms, 0);
        check_close(floor_now(&agent.floor), NOW + 10 * MINUTE);
}

static void a_release_raises_the_floor_by_little_and_a_stop_not_at_all(void **state) {
        (void) state;
        floor_raise(&agent.floor, NOW - DAY);
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        settle(3, HOLD_HELD, 0);
        check_close(floor_now(&agent.floor), NOW - DAY);
        let_go(6, 3, false);
        check_close(floor_now(&agent.floor), NOW - DAY + DECIDE_FLOOR_STEP_MS);
        check_replay();
}

static void same_times(const struct command_id *hold, const struct command_id *evidence) {
        struct agent again = { .trust = &w.trust };
        struct account_charge of = charge_of(KEY_BOT);
        bool torn;

        again.holds = hold_set_new();
        ledger_free(TAKE_PTR(agent.ledger));
        assert_int_equal(ledger_open(dir.path, SEGMENT_SIZE, fold_replay, &again, &torn, &agent.ledger), 0);
        assert_int_equal(hold_set_find(again.holds, hold)->made_ms, hold_set_find(agent.holds, hold)->made_ms);
        assert_int_equal(shelf_find(&again.shelf, evidence)->sealed_ms, shelf_find(&agent.shelf, evidence)->sealed_ms);
        assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &of), BOT_LEASE_MS);
        for (int i = 0; i < 2 * ACCOUNT_SLOTS; i++, of.floor_ms += HOUR)
                assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &of),
                                 account_day_used(hold_set_accounts(again.holds), &of));
        assert_int_equal(account_day_used(hold_set_accounts(agent.holds), &of), 0);
        held_list_done(&again.held);
        shelf_done(&again.shelf);
        hold_set_free(again.holds);
}

/* However long it takes to write it: else a start would give another decision. */
static void what_is_recorded_is_of_the_time_that_its_record_says(void **state) {
        const struct command_id hold = id_of(3), evidence = id_of(4);

        (void) state;
        floor_raise(&agent.floor, NOW);
        w.facts.floor_ms = NOW;
        tick_ms = HOUR;
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        stop(4, VERB_CONTAIN, BOT_LEASE_MS, BY(BOT));
        assert_int_equal(record_evidence(&agent, &evidence, &(struct preserved) { .sealed = 3 }, DAY), 0);
        tick_ms = 0;
        same_times(&hold, &evidence);
        tick_ms = HOUR;
        let_go(6, 4, false);
        ended(6, 4);
        tick_ms = 0;
        same_times(&hold, &evidence);
}

/* With them nothing that is counted by the floor could be counted. */
static void a_time_that_cannot_be_is_refused(void **state) {
        static const struct {
                int64_t ms;
                int r;
        } rows[] = {
                { 0, 0 },
                { 2 * SCHEMA_INT_MAX, 0 },
                { -1, -EBADMSG },
                { INT64_MIN, -EBADMSG },
                { 2 * SCHEMA_INT_MAX + 1, -EBADMSG },
                { INT64_MAX, -EBADMSG },
        };
        static const uint8_t other_boot[16] = { 1 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_json_ json_t *of_floor = body_of("start", agent.boot_id, 1, rows[i].ms, "{}"),
                                      *of_boot = body_of("start", agent.boot_id, rows[i].ms, 1, "{}"),
                                      *other = body_of("start", other_boot, rows[i].ms, 1, "{}"),
                                      *keep = body_of("evidence", other_boot, 1, 2 * SCHEMA_INT_MAX,
                                                      "{\"id\":\"00112233445566778899aabbccddeeff\",\"sealed\":1}");

                assert_int_equal(json_object_set_new(keep, "keep_ms", json_integer(rows[i].ms)), 0);
                assert_int_equal(fold_replay(of_floor, 1, &agent), rows[i].r);
                assert_int_equal(fold_replay(of_boot, 1, &agent), rows[i].r);
                assert_int_equal(fold_replay(other, 1, &agent), rows[i].r);
                assert_int_equal(fold_replay(keep, 1, &agent), rows[i].r);
        }
        assert_true(shelf_left(&agent.shelf.items[0], 0, 0) > 0);
}

static void what_no_version_wrote_is_refused(void **state) {
        static const struct {
                const char *kind, *more;
        } bad[] = {
                { "odd", "{}" },
                { "", "{}" },
                { "order", "{}" },
                { "order", "{\"envelope\":1}" },
                { "order", "{\"envelope\":\"{}\"}" },
                { "outcome", "{}" },
                { "outcome", "{\"id\":\"zz\"}" },
                { "outcome", "{\"id\":\"00112233445566778899aabbccddeeff\",\"ended\":[1]}" },
                { "outcome", "{\"id\":\"00112233445566778899aabbccddeeff\",\"ended\":[\"zz\"]}" },
                { "outcome", "{\"id\":\"00112233445566778899aabbccddeeff\",\"state\":\"odd\"}" },
                { "outcome", "{\"id\":\"00112233445566778899aabbccddeeff\",\"state\":1}" },
                { "lapse", "{}" },
                { "lapse", "{\"id\":\"zz\"}" },
                { "sites", "{}" },
        };
        static const char *const missing[] = { "kind", "boot", "t_boot", "t_wall", "floor" };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(bad); k++) {
                _cleanup_json_ json_t *o = body_of(bad[k].kind, agent.boot_id, 1, 1, bad[k].more);

                assert_int_equal(fold_replay(o, 1, &agent), -EBADMSG);
        }
        for (size_t k = 0; k < ELEMENTSOF(missing); k++) {
                _cleanup_json_ json_t *o = body_of("start", agent.boot_id, 1, 1, "{}");

                assert_int_equal(fold_replay(o, 1, &agent), 0);
                assert_int_equal(json_object_del(o, missing[k]), 0);
                assert_int_equal(fold_replay(o, 1, &agent), -EBADMSG);
                assert_int_equal(json_object_set_new(o, missing[k], json_true()), 0);
                assert_int_equal(fold_replay(o, 1, &agent), -EBADMSG);
        }
        assert_int_equal(hold_set_count(agent.holds), 0);
}

static void a_ledger_with_such_a_record_is_read_on_and_takes_nothing_more(void **state) {
        struct agent again = { .trust = &w.trust };
        const struct command_id id = id_of(3), after = id_of(4);
        json_t *o;
        bool torn;

        (void) state;
        stop(3, VERB_CONTAIN, 0, BY(ALICE));
        o = body_of("odd", agent.boot_id, 1, 1, "{}");
        assert_int_equal(ledger_append(agent.ledger, o, NULL), 0);
        stop(4, VERB_CONTAIN, 0, BY(ALICE));
        ledger_free(TAKE_PTR(agent.ledger));
        again.holds = hold_set_new();
        assert_int_equal(ledger_open(dir.path, SEGMENT_SIZE, fold_replay, &again, &torn, &agent.ledger), -EBADMSG);
        /* what came before is known, and held, and so is what came after */
        assert_non_null(hold_set_find(again.holds, &id));
        assert_non_null(hold_set_find(again.holds, &after));
        assert_false(ledger_ok(agent.ledger));
        held_list_done(&again.held);
        hold_set_free(again.holds);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(every_step_is_told_by_the_ledger),
                CASE(what_becomes_of_evidence_is_told_by_the_ledger),
                CASE(the_time_of_evidence_begins_with_the_end_of_its_hold),
                CASE(a_leap_of_the_floor_ends_no_time_of_evidence),
                CASE(the_time_of_evidence_is_counted_in_what_is_read),
                CASE(evidence_that_could_not_be_recorded_has_no_end),
                CASE(a_step_ends_what_does_not_isolate_and_buries_nothing),
                CASE(an_order_whose_id_is_of_none_who_signed_it_is_held_as_before),
                CASE(what_the_ledger_did_not_take_is_in_memory_only),
                CASE(what_lets_go_and_was_not_recorded_is_not_found_later),
                CASE(a_release_without_a_record_does_nothing),
                CASE(the_floor_goes_on_within_a_boot_and_never_falls),
                CASE(a_release_raises_the_floor_by_little_and_a_stop_not_at_all),
                CASE(what_is_recorded_is_of_the_time_that_its_record_says),
                CASE(a_time_that_cannot_be_is_refused),
                CASE(what_no_version_wrote_is_refused),
                CASE(a_ledger_with_such_a_record_is_read_on_and_takes_nothing_more),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
