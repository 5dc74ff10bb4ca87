/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* The hierarchy as the kernel has it: real cgroups, processes and threads. */

#include "lib/cage.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <linux/magic.h>

#include "agent/core/cgroup.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "lib/scratch.h"

static void the_root_is_a_cgroup2_mount(void **state) {
        _cleanup_free_ char *root = NULL;
        struct statfs fs;

        (void) state;
        assert_int_equal(cgroup_root(&root), 0);
        assert_string_equal(root, cage_hierarchy());
        assert_int_equal(statfs(root, &fs), 0);
        assert_int_equal(fs.f_type, CGROUP2_SUPER_MAGIC);
}

static int without_the_mount(void *userdata) {
        char *root = NULL;

        (void) userdata;
        if (unshare(CLONE_NEWNS) < 0)
                return 1;
        while (umount2(cage_hierarchy(), MNT_DETACH) == 0)
                ;
        return cgroup_root(&root) == -ENOENT && !root ? 0 : 2;
}

static void without_a_mount_there_is_no_root(void **state) {
        (void) state;
        assert_int_equal(cage_call(cage_top(), without_the_mount, NULL), 0);
}

static void opening_tells_the_id(void **state) {
        struct cage c = cage_make("a");
        char path[600];
        uint64_t id = 7;
        int fd = -7;

        (void) state;
        assert_int_equal(cgroup_open(cage_hierarchy(), c.path, &fd, &id), 0);
        assert_int_equal(id, c.id);
        (void) close(fd);
        fd = -7;
        id = 7;
        (void) snprintf(path, sizeof(path), "%s/none", c.path);
        assert_int_equal(cgroup_open(cage_hierarchy(), path, &fd, &id), -ENOENT);
        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", c.path);
        assert_int_equal(cgroup_open(cage_hierarchy(), path, &fd, &id), -ENOTDIR);
        assert_int_equal(fd, -7);
        assert_int_equal(id, 7);
        /* the id is of this cgroup and no later one of the same name */
        (void) close(c.fd);
        cage_remove(&c);
        c = cage_make("a");
        assert_int_equal(cgroup_open(cage_hierarchy(), c.path, &fd, &id), 0);
        assert_int_equal(id, c.id);
        (void) close(fd);
}

static void a_process_is_found_where_it_is(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b");
        pid_t pid = cage_spawn(&b, NULL, NULL);
        _cleanup_free_ char *before = NULL, *after = NULL, *none = NULL;
        char text[16];

        (void) state;
        assert_int_equal(cgroup_of_pid(pid, &before), 0);
        assert_string_equal(before, b.path);
        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        assert_int_equal(cage_write(&a, "cgroup.procs", text), 0);
        assert_int_equal(cgroup_of_pid(pid, &after), 0);
        assert_string_equal(after, a.path);
        cage_kill(pid);
        assert_int_equal(cgroup_of_pid(pid, &none), -ESRCH);
        assert_null(none);
}

static bool lists(const pid_t *pids, size_t n, pid_t pid) {
        size_t times = 0;

        for (size_t i = 0; i < n; i++)
                times += pids[i] == pid;
        assert_true(times <= 1);
        return times == 1;
}

static void processes_of_cgroups_below_are_listed(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b"), c = cage_make("a/b/c"), beside = cage_make("beside");
        _cleanup_free_ pid_t *pids = NULL, *none = NULL;
        pid_t in_a, in_c, other;
        size_t n = 7;

        (void) state;
        assert_int_equal(cgroup_pids(a.fd, &none, &n), 0);
        assert_int_equal(n, 0);
        assert_null(none);
        in_a = cage_spawn(&a, NULL, NULL);
        in_c = cage_spawn(&c, NULL, NULL);
        other = cage_spawn(&beside, NULL, NULL);
        assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
        assert_int_equal(n, 2);
        assert_true(lists(pids, n, in_a) && lists(pids, n, in_c) && !lists(pids, n, other));
        (void) b;
}

static int note_path(const char *path, void *userdata) {
        (void) snprintf(userdata, 64, "%s", path);
        return 0;
}

/* The kernel lets whoever may make cgroups call them so. */
static void what_begins_with_a_dot_is_there_too(void **state) {
        struct cage a = cage_make("a"), hidden = cage_make("a/.x"), more = cage_make("a/.x/...");
        const pid_t pid = cage_spawn(&more, NULL, NULL);
        _cleanup_close_ int found = -EBADF, by_id = -EBADF;
        _cleanup_free_ uint64_t *ids = NULL;
        _cleanup_free_ pid_t *pids = NULL;
        char path[64] = "";
        size_t n;

        (void) state;
        assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(pids[0], pid);
        assert_int_equal(cgroup_ids(a.fd, &ids, &n), 0);
        assert_int_equal(n, 3);
        assert_int_equal(cgroup_each_path(a.fd, note_path, path), 0);
        assert_string_equal(path, "/.x/...");
        assert_int_equal(cgroup_open_populated(a.fd, &found), 0);
        assert_int_equal(cgroup_open_id(cage_hierarchy(), hidden.id, &by_id), 0);
}

