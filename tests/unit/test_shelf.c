/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/shelf.h"

static struct shelf s;

static int clear(void **state) {
        (void) state;
        shelf_done(&s);
        return 0;
}

static struct command_id id_of(uint32_t n) {
        struct command_id id = { { 0 } };

        for (size_t i = 0; i < sizeof(n); i++)
                id.b[i] = (uint8_t) (n >> (8 * i));
        return id;
}

static void put(uint32_t n, int64_t sealed_ms, int64_t keep_ms, uint64_t bytes) {
        const struct shelf_item item = {
                .id = id_of(n), .sealed_ms = sealed_ms, .passed_ms = sealed_ms, .keep_ms = keep_ms, .bytes = bytes
        };

        assert_int_equal(shelf_put(&s, &item), 0);
}

static const uint8_t alice[32] = { 1 }, bob[32] = { 2 }, carol[32] = { 3 };

static void hold_by(uint32_t hold, uint32_t item, const uint8_t key[static 32]) {
        const struct command_id h = id_of(hold), i = id_of(item);

        assert_int_equal(shelf_hold(&s, &h, &i, key), 0);
}

static void hold(uint32_t hold, uint32_t item) {
        hold_by(hold, item, alice);
}

static const struct shelf_item *find(uint32_t n) {
        const struct command_id id = id_of(n);

        return shelf_find(&s, &id);
}

static size_t holds(uint32_t n) {
        const struct command_id id = id_of(n);

        return shelf_count_holds(&s, &id);
}

/* When its time is over, where as much passes by the floor as passes at all. */
static int64_t expiry(uint32_t n) {
        return shelf_left(find(n), 0, 0);
}

static void condemn(uint32_t n, uint32_t by) {
        const struct command_id id = id_of(n), order = id_of(by);

        assert_int_equal(shelf_condemn(&s, &id, by ? &order : NULL), 0);
}

static void what_is_put_is_found_and_nothing_else(void **state) {
        (void) state;
        assert_null(shelf_find(NULL, &(struct command_id) { { 1 } }));
        assert_null(find(0));
        for (uint32_t i = 0; i < 1000; i++)
                put((i * 7919) % 1000, i + 1, 0, 1);
        for (uint32_t i = 0; i < 1000; i++) {
                const struct command_id id = id_of(i);

                assert_memory_equal(find(i)->id.b, id.b, sizeof(id.b));
        }
        assert_null(find(1000));
        assert_int_equal(s.n, 1000);
        assert_int_equal(shelf_bytes(&s), 1000);
        for (uint32_t i = 0; i < 1000; i += 2) {
                const struct command_id id = id_of(i);

                shelf_remove(&s, &id);
                shelf_remove(&s, &id);
        }
        for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(!find(i), i % 2 == 0);
}

static void what_is_kept_together_is_kept_for_the_longer_time(void **state) {
        static const struct {
                int64_t sealed[2], keep[2], want_sealed, want_keep;
        } rows[] = {
                { { 10, 20 }, { 5, 5 }, 20, 5 },
                { { 20, 10 }, { 5, 5 }, 20, 5 },
                { { 10, 20 }, { 9, 5 }, 20, 9 },
                { { 10, 20 }, { 5, 9 }, 20, 9 },
                { { 10, 20 }, { 0, 9 }, 20, 0 },
                { { 10, 20 }, { 9, 0 }, 20, 0 },
                /* found on the disk, and sealed by nobody that is known */
                { { 0, 20 }, { 0, 9 }, 20, 9 },
                { { 20, 0 }, { 9, 0 }, 20, 9 },
                { { 0, 0 }, { 0, 0 }, 0, 0 },
        };

        (void) state;
        for (uint32_t i = 0; i < ELEMENTSOF(rows); i++) {
                for (size_t k = 0; k < 2; k++)
                        put(i, rows[i].sealed[k], rows[i].keep[k], 3);
                assert_int_equal(find(i)->sealed_ms, rows[i].want_sealed);
                assert_int_equal(find(i)->keep_ms, rows[i].want_keep);
                assert_int_equal(find(i)->bytes, 6);
        }
}

