/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/paths.c */
/* LINK: agent/core/systemd.c agent/util/clock.c agent/util/fault.c agent/util/io.c agent/core/cgroup.c tests/lib/cage.c */
/* WRAP: clock_boot_ms */

/* Without a service manager, and with one that does not answer: neither may be in the way. What one that answers says
 * is for the suites that have a real one. */

#include "lib/cage.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <systemd/sd-bus.h>

#include "agent/core/systemd.h"
#include "agent/util/clock.h"
#include "lib/scratch.h"

#define ID       "0123456789abcdef0123456789abcdef"
#define OTHER_ID "0123456789abcdef0123456789abcdee"
#define SECOND   (1000LL * 1000)

static struct systemd *systemd;

static int64_t since_boot_ms = 60 * 60 * 1000;

int64_t __wrap_clock_boot_ms(void);
int64_t __wrap_clock_boot_ms(void) {
        return since_boot_ms;
}

/* A /run of its own, and in it what makes this host one that was booted by systemd. */
static int begin(void **state) {
        int r = cage_begin(state);

        if (r != 0)
                return r;
        assert_int_equal(mount("run", "/run", "tmpfs", 0, "mode=755"), 0);
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(systemd_new(&systemd), 0);
        return 0;
}

static int end(void **state) {
        systemd_free(TAKE_PTR(systemd));
        assert_int_equal(umount2("/run", MNT_DETACH), 0);
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static char *any[] = { "*", NULL };

static bool count(const char *name, const char *cgroup, void *userdata) {
        (void) name;
        (void) cgroup;
        *(int *) userdata += 1;
        return true;
}

static void without_one_every_call_says_so(void **state) {
        char *path = NULL;
        int n = 0;

        (void) state;
        systemd_begin(systemd);
        assert_int_equal(systemd_version(systemd), 0);
        assert_int_equal(systemd_each_unit(systemd, any, count, &n), -EOPNOTSUPP);
        assert_int_equal(n, 0);
        assert_int_equal(systemd_unit_cgroup(systemd, "x.service", &path), -EOPNOTSUPP);
        assert_int_equal(systemd_unit_frozen(systemd, "x.service", true), -EOPNOTSUPP);
        assert_int_equal(systemd_unit_watchdog(systemd, "x.service"), 0);
        assert_false(systemd_is_booting(systemd));
        assert_null(path);
        systemd_rest(systemd);
}

static void what_cannot_have_a_cgroup_is_not_asked_for(void **state) {
        char *path = NULL;

        (void) state;
        assert_int_equal(systemd_unit_cgroup(systemd, "x.timer", &path), -EINVAL);
        assert_int_equal(systemd_unit_cgroup(systemd, "x", &path), -EINVAL);
}

static int listen_as_pid_1(void) {
        struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/private" };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(mkdir("/run/systemd/system", 0755), 0);
        assert_int_equal(bind(fd, (struct sockaddr *) &at, sizeof(at)), 0);
        assert_int_equal(listen(fd, 4), 0);
        return fd;
}

/* All that an order asks costs one timeout, and the next order tries again. */
static void check_silence(void) {
        char *path = NULL;
        int n = 0;

        for (int order = 0; order < 2; order++) {
                int64_t start = clock_mono_us(), least = INT64_MAX;

                systemd_begin(systemd);
                assert_int_equal(systemd_unit_cgroup(systemd, "x.service", &path), -ETIMEDOUT);
                assert_in_range(clock_mono_us() - start, SECOND / 2, 60LL * SECOND);
                for (int k = 0; k < 10; k++) {
                        start = clock_mono_us();
                        assert_int_equal(systemd_unit_cgroup(systemd, "x.service", &path), -ETIMEDOUT);
                        assert_int_equal(systemd_each_unit(systemd, any, count, &n), -ETIMEDOUT);
                        assert_int_equal(systemd_unit_frozen(systemd, "x.service", true), -ETIMEDOUT);
                        assert_int_equal(systemd_unit_watchdog(systemd, "x.service"), 0);
                        assert_int_equal(systemd_version(systemd), 0);
                        assert_true(systemd_unit_is_starting(systemd, "x.service"));
                        least = MIN(least, clock_mono_us() - start);
                }
                /* who waits does each time; a busy machine takes its time now and then */
                assert_true(least < SECOND / 2);
                assert_true(systemd_is_silent(systemd));
                systemd_rest(systemd);
                assert_false(systemd_is_silent(systemd));
                /* nor who does not want to wait, when the host is known to be up */
                since_boot_ms = 60 * 1000;
                systemd_give_up(systemd);
                start = clock_mono_us();
                assert_int_equal(systemd_unit_cgroup(systemd, "x.service", &path), -ETIMEDOUT);
                assert_true(clock_mono_us() - start >= SECOND / 2);
                systemd_rest(systemd);
                since_boot_ms = 60 * 60 * 1000;
                least = INT64_MAX;
                for (int k = 0; k < 10; k++) {
                        systemd_give_up(systemd);
                        start = clock_mono_us();
                        assert_int_equal(systemd_unit_cgroup(systemd, "x.service", &path), -ETIMEDOUT);
                        least = MIN(least, clock_mono_us() - start);
                        systemd_rest(systemd);
                }
                assert_true(least < SECOND / 2);
        }
        assert_null(path);
        assert_int_equal(n, 0);
}

static void one_that_does_not_even_greet_costs_one_timeout(void **state) {
        int fd = listen_as_pid_1();

        (void) state;
        check_silence();
        (void) close(fd);
}

/* Takes every connection, greets, and says no more. */
static void greet_only(int listener) {
        for (;;) {
                sd_id128_t id = { .bytes = { 1 } };
                sd_bus *bus = NULL;
                int fd = accept(listener, NULL, NULL);

                if (fd < 0 || sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fd, fd) < 0 ||
                    sd_bus_set_server(bus, 1, id) < 0 || sd_bus_set_anonymous(bus, 1) < 0 || sd_bus_start(bus) < 0)
                        _exit(1);
                while (sd_bus_is_ready(bus) == 0)
                        if (sd_bus_process(bus, NULL) < 0 || sd_bus_wait(bus, SECOND) < 0)
                                break;
        }
}

