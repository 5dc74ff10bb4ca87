/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/wildcard.h"

static void wildcard_stands_for_any_run_and_any_one(void **state) {
        static const struct {
                const char *pattern, *name;
                bool matches;
        } rows[] = {
                { "", "", true },
                { "", "a", false },
                { "*", "", true },
                { "*", ".hidden", true },
                { "?", "", false },
                { "?", "a", true },
                { "a*b*c", "aXbYbZc", true },
                { "a*b*c", "aXbYbZ", false },
                { "*.log*", "access.log.1", true },
                { "*.log", "access.log.1", false },
                { "a?c", "abc", true },
                { "a?c", "ac", false },
                { "[a]", "a", false },
                { "\\*", "\\x", true },
                { "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (wildcard_matches(rows[i].pattern, rows[i].name) != rows[i].matches)
                        fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].name);
}

static void wildcard_paths_lead_down_only(void **state) {
        static const char *const good[] = { "/a", "/var/log/*/x?", "/...", "/a b", "/.a", "/..a", "/a." };
        static const char *const bad[] = { "",      "/",         "a",     "a/b",   "/a/",      "//a",
                                           "/a//b", "/.",        "/..",   "/a/..", "/../a",    "/a/./b",
                                           "/a\n",  "/a\x1b[2J", "/\xff", "/\x7f", "/\xc2\x9b" };
        char path[WILDCARD_PATH_SIZE + 1];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                if (!wildcard_path_ok(good[i]))
                        fail_msg("refused: %s", good[i]);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                if (wildcard_path_ok(bad[i]))
                        fail_msg("taken: row %zu", i);
        memset(path, 'a', sizeof(path));
        path[0] = '/';
        path[WILDCARD_PATH_SIZE - 1] = '\0';
        assert_true(wildcard_path_ok(path));
        path[WILDCARD_PATH_SIZE - 1] = 'a';
        path[WILDCARD_PATH_SIZE] = '\0';
        assert_false(wildcard_path_ok(path));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(wildcard_stands_for_any_run_and_any_one),
                cmocka_unit_test(wildcard_paths_lead_down_only),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
