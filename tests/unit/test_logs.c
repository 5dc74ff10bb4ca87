/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/logs.c agent/collect/roots.c agent/collect/mounts.c agent/collect/sparse.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include "lib/collect_box.h"

#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "agent/collect/logs.h"

#define MIB (1024ULL * 1024)

/* A tree made by a shell script that stands for the host's root. */
struct tree {
        struct scratch dir;
        struct roots roots;
};

static void tree_make(struct tree *t, const char *script) {
        char command[4096];

        scratch_make(&t->dir);
        (void) snprintf(command, sizeof(command), "cd %s && %s", t->dir.path, script);
        assert_int_equal(system(command), 0); /* NOLINT: fixed commands */
        t->roots.n = 1;
        t->roots.v[0] = (struct root) { .dir = open(t->dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC) };
        assert_true(t->roots.v[0].dir >= 0);
        _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(mounts_read(self, &t->roots.v[0].mounts), 0);
}

static void tree_done(struct tree *t) {
        roots_done(&t->roots);
        scratch_remove(&t->dir);
}
#define _cleanup_tree_ _cleanup_(tree_done)

static void collect(struct box *b, const struct tree *t, const char *const *patterns, size_t n) {
        box_open(b, 64 * MIB);
        logs_collect(b->store, &t->roots, patterns, n);
        box_finish(b);
}
#define COLLECT(b, t, ...) \
        collect(b, t, (const char *const[]) { __VA_ARGS__ }, ELEMENTSOF(((const char *const[]) { __VA_ARGS__ })))

static const json_t *from(const struct box *b, const char *type, const char *source) {
        const json_t *o;

        for (size_t i = 0; (o = box_line(b, type, "log", i)); i++)
                if (json_object_get(o, "source") && strcmp(box_text(o, "source"), source) == 0)
                        return o;
        return NULL;
}
#define object(b, source) from(b, "sha256", source)

static const char *hole(const struct box *b, const char *source) {
        const json_t *o = from(b, "hole", source);
        return o ? box_text(o, "hole") : "";
}

static void logs_take_what_the_patterns_stand_for_and_nothing_else(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "mkdir -p var/log/web srv/a/log srv/b/log && echo 1 >var/log/web/access.log && "
                      "echo 2 >var/log/web/access.log.1 && echo 3 >var/log/web/error.log && echo 4 >srv/a/log/app && "
                      "echo 5 >srv/b/log/app && echo 6 >srv/b/log/other && echo 7 >var/log/syslog");
        COLLECT(&b, &t, "/var/log/web/access.log*", "/srv/*/log/app", "/var/log/sys?og");
        assert_int_equal(b.result.objects, 5);
        assert_int_equal(b.result.holes, 0);
        assert_non_null(object(&b, "/var/log/web/access.log"));
        assert_non_null(object(&b, "/var/log/web/access.log.1"));
        assert_non_null(object(&b, "/srv/a/log/app"));
        assert_non_null(object(&b, "/srv/b/log/app"));
        _cleanup_(scratch_bytes_done) struct scratch_bytes log = box_bytes(&b, object(&b, "/var/log/syslog"));

        assert_string_equal((const char *) log.data, "7\n");
}

static void logs_of_a_directory_are_all_files_below_it_hidden_ones_included(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(
                &t,
                "mkdir -p log/a/b/c && echo 1 >log/x && echo 2 >log/a/.hidden && echo 3 >log/a/b/c/y && : >log/empty");
        COLLECT(&b, &t, "/log");
        assert_int_equal(b.result.objects, 4);
        assert_int_equal(b.result.holes, 0);
        assert_non_null(object(&b, "/log/a/.hidden"));
        assert_non_null(object(&b, "/log/a/b/c/y"));
        assert_non_null(object(&b, "/log/empty"));
}

