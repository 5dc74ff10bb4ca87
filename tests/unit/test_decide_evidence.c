/* SPDX-License-Identifier: Apache-2.0 */

/* Who may put evidence under legal hold, lift that, and have it deleted; and what stands in the way. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/decide_world.h"

static void put(uint32_t n) {
        assert_int_equal(shelf_put(&w.shelf, &(struct shelf_item) { .id = id_of(n), .sealed_ms = 1 }), 0);
}

static void hold(uint32_t n, uint32_t item) {
        const struct command_id h = id_of(n), i = id_of(item);

        assert_int_equal(shelf_hold(&w.shelf, &h, &i, w.trust.keys[KEY_ALICE].key.id), 0);
}

static void one_person_keeps_two_custodians_delete(void **state) {
        (void) state;
        order(VERB_EVIDENCE_HOLD);
        expect_go(0);
        w.by = BY(DAVE);
        expect_go(0);
        order(VERB_EVIDENCE_DELETE);
        expect_go(0);
        w.by = BY(DAVE);
        expect_refused(REASON_THRESHOLD);
        w.by = BY(ALICE) | BY(BOB) | BY(CAROL);
        expect_refused(REASON_ROLE);
        w.by = BY(ALICE) | BY(BOB) | BY(DAVE);
        expect_refused(REASON_THRESHOLD);
        order(VERB_EVIDENCE_UNHOLD);
        expect_go(0);
        w.by = BY(BOT);
        expect_refused(REASON_ROLE);
}

static void custodians_neither_stop_nor_release(void **state) {
        (void) state;
        w.by = BY(DAVE) | BY(ERIN);
        expect_refused(REASON_ROLE);
        order(VERB_RELEASE);
        TARGET_HOLDS(100);
        w.by = BY(DAVE) | BY(ERIN);
        expect_refused(REASON_ROLE);
}

static void what_is_under_a_legal_hold_is_not_deleted(void **state) {
        const struct command_id first = id_of(301), second = id_of(302);

        (void) state;
        put(210);
        hold(301, 200);
        hold(302, 200);
        order(VERB_EVIDENCE_DELETE);
        expect_refused(REASON_LEGAL_HOLD);
        /* one of several is enough for all */
        TARGET_HOLDS(210, 200);
        expect_refused(REASON_LEGAL_HOLD);
        TARGET_HOLDS(210);
        expect_go(0);
        shelf_lift(&w.shelf, &first);
        TARGET_HOLDS(200);
        expect_refused(REASON_LEGAL_HOLD);
        shelf_lift(&w.shelf, &second);
        expect_go(0);
}

static void what_is_still_held_is_not_deleted(void **state) {
        const struct command_id id = id_of(200);

        (void) state;
        make_hold(200, 0, false, "");
        order(VERB_EVIDENCE_DELETE);
        expect_refused(REASON_STILL_HELD);
        assert_int_equal(hold_set_release(w.holds, &id, &(struct command_id) { { 1 } }), 0);
        expect_refused(REASON_STILL_HELD);
        assert_int_equal(hold_set_end(w.holds, &id), 0);
        expect_go(0);
}

static void only_what_is_here_is_deleted_and_only_once(void **state) {
        const struct command_id id = id_of(200), by = id_of(9);

        (void) state;
        order(VERB_EVIDENCE_DELETE);
        TARGET_HOLDS(200, 203);
        expect_refused(REASON_NO_SUCH_EVIDENCE);
        TARGET_HOLDS(200);
        expect_go(0);
        assert_int_equal(shelf_condemn(&w.shelf, &id, &by), 0);
        expect_refused(REASON_NO_SUCH_EVIDENCE);
        w.facts.shelf = NULL;
        expect_refused(REASON_NO_SUCH_EVIDENCE);
}

/* A legal hold that came a moment too early would be none. */
static void what_is_yet_to_be_sealed_can_be_held(void **state) {
        static const uint8_t digest[32] = { 1 };
        const struct command_id id = id_of(200), by = id_of(9);

        (void) state;
        order(VERB_EVIDENCE_HOLD);
        TARGET_HOLDS(210);
        expect_refused(REASON_NO_SUCH_EVIDENCE);
        see(210, digest);
        expect_go(0);
        /* nor is one mistyped id in the way of the others */
        TARGET_HOLDS(200, 211);
        expect_go(0);
        TARGET_HOLDS(200);
        assert_int_equal(shelf_condemn(&w.shelf, &id, &by), 0);
        expect_refused(REASON_NO_SUCH_EVIDENCE);
}

static void a_release_that_came_first_is_no_evidence(void **state) {
        const struct command_id id = id_of(210);

        (void) state;
        assert_int_equal(hold_set_bury(w.holds, &id, NOW + DAY), 0);
        order(VERB_EVIDENCE_HOLD);
        TARGET_HOLDS(210);
        expect_refused(REASON_NO_SUCH_EVIDENCE);
}