static void time_is_over_only_where_it_was_promised_and_nobody_holds(void **state) {
        const struct command_id first = id_of(50), second = id_of(51);

        (void) state;
        put(1, 100, 30, 0);
        put(2, 100, 0, 0);
        assert_int_equal(expiry(1), 130);
        assert_int_equal(expiry(2), INT64_MAX);
        hold(50, 1);
        hold(51, 1);
        hold(51, 1);
        assert_int_equal(holds(1), 2);
        assert_int_equal(expiry(1), INT64_MAX);
        shelf_lift(&s, &first);
        assert_int_equal(expiry(1), INT64_MAX);
        shelf_lift(&s, &second);
        assert_int_equal(expiry(1), 130);
        condemn(1, 0);
        assert_int_equal(expiry(1), INT64_MAX);
}

static void no_leap_of_the_floor_ends_its_time(void **state) {
        (void) state;
        put(1, 100, 30, 0);
        assert_int_equal(shelf_left(find(1), 100000, 120), 10);
        assert_int_equal(shelf_left(find(1), 120, 100000), 10);
        assert_int_equal(shelf_left(find(1), 130, 129), 1);
        assert_int_equal(shelf_left(find(1), 130, 130), 0);
        /* no time is so long that it cannot be told */
        assert_int_equal(shelf_left(find(1), INT64_MAX, INT64_MAX), 30 - (INT64_MAX - 100));
}

static void lifting_one_legal_hold_lifts_no_other(void **state) {
        const struct command_id first = id_of(50), second = id_of(51), third = id_of(52);

        (void) state;
        assert_false(shelf_is_hold(NULL, &first));
        for (uint32_t i = 1; i <= 3; i++)
                put(i, 1, 1, 0);
        hold(50, 1);
        hold(50, 2);
        hold(51, 2);
        hold(51, 3);
        assert_int_equal(shelf_room(&s, bob), (SHELF_BONDS_MAX - 4) / 2);
        assert_true(shelf_is_hold(&s, &first));
        shelf_lift(&s, &first);
        shelf_lift(&s, &third);
        assert_false(shelf_is_hold(&s, &first));
        assert_true(shelf_is_hold(&s, &second));
        assert_int_equal(holds(1), 0);
        assert_int_equal(holds(2), 1);
        assert_int_equal(holds(3), 1);
}

/* What is ordered to be kept is kept from its first moment, whichever record comes first. */
static void a_legal_hold_waits_for_evidence_that_is_yet_to_come(void **state) {
        (void) state;
        hold(50, 9);
        assert_int_equal(holds(9), 1);
        put(9, 5, 1, 0);
        assert_int_equal(expiry(9), INT64_MAX);
}

static void legal_holds_end_at_their_limit(void **state) {
        const struct command_id item = id_of(0);

        (void) state;
        s.bonds = calloc(SHELF_BONDS_MAX, sizeof(*s.bonds));
        assert_non_null(s.bonds);
        s.n_bonds = s.bonds_size = SHELF_BONDS_MAX;
        assert_int_equal(shelf_room(&s, alice), 0);
        assert_int_equal(shelf_hold(&s, &(struct command_id) { { 9 } }, &item, alice), -ENOSPC);
        s.n_bonds--;
        assert_int_equal(shelf_room(&s, alice), 1);
        assert_int_equal(shelf_hold(&s, &(struct command_id) { { 9 } }, &item, alice), 0);
}

/* As many as there is room for, each of the same evidence. */
static void use_up(const uint8_t key[static 32], uint32_t from, uint32_t item) {
        for (size_t n = shelf_room(&s, key); n > 0; n--)
                hold_by(from++, item, key);
        assert_int_equal(shelf_room(&s, key), 0);
}

/* However often it names the same evidence. */
static void no_key_has_more_legal_holds_than_it_leaves_to_others(void **state) {
        const struct command_id lifted = id_of(1000);

        (void) state;
        put(1, 1, 1, 0);
        put(2, 1, 1, 0);
        assert_int_equal(shelf_room(&s, alice), SHELF_BONDS_MAX / 2);
        use_up(alice, 1000, 1);
        assert_int_equal(s.n_bonds, SHELF_BONDS_MAX / 2);
        assert_int_equal(shelf_room(&s, bob), SHELF_BONDS_MAX / 4);
        use_up(bob, 100000, 2);
        assert_int_equal(shelf_room(&s, carol), SHELF_BONDS_MAX / 8);
        shelf_lift(&s, &lifted);
        assert_int_equal(shelf_room(&s, alice), 0);
        assert_int_equal(shelf_room(&s, carol), SHELF_BONDS_MAX / 8 + 1);
}