static void logs_that_are_nowhere_are_a_hole_unless_a_pattern_stood_for_them(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "mkdir log && echo 1 >file");
        COLLECT(&b, &t, "/log/none", "/none/of/it", "/log/*.none", "/file/below");
        assert_int_equal(b.result.objects, 0);
        assert_int_equal(b.result.holes, 3);
        assert_string_equal(hole(&b, "/log/none"), "ENOENT");
        assert_string_equal(hole(&b, "/none/of/it"), "ENOENT");
        assert_string_equal(hole(&b, "/file/below"), "ENOENT");
}

/* Each would make a reader follow, wait, or act. */
static void logs_never_follow_a_link_nor_open_what_is_no_file(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t,
                  "mkdir log && echo secret >secret && ln -s ../secret log/link && ln -s ../log log/loop && "
                  "ln -s log way && mkfifo log/fifo && mknod log/tape c 1 5 && mknod log/disk b 1 0 && echo 1 >log/ok");
        COLLECT(&b, &t, "/log", "/way/ok", "/log/loop/ok");
        assert_int_equal(b.result.objects, 1);
        assert_non_null(object(&b, "/log/ok"));
        assert_string_equal(hole(&b, "/log/link"), "ELOOP");
        assert_string_equal(hole(&b, "/log/loop"), "ELOOP");
        assert_string_equal(hole(&b, "/way"), "ELOOP");
        assert_string_equal(hole(&b, "/log/fifo"), "EOPNOTSUPP");
        assert_string_equal(hole(&b, "/log/tape"), "EOPNOTSUPP");
        assert_string_equal(hole(&b, "/log/disk"), "EOPNOTSUPP");
}

/* A second link must not hide a log, and shows in what is said of it. */
static void logs_with_several_links_are_taken_once_and_say_so(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "mkdir log && echo 1 >log/a && ln log/a log/b && echo 2 >log/c");
        COLLECT(&b, &t, "/log/a", "/log", "/log/c");
        assert_int_equal(b.result.objects, 2);
        assert_int_equal(b.result.holes, 0);
        assert_int_equal(box_int(json_object_get(object(&b, "/log/a"), "stat"), "nlink"), 2);
        assert_int_equal(box_int(json_object_get(object(&b, "/log/c"), "stat"), "nlink"), 1);
}

static void logs_with_hostile_names_are_whole_and_their_lines_plain(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;
        const char *deep =
                "mkdir log && cd log && printf 'x' >\"$(printf 'a\\nb\\033[2J')\" && printf 'y' >\"$(printf '\\377')\" "
                "&& printf z >'-rf *' && printf q >'\"}'";

        (void) state;
        tree_make(&t, deep);
        COLLECT(&b, &t, "/log");
        assert_int_equal(b.result.objects, 4);
        assert_non_null(object(&b, "/log/a\nb\x1b[2J"));
        assert_non_null(object(&b, "/log/-rf *"));
        assert_non_null(object(&b, "/log/\"}"));
}

static void logs_deeper_than_is_taken_are_a_hole(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "d=log; for i in $(seq 40); do d=$d/d; done; mkdir -p $d && echo 1 >$d/deep && echo 2 >log/near");
        COLLECT(&b, &t, "/log");
        assert_int_equal(b.result.objects, 1);
        assert_int_equal(b.result.holes, 1);
        assert_string_equal(box_text(box_hole(&b, "log", 0), "hole"), "EOVERFLOW");
}

/* What was written last is what an incident is about. */
static void logs_that_are_too_large_are_kept_from_their_end(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "printf first >log && truncate -s 600M log && printf last >>log");
        COLLECT(&b, &t, "/log");
        assert_int_equal(b.result.objects, 1);
        assert_string_equal(hole(&b, "/log"), "EFBIG");
        assert_int_equal(box_int(from(&b, "hole", "/log"), "expected"), 600 * MIB + 4);
        _cleanup_(scratch_bytes_done) struct scratch_bytes log = box_bytes(&b, object(&b, "/log"));

        assert_true(log.n >= 4 && log.n <= 8192);
        assert_memory_equal(log.data + log.n - 4, "last", 4);
        assert_null(memmem(log.data, log.n, "first", 5));
}

