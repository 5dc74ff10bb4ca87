/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/option.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/option.h"

#define ALL UINT64_MAX

struct parsed {
        struct options opt;
        char *words[80];
        size_t n;
        bool help;
        struct why why;
        int code;
};

/* The list ends with NULL. */
static struct parsed parse(uint64_t allowed, const char *const *words) {
        struct parsed p = { .opt = OPTIONS_NULL };
        size_t n = 0;

        for (; words[n]; n++)
                p.words[n] = (char *) words[n];
        p.code = option_parse(p.words, n, allowed, &p.opt, &p.n, &p.help, &p.why);
        return p;
}

#define PARSE(allowed, ...) parse((allowed), (const char *const[]) { __VA_ARGS__, NULL })

static void options_and_words_come_in_any_order(void **state) {
        struct parsed p =
                PARSE(ALL, "a.service", "--severity", "critical", "b.service", "--lease=15m", "--json", "c.service");

        (void) state;
        assert_int_equal(p.code, 0);
        assert_int_equal(p.n, 3);
        assert_string_equal(p.words[0], "a.service");
        assert_string_equal(p.words[1], "b.service");
        assert_string_equal(p.words[2], "c.service");
        assert_int_equal(p.opt.severity, SEVERITY_P0);
        assert_int_equal(p.opt.lease_ms, 15 * 60 * 1000);
        assert_true(p.opt.json);
        assert_false(p.opt.yes);
}

static void repeatable_options_keep_their_order(void **state) {
        struct parsed p = PARSE(ALL, "--key", "a", "--key=b", "--key", "c");

        (void) state;
        assert_int_equal(p.code, 0);
        assert_int_equal(p.opt.keys.n, 3);
        assert_string_equal(p.opt.keys.v[0], "a");
        assert_string_equal(p.opt.keys.v[1], "b");
        assert_string_equal(p.opt.keys.v[2], "c");
}

static void two_dashes_end_the_options(void **state) {
        struct parsed p = PARSE(ALL, "--yes", "--", "--json", "-");

        (void) state;
        assert_int_equal(p.code, 0);
        assert_true(p.opt.yes);
        assert_false(p.opt.json);
        assert_int_equal(p.n, 2);
        assert_string_equal(p.words[0], "--json");
}

/* An ignored --lease would hold for ever what was meant for ten seconds. */
static void an_option_that_the_verb_does_not_take_is_an_error(void **state) {
        struct parsed p = PARSE(ALL & ~OPTION_BIT(LEASE), "--lease", "10s");

        (void) state;
        assert_int_equal(p.code, CTL_USAGE);
        assert_non_null(strstr(p.why.text, "--lease"));
}

static void what_is_no_option_is_an_error(void **state) {
        static const char *const bad[] = { "--leas", "--leases", "--lease2=1s", "-x",   "-lease",
                                           "--=",    "--",       "---yes",      "--YES" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct parsed p = PARSE(ALL, bad[i], "10s");
                if (strcmp(bad[i], "--") == 0)
                        assert_int_equal(p.code, 0);
                else
                        assert_int_equal(p.code, CTL_USAGE);
        }
}

static void values_out_of_range_are_errors_that_say_what_is_wanted(void **state) {
        static const char *const bad[][2] = {
                { "--lease", "15" },
                { "--lease", "" },
                { "--severity", "P4" },
                { "--severity", "" },
                { "--root-threshold", "0" },
                { "--root-threshold", "x" },
                { "--root-threshold", "1000" },
                { "--root-threshold", "-1" },
                { "--timeout", "0s" },
                { "--reason", "" },
                { "--key", "" },
                { "--json=1", "" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct parsed p = PARSE(ALL, bad[i][0], bad[i][1]);
                assert_int_equal(p.code, CTL_USAGE);
                assert_true(strlen(p.why.text) > 0);
        }
        assert_int_equal(PARSE(ALL, "--lease").code, CTL_USAGE);
        assert_int_equal(PARSE(ALL, "--reason", "a", "--reason", "b").code, CTL_USAGE);
}

static void a_value_may_look_like_an_option(void **state) {
        struct parsed p = PARSE(ALL, "--reason", "--json");

        (void) state;
        assert_int_equal(p.code, 0);
        assert_string_equal(p.opt.reason, "--json");
        assert_false(p.opt.json);
}

static void a_list_has_its_limit(void **state) {
        const char *words[2 * OPTION_LIST_MAX + 3] = { NULL };

        (void) state;
        for (size_t i = 0; i < OPTION_LIST_MAX; i++)
                words[i] = "--key=x";
        assert_int_equal(parse(ALL, words).code, 0);
        words[OPTION_LIST_MAX] = "--key=x";
        assert_int_equal(parse(ALL, words).code, CTL_USAGE);
}

static void help_is_asked_for_anywhere(void **state) {
        (void) state;
        assert_true(PARSE(0, "x", "--help").help);
        assert_true(PARSE(0, "-h").help);
        assert_false(PARSE(0, "--", "-h").help);
}

static void every_option_has_a_name_and_a_sentence_of_its_own(void **state) {
        (void) state;
        for (enum option i = 0; i < _OPTION_MAX; i++) {
                assert_true(strlen(option_info(i)->name) > 1 && strlen(option_info(i)->text) > 5);
                for (enum option j = 0; j < i; j++)
                        assert_string_not_equal(option_info(i)->name, option_info(j)->name);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(options_and_words_come_in_any_order),
                cmocka_unit_test(repeatable_options_keep_their_order),
                cmocka_unit_test(two_dashes_end_the_options),
                cmocka_unit_test(an_option_that_the_verb_does_not_take_is_an_error),
                cmocka_unit_test(what_is_no_option_is_an_error),
                cmocka_unit_test(values_out_of_range_are_errors_that_say_what_is_wanted),
                cmocka_unit_test(a_value_may_look_like_an_option),
                cmocka_unit_test(a_list_has_its_limit),
                cmocka_unit_test(help_is_asked_for_anywhere),
                cmocka_unit_test(every_option_has_a_name_and_a_sentence_of_its_own),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
