/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/stamps.c agent/core/fencefile.c agent/util/io.c agent/util/fault.c */

/* Whoever touches a drop-in, in whatever way, is seen by how it looks. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>

#include "agent/core/fencefile.h"
#include "agent/core/stamps.h"
#include "agent/util/io.h"
#include "lib/scratch.h"

static struct scratch first, second;
static const char *const dirs[] = { first.path, second.path };
static struct stamps stamps;

static int begin(void **state) {
        (void) state;
        scratch_make(&first);
        scratch_make(&second);
        return 0;
}

static int end(void **state) {
        (void) state;
        stamps_done(&stamps);
        scratch_remove(&first);
        scratch_remove(&second);
        return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void put(const char *dir, const char *unit) {
        struct fencefile f = { .n = 1, .holds = { { .b = { 1 } } } };

        (void) snprintf(f.unit, sizeof(f.unit), "%s", unit);
        assert_int_equal(fencefile_write(dir, &f), 0);
}

static bool holds(const char *unit) {
        return stamps_hold(&stamps, dirs, ELEMENTSOF(dirs), unit);
}

static void path_of(const char *dir, const char *unit, char *ret, size_t n) {
        (void) snprintf(ret, n, "%s/%s.d/" FENCEFILE_NAME, dir, unit);
}

static void what_nobody_touched_is_as_it_was(void **state) {
        (void) state;
        put(dirs[1], "x.service");
        assert_false(holds("x.service"));
        stamps_note(&stamps, dirs[1], "x.service");
        assert_true(holds("x.service"));
        assert_false(holds("y.service"));
}

static void whoever_touches_it_is_seen(void **state) {
        char path[PATH_MAX], other[PATH_MAX];
        int fd;

        (void) state;
        put(dirs[0], "x.service");
        stamps_note(&stamps, dirs[0], "x.service");
        path_of(dirs[0], "x.service", path, sizeof(path));
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "\n", 1), 1);
        assert_int_equal(close(fd), 0);
        assert_false(holds("x.service"));
        stamps_note(&stamps, dirs[0], "x.service");
        /* the same bytes in another file */
        put(dirs[0], "y.service");
        path_of(dirs[0], "y.service", other, sizeof(other));
        assert_int_equal(rename(other, path), 0);
        assert_false(holds("x.service"));
        stamps_note(&stamps, dirs[0], "x.service");
        assert_true(holds("x.service"));
        assert_int_equal(unlink(path), 0);
        assert_false(holds("x.service"));
        assert_false(holds("y.service"));
}

static void one_that_comes_before_ours_is_seen(void **state) {
        (void) state;
        put(dirs[1], "x.service");
        stamps_note(&stamps, dirs[1], "x.service");
        put(dirs[0], "x.service");
        assert_false(holds("x.service"));
}

static void what_is_forgotten_is_compared_again(void **state) {
        char unit[24];

        (void) state;
        for (int i = 0; i < 20; i++) {
                (void) snprintf(unit, sizeof(unit), "%d.service", i);
                put(dirs[0], unit);
                stamps_note(&stamps, dirs[0], unit);
        }
        stamps_forget(&stamps, "3.service");
        stamps_forget(&stamps, "none.service");
        for (int i = 0; i < 20; i++) {
                (void) snprintf(unit, sizeof(unit), "%d.service", i);
                assert_true(holds(unit) == (i != 3));
        }
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(what_nobody_touched_is_as_it_was),
                CASE(whoever_touches_it_is_seen),
                CASE(one_that_comes_before_ours_is_seen),
                CASE(what_is_forgotten_is_compared_again),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