static void logs_of_nothing_but_a_gap_cost_nothing(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;
        const int64_t start = clock_mono_us();

        (void) state;
        tree_make(&t, "truncate -s 400M log");
        COLLECT(&b, &t, "/log");
        assert_int_equal(b.result.objects, 1);
        assert_int_equal(b.result.holes, 0);
        assert_int_equal(box_int(object(&b, "/log"), "bytes"), 0);
        assert_int_equal(box_int(json_object_get(object(&b, "/log"), "stat"), "size"), 400 * MIB);
        assert_true(clock_mono_us() - start < BOX_FAR_US);
}

static pid_t append_to(const char *path) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid != 0)
                return pid;
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

        while (fd >= 0 && write(fd, "0123456789abcde\n", 16) == 16)
                ;
        _exit(1);
}

/* A log that somebody writes to for ever is read to where it was, and said to have changed. */
static void logs_that_grow_meanwhile_end_where_they_did_and_say_so(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;
        struct stat before;

        (void) state;
        tree_make(&t, "head -c 8M /dev/zero | tr '\\0' x >log");
        pid_t pid = append_to(scratch_path(&t.dir, "log"));

        do
                assert_int_equal(stat(scratch_path(&t.dir, "log"), &before), 0);
        while (before.st_size == 8 * (off_t) MIB);
        COLLECT(&b, &t, "/log");
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        const json_t *o = object(&b, "/log");

        assert_int_equal(b.result.objects, 1);
        assert_true(box_int(o, "bytes") >= before.st_size);
        assert_string_equal(hole(&b, "/log"), "changed");
}

/* A file system whose daemon never answers, as one that was frozen: whoever looks at anything in it waits for ever. */
static void logs_behind_a_daemon_that_does_not_answer_are_not_waited_for(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_close_ int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        _cleanup_box_ struct box b;
        char options[96];

        (void) state;
        if (fuse < 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                print_message("skip: no /dev/fuse, or no mount namespace of one's own\n");
                skip();
        }
        tree_make(&t, "mkdir -p log/mnt log/made && echo 1 >log/near");
        (void) snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
        assert_int_equal(mount("stuck", scratch_path(&t.dir, "log/mnt"), "fuse.stuck", 0, options), 0);
        assert_int_equal(mount("proc", scratch_path(&t.dir, "log/made"), "proc", 0, NULL), 0);
        _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

        mounts_done(&t.roots.v[0].mounts);
        assert_int_equal(mounts_read(self, &t.roots.v[0].mounts), 0);
        /* its old directory is of another mount namespace */
        closep(&t.roots.v[0].dir);
        t.roots.v[0].dir = open(t.dir.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        COLLECT(&b, &t, "/log", "/log/mnt/deep/file");
        assert_int_equal(umount2(scratch_path(&t.dir, "log/mnt"), MNT_DETACH), 0);
        assert_int_equal(b.result.objects, 1);
        assert_int_equal(umount2(scratch_path(&t.dir, "log/made"), MNT_DETACH), 0);
        assert_string_equal(hole(&b, "/log/mnt"), "EREMOTE");
        assert_string_equal(hole(&b, "/log/made"), "EREMOTE");
}

/* A mount that came after the list was read may be anything. */
static void logs_of_a_mount_that_is_not_in_the_list_are_a_hole(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "mkdir log && echo 1 >log/a");
        t.roots.v[0].mounts.n = 0;
        COLLECT(&b, &t, "/log");
        assert_int_equal(b.result.objects, 0);
        assert_string_equal(hole(&b, "/log"), "EREMOTE");
}

static pid_t lease(const char *path) {
        int ready[2];
        char c;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int fd = open(path, O_RDWR | O_CLOEXEC);

                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) signal(SIGIO, SIG_IGN);
                if (fd < 0 || fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
                        _exit(1);
                (void) write(ready[1], "", 1);
                for (;;)
                        (void) pause();
        }
        (void) close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 1);
        (void) close(ready[0]);
        return pid;
}

