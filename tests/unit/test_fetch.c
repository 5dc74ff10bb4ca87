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
        fetch_came(f, 404, 0);
        assert_true(fetch_is_over(f));
        assert_false(fetch_next(f, &web, subject, body));
}

/* A leaf that has no hub yet, a stream without a leader, a broker that is starting. */
static void while_nobody_can_answer_it_is_not_over(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct command_id id;

        (void) state;
        assert_int_equal(command_id_from_str(ID, &id), 0);
        assert_int_equal(fetch_new(&f), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        no_roots(f);
        assert_asks(f, GET, NEXT(1, MINE));
        assert_false(fetch_came(f, 503, 0));
        assert_false(fetch_is_over(f));
        assert_false(fetch_is_waiting(f));
        assert_false(fetch_came(f, 404, 0));
        assert_false(fetch_next(f, &web, subject, body));
        fetch_again(f);
        assert_asks(f, GET, NEXT(1, MINE));
        assert_false(fetch_came(f, 503, 0));
        /* a head is a reason to ask at once */
        fetch_order(f, &web, &id);
        assert_asks(f, GET ".frz.v1.prod.cmd." MINE "." ID, "");
        assert_false(fetch_came(f, 408, 0));
        assert_false(fetch_next(f, &web, subject, body));
        fetch_again(f);
        assert_asks(f, GET ".frz.v1.prod.cmd." MINE "." ID, "");
        /* what is forbidden stays so */
        assert_false(fetch_came(f, FETCH_DENIED, 0));
        assert_asks(f, GET ".frz.v1.prod.cmd.all." ID, "");
        assert_true(fetch_came(f, 0, 9));
        assert_asks(f, GET ".frz.v1.prod.cmd." GROUP "." ID, "");
        assert_false(fetch_came(f, FETCH_NONE, 0));
        assert_asks(f, GET, NEXT(1, MINE));
        assert_false(fetch_came(f, FETCH_DENIED, 0));
        assert_asks(f, GET, NEXT(1, "all"));
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

static void what_was_missed_does_not_wait_for_an_order_of_which_nobody_can_say(void **state) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        struct command_id id;
        unsigned n = 0;

        (void) state;
        assert_int_equal(command_id_from_str(ID, &id), 0);
        assert_int_equal(fetch_new(&f), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        assert_true(fetch_order(f, &web, &id));
        for (; fetch_next(f, &web, subject, body) && strcmp(body, ROOTS) != 0 && n < 100; n++) {
                assert_false(fetch_came(f, 503, 0));
                fetch_again(f);
        }
        assert_string_equal(body, ROOTS);
        assert_in_range(n, 2, 5);
}

/* How many times it has to be asked to go on until it does. */
static unsigned rests(struct fetch *f) {
        unsigned n = 1;

        for (fetch_again(f); !fetch_next(f, &web, subject, body); n++)
                fetch_again(f);
        return n;
}

static void a_broker_without_the_stream_is_asked_less_and_less(void **state) {
        static const unsigned want[] = { 1, 1, 1, 1, 1, 2, 4, 8, 16, 30, 30, 30 };
        struct command_id id;

        (void) state;
        assert_int_equal(command_id_from_str(ID, &id), 0);
        /* by silence, and by a status */
        for (int said = 0; said < 2; said++) {
                _cleanup_(fetch_freep) struct fetch *f = NULL;

                assert_int_equal(fetch_new(&f), 0);
                assert_int_equal(fetch_all(f, &web), 0);
                assert_true(fetch_next(f, &web, subject, body));
                for (size_t i = 0; i < ELEMENTSOF(want); i++) {
                        if (said)
                                assert_false(fetch_came(f, 503, 0));
                        assert_int_equal(rests(f), want[i]);
                        assert_string_equal(body, ROOTS);
                }
                /* a head is a reason to ask at once, and again as soon as ever */
                assert_false(fetch_came(f, 503, 0));
                assert_true(fetch_order(f, &web, &id));
                assert_asks(f, GET ".frz.v1.prod.cmd." MINE "." ID, "");
                assert_false(fetch_came(f, 503, 0));
                assert_int_equal(rests(f), 1);
                assert_string_equal(body, "");
                /* and when somebody answers all is as at first */
                assert_true(fetch_came(f, 0, 1));
                assert_asks(f, GET ".frz.v1.prod.cmd.all." ID, "");
                assert_false(fetch_came(f, FETCH_NONE, 0));
                assert_asks(f, GET ".frz.v1.prod.cmd." GROUP "." ID, "");
                assert_false(fetch_came(f, FETCH_NONE, 0));
                assert_asks(f, GET, ROOTS);
                assert_false(fetch_came(f, 503, 0));
                assert_int_equal(rests(f), 1);
                for (unsigned i = 0; i < 9; i++) {
                        assert_false(fetch_came(f, 503, 0));
                        (void) rests(f);
                }
                /* so it is on another connection */
                fetch_clear(f);
                assert_int_equal(fetch_all(f, &web), 0);
                assert_asks(f, GET, ROOTS);
                assert_false(fetch_came(f, 503, 0));
                assert_int_equal(rests(f), 1);
        }
}

/* Until it is over, or for so long; how many questions that were. */
static unsigned turn_round(struct fetch *f, int64_t always) {
        unsigned n = 0;

        for (; !fetch_is_over(f) && n < 1000; n++) {
                assert_true(fetch_next(f, &web, subject, body));
                fetch_came(f, 0, always);
        }
        return n;
}

static void a_stream_that_goes_round_in_a_circle_is_left(void **state) {
        static const int64_t always[] = { 5, 0, -1, INT64_MIN, INT64_MAX };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(always); i++) {
                _cleanup_(fetch_freep) struct fetch *f = NULL;

                assert_int_equal(fetch_new(&f), 0);
                assert_int_equal(fetch_all(f, &web), 0);
                assert_in_range(turn_round(f, always[i]), 4, 4 * 64);
        }
}

#define N_STORED 600

/* A stream with a message at some of the numbers from 1 on: 'm', or 'x', whose number nobody can read. ret: how often
 * each was handed on. Returns the number of questions until it was over. */
static unsigned go_through(const char stored[static N_STORED], unsigned ret[static N_STORED]) {
        _cleanup_(fetch_freep) struct fetch *f = NULL;
        unsigned n = 0;

        memset(ret, 0, N_STORED * sizeof(*ret));
        assert_int_equal(fetch_new(&f), 0);
        assert_int_equal(fetch_all(f, &web), 0);
        for (; fetch_next(f, &web, subject, body) && strstr(body, "trust"); n++) {
                size_t at = strtoul(body + strlen("{\"seq\":"), NULL, 10);

                while (at < N_STORED && !stored[at])
                        at++;
                if (at >= N_STORED)
                        fetch_came(f, 404, 0);
                else
                        ret[at] += fetch_came(f, 0, stored[at] == 'm' ? (int64_t) at : 0);
        }
        return n;
}

/* Whoever stored it, and wherever: it hides nothing but itself. */
static void what_has_no_number_is_gone_past(void **state) {
        static const size_t bad[] = { 1, 2, 3, 64, 65, 127, 300, 511, 512, N_STORED - 1 };
        unsigned came[N_STORED], n;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                for (size_t gap = 1; gap < 300; gap += 49) {
                        char stored[N_STORED] = {};

                        for (size_t k = bad[i] % gap; k < N_STORED; k += gap)
                                stored[k] = 'm';
                        stored[bad[i]] = 'x';
                        n = go_through(stored, came);
                        assert_in_range(n, 1, N_STORED + 40);
                        for (size_t k = 1; k < N_STORED; k++)
                                if (stored[k] == 'm' && came[k] != 1)
                                        fail_msg("%zu of %zu and %zu came %u times", k, bad[i], gap, came[k]);
                        assert_true(came[bad[i]] > 0);
                }
}

/* Nobody makes a long way of many of them. */
static void a_run_of_what_has_no_number_ends(void **state) {
        char stored[N_STORED] = {};
        unsigned came[N_STORED], n;

        (void) state;
        memset(stored + 100, 'x', 400);
        stored[7] = stored[N_STORED - 2] = 'm';
        n = go_through(stored, came);
        assert_in_range(n, 1, 80);
        assert_int_equal(came[7], 1);
        assert_int_equal(came[N_STORED - 2], 1);
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
                assert_int_equal(fetch_order(f, &web, &id), i < FETCH_ORDERS_MAX / 3);
        }
        assert_int_equal(fetch_all(f, &web), 0);
        while (fetch_next(f, &web, subject, body)) {
                fetch_came(f, 404, 0);
                n++;
        }
        assert_int_equal(n, FETCH_ORDERS_MAX / 3 * 3 + 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(everything_is_gone_through_once_and_in_order),
                cmocka_unit_test(an_order_that_a_head_names_comes_first_wherever_it_is),
                cmocka_unit_test(while_nobody_can_answer_it_is_not_over),
                cmocka_unit_test(what_was_missed_does_not_wait_for_an_order_of_which_nobody_can_say),
                cmocka_unit_test(what_has_no_number_is_gone_past),
                cmocka_unit_test(a_run_of_what_has_no_number_ends),
                cmocka_unit_test(a_broker_without_the_stream_is_asked_less_and_less),
                cmocka_unit_test(a_stream_that_goes_round_in_a_circle_is_left),
                cmocka_unit_test(a_stream_that_counts_to_the_end_is_left),
                cmocka_unit_test(what_was_not_answered_is_asked_again_and_nothing_else_moves_it),
                cmocka_unit_test(it_is_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