static void a_legal_hold_is_lifted_by_its_own_id(void **state) {
        (void) state;
        order(VERB_EVIDENCE_UNHOLD);
        TARGET_HOLDS(202); /* the evidence's */
        expect_refused(REASON_NO_HOLD);
        TARGET_HOLDS(201, 205);
        expect_refused(REASON_NO_HOLD);
        TARGET_HOLDS(201);
        expect_go(0);
}

static void a_host_that_is_not_in_order_keeps_and_deletes_nothing(void **state) {
        static const enum verb verbs[] = { VERB_EVIDENCE_DELETE, VERB_EVIDENCE_UNHOLD };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                order(verbs[i]);
                w.facts.ledger_ok = false;
                expect_refused(REASON_LEDGER);
                w.facts.ledger_ok = true;
                w.facts.floor_ms = NOW + DECIDE_BEHIND_MS + 1;
                expect_refused(REASON_CLOCK);
                w.facts.floor_ms = NOW - DAY;
                w.trust.expires_ms = NOW;
                expect_refused(REASON_ROOT_EXPIRED);
                w.trust.expires_ms = NOW + DAY;
                w.c.root_version = 4;
                expect_refused(REASON_ROOT_STALE);
                w.c.root_version = 3;
                expect_go(0);
        }
        order(VERB_EVIDENCE_HOLD);
        w.facts.ledger_ok = false;
        w.trust.expires_ms = NOW;
        expect_go(reason_bit(REASON_LEDGER) | reason_bit(REASON_ROOT_EXPIRED));
}

static void a_shelf_that_is_full_of_legal_holds_takes_no_more(void **state) {
        (void) state;
        free(w.shelf.bonds);
        w.shelf.bonds = calloc(SHELF_BONDS_MAX, sizeof(*w.shelf.bonds));
        assert_non_null(w.shelf.bonds);
        w.shelf.n_bonds = w.shelf.bonds_size = SHELF_BONDS_MAX;
        order(VERB_EVIDENCE_HOLD);
        expect_refused(REASON_LIMIT);
        w.shelf.n_bonds--;
        expect_go(0);
        TARGET_HOLDS(200, 202);
        expect_refused(REASON_LIMIT);
}

/* One key makes up ids enough for all the room there is. */
static void what_is_not_here_leaves_room_for_what_is(void **state) {
        (void) state;
        free(w.shelf.bonds);
        w.shelf.bonds = calloc(SHELF_BONDS_MAX, sizeof(*w.shelf.bonds));
        assert_non_null(w.shelf.bonds);
        w.shelf.bonds_size = SHELF_BONDS_MAX;
        w.shelf.n_bonds = SHELF_ABSENT_MAX - 1;
        order(VERB_EVIDENCE_HOLD);
        TARGET_HOLDS(200, 211);
        expect_go(0);
        TARGET_HOLDS(200, 211, 212);
        expect_refused(REASON_LIMIT);
        w.shelf.n_bonds++;
        TARGET_HOLDS(200, 211);
        expect_refused(REASON_LIMIT);
        TARGET_HOLDS(200);
        expect_go(0);
        /* it came */
        assert_int_equal(shelf_put(&w.shelf, &(struct shelf_item) { .id = w.shelf.bonds[0].item, .sealed_ms = 1 }), 0);
        TARGET_HOLDS(200, 211);
        expect_go(0);
}

/* One key names what is here over and over. */
static void what_a_key_holds_leaves_room_for_other_keys(void **state) {
        (void) state;
        put(203);
        for (uint32_t n = 0; n < SHELF_BONDS_MAX / 2 - 1; n++)
                hold(1000 + n, 200);
        order(VERB_EVIDENCE_HOLD);
        TARGET_HOLDS(200, 203);
        expect_refused(REASON_LIMIT);
        TARGET_HOLDS(200);
        expect_go(0);
        hold(1000000, 200);
        expect_refused(REASON_LIMIT);
        w.by = BY(ALICE_2);
        expect_go(0);
        w.by = BY(DAVE);
        TARGET_HOLDS(200, 203);
        expect_go(0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(one_person_keeps_two_custodians_delete),
                CASE(custodians_neither_stop_nor_release),
                CASE(what_is_under_a_legal_hold_is_not_deleted),
                CASE(what_is_still_held_is_not_deleted),
                CASE(only_what_is_here_is_deleted_and_only_once),
                CASE(what_is_yet_to_be_sealed_can_be_held),
                CASE(a_release_that_came_first_is_no_evidence),
                CASE(a_legal_hold_is_lifted_by_its_own_id),
                CASE(a_host_that_is_not_in_order_keeps_and_deletes_nothing),
                CASE(a_shelf_that_is_full_of_legal_holds_takes_no_more),
                CASE(what_is_not_here_leaves_room_for_what_is),
                CASE(what_a_key_holds_leaves_room_for_other_keys),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
