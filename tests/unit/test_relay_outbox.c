/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/outbox.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/outbox.h"

static void answers_leave_in_order(void **state) {
        struct outbox o = {};

        (void) state;
        assert_null(outbox_peek(&o, 0));
        outbox_put(&o, "s.1", "one", 3, 0);
        outbox_put(&o, "s.2", "two", 3, 0);
        assert_string_equal(outbox_peek(&o, 0)->subject, "s.1");
        assert_string_equal(outbox_peek(&o, 0)->text, "one");
        outbox_pop(&o);
        assert_string_equal(outbox_peek(&o, 0)->text, "two");
        outbox_pop(&o);
        assert_null(outbox_peek(&o, 0));
        outbox_pop(&o);
        assert_int_equal(o.dropped, 0);
        outbox_put(&o, "s.3", "three", 5, 0);
        assert_string_equal(outbox_peek(&o, 0)->text, "three");
        outbox_done(&o);
}

static void an_old_answer_is_not_told_as_if_it_were_new(void **state) {
        struct outbox o = {};

        (void) state;
        outbox_put(&o, "s", "old", 3, 0);
        outbox_put(&o, "s", "new", 3, OUTBOX_LIFE_US);
        assert_string_equal(outbox_peek(&o, OUTBOX_LIFE_US)->text, "old");
        assert_string_equal(outbox_peek(&o, OUTBOX_LIFE_US + 1)->text, "new");
        assert_int_equal(o.dropped, 1);
        assert_null(outbox_peek(&o, 2 * OUTBOX_LIFE_US + 1));
        assert_int_equal(o.dropped, 2);
}

static void it_is_bounded_in_answers_and_in_bytes(void **state) {
        _cleanup_free_ char *large = calloc(1, OUTBOX_BYTES_MAX + 1);
        struct outbox o = {};

        (void) state;
        for (unsigned i = 0; i < OUTBOX_ITEMS_MAX + 2; i++)
                outbox_put(&o, "s", "x", 1, 0);
        assert_int_equal(o.n_items, OUTBOX_ITEMS_MAX);
        assert_int_equal(o.dropped, 2);
        outbox_put(&o, "s", large, OUTBOX_BYTES_MAX + 1, 0);
        assert_int_equal(o.dropped, 3);
        assert_int_equal(o.n_items, OUTBOX_ITEMS_MAX);
        outbox_put(&o, "s", large, OUTBOX_BYTES_MAX, 0);
        assert_int_equal(o.n_items, 1);
        assert_int_equal(o.n_bytes, OUTBOX_BYTES_MAX);
        outbox_put(&o, "s", "x", 1, 0);
        assert_int_equal(o.n_items, 1);
        assert_int_equal(o.n_bytes, 1);
        outbox_done(&o);
        assert_int_equal(o.n_bytes, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(answers_leave_in_order),
                cmocka_unit_test(an_old_answer_is_not_told_as_if_it_were_new),
                cmocka_unit_test(it_is_bounded_in_answers_and_in_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
