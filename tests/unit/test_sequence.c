/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/sequence.c agent/collect/index.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/sequence.h"

#define A    "00000000000000000000000000000001"
#define B    "00000000000000000000000000000002"
#define REST ";b=b0;m=1;t=2;x=3"

static int add(struct sequences *all, const char *id, uint64_t number) {
        char cursor[128];

        (void) snprintf(cursor, sizeof(cursor), "s=%s;i=%llx" REST, id, (unsigned long long) number);
        return sequence_add(all, cursor, 1000 + number);
}

static void assert_line(struct sequences *all, size_t i, const char *expected) {
        _cleanup_free_ char *line = NULL;

        assert_true(i < all->n);
        assert_int_equal(sequence_line(&all->v[i], &line), 0);
        assert_string_equal(line, expected);
}

static void sequence_of_all_numbers_has_no_gap(void **state) {
        _cleanup_(sequences_done) struct sequences all = { .n = 0 };

        (void) state;
        for (uint64_t i = 5; i < 500; i++)
                assert_int_equal(add(&all, A, i), 0);
        sequence_sort(&all);
        assert_line(&all, 0,
                    "{\"seqnum_id\":\"" A "\",\"first\":5,\"last\":499,\"entries\":495,\"first_us\":1005,"
                    "\"last_us\":1499,\"gaps\":[]}\n");
}

static void sequence_names_every_number_that_is_missing(void **state) {
        _cleanup_(sequences_done) struct sequences all = { .n = 0 };

        (void) state;
        for (uint64_t i = 1; i < 20; i++)
                if (i != 7 && (i < 10 || i > 15))
                        assert_int_equal(add(&all, A, i), 0);
        sequence_sort(&all);
        assert_line(&all, 0,
                    "{\"seqnum_id\":\"" A "\",\"first\":1,\"last\":19,\"entries\":12,\"first_us\":1001,"
                    "\"last_us\":1019,\"gaps\":[[7,7],[10,15]]}\n");
}

/* Files overlap, and clocks are set back: neither makes a gap nor hides one. */
static void sequence_does_not_depend_on_order_nor_on_twins(void **state) {
        static const uint64_t numbers[] = { 9, 1, 2, 10, 4, 3, 3, 8, 1, 6 };
        _cleanup_(sequences_done) struct sequences all = { .n = 0 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(numbers); i++)
                assert_int_equal(add(&all, A, numbers[i]), 0);
        sequence_sort(&all);
        assert_line(&all, 0,
                    "{\"seqnum_id\":\"" A "\",\"first\":1,\"last\":10,\"entries\":8,\"first_us\":1001,"
                    "\"last_us\":1010,\"gaps\":[[5,5],[7,7]]}\n");
}

static void sequence_counts_each_id_by_itself(void **state) {
        _cleanup_(sequences_done) struct sequences all = { .n = 0 };

        (void) state;
        assert_int_equal(add(&all, A, 1), 0);
        assert_int_equal(add(&all, B, 100), 0);
        assert_int_equal(add(&all, A, 2), 0);
        assert_int_equal(add(&all, B, UINT64_MAX), 0);
        sequence_sort(&all);
        assert_int_equal(all.n, 2);
        assert_line(&all, 0,
                    "{\"seqnum_id\":\"" A "\",\"first\":1,\"last\":2,\"entries\":2,\"first_us\":1001,"
                    "\"last_us\":1002,\"gaps\":[]}\n");
        assert_int_equal(all.v[1].n, 2);
}

static void sequence_refuses_what_is_no_cursor(void **state) {
        static const char *const cursors[] = {
                "",
                "s=" A,
                "s=" A ";i=",
                "s=" A ";i=1",
                "s=" A ";i=;b=1",
                "s=" A ";i=00000000000000001;b=1",
                "s=" A "0;i=1;b=1",
                "s=0;i=1;b=1",
                "i=1;s=" A ";b=1",
                "s=" A ";i=1g;b=1",
                "s=0000000000000000000000000000000G;i=1;b=1",
        };
        _cleanup_(sequences_done) struct sequences all = { .n = 0 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cursors); i++)
                if (sequence_add(&all, cursors[i], 1) != -EBADMSG)
                        fail_msg("taken: %s", cursors[i]);
        assert_int_equal(all.n, 0);
}

static void sequence_in_too_many_pieces_is_given_up(void **state) {
        _cleanup_(sequences_done) struct sequences all = { .n = 0 };
        char id[33];

        (void) state;
        for (uint64_t i = 0; i < SEQUENCE_RANGES_MAX; i++)
                assert_int_equal(add(&all, A, 2 * i), 0);
        assert_int_equal(add(&all, A, 2 * SEQUENCE_RANGES_MAX), -E2BIG);
        assert_int_equal(add(&all, A, 1), 0);
        for (unsigned i = 1; i < SEQUENCE_IDS_MAX; i++) {
                (void) snprintf(id, sizeof(id), "%032x", i + 16);
                assert_int_equal(add(&all, id, 1), 0);
        }
        assert_int_equal(add(&all, B, 1), -E2BIG);
        sequence_sort(&all);
        assert_int_equal(all.v[0].n, SEQUENCE_RANGES_MAX - 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sequence_of_all_numbers_has_no_gap),
                cmocka_unit_test(sequence_names_every_number_that_is_missing),
                cmocka_unit_test(sequence_does_not_depend_on_order_nor_on_twins),
                cmocka_unit_test(sequence_counts_each_id_by_itself),
                cmocka_unit_test(sequence_refuses_what_is_no_cursor),
                cmocka_unit_test(sequence_in_too_many_pieces_is_given_up),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
