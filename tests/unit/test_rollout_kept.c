/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollout_kept.c ctl/bundle.c ctl/file.c ctl/text.c ctl/why.c */

/* What is kept of a rollout: found by any of its ids, and by what it orders, until it is over. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "ctl/rollout_kept.h"
#include "tests/lib/bundles.h"

static char dir[] = "/tmp/rollout_kept.XXXXXX";

static int set_up(void **state) {
        (void) state;
        return mkdtemp(dir) && setenv("XDG_STATE_HOME", dir, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
        char command[128];

        (void) state;
        (void) snprintf(command, sizeof(command), "rm -rf %s", dir);
        return system(command);
}

static void keep(uint8_t id, char ret_path[static PATH_MAX]) {
        const struct command_id first = { { id, 1 } };
        _cleanup_free_ char *text = bundles_two(id);

        assert_int_equal(rollout_keep(&first, text, strlen(text), ret_path), 0);
}

static void what_is_kept_is_found_by_each_of_its_ids(void **state) {
        char path[PATH_MAX], found[PATH_MAX];
        struct stat st;
        struct why w;

        (void) state;
        keep(10, path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
        for (uint8_t i = 10; i < 12; i++) {
                const struct command_id id = { { i, 1 } };
                _cleanup_free_ char *text = bundles_two(10);
                struct bundle b;
                assert_int_equal(rollout_kept_load(&id, &b, found, &w), 0);
                assert_string_equal(found, path);
                assert_int_equal(b.n, 2);
                assert_int_equal(strncmp(b.v[0].text, text, strlen(b.v[0].text)), 0);
                bundle_done(&b);
        }
        const struct command_id none = { { 12, 1 } };
        struct bundle b;
        assert_int_equal(rollout_kept_load(&none, &b, found, &w), CTL_USAGE);
        assert_int_equal(unlink(path), 0);
}

static void the_same_order_is_found_until_it_is_over(void **state) {
        struct target t;
        struct command c = bundles_command(99, &t, 0, 0);
        char path[PATH_MAX];
        struct command_id id;
        int64_t iat;

        (void) state;
        keep(20, path);
        assert_true(rollout_kept_find(&c, 60999, &id, &iat));
        assert_int_equal(id.b[0], 20);
        assert_int_equal(iat, 1000);
        assert_false(rollout_kept_find(&c, 61000, &id, &iat));
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(target_from_str("unit:nginx.service", &t), 0);
        assert_false(rollout_kept_find(&c, 2000, &id, &iat));
        /* long after nobody asks, and it is removed */
        assert_false(rollout_kept_find(&c, 61000 + 8 * INT64_C(86400000), &id, &iat));
        assert_int_equal(access(path, F_OK), -1);
}

static void what_somebody_put_there_is_passed_over(void **state) {
        struct target t;
        const struct command c = bundles_command(99, &t, 0, 0);
        char path[PATH_MAX], other[PATH_MAX + 8];
        struct command_id id;
        int64_t iat;

        (void) state;
        keep(30, path);
        (void) snprintf(other, sizeof(other), "%s.old", path);
        assert_int_equal(rename(path, other), 0);
        assert_int_equal(symlink(other, path), 0);
        assert_false(rollout_kept_find(&c, 2000, &id, &iat));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_false(rollout_kept_find(&c, 2000, &id, &iat));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(unlink(other), 0);
}

static void who_has_no_place_is_told(void **state) {
        const struct command_id id = { { 40, 1 } };
        char path[PATH_MAX];

        (void) state;
        assert_int_equal(setenv("XDG_STATE_HOME", "/dev/null", 1), 0);
        assert_true(rollout_keep(&id, "x", 1, path) < 0);
        assert_int_equal(setenv("XDG_STATE_HOME", dir, 1), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_kept_is_found_by_each_of_its_ids),
                cmocka_unit_test(the_same_order_is_found_until_it_is_over),
                cmocka_unit_test(what_somebody_put_there_is_passed_over),
                cmocka_unit_test(who_has_no_place_is_told),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
