/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/text.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/text.h"

static void clean_keeps_what_people_write(void **state) {
        static const char *const texts[] = {
                "",
                "talks to a stranger",
                "Jos\xc3\xa9 \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x94\xa5",
                "a\\b\"c'd<e>&;$()|`",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_string_equal(CLEAN(texts[i]), texts[i]);
        assert_string_equal(CLEAN(NULL), "");
}

static void clean_takes_the_terminal_away_from_the_sender(void **state) {
        static const struct {
                const char *in, *out;
        } cases[] = {
                { "\033[1;32mCONTAINED\033[0m", "?[1;32mCONTAINED?[0m" },
                { "a\nb\rc\td\be\x7f", "a?b?c?d?e?" },
                { "\xc2\x9b"
                  "31m",
                  "?31m" }, /* CSI as one C1 character */
                { "evil\xe2\x80\xae"
                  "txt.exe",
                  "evil?txt.exe" }, /* right-to-left override */
                { "a\xe2\x80\x8b"
                  "b",
                  "a?b" }, /* zero width */
                { "a\xe2\x81\xa6"
                  "b\xe2\x81\xa9",
                  "a?b?" }, /* isolates */
                { "\xef\xbb\xbf"
                  "x",
                  "?x" },                    /* byte order mark */
                { "\xf3\xa0\x81\x81", "?" }, /* tag character */
                { "\xed\xa0\x80", "?" },     /* surrogate */
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(CLEAN(cases[i].in), cases[i].out);
}

static void clean_marks_bytes_that_are_not_utf8(void **state) {
        (void) state;
        assert_string_equal(CLEAN("\x80"), "?");
        assert_string_equal(CLEAN("\xc0\xaf"), "??"); /* overlong slash */
        assert_string_equal(CLEAN("\xe0\x80\x80"), "???");
        assert_string_equal(CLEAN("a\xc3"), "a?"); /* cut in the middle, the NUL is no continuation */
        assert_string_equal(CLEAN("\xf5\x80\x80\x80"), "?");
        assert_string_equal(CLEAN("\xff\xfe"), "??");
}

static void clean_cuts_between_characters_and_says_so(void **state) {
        char small[8], all[8];

        (void) state;
        assert_string_equal(text_clean("1234567", small, sizeof(small)), "1234567");
        assert_string_equal(text_clean("12345678", small, sizeof(small)), "1234...");
        assert_string_equal(text_clean("123\xc3\xa9\xc3\xa9\xc3\xa9", small, sizeof(small)), "123...");
        memset(all, 'x', sizeof(all));
        (void) text_clean("\xe6\x97\xa5\xe6\x97\xa5\xe6\x97\xa5", all, sizeof(all));
        assert_string_equal(all, "\xe6\x97\xa5...");
}

static void escape_loses_nothing_and_lets_nothing_act(void **state) {
        static const struct {
                const char *in;
                size_t n;
                const char *out;
        } cases[] = {
                { "plain", 5, "plain" },
                { "\xc3\xa9 \xe6\x97\xa5", 6, "\xc3\xa9 \xe6\x97\xa5" },
                { "a\\x0a", 5, "a\\\\x0a" },
                { "a\nb\0c", 5, "a\\x0ab\\x00c" },
                { "\x1b[31m", 5, "\\x1b[31m" },
                { "\xff\xc3", 2, "\\xff\\xc3" },
                { "\xe2\x80\xae", 3, "\\xe2\\x80\\xae" },
                { "\xc2\x85", 2, "\\xc2\\x85" },
                { NULL, 0, "" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *s = text_escape(cases[i].in, cases[i].n, 64);

                assert_string_equal(s, cases[i].out);
        }
}

static void escape_cuts_between_characters_and_says_so(void **state) {
        _cleanup_free_ char *a = text_escape("12345678", 8, 8), *b = text_escape("123456789", 9, 8),
                            *c = text_escape("123\n\n\n", 6, 8);

        (void) state;
        assert_string_equal(a, "12345678");
        assert_string_equal(b, "12345...");
        assert_string_equal(c, "123...");
}

static void spans_need_their_unit(void **state) {
        static const struct {
                const char *in;
                int64_t ms;
        } good[] = { { "1ms", 1 },      { "10s", 10000 },          { "15m", 900000 },
                     { "2h", 7200000 }, { "365d", 31536000000LL }, { "3650d", TEXT_SPAN_MAX_MS } };
        static const char *const bad[] = { "",     "15",   "0s",   "s",     "-1s",
                                           "+1s",  "1.5h", "1 s",  " 1s",   "1s ",
                                           "1S",   "1w",   "0x1s", "3651d", "99999999999999999999d",
                                           "1h30m" };
        int64_t ms = 42;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(text_span_from_str(good[i].in, &ms), 0);
                assert_int_equal(ms, good[i].ms);
        }
        ms = 42;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_int_equal(text_span_from_str(bad[i], &ms), -EINVAL);
                assert_int_equal(ms, 42);
        }
}

static void spans_are_written_for_people(void **state) {
        static const struct {
                int64_t ms;
                const char *out;
        } cases[] = {
                { -5, "0 ms" },       { 0, "0 ms" },
                { 340, "340 ms" },    { 12345, "12.3 s" },
                { 900000, "15 min" }, { 723000, "12 min 3 s" },
                { 7200000, "2 h" },   { 7500000, "2 h 5 min" },
                { 86400000, "1 d" },  { 273600000, "3 d 4 h" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(SPAN(cases[i].ms), cases[i].out);
}

static void times_that_are_none_are_said_to_be_none(void **state) {
        (void) state;
        (void) setenv("TZ", "UTC", 1);
        assert_string_equal(TIME(1794971525000LL), "2026-11-18 03:12:05 UTC");
        assert_string_equal(TIME(-1), "no valid time");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(clean_keeps_what_people_write),
                cmocka_unit_test(clean_takes_the_terminal_away_from_the_sender),
                cmocka_unit_test(clean_marks_bytes_that_are_not_utf8),
                cmocka_unit_test(clean_cuts_between_characters_and_says_so),
                cmocka_unit_test(escape_loses_nothing_and_lets_nothing_act),
                cmocka_unit_test(escape_cuts_between_characters_and_says_so),
                cmocka_unit_test(spans_need_their_unit),
                cmocka_unit_test(spans_are_written_for_people),
                cmocka_unit_test(times_that_are_none_are_said_to_be_none),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
