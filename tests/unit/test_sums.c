/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/sums.c ctl/member.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/sums.h"

#define HEX "000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"

static void lines_of_a_host_are_read_and_found_again(void **state) {
        static const char text[] =
                HEX "  data/000001-pack.tar.zst.age\n" HEX "  data/000002-core.zst.age\n" HEX "  public.jsonl\n";
        struct sums s = { .v = NULL };

        (void) state;
        assert_int_equal(sums_parse(text, sizeof(text) - 1, &s), 0);
        assert_int_equal(s.n, 3);
        assert_int_equal(sums_find(&s, "public.jsonl")->sha256[31], 0xff);
        assert_string_equal(sums_find(&s, "data/000002-core.zst.age")->name, "data/000002-core.zst.age");
        assert_null(sums_find(&s, "data/000003-core.zst.age"));
        assert_null(sums_find(&s, ""));
        sums_done(&s);
        assert_null(sums_find(&s, "public.jsonl"));
}

static void anything_else_is_refused(void **state) {
        static const char *const texts[] = {
                "\n",
                HEX "\n",
                HEX "  \n",
                HEX "  a", /* no newline: cut short */
                HEX " a\n",
                HEX " *a\n", /* sha256sum's binary mode */
                HEX "\t a\n",
                "\\" HEX "  a\n", /* sha256sum's escaped names */
                HEX "  a \n",
                HEX "  a\r\n",
                HEX "  A\n",
                HEX "  ../a\n",
                HEX "  ./a\n",
                HEX "  /a\n",
                HEX "  a/../b\n",
                HEX "  a/.b\n",
                HEX "  .a\n",
                HEX "  a/\n",
                HEX "  a//b\n",
                HEX "  a/b/c\n",
                HEX "  a%0ab\n",
                HEX "  \xc3\xa4\n",
                HEX "  b\n" HEX "  a\n", /* order */
                HEX "  a\n" HEX "  a\n", /* twice */
                HEX "  a\n\n",
                "00010203040506070809 0a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff  a\n",
                "000102030405060708090A0B0C0D0E0FF0F1F2F3F4F5F6F7F8F9FAFBFCFDFEFF  a\n",
                "000102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfef  a\n",
                HEX "0  a\n",
        };
        struct sums s = { .n = 7 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_int_equal(sums_parse(texts[i], strlen(texts[i]), &s), -EBADMSG);
        assert_int_equal(s.n, 7);
        assert_int_equal(sums_parse(HEX "  a\0b\n", 64 + 2 + 4, &s), -EBADMSG);
}

static void a_name_is_as_long_as_it_may_be_and_no_longer(void **state) {
        char text[64 + 2 + SUMS_NAME_MAX + 3];
        struct sums s = { .v = NULL };

        (void) state;
        memcpy(text, HEX "  ", 66);
        memset(text + 66, 'a', SUMS_NAME_MAX + 1);
        text[66 + SUMS_NAME_MAX] = '\n';
        assert_int_equal(sums_parse(text, 66 + SUMS_NAME_MAX + 1, &s), 0);
        assert_int_equal(strlen(s.v[0].name), SUMS_NAME_MAX);
        sums_done(&s);
        text[66 + SUMS_NAME_MAX] = 'a';
        text[66 + SUMS_NAME_MAX + 1] = '\n';
        assert_int_equal(sums_parse(text, 66 + SUMS_NAME_MAX + 2, &s), -EBADMSG);
}

static void more_lines_than_a_bag_can_have_are_refused_before_memory_is_taken_for_them(void **state) {
        const size_t n = SUMS_MAX + 1;
        _cleanup_free_ char *text = malloc(n);
        struct sums s = { .v = NULL };

        (void) state;
        memset(text, '\n', n);
        assert_int_equal(sums_parse(text, n, &s), -E2BIG);
        assert_null(s.v);
}

static void lines_that_are_put_together_are_held_to_the_same(void **state) {
        struct sums s = { .v = NULL };

        (void) state;
        assert_int_equal(sums_add(&s, "data/b", HEX), 0);
        assert_int_equal(sums_add(&s, "data/a", HEX), 0);
        assert_int_equal(sums_add(&s, "../a", HEX), -EBADMSG);
        assert_int_equal(sums_add(&s, "", HEX), -EBADMSG);
        assert_int_equal(sums_add(&s, "data/c", HEX "0"), -EBADMSG);
        assert_int_equal(sums_add(&s, "data/c", ""), -EBADMSG);
        assert_int_equal(sums_add(&s, "data/c",
                                  "g"
                                  "00102030405060708090a0b0c0d0e0ff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
                         -EBADMSG);
        assert_int_equal(sums_sort(&s), 0);
        assert_int_equal(s.n, 2);
        assert_string_equal(s.v[0].name, "data/a");
        assert_int_equal(sums_add(&s, "data/a", HEX), 0);
        assert_int_equal(sums_sort(&s), -EBADMSG);
        sums_done(&s);
}

static void lines_of_a_collector_that_died_are_read_to_the_one_that_was_not_finished(void **state) {
        static const char text[] = "{\"file\":\"data/000002-b.zst.age\",\"kind\":\"b\",\"sha256\":\"" HEX "\"}\n"
                                   "{\"file\":\"data/000001-a.zst.age\",\"sha256\":\"" HEX "\",\"bytes\":7}\n";

        (void) state;
        for (size_t n = 0; n < sizeof(text); n++) {
                struct sums s = { .v = NULL };
                size_t lines = 0;

                for (size_t i = 0; i < n; i++)
                        lines += text[i] == '\n';
                assert_int_equal(sums_from_public(text, n, &s), 0);
                assert_int_equal(s.n, lines);
                assert_int_equal(sums_find(&s, "data/000001-a.zst.age") != NULL, lines == 2);
                if (lines == 2)
                        assert_int_equal(sums_find(&s, "data/000001-a.zst.age")->bytes, 7);
                if (lines > 0)
                        assert_int_equal(sums_find(&s, "data/000002-b.zst.age")->bytes, -1);
                sums_done(&s);
        }
}

static void lines_that_no_collector_writes_are_refused(void **state) {
        static const char *const texts[] = {
                "\n",
                "x\n",
                "{}\n",
                "[]\n",
                "{\"file\":\"data/a\"}\n",
                "{\"file\":\"../a\",\"sha256\":\"" HEX "\"}\n",
                "{\"file\":7,\"sha256\":\"" HEX "\"}\n",
                "{\"file\":\"data/a\",\"sha256\":\"" HEX "\",\"sha256\":\"" HEX "\"}\n",
                "{\"file\":\"data/a\",\"sha256\":\"" HEX "\"} x\n",
                "{\"file\":\"data/a\",\"sha256\":\"" HEX "\"}\n{\"file\":\"data/a\",\"sha256\":\"" HEX "\"}\n",
                "{\"file\":\"data/a\\u0000b\",\"sha256\":\"" HEX "\"}\n",
        };
        struct sums s = { .n = 7 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_int_equal(sums_from_public(texts[i], strlen(texts[i]), &s), -EBADMSG);
        /* what is behind a NUL is not overlooked */
        assert_int_equal(sums_from_public("\0\n", 2, &s), -EBADMSG);
        assert_int_equal(s.n, 7);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_of_a_host_are_read_and_found_again),
                cmocka_unit_test(anything_else_is_refused),
                cmocka_unit_test(a_name_is_as_long_as_it_may_be_and_no_longer),
                cmocka_unit_test(more_lines_than_a_bag_can_have_are_refused_before_memory_is_taken_for_them),
                cmocka_unit_test(lines_that_are_put_together_are_held_to_the_same),
                cmocka_unit_test(lines_of_a_collector_that_died_are_read_to_the_one_that_was_not_finished),
                cmocka_unit_test(lines_that_no_collector_writes_are_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