static void more_processes_than_one_reading_gives_are_listed(void **state) {
        enum { MANY = 300 };
        struct cage a = cage_make("a");
        _cleanup_free_ pid_t *pids = NULL;
        pid_t made[MANY];
        size_t n;

        (void) state;
        for (size_t i = 0; i < MANY; i++)
                made[i] = cage_spawn(&a, NULL, NULL);
        assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
        assert_int_equal(n, MANY);
        for (size_t i = 0; i < MANY; i++)
                assert_true(lists(pids, n, made[i]));
}

static void ids_are_sorted_and_all_there(void **state) {
        struct cage c[] = { cage_make("a"), cage_make("a/b"), cage_make("a/b/c"), cage_make("a/d") };
        _cleanup_free_ uint64_t *ids = NULL;
        size_t n;

        (void) state;
        assert_int_equal(cgroup_ids(c[0].fd, &ids, &n), 0);
        assert_int_equal(n, ELEMENTSOF(c));
        for (size_t i = 0; i < n; i++) {
                bool found = false;

                assert_true(i == 0 || ids[i - 1] < ids[i]);
                for (size_t k = 0; k < n; k++)
                        found = found || ids[k] == c[i].id;
                assert_true(found);
        }
}

static int make_deep(const struct cage *a, size_t levels) {
        int at = dup(a->fd);

        for (size_t i = 0; i < levels; i++) {
                int below;

                assert_int_equal(mkdirat(at, "d", 0755), 0);
                below = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(below >= 0);
                (void) close(at);
                at = below;
        }
        return at;
}

/* Whoever nests deeper than is walked is not overlooked: the answer is that nobody knows. */
static void what_lies_too_deep_is_not_passed_over(void **state) {
        struct cage a = cage_make("a");
        _cleanup_free_ pid_t *pids = NULL;
        _cleanup_free_ uint64_t *ids = NULL;
        struct cage deep = { .fd = make_deep(&a, 80) };
        pid_t pid = cage_spawn(&deep, NULL, NULL);
        size_t n = 0;
        int r = cgroup_pids(a.fd, &pids, &n);

        (void) state;
        assert_true(r < 0 || lists(pids, n, pid));
        r = cgroup_ids(a.fd, &ids, &n);
        assert_true(r < 0 || n == 81);
        (void) close(deep.fd);
}

static int count_paths(const char *path, void *userdata) {
        size_t *n = userdata;

        assert_true(strcmp(path, "/b") == 0 || strcmp(path, "/b/c") == 0);
        (*n)++;
        return 0;
}

static int stop_at_c(const char *path, void *userdata) {
        (void) userdata;
        return strcmp(path, "/b/c") == 0 ? 42 : 0;
}

