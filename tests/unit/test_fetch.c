/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/fetch.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/fetch.h"

#define HOST "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define ID   "00112233445566778899aabbccddeeff"
#define GET  "$JS.API.DIRECT.GET.FRZ_CMD_prod"

static const struct who web = { .fleet = "prod", .groups = { "eu.web" }, .n_groups = 1 };

static char subject[FETCH_SUBJECT_SIZE], body[FETCH_BODY_SIZE];

static void assert_asks(struct fetch *f, const char *want_subject, const char *want_body) {
        assert_true(fetch_next(f, &web, subject, body));
        assert_string_equal(subject, want_subject);
        assert_string_equal(body, want_body);
        assert_true(fetch_is_waiting(f));
        assert_false(fetch_next(f, &web, subject, body));
}

#define NEXT(seq, filter) "{\"seq\":" #seq ",\"next_by_subj\":\"frz.v1.prod.cmd." filter ".*\"}"
#define MINE              "host." HOST
#define GROUP             "group.eu~web"
#define ROOTS             "{\"seq\":1,\"next_by_subj\":\"frz.v1.prod.trust.*\"}"

static void no_roots(struct fetch *f) {
        assert_asks(f, GET, ROOTS);
        fetch_came(f, 404, 0);
}

static void everything_is_gone_through_once_and_in_order(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        assert_true(fetch_is_over(f));
        assert_int_equal(fetch_all(f, &web), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        assert_asks(f, GET, ROOTS);
        fetch_came(f, 404, 0);
        assert_asks(f, GET, NEXT(1, MINE));
        fetch_came(f, 0, 7);
        assert_asks(f, GET, NEXT(8, MINE));
        fetch_came(f, 404, 0);
        assert_asks(f, GET, NEXT(1, "all"));
        fetch_came(f, 404, 0);
        assert_asks(f, GET, NEXT(1, GROUP));
        fetch_came(f, 503, 0);
        assert_true(fetch_is_over(f));
        assert_false(fetch_next(f, &web, subject, body));
}

static void an_order_that_a_head_names_comes_first_wherever_it_is(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct command_id id;

        (void) state;
        assert_int_equal(command_id_from_str(ID, &id), 0);
        assert_int_equal(fetch_new(&f), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        no_roots(f);
        assert_asks(f, GET, NEXT(1, MINE));
        /* what comes next answers the question that was under way */
        fetch_order(f, &web, &id);
        fetch_order(f, &web, &id);
        fetch_came(f, 0, 3);
        assert_asks(f, GET ".frz.v1.prod.cmd." MINE "." ID, "");
        fetch_came(f, 404, 0);
        assert_asks(f, GET ".frz.v1.prod.cmd.all." ID, "");
        fetch_came(f, 0, 9);
        assert_asks(f, GET ".frz.v1.prod.cmd." GROUP "." ID, "");
        fetch_came(f, 404, 0);
        assert_asks(f, GET, NEXT(4, MINE));
}

static void a_stream_that_goes_round_in_a_circle_is_left(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        no_roots(f);
        assert_true(fetch_next(f, &web, subject, body));
        fetch_came(f, 0, 5);
        assert_true(fetch_next(f, &web, subject, body));
        fetch_came(f, 0, 5);
        assert_asks(f, GET, NEXT(1, "all"));
        fetch_came(f, 0, 0);
        assert_asks(f, GET, NEXT(1, GROUP));
        fetch_came(f, 0, -1);
        assert_true(fetch_is_over(f));
}

static void a_stream_that_counts_to_the_end_is_left(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        no_roots(f);
        assert_true(fetch_next(f, &web, subject, body));
        fetch_came(f, 0, INT64_MAX);
        assert_asks(f, GET, NEXT(1, "all"));
}

static void what_was_not_answered_is_asked_again_and_nothing_else_moves_it(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        fetch_came(f, 0, 1);
        assert_int_equal(fetch_all(f, &web), 0);
        fetch_came(f, 0, 9);
        assert_asks(f, GET, ROOTS);
        fetch_again(f);
        assert_asks(f, GET, ROOTS);
        fetch_clear(f);
        assert_false(fetch_is_waiting(f));
        assert_true(fetch_is_over(f));
}

static void it_is_bounded(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct command_id id = { .b = { 1 } };
        size_t n = 0;

        (void) state;
        assert_int_equal(fetch_new(&f), 0);
        for (unsigned i = 0; i < FETCH_ORDERS_MAX; i++) {
                memcpy(id.b + 1, &i, sizeof(i));
                fetch_order(f, &web, &id);
        }
        assert_int_equal(fetch_all(f, &web), 0);
        while (fetch_next(f, &web, subject, body)) {
                fetch_came(f, 404, 0);
                n++;
        }
        assert_int_equal(n, FETCH_ORDERS_MAX + 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_is_gone_through_once_and_in_order),
                cmocka_unit_test(an_order_that_a_head_names_comes_first_wherever_it_is),
                cmocka_unit_test(a_stream_that_goes_round_in_a_circle_is_left),
                cmocka_unit_test(a_stream_that_counts_to_the_end_is_left),
                cmocka_unit_test(what_was_not_answered_is_asked_again_and_nothing_else_moves_it),
                cmocka_unit_test(it_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
