/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/export.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/export.h"

static void exportp(struct export *e) {
        export_done(e);
}

#define _cleanup_export_ _cleanup_(exportp)

static void export_writes_text_plain_and_the_rest_with_its_length(void **state) {
        static const struct {
                const char *field;
                size_t n;
                const char *out;
                size_t n_out;
        } cases[] = {
#define C(f, o) { f, sizeof(f) - 1, o, sizeof(o) - 1 }
                C("MESSAGE=hello", "MESSAGE=hello\n"),
                C("MESSAGE=", "MESSAGE=\n"),
                C("MESSAGE=a=b", "MESSAGE=a=b\n"),
                C("MESSAGE=tab\there", "MESSAGE=tab\there\n"),
                C("MESSAGE=gr\xc3\xbc\xc3\x9f", "MESSAGE=gr\xc3\xbc\xc3\x9f\n"),
                C("MESSAGE=two\nlines", "MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n"),
                C("M=\n\n", "M\n\x02\0\0\0\0\0\0\0\n\n\n"),
                C("M=nul\0in", "M\n\x06\0\0\0\0\0\0\0nul\0in\n"),
                C("M=\x1b[2J", "M\n\x04\0\0\0\0\0\0\0\x1b[2J\n"),
                C("M=\xff", "M\n\x01\0\0\0\0\0\0\0\xff\n"),
                C("M=\x7f", "M\n\x01\0\0\0\0\0\0\0\x7f\n"),
                C("M=\r", "M\n\x01\0\0\0\0\0\0\0\r\n"),
                C("_X0=1", "_X0=1\n"),
#undef C
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_export_ struct export e = { 0 };

                assert_int_equal(export_field(&e, cases[i].field, cases[i].n), 0);
                assert_int_equal(e.n, cases[i].n_out);
                assert_memory_equal(e.bytes, cases[i].out, e.n);
        }
}

static void export_text_is_strict_about_utf8(void **state) {
        static const char *const bad[] = {
                "\x80",
                "\xc0\xaf",
                "\xc1\xbf",
                "\xe0\x80\xaf",
                "\xed\xa0\x80",
                "\xf4\x90\x80\x80",
                "\xf8\x88\x80\x80\x80",
                "\xe2\x82",
                "\xc2\x80",
                "\xc2\x9f",
                "\xef\xb7\x90",
                "\xef\xbf\xbe",
                "\xf0\x9f\xbf\xbf",
                "a\xc3",
                "\xfe",
                "\xc3\x28",
        };
        static const char *const good[] = { "",
                                            "a",
                                            "\t",
                                            "\xc2\xa0",
                                            "\xdf\xbf",
                                            "\xe0\xa0\x80",
                                            "\xed\x9f\xbf",
                                            "\xee\x80\x80",
                                            "\xf0\x90\x80\x80",
                                            "\xf4\x8f\xbf\xbd",
                                            "\xe2\x82\xac" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(export_is_text((const uint8_t *) bad[i], strlen(bad[i])));
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(export_is_text((const uint8_t *) good[i], strlen(good[i])));
}

static void export_refuses_a_field_that_is_none_and_stays_as_it_was(void **state) {
        static const char *const bad[] = { "", "=", "=x", "novalue", "lower=x", "A B=x", "A\n=x", "A\0=x", "\xff=x" };
        _cleanup_export_ struct export e = { 0 };

        (void) state;
        assert_int_equal(export_field(&e, "A=1", 3), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(export_field(&e, bad[i], strlen(bad[i])), -EBADMSG);
        assert_int_equal(e.n, 4);
        assert_memory_equal(e.bytes, "A=1\n", 4);
}

static void export_entry_has_a_largest_size(void **state) {
        _cleanup_export_ struct export e = { 0 };
        _cleanup_free_ char *field = malloc(EXPORT_FIELD_MAX);
        size_t n;

        (void) state;
        assert_non_null(field);
        memset(field, 'x', EXPORT_FIELD_MAX);
        memcpy(field, "A=", 2);
        assert_int_equal(export_field(&e, field, EXPORT_FIELD_MAX), 0);
        n = e.n;
        assert_int_equal(export_field(&e, field, EXPORT_FIELD_MAX), -E2BIG);
        assert_int_equal(e.n, n);
        assert_int_equal(export_text(&e, "B=%d\n", 1), 0);
        assert_int_equal(e.n, n + 4);
        export_reset(&e);
        assert_int_equal(e.n, 0);
        assert_int_equal(export_field(&e, field, EXPORT_FIELD_MAX), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(export_writes_text_plain_and_the_rest_with_its_length),
                cmocka_unit_test(export_text_is_strict_about_utf8),
                cmocka_unit_test(export_refuses_a_field_that_is_none_and_stays_as_it_was),
                cmocka_unit_test(export_entry_has_a_largest_size),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