static void paths_below_are_told_until_someone_has_enough(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b"), c = cage_make("a/b/c");
        size_t n = 0;

        (void) state;
        assert_int_equal(cgroup_each_path(a.fd, count_paths, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(cgroup_each_path(a.fd, stop_at_c, NULL), 42);
        assert_int_equal(cgroup_each_path(c.fd, stop_at_c, NULL), 0);
        (void) b;
}

static int names_nobody(void *userdata) {
        const struct cage *c = userdata;
        pid_t *pids = NULL, pid;
        size_t n = 7;
        int status;

        if (unshare(CLONE_NEWPID) < 0)
                return 1;
        pid = fork();
        if (pid == 0)
                _exit(cgroup_pids(c->fd, &pids, &n) == 0 && n == 0 ? 0 : 2);
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

static void a_process_that_has_no_number_here_is_no_process_0(void **state) {
        struct cage a = cage_make("a");

        (void) state;
        (void) cage_spawn(&a, NULL, NULL);
        assert_int_equal(cage_call(cage_top(), names_nobody, &a), 0);
}

static void *in_a_thread(void *userdata) {
        for (;;)
                (void) pause();
        return userdata;
}

static void with_a_thread(void *userdata) {
        pthread_t thread;

        (void) userdata;
        (void) pthread_create(&thread, NULL, in_a_thread, NULL);
}

static void threads_are_not_processes(void **state) {
        struct cage a = cage_make("a");
        pid_t pid = cage_spawn(&a, with_a_thread, NULL);
        _cleanup_free_ pid_t *pids = NULL;
        size_t n;

        (void) state;
        assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
        assert_int_equal(n, 1);
        assert_true(lists(pids, n, pid));
}

static void a_threaded_cgroup_below_is_walked(void **state) {
        struct cage a = cage_make("a"), t = cage_make("a/t");
        pid_t pid = cage_spawn(&a, with_a_thread, NULL);
        _cleanup_free_ pid_t *pids = NULL;
        size_t n;

        (void) state;
        assert_int_equal(cage_write(&t, "cgroup.type", "threaded"), 0);
        assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
        assert_int_equal(n, 1);
        assert_true(lists(pids, n, pid));
}

/* Its processes are not its own: an empty list would say that there are none. */
static void a_threaded_cgroup_itself_has_no_list_of_processes(void **state) {
        struct cage a = cage_make("a"), t = cage_make("a/t");
        pid_t pid = cage_spawn(&a, NULL, NULL), *pids = NULL;
        char text[16];
        size_t n;

        (void) state;
        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        assert_int_equal(cage_write(&t, "cgroup.type", "threaded"), 0);
        assert_int_equal(cage_write(&t, "cgroup.threads", text), 0);
        assert_true(cage_says(&t, "cgroup.events", "populated 1"));
        assert_int_equal(cgroup_pids(t.fd, &pids, &n), -EOPNOTSUPP);
}

static void the_first_populated_cgroup_is_opened(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b"), c = cage_make("a/b/c");
        struct stat st;
        int fd = -7;

        (void) state;
        assert_int_equal(cgroup_open_populated(a.fd, &fd), -ENOENT);
        assert_int_equal(fd, -7);
        (void) cage_spawn(&c, NULL, NULL);
        assert_int_equal(cgroup_open_populated(a.fd, &fd), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_ino, c.id);
        (void) close(fd);
        (void) cage_spawn(&a, NULL, NULL);
        assert_int_equal(cgroup_open_populated(a.fd, &fd), 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_ino, a.id);
        (void) close(fd);
        (void) b;
}

/* The limits' files are those of controllers that belong to the other hierarchy here; the arithmetic does not mind
 * where the files are. */
static void room_is_what_the_limits_leave(void **state) {
        static const struct {
                const char *memory, *memory_max, *pids, *pids_max;
                bool room;
        } rows[] = {
                { NULL, NULL, NULL, NULL, true },
                { "5000000\n", "max\n", "3\n", "max\n", true },
                { "5000000\n", "7000000\n", "3\n", "4\n", true },
                { "5000000\n", "6000000\n", "3\n", "4\n", false },
                { "5000000\n", "7000000\n", "4\n", "4\n", false },
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(rows); k++) {
                const char *const files[][2] = { { "memory.current", rows[k].memory },
                                                 { "memory.max", rows[k].memory_max },
                                                 { "pids.current", rows[k].pids },
                                                 { "pids.max", rows[k].pids_max } };
                _cleanup_scratch_ struct scratch dir = { "" };

                scratch_make(&dir);
                for (size_t i = 0; i < ELEMENTSOF(files); i++)
                        if (files[i][1])
                                scratch_write(scratch_path(&dir, files[i][0]), files[i][1], strlen(files[i][1]));
                _cleanup_close_ int fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                assert_int_equal(cgroup_has_room(fd), rows[k].room);
        }
}

static void nothing_stays_open(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b");
        const size_t fds = wire_open_fds();
        size_t n;

        (void) state;
        (void) cage_spawn(&b, NULL, NULL);
        for (int i = 0; i < 3; i++) {
                _cleanup_free_ pid_t *pids = NULL;
                _cleanup_free_ uint64_t *ids = NULL;
                _cleanup_close_ int fd = -EBADF;

                assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
                assert_int_equal(cgroup_ids(a.fd, &ids, &n), 0);
                assert_int_equal(cgroup_open_populated(a.fd, &fd), 0);
                assert_int_equal(cgroup_each_path(a.fd, stop_at_c, NULL), 0);
                assert_int_equal(cgroup_freezer_wait(a.fd, false, 0), 0);
        }
        assert_int_equal(wire_open_fds(), fds);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CAGE_CASE(the_root_is_a_cgroup2_mount),
                CAGE_CASE(without_a_mount_there_is_no_root),
                CAGE_CASE(opening_tells_the_id),
                CAGE_CASE(a_process_is_found_where_it_is),
                CAGE_CASE(processes_of_cgroups_below_are_listed),
                CAGE_CASE(what_begins_with_a_dot_is_there_too),
                CAGE_CASE(more_processes_than_one_reading_gives_are_listed),
                CAGE_CASE(ids_are_sorted_and_all_there),
                CAGE_CASE(what_lies_too_deep_is_not_passed_over),
                CAGE_CASE(paths_below_are_told_until_someone_has_enough),
                CAGE_CASE(a_process_that_has_no_number_here_is_no_process_0),
                CAGE_CASE(threads_are_not_processes),
                CAGE_CASE(a_threaded_cgroup_below_is_walked),
                CAGE_CASE(a_threaded_cgroup_itself_has_no_list_of_processes),
                CAGE_CASE(the_first_populated_cgroup_is_opened),
                CAGE_CASE(room_is_what_the_limits_leave),
                CAGE_CASE(nothing_stays_open),
        };

        return CAGE_MAIN(cases);
}