static void nor_of_what_is_not_there(void **state) {
        (void) state;
        put(1, 1, 1, 0);
        for (uint32_t i = 0; i < SHELF_ABSENT_MAX / 2; i++)
                hold(1000, 1000 + i);
        hold(1001, 1);
        assert_int_equal(shelf_room_absent(&s, alice), 0);
        assert_int_equal(shelf_room_absent(&s, bob), SHELF_ABSENT_MAX / 4);
        /* it came */
        put(1000, 1, 1, 0);
        put(1001, 1, 1, 0);
        assert_int_equal(shelf_room_absent(&s, alice), 2);
}

/* However the bonds came about, each item knows how many are its own. */
static void holds_are_counted_right_in_any_order(void **state) {
        (void) state;
        for (uint32_t i = 0; i < 2000; i++) {
                const uint32_t x = i * 2654435761U, item = x >> 8 & 15, hold_id = 100 + (x >> 16 & 7);
                const struct command_id h = id_of(hold_id), id = id_of(item);

                if (i % 5 == 0)
                        shelf_lift(&s, &h);
                else if (i % 7 == 0)
                        shelf_remove(&s, &id);
                else if (i % 3 == 0)
                        put(item, 1, 1, 0);
                else
                        hold(hold_id, item);
                for (size_t k = 0; k < s.n; k++) {
                        size_t n = 0;

                        for (size_t b = 0; b < s.n_bonds; b++)
                                n += command_id_equal(&s.bonds[b].item, &s.items[k].id);
                        assert_int_equal(s.items[k].holds, n);
                }
        }
}

static void what_is_condemned_stays_so_by_the_first_order(void **state) {
        const struct command_id first = id_of(70);

        (void) state;
        put(1, 1, 1, 0);
        condemn(1, 70);
        condemn(1, 71);
        condemn(1, 0);
        assert_true(find(1)->condemned);
        assert_memory_equal(find(1)->by.b, first.b, sizeof(first.b));
}

/* Of what was contained for longer than evidence is kept, it is not gone with the release. */
static void its_time_begins_when_its_hold_ends(void **state) {
        const struct command_id id = id_of(1), found = id_of(2), unknown = id_of(3);

        (void) state;
        put(1, 100, 30, 0);
        put(2, 0, 0, 0);
        shelf_begin(&s, &id, 500, 500);
        assert_int_equal(expiry(1), 530);
        shelf_begin(&s, &id, 200, 200);
        assert_int_equal(expiry(1), 530);
        shelf_begin(&s, &found, 500, 500);
        assert_int_equal(expiry(2), INT64_MAX);
        shelf_begin(&s, &unknown, 500, 500);
        assert_null(find(3));
}

static void an_order_is_expected_to_be_answered_once(void **state) {
        const struct command_id first = id_of(70), second = id_of(71);

        (void) state;
        assert_int_equal(shelf_expect(&s, &first), 0);
        assert_int_equal(shelf_expect(&s, &second), 0);
        assert_int_equal(shelf_expect(&s, &first), 0);
        assert_int_equal(s.n_unanswered, 2);
        shelf_answered(&s, &first);
        shelf_answered(&s, &first);
        assert_int_equal(s.n_unanswered, 1);
        assert_memory_equal(s.unanswered[0].b, second.b, sizeof(second.b));
}

/* It was found on the disk, and is in no record but the one that deletes it. */
static void what_is_not_known_is_condemned_all_the_same(void **state) {
        (void) state;
        condemn(5, 70);
        assert_non_null(find(5));
        assert_true(find(5)->condemned);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, clear, clear)
        static const struct CMUnitTest tests[] = {
                CASE(what_is_put_is_found_and_nothing_else),
                CASE(what_is_kept_together_is_kept_for_the_longer_time),
                CASE(time_is_over_only_where_it_was_promised_and_nobody_holds),
                CASE(no_leap_of_the_floor_ends_its_time),
                CASE(lifting_one_legal_hold_lifts_no_other),
                CASE(a_legal_hold_waits_for_evidence_that_is_yet_to_come),
                CASE(legal_holds_end_at_their_limit),
                CASE(no_key_has_more_legal_holds_than_it_leaves_to_others),
                CASE(nor_of_what_is_not_there),
                CASE(holds_are_counted_right_in_any_order),
                CASE(its_time_begins_when_its_hold_ends),
                CASE(an_order_is_expected_to_be_answered_once),
                CASE(what_is_condemned_stays_so_by_the_first_order),
                CASE(what_is_not_known_is_condemned_all_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
