/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/fencefile.c agent/util/io.c agent/util/fault.c */

/* The drop-in of a held unit: what it says, whom it is for, and that only ours is taken away. What systemd makes of it
 * is for the suites that have one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "agent/core/fencefile.h"
#include "agent/util/io.h"
#include "lib/scratch.h"

static struct scratch scratch;
static const char *const dir = scratch.path;

static const struct command_id one = { .b = { 1 } }, two = { .b = { 2 } };

static int begin(void **state) {
        (void) state;
        scratch_make(&scratch);
        return 0;
}

static int end(void **state) {
        (void) state;
        scratch_remove(&scratch);
        return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static struct fencefile file_of(const char *unit, const struct command_id *hold) {
        struct fencefile f = { .n = 0 };

        (void) snprintf(f.unit, sizeof(f.unit), "%s", unit);
        if (hold)
                assert_int_equal(fencefile_add(&f, hold), 0);
        return f;
}

static void what_was_written_is_read(void **state) {
        struct fencefile f = file_of("x.service", &one), got;

        (void) state;
        assert_int_equal(fencefile_read(dir, "x.service", &got), -ENOENT);
        assert_int_equal(fencefile_add(&f, &two), 0);
        assert_int_equal(fencefile_write(dir, &f), 0);
        assert_int_equal(fencefile_read(dir, "x.service", &got), 0);
        assert_string_equal(got.unit, "x.service");
        assert_int_equal(got.n, 2);
        assert_true(fencefile_has(&got, &one) && fencefile_has(&got, &two));
        assert_int_equal(fencefile_read(dir, "y.service", &got), -ENOENT);
}

static void each_kind_of_unit_has_its_own_sections(void **state) {
        static const struct {
                const char *unit, *has, *lacks;
        } kinds[] = {
                { "x.service", "[Service]\nRestart=no\nKillMode=none\n", "[Scope]" },
                { "x.scope", "[Scope]\nKillMode=none\n", "[Service]" },
                { "x.slice", "AssertPathExists=!/\n", "[Service]" },
                { "x.socket", "ConditionPathExists=!/\n", "[Service]" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                struct fencefile f = file_of(kinds[i].unit, &one);
                _cleanup_free_ char *text = NULL;

                assert_int_equal(fencefile_render(&f, &text), 0);
                assert_non_null(strstr(text, kinds[i].has));
                assert_null(strstr(text, kinds[i].lacks));
                assert_non_null(strstr(text, "\n[Unit]\nRefuseManualStart=yes\nRefuseManualStop=yes\n"));
                assert_non_null(strstr(text, "\n# hold=01000000000000000000000000000000\n"));
        }
}

static void one_that_was_edited_still_tells_its_holds(void **state) {
        static const char text[] = "\n# hold=junk\n# hold=01000000000000000000000000000000\n"
                                   "# hold=01000000000000000000000000000000\n[Unit]\n";
        struct fencefile f = file_of("x.service", &one), got;
        char path[sizeof(scratch.path) + 64];
        int fd;

        (void) state;
        assert_int_equal(fencefile_write(dir, &f), 0);
        (void) snprintf(path, sizeof(path), "%s/x.service.d", dir);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(io_replace_file(fd, FENCEFILE_NAME, text, strlen(text), 0644), 0);
        close(fd);
        assert_int_equal(fencefile_read(dir, "x.service", &got), -EUCLEAN);
        assert_int_equal(got.n, 1);
        assert_true(fencefile_has(&got, &one));
        assert_int_equal(fencefile_write(dir, &got), 0);
        assert_int_equal(fencefile_read(dir, "x.service", &got), 0);
}

static void without_holds_it_goes_and_other_drop_ins_stay(void **state) {
        struct fencefile x = file_of("x.service", &one), y = file_of("y.service", &one),
                         none = file_of("z.service", NULL);
        char path[sizeof(scratch.path) + 64];

        (void) state;
        assert_int_equal(fencefile_write(dir, &x), 0);
        assert_int_equal(fencefile_write(dir, &y), 0);
        (void) snprintf(path, sizeof(path), "%s/y.service.d/own.conf", dir);
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
        fencefile_remove(&x, &two);
        assert_int_equal(x.n, 1);
        fencefile_remove(&x, &one);
        fencefile_remove(&y, &one);
        assert_int_equal(fencefile_write(dir, &x), 0);
        assert_int_equal(fencefile_write(dir, &y), 0);
        assert_int_equal(fencefile_write(dir, &none), 0);
        assert_int_equal(access(path, F_OK), 0);
        (void) snprintf(path, sizeof(path), "%s/x.service.d", dir);
        assert_int_equal(access(path, F_OK), -1);
}

static int count(const struct fencefile *f, void *userdata) {
        *(size_t *) userdata += f->n;
        return 0;
}

static void all_of_a_directory_are_found(void **state) {
        struct fencefile x = file_of("x.service", &one), y = file_of("y@1.service", &two);
        char path[sizeof(scratch.path) + 64];
        size_t n = 0;

        (void) state;
        assert_int_equal(fencefile_each("/nowhere", count, &n), 0);
        assert_int_equal(fencefile_each(dir, count, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(fencefile_write(dir, &x), 0);
        assert_int_equal(fencefile_write(dir, &y), 0);
        (void) snprintf(path, sizeof(path), "%s/z.service.d", dir);
        assert_int_equal(mkdir(path, 0755), 0);
        assert_int_equal(fencefile_each(dir, count, &n), 0);
        assert_int_equal(n, 2);
}

static void no_name_climbs_out(void **state) {
        struct fencefile f = file_of("../x.service", &one), got;

        (void) state;
        assert_int_equal(fencefile_write(dir, &f), -EINVAL);
        assert_int_equal(fencefile_read(dir, "a/b.service", &got), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(what_was_written_is_read),
                CASE(each_kind_of_unit_has_its_own_sections),
                CASE(one_that_was_edited_still_tells_its_holds),
                CASE(without_holds_it_goes_and_other_drop_ins_stay),
                CASE(all_of_a_directory_are_found),
                CASE(no_name_climbs_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
