/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/cleanup.h"
#include "policy/reason.h"
#include "lib/reasons.h"

static void reason_ids_read_back_and_are_unique(void **state) {
        (void) state;
        for (int i = 0; i < _REASON_MAX; i++) {
                enum reason back = _REASON_MAX;

                /* the first of two equal ids would come back for both */
                assert_true(reason_from_id(reason_id(i), &back));
                assert_int_equal(back, i);
        }
}

static void reason_ids_are_kebab_case(void **state) {
        (void) state;
        for (int i = 0; i < _REASON_MAX; i++) {
                const char *id = reason_id(i);

                assert_true(islower(id[0]));
                assert_true(id[strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0');
                assert_null(strstr(id, "--"));
                assert_true(id[strlen(id) - 1] != '-');
        }
}

static void reason_from_id_refuses_what_is_not_in_the_table(void **state) {
        static const char *const foreign[] = { "", "None", "oversize ", "oversiz", "none\n", "REASON_NONE" };
        enum reason r = REASON_BUDGET;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
                assert_false(reason_from_id(foreign[i], &r));
        assert_int_equal(r, REASON_BUDGET);
}

static void reason_texts_are_sentences_without_a_full_stop(void **state) {
        (void) state;
        for (int i = 0; i < _REASON_MAX; i++) {
                const char *text = reason_text(i);

                assert_true(isupper(text[0]));
                assert_true(strlen(text) > 10 && text[strlen(text) - 1] != '.');
                for (int k = 0; k < i; k++)
                        assert_string_not_equal(text, reason_text(k));
        }
}

/* The exit code is what scripts see; that a note is success and a gap is 4 is what makes it mean the same as the state.
 */
static void reason_exit_codes_follow_the_kind(void **state) {
        (void) state;
        for (int i = 0; i < _REASON_MAX; i++)
                switch (reason_kind(i)) {
                case REASON_KIND_NOTE:
                        assert_int_equal(reason_exit(i), 0);
                        break;
                case REASON_KIND_GAP:
                        assert_int_equal(reason_exit(i), 4);
                        break;
                default:
                        assert_true(reason_exit(i) == 1 || reason_exit(i) == 3 || reason_exit(i) == 5);
                }
        assert_int_equal(reason_kind(REASON_NONE), REASON_KIND_NOTE);
        assert_int_equal(reason_exit(REASON_INTERNAL), 1);
        assert_int_equal(reason_exit(REASON_THRESHOLD), 3);
        assert_int_equal(reason_exit(REASON_SILENT), 5);
}

static void reason_outside_the_table_is_a_refusal(void **state) {
        static const int outside[] = { _REASON_MAX, 255, -1, INT32_MAX, INT32_MIN };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(outside); i++) {
                assert_null(reason_id(outside[i]));
                assert_string_equal(reason_text(outside[i]), reason_text(REASON_INTERNAL));
                assert_int_equal(reason_kind(outside[i]), REASON_KIND_REFUSE);
                assert_true(reason_may_pass(outside[i]));
                assert_int_equal(reason_exit(outside[i]), 1);
        }
}

static void reason_may_pass_where_the_host_is_what_is_wrong(void **state) {
        static const enum reason pass[] = { REASON_BUSY,   REASON_NO_TRUST,     REASON_ROOT_STALE, REASON_NOT_YET,
                                            REASON_LIMIT,  REASON_BUDGET,       REASON_STILL_HELD, REASON_CLOCK,
                                            REASON_LEDGER, REASON_ROOT_EXPIRED, REASON_INTERNAL };
        size_t n = 0;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(pass); i++)
                assert_true(reason_may_pass(pass[i]));
        for (int i = 0; i < _REASON_MAX; i++)
                n += reason_may_pass(i);
        assert_int_equal(n, ELEMENTSOF(pass));
}

static void reason_sets_have_a_bit_for_all_but_none(void **state) {
        reason_set all = 0;

        (void) state;
        assert_reasons(reason_bit(REASON_NONE), 0);
        for (int i = 1; i < _REASON_MAX; i++) {
                assert_reasons(all & reason_bit(i), 0);
                all |= reason_bit(i);
        }
        assert_int_equal(__builtin_popcountll((uint64_t) all) + __builtin_popcountll((uint64_t) (all >> 64)),
                         _REASON_MAX - 1);
}

static void reason_set_has_kind_finds_exactly_the_kinds_within(void **state) {
        static const enum reason_kind kinds[] = { REASON_KIND_REFUSE, REASON_KIND_WAIT, REASON_KIND_FLAG,
                                                  REASON_KIND_GAP, REASON_KIND_NOTE };

        (void) state;
        for (int i = 1; i < _REASON_MAX; i++)
                for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
                        assert_int_equal(reason_set_has_kind(reason_bit(i), kinds[k]), reason_kind(i) == kinds[k]);
        for (size_t k = 0; k < ELEMENTSOF(kinds); k++)
                assert_false(reason_set_has_kind(0, kinds[k]));
        assert_true(reason_set_has_kind(reason_bit(REASON_RECOVERED) | reason_bit(REASON_NO_BPF), REASON_KIND_GAP));
        assert_false(reason_set_has_kind(reason_bit(REASON_RECOVERED) | reason_bit(REASON_NO_BPF), REASON_KIND_FLAG));
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(reason_ids_read_back_and_are_unique),
                cmocka_unit_test(reason_ids_are_kebab_case),
                cmocka_unit_test(reason_from_id_refuses_what_is_not_in_the_table),
                cmocka_unit_test(reason_texts_are_sentences_without_a_full_stop),
                cmocka_unit_test(reason_exit_codes_follow_the_kind),
                cmocka_unit_test(reason_outside_the_table_is_a_refusal),
                cmocka_unit_test(reason_may_pass_where_the_host_is_what_is_wrong),
                cmocka_unit_test(reason_sets_have_a_bit_for_all_but_none),
                cmocka_unit_test(reason_set_has_kind_finds_exactly_the_kinds_within),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
