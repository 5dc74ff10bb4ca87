/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/inside.c */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/inside.h"

static bool inside(const char *target, const char *own) {
        struct target t;

        assert_int_equal(target_from_str(target, &t), 0);
        return inside_target(&t, own);
}

static void what_holds_the_path_is_told_from_what_only_looks_like_it(void **state) {
        static const struct {
                const char *target, *own;
                bool is;
        } cases[] = {
                { "cgroup:/user.slice/a", "/user.slice/a", true },
                { "cgroup:/user.slice/a", "/user.slice/a/b", true },
                { "cgroup:/user.slice/a", "/user.slice/ab", false },
                { "cgroup:/user.slice/a", "/user.slice", false },
                { "cgroup:/a", "/b/a", false },
                { "user-1000.slice", "/user.slice/user-1000.slice/session-3.scope", true },
                { "session-3.scope", "/user.slice/user-1000.slice/session-3.scope", true },
                { "session-3.scope", "/user.slice/user-1000.slice/xsession-3.scope", false },
                { "a.service", "/system.slice/aa.service/a.service", true },
                { "a.service", "/system.slice/a.services", false },
                { "user:4000000001", "/user.slice/user-4000000001.slice/session-3.scope", true },
                { "user:400000000", "/user.slice/user-4000000001.slice/session-3.scope", false },
                { "user:root", "/user.slice/user-0.slice/session-3.scope", true },
                { "user:root", "/system.slice/x.service", false },
                { "container:session-3.scope", "/user.slice/session-3.scope", false },
                { "host", "/", false },
                { "host", "/user.slice/session-3.scope", false },
                { "pid:4194303", "/", false },
        };

        (void) state;
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
                if (inside(cases[i].target, cases[i].own) != cases[i].is)
                        fail_msg("%s and %s", cases[i].target, cases[i].own);
}

static void who_started_this_process_is_told_from_who_did_not(void **state) {
        char text[32];

        (void) state;
        (void) snprintf(text, sizeof(text), "pid:%d", (int) getpid());
        assert_true(inside(text, "/"));
        (void) snprintf(text, sizeof(text), "pid:%d", (int) getppid());
        assert_true(inside(text, "/"));
}

static void only_an_order_that_freezes_is_in_the_way(void **state) {
        struct target here = { .cls = TARGET_CGROUP };
        struct command c = { .verb = VERB_CONTAIN, .targets = &here, .n_targets = 1 };

        (void) state;
        /* every process of this hierarchy is below its root, which no order can name */
        here.name[0] = '\0';
        if (!inside_any(&c))
                skip();
        c.verb = VERB_ISOLATE;
        assert_null(inside_any(&c));
        c.verb = VERB_FREEZE;
        assert_ptr_equal(inside_any(&c), &here);
        c.plan = true;
        assert_null(inside_any(&c));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_holds_the_path_is_told_from_what_only_looks_like_it),
                cmocka_unit_test(who_started_this_process_is_told_from_who_did_not),
                cmocka_unit_test(only_an_order_that_freezes_is_in_the_way),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
