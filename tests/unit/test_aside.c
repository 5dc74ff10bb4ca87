/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/aside.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/aside.h"

static struct inbox_item *item(int64_t sequence, size_t n) {
        struct inbox_item *i = calloc(1, sizeof(*i) + n + 1);

        assert_non_null(i);
        i->sequence = sequence;
        i->n = n;
        return i;
}

static void assert_takes(struct aside *a, int64_t sequence) {
        _cleanup_free_ struct inbox_item *i = aside_take(a);

        assert_non_null(i);
        assert_int_equal(i->sequence, sequence);
}

static const struct command_id id = { .b = { 1 } };

static void put(struct aside *a, struct inbox_item *i, int64_t now_us) {
        aside_put(a, i, &id, now_us);
}

static void what_came_first_goes_first(void **state) {
        struct aside a = { .n_items = 0 };

        (void) state;
        assert_null(aside_take(&a));
        put(&a, item(7, 1), 0);
        put(&a, item(3, 1), 0);
        assert_takes(&a, 7);
        put(&a, item(9, 1), 0);
        assert_takes(&a, 3);
        assert_takes(&a, 9);
        assert_null(aside_take(&a));
        put(&a, item(1, 1), 0);
        aside_clear(&a);
        assert_null(aside_take(&a));
        assert_int_equal(a.n_items + a.n_bytes, 0);
}

static void the_same_message_is_there_once(void **state) {
        struct aside a = { .n_items = 0 };

        (void) state;
        for (int i = 0; i < 3; i++) {
                put(&a, item(7, 1), 0);
                put(&a, item(8, 1), 0);
        }
        assert_takes(&a, 7);
        assert_takes(&a, 8);
        assert_null(aside_take(&a));
}

static void other_bytes_under_a_number_are_another_message(void **state) {
        struct aside a = { .n_items = 0 };
        struct inbox_item *other = item(7, 1);

        (void) state;
        other->text[0] = 'x';
        put(&a, item(7, 1), 0);
        put(&a, other, 0);
        put(&a, item(7, 2), 0);
        assert_int_equal(a.n_items, 3);
        aside_clear(&a);
}

static void none_waits_for_longer_than_it_may(void **state) {
        struct aside a = { .wait_us = 30 };

        (void) state;
        assert_true(aside_due_us(&a, 100) < 0);
        put(&a, item(1, 1), 100);
        put(&a, item(2, 1), 110);
        /* that it is brought again does not make it wait longer */
        put(&a, item(1, 1), 120);
        assert_int_equal(aside_due_us(&a, 100), 30);
        assert_int_equal(aside_due_us(&a, 129), 1);
        assert_int_equal(aside_due_us(&a, 130), 0);
        assert_int_equal(aside_due_us(&a, INT64_MAX), 0);
        assert_takes(&a, 1);
        assert_int_equal(aside_due_us(&a, 130), 10);
        assert_takes(&a, 2);
        assert_true(aside_due_us(&a, INT64_MAX) < 0);
}

static void of_more_than_there_is_room_for_the_oldest_goes(void **state) {
        struct aside a = { .wait_us = 30 };

        (void) state;
        for (int64_t i = 0; i < ASIDE_ITEMS_MAX; i++)
                put(&a, item(i, 1), 0);
        assert_int_equal(aside_due_us(&a, 0), 30);
        put(&a, item(INT64_MAX, 1), 0);
        assert_int_equal(aside_due_us(&a, 0), 0);
        assert_takes(&a, 0);
        assert_int_equal(aside_due_us(&a, 0), 30);
        aside_clear(&a);
        put(&a, item(1, 1), 0);
        put(&a, item(2, ASIDE_BYTES_MAX), 0);
        assert_int_equal(aside_due_us(&a, 0), 0);
        assert_takes(&a, 1);
        assert_int_equal(aside_due_us(&a, 0), 30);
        aside_clear(&a);
}

static void what_it_has_is_known_by_what_it_says_that_it_is(void **state) {
        const struct command_id other = { .b = { 2 } };
        struct aside a = { .n_items = 0 };

        (void) state;
        assert_false(aside_has(&a, &id));
        put(&a, item(1, 1), 0);
        assert_true(aside_has(&a, &id));
        assert_false(aside_has(&a, &other));
        aside_clear(&a);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_came_first_goes_first),
                cmocka_unit_test(the_same_message_is_there_once),
                cmocka_unit_test(other_bytes_under_a_number_are_another_message),
                cmocka_unit_test(none_waits_for_longer_than_it_may),
                cmocka_unit_test(of_more_than_there_is_room_for_the_oldest_goes),
                cmocka_unit_test(what_it_has_is_known_by_what_it_says_that_it_is),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