static void one_that_only_greets_costs_one_timeout(void **state) {
        int fd = listen_as_pid_1();
        pid_t pid = fork();

        (void) state;
        assert_true(pid >= 0);
        if (pid == 0)
                greet_only(fd);
        check_silence();
        cage_kill(pid);
        (void) close(fd);
}

static void one_that_hangs_up_is_no_answer(void **state) {
        int fd = listen_as_pid_1();
        char *path = NULL;
        int64_t start = clock_mono_us();
        pid_t pid = fork();

        (void) state;
        assert_true(pid >= 0);
        for (;;) {
                if (pid != 0)
                        break;
                (void) close(accept(fd, NULL, NULL));
        }
        assert_true(systemd_unit_cgroup(systemd, "x.service", &path) < 0);
        assert_true(systemd_unit_frozen(systemd, "x.service", true) < 0);
        assert_true(clock_mono_us() - start < 60LL * SECOND);
        cage_kill(pid);
        (void) close(fd);
}

/* For x.service; NULL: not at all. */
static void write_down(const struct scratch *root, const char *id, const char *on_cgroup) {
        const char *link = "/run/systemd/units/invocation:x.service",
                   *dir = scratch_path(root, "system.slice/x.service");

        (void) mkdir("/run/systemd/units", 0755);
        (void) mkdir(scratch_path(root, "system.slice"), 0755);
        (void) mkdir(dir, 0755);
        (void) unlink(link);
        (void) removexattr(dir, "trusted.invocation_id");
        if (id)
                assert_int_equal(symlink(id, link), 0);
        if (on_cgroup)
                assert_int_equal(setxattr(dir, "trusted.invocation_id", on_cgroup, strlen(on_cgroup), 0), 0);
}

static void what_is_written_down_counts_when_both_agree(void **state) {
        static const struct {
                const char *id, *on_cgroup;
                int result;
        } rows[] = {
                { ID, ID, 0 },           { ID, OTHER_ID, -ENOENT }, { OTHER_ID, ID, -ENOENT },
                { ID, NULL, -ENOENT },   { NULL, ID, -ENOENT },     { ID "0", ID "0", -ENOENT },
                { ID "0", ID, -ENOENT }, { ID, ID "0", -ENOENT },   { "0", "0", -ENOENT },
        };
        _cleanup_scratch_ struct scratch root = { "" };

        (void) state;
        scratch_make(&root);
        for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
                _cleanup_free_ char *path = NULL;

                write_down(&root, rows[k].id, rows[k].on_cgroup);
                assert_int_equal(systemd_unit_cgroup_written(root.path, "x.service", &path), rows[k].result);
                if (rows[k].result == 0)
                        assert_string_equal(path, "/system.slice/x.service");
                else
                        assert_null(path);
        }
}

static void what_is_written_down_is_found_by_a_name_and_no_path(void **state) {
        _cleanup_scratch_ struct scratch root = { "" };
        char *path = NULL, name[5000];

        (void) state;
        scratch_make(&root);
        write_down(&root, ID, ID);
        assert_int_equal(mkdir("/run/systemd/units/invocation:", 0755), 0);
        assert_int_equal(systemd_unit_cgroup_written(root.path, "/../invocation:x.service", &path), -ENOENT);
        assert_int_equal(systemd_unit_cgroup_written(root.path, "", &path), -ENOENT);
        memset(name, 'x', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        assert_int_equal(systemd_unit_cgroup_written(root.path, name, &path), -ENOENT);
        assert_null(path);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(without_one_every_call_says_so),
                CASE(what_cannot_have_a_cgroup_is_not_asked_for),
                CASE(one_that_does_not_even_greet_costs_one_timeout),
                CASE(one_that_only_greets_costs_one_timeout),
                CASE(one_that_hangs_up_is_no_answer),
                CASE(what_is_written_down_counts_when_both_agree),
                CASE(what_is_written_down_is_found_by_a_name_and_no_path),
        };

        return CAGE_MAIN(cases);
}
