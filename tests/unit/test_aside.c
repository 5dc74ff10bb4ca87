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

static void what_came_first_goes_first(void **state) {
        struct aside a = { .n_items = 0 };

        (void) state;
        assert_null(aside_take(&a));
        assert_true(aside_put(&a, item(7, 1)));
        assert_true(aside_put(&a, item(3, 1)));
        assert_takes(&a, 7);
        assert_true(aside_put(&a, item(9, 1)));
        assert_takes(&a, 3);
        assert_takes(&a, 9);
        assert_null(aside_take(&a));
        assert_true(aside_put(&a, item(1, 1)));
        aside_clear(&a);
        assert_null(aside_take(&a));
        assert_int_equal(a.n_items + a.n_bytes, 0);
}

static void the_same_message_is_there_once(void **state) {
        struct aside a = { .n_items = 0 };

        (void) state;
        for (int i = 0; i < 3; i++) {
                assert_true(aside_put(&a, item(7, 1)));
                assert_true(aside_put(&a, item(8, 1)));
        }
        assert_takes(&a, 7);
        assert_takes(&a, 8);
        assert_null(aside_take(&a));
}

static void it_is_bounded_and_says_so(void **state) {
        struct aside a = { .n_items = 0 };
        _cleanup_free_ struct inbox_item *one = item(INT64_MAX, 1), *large = item(INT64_MAX, ASIDE_BYTES_MAX);

        (void) state;
        for (int64_t i = 0; i < ASIDE_ITEMS_MAX; i++)
                assert_true(aside_put(&a, item(i, 1)));
        assert_false(aside_put(&a, one));
        assert_takes(&a, 0);
        assert_false(aside_put(&a, large));
        assert_true(aside_put(&a, item(INT64_MAX, 1)));
        aside_clear(&a);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_came_first_goes_first),
                cmocka_unit_test(the_same_message_is_there_once),
                cmocka_unit_test(it_is_bounded_and_says_so),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