/* Whoever holds a lease has 45 seconds to give it up, and longer if he is frozen. */
static void logs_that_somebody_leased_are_not_waited_for(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "mkdir log && echo 1 >log/leased && echo 2 >log/free");
        pid_t pid = lease(scratch_path(&t.dir, "log/leased"));

        COLLECT(&b, &t, "/log");
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(b.result.objects, 1);
        assert_non_null(object(&b, "/log/free"));
        assert_string_equal(hole(&b, "/log/leased"), "EAGAIN");
}

/* As many files as are taken at all, in what the attacker owns: what the host has is there before them. */
static void logs_of_the_host_come_before_those_of_a_container(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_tree_ struct tree other;
        _cleanup_box_ struct box b;

        (void) state;
        tree_make(&t, "mkdir -p a z && echo host >z/last");
        tree_make(&other, "mkdir a && cd a && printf 'x\\n%.0s' $(seq 400) | split -a 4 -l 1");
        t.roots.v[1] = other.roots.v[0];
        t.roots.v[1].pid = 4711;
        t.roots.n = 2;
        other.roots.n = 0;
        box_open(&b, 64 * 1024);
        logs_collect(b.store, &t.roots, (const char *const[]) { "/a", "/z" }, 2);
        box_finish(&b);
        assert_true(b.result.flags & COLLECT_CUT_BYTES);
        assert_non_null(object(&b, "/z/last"));
}

static void logs_seen_through_another_root_are_named_by_it_and_the_same_file_is_taken_once(void **state) {
        _cleanup_tree_ struct tree t;
        _cleanup_tree_ struct tree other;
        _cleanup_box_ struct box b;
        char command[256];

        (void) state;
        tree_make(&t, "mkdir log && echo host >log/a && echo both >log/b");
        tree_make(&other, "mkdir log && echo inside >log/a");
        (void) snprintf(command, sizeof(command), "ln %s/log/b %s/log/b", t.dir.path, other.dir.path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        t.roots.v[1] = other.roots.v[0];
        t.roots.v[1].pid = 4711;
        t.roots.n = 2;
        other.roots.n = 0;
        COLLECT(&b, &t, "/log/a", "/log/b", "/log/c");
        assert_int_equal(b.result.objects, 3);
        assert_int_equal(b.result.holes, 1);
        assert_int_equal(box_int(object(&b, "/proc/4711/root/log/a"), "pid"), 4711);
        assert_string_equal(hole(&b, "/log/c"), "ENOENT");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(logs_take_what_the_patterns_stand_for_and_nothing_else),
                cmocka_unit_test(logs_of_a_directory_are_all_files_below_it_hidden_ones_included),
                cmocka_unit_test(logs_that_are_nowhere_are_a_hole_unless_a_pattern_stood_for_them),
                cmocka_unit_test(logs_never_follow_a_link_nor_open_what_is_no_file),
                cmocka_unit_test(logs_with_several_links_are_taken_once_and_say_so),
                cmocka_unit_test(logs_with_hostile_names_are_whole_and_their_lines_plain),
                cmocka_unit_test(logs_deeper_than_is_taken_are_a_hole),
                cmocka_unit_test(logs_that_are_too_large_are_kept_from_their_end),
                cmocka_unit_test(logs_of_nothing_but_a_gap_cost_nothing),
                cmocka_unit_test(logs_that_grow_meanwhile_end_where_they_did_and_say_so),
                cmocka_unit_test(logs_of_a_mount_that_is_not_in_the_list_are_a_hole),
                cmocka_unit_test(logs_that_somebody_leased_are_not_waited_for),
                cmocka_unit_test(logs_of_the_host_come_before_those_of_a_container),
                cmocka_unit_test(logs_seen_through_another_root_are_named_by_it_and_the_same_file_is_taken_once),
                cmocka_unit_test(logs_behind_a_daemon_that_does_not_answer_are_not_waited_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
