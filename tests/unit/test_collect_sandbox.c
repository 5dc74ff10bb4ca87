/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/sandbox.c agent/collect/pidlist.c agent/util/io.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <linux/sched.h>

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/landlock.h>

#include "agent/collect/pidlist.h"
#include "agent/collect/sandbox.h"
#include "lib/scratch.h"

/* Code that an attacker runs inside the collector: each answers 0 when it got what it wanted, else the errno. */
struct trial {
        const char *what;
        int (*attempt)(int folder);
};

/* The process to attack; the filter lets nobody ask who the parent is. */
static pid_t test_pid;

static int answer(long r) {
        return r < 0 ? errno : 0;
}

static int make_file(int folder) {
        (void) folder;
        return answer(open("/dev/shm/freezed-escaped", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int make_file_in_folder(int folder) {
        return answer(openat(folder, "named", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int write_device(int folder) {
        (void) folder;
        return answer(open("/dev/zero", O_RDWR | O_CLOEXEC));
}

static int write_own_proc(int folder) {
        (void) folder;
        return answer(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
}

static int link_above(int folder) {
        int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

        /* it resolves to the folder itself: the name appears inside, not above */
        if (fd < 0 || linkat(fd, "", folder, "../above", AT_EMPTY_PATH) < 0)
                return errno;
        return faccessat(folder, "above", F_OK, 0) == 0 ? EXDEV : 0;
}

static int link_elsewhere(int folder) {
        int fd = open("/dev/shm", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

        (void) folder;
        return fd < 0 ? errno : answer(linkat(fd, "", AT_FDCWD, "/dev/shm/freezed-escaped", AT_EMPTY_PATH));
}

static int unlink_something(int folder) {
        return answer(unlinkat(folder, "keep", 0));
}

static int rename_something(int folder) {
        return answer(renameat(folder, "keep", folder, "kept"));
}

static int change_mode(int folder) {
        return answer(fchmodat(folder, "keep", 0777, 0));
}

static int open_inet(int folder) {
        (void) folder;
        return answer(socket(AF_INET, SOCK_STREAM, 0));
}

static int open_unix(int folder) {
        (void) folder;
        return answer(socket(AF_UNIX, SOCK_STREAM, 0));
}

static int execute(int folder) {
        (void) folder;
        return answer(execl("/bin/true", "true", NULL));
}

static int fork_child(int folder) {
        (void) folder;
        return answer(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

/* by a signal, and to write to */
static int trace_parent(int folder) {
        (void) folder;
        return answer(ptrace(PTRACE_ATTACH, test_pid, 0, 0));
}

static int poke_parent(int folder) {
        (void) folder;
        errno = 0;
        (void) ptrace(PTRACE_POKEDATA, test_pid, 0, 0);
        return errno == ESRCH ? 0 : errno; /* of a process that is not seized */
}

static int fork_by_clone3(int folder) {
        struct clone_args args = { .exit_signal = SIGCHLD };

        (void) folder;
        return answer(syscall(SYS_clone3, &args, sizeof(args)));
}

static int nothing(void *userdata) {
        (void) userdata;
        return 0;
}

/* Not pthread_create(3), for which ASan wants more than the filter allows. */
static int make_thread(int folder) {
        static uint8_t stack[64 * 1024];

        (void) folder;
        return answer(clone(nothing, stack + sizeof(stack), CLONE_VM | CLONE_THREAD | CLONE_SIGHAND, NULL));
}

static int signal_parent(int folder) {
        (void) folder;
        return answer(kill(test_pid, 0));
}

static int read_memory_of_parent(int folder) {
        char b[8];
        struct iovec local = { b, sizeof(b) }, remote = { &folder, sizeof(b) };

        return answer(syscall(SYS_process_vm_readv, test_pid, &local, 1, &remote, 1, 0));
}

static int mount_something(int folder) {
        (void) folder;
        return answer(mount("x", "/tmp", "tmpfs", 0, NULL));
}

static int make_namespace(int folder) {
        (void) folder;
        return answer(unshare(CLONE_NEWUSER));
}

static int make_code(int folder) {
        (void) folder;
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return p == MAP_FAILED ? errno : 0;
}

static int turn_data_into_code(int folder) {
        static char page[8192] __attribute__((aligned(4096)));

        (void) folder;
        return answer(mprotect(page, 4096, PROT_READ | PROT_EXEC));
}

static int raise_limit(int folder) {
        const struct rlimit more = { RLIM_INFINITY, RLIM_INFINITY };

        (void) folder;
        return answer(syscall(SYS_prlimit64, 0, RLIMIT_FSIZE, &more, NULL));
}

static int load_bpf(int folder) {
        (void) folder;
        return answer(syscall(SYS_bpf, 0, NULL, 0));
}

static int submit_ring(int folder) {
        char params[128] = { 0 };

        (void) folder;
        return answer(syscall(SYS_io_uring_setup, 1, params));
}

static const struct trial forbidden[] = {
        { "make a file outside", make_file },
        { "make a named file in the folder", make_file_in_folder },
        { "open a device for writing", write_device },
        { "write to /proc", write_own_proc },
        { "link a file above the folder", link_above },
        { "link a file elsewhere", link_elsewhere },
        { "remove a file", unlink_something },
        { "rename a file", rename_something },
        { "change a mode", change_mode },
        { "open an internet socket", open_inet },
        { "open a local socket", open_unix },
        { "execute", execute },
        { "fork", fork_child },
        { "fork by clone3", fork_by_clone3 },
        { "poke", poke_parent },
        { "trace", trace_parent },
        { "signal", signal_parent },
        { "read another's memory", read_memory_of_parent },
        { "mount", mount_something },
        { "make a namespace", make_namespace },
        { "map code", make_code },
        { "turn data into code", turn_data_into_code },
        { "raise a limit", raise_limit },
        { "load BPF", load_bpf },
        { "set up io_uring", submit_ring },
};

static int keep_object(int folder) {
        int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        int r = fd < 0 ? errno : write(fd, "x", 1) != 1 ? EIO : answer(linkat(fd, "", folder, "object", AT_EMPTY_PATH));

        (void) close(fd);
        return r != 0 && r != EEXIST ? r : 0;
}

static int take_back(int folder) {
        int fd = openat(folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        return fd < 0 ? errno : answer(ftruncate(fd, 0));
}

static int read_shadow(int folder) {
        (void) folder;
        return answer(open("/etc/shadow", O_RDONLY | O_CLOEXEC));
}

static int map_file(int folder) {
        int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

        (void) folder;
        return mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? errno : 0;
}

/* What the collector is for has to work with every wall up. */
static const struct trial allowed[] = {
        { "keep an object", keep_object },        { "take back a part-written buffer", take_back },
        { "read a file of root's", read_shadow }, { "map a file for reading", map_file },
        { "make a thread", make_thread },
};

static int look_into_other(int folder) {
        char path[64];

        (void) folder;
        (void) snprintf(path, sizeof(path), "/proc/%d/environ", (int) test_pid);
        return answer(open(path, O_RDONLY | O_CLOEXEC));
}

static bool needs_root(void) {
        if (geteuid() == 0)
                return true;
        print_message("skip: needs root\n");
        skip();
        return false;
}

static bool needs_landlock(void) {
        if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0)
                return needs_root();
        print_message("skip: this kernel has no Landlock\n");
        skip();
        return false;
}

/* Which walls stand. */
#define MOUNTS   1U
#define ENTER    2U
#define LANDLOCK 4U

static int build(unsigned walls, int *folder) {
        const struct sandbox_limits limits = { .max_bytes = 1 << 20, .cpu_seconds = 30 };

        if (sandbox_limit(&limits) < 0)
                return -1;
        if ((walls & MOUNTS) && sandbox_mounts(folder) < 0)
                return -2;
        if ((walls & ENTER) && sandbox_enter() < 0)
                return -3;
        return (walls & LANDLOCK) && sandbox_landlock(*folder) < 0 ? -4 : 0;
}

/* Runs one trial in a child of its own and returns what it answered; -1 and below: the sandbox could not be built, or
 * it died. */
static int try_in_child(unsigned walls, int (*attempt)(int folder)) {
        _cleanup_scratch_ struct scratch s;

        test_pid = getpid();
        scratch_make(&s);
        scratch_write(scratch_path(&s, "keep"), "x", 1);
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int folder = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                int r = build(walls, &folder);

                _exit(r < 0 ? 200 - r : attempt(folder));
        }
        int r = scratch_wait(pid);

        assert_int_equal(access("/dev/shm/freezed-escaped", F_OK), -1);
        return r;
}

static void try_all(const struct trial *t, size_t n, unsigned walls, bool may) {
        for (size_t i = 0; i < n; i++) {
                int r = try_in_child(walls, t[i].attempt);

                if (r < 0 || r > 200 || (r == 0) != may)
                        fail_msg("%s: %d (%s)", t[i].what, r, strerror(r));
        }
}

static void sandbox_forbids_everything_but_reading_and_its_folder(void **state) {
        (void) state;
        if (needs_landlock())
                try_all(forbidden, ELEMENTSOF(forbidden), MOUNTS | ENTER | LANDLOCK, false);
}

static void sandbox_lets_the_collector_do_its_work(void **state) {
        (void) state;
        if (!needs_landlock())
                return;
        try_all(allowed, ELEMENTSOF(allowed), MOUNTS | ENTER | LANDLOCK, true);
        try_all(allowed, ELEMENTSOF(allowed), MOUNTS | ENTER, true);
        try_all(allowed, ELEMENTSOF(allowed), ENTER | LANDLOCK, true);
        try_all(allowed, ELEMENTSOF(allowed), ENTER, true);
}

/* While /proc is read, which Landlock would not let it. */
static void sandbox_holds_before_landlock(void **state) {
        (void) state;
        if (needs_root())
                try_all(forbidden, ELEMENTSOF(forbidden), MOUNTS | ENTER, false);
}

static void sandbox_holds_without_a_mount_namespace(void **state) {
        (void) state;
        if (needs_landlock())
                try_all(forbidden, ELEMENTSOF(forbidden), ENTER | LANDLOCK, false);
}

/* The tests above would pass as well if these things were impossible anyway. */
static void sandbox_is_what_forbids_it(void **state) {
        static const struct trial free_ones[] = {
                { "remove a file", unlink_something },
                { "make a named file in the folder", make_file_in_folder },
                { "open a local socket", open_unix },
                { "open a device for writing", write_device },
                { "fork", fork_child },
                { "signal", signal_parent },
                { "map code", make_code },
                { "write to /proc", write_own_proc },
                { "look into another process", look_into_other },
        };

        (void) state;
        if (needs_root())
                try_all(free_ones, ELEMENTSOF(free_ones), 0, true);
}

static void sandbox_without_a_wall_around_files_is_known_to_leak(void **state) {
        (void) state;
        if (!needs_root())
                return;
        /* Which is why the result says no-mounts and no-landlock. */
        assert_int_equal(try_in_child(ENTER, link_above), 0);
        assert_int_equal(unlink(access("/dev/shm", W_OK) == 0 ? "/dev/shm/above" : "/tmp/above"), 0);
}

static void landlock_ends_looking_into_other_processes(void **state) {
        (void) state;
        if (!needs_landlock())
                return;
        assert_int_equal(try_in_child(MOUNTS | ENTER, look_into_other), 0);
        assert_int_not_equal(try_in_child(MOUNTS | ENTER | LANDLOCK, look_into_other), 0);
}

static void add_pid(pid_t pid, void *userdata) {
        pid_t *v = userdata;

        v[++v[0]] = pid;
}

static void pidlist_takes_ids_and_nothing_else(void **state) {
        static const struct {
                const char *text;
                int r;
                pid_t v[4]; /* how many, and which */
        } cases[] = {
                { "", 0, { 0 } },
                { "1\n", 0, { 1, 1 } },
                { "1\n22\n333\n", 0, { 3, 1, 22, 333 } },
                { "0\n", 0, { 1, 0 } },
                { "4194304\n", 0, { 1, 4194304 } },
                { "4194305\n", -EBADMSG, { 0 } },
                { "99999999999999999999\n", -EBADMSG, { 0 } },
                { "1\n2", -EBADMSG, { 1, 1 } },
                { "\n", -EBADMSG, { 0 } },
                { "1\n\n", -EBADMSG, { 1, 1 } },
                { "-1\n", -EBADMSG, { 0 } },
                { "1 \n", -EBADMSG, { 0 } },
                { "1\n/2\n", -EBADMSG, { 1, 1 } },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                pid_t v[8] = { 0 };

                assert_int_equal(pidlist_parse(cases[i].text, strlen(cases[i].text), add_pid, v), cases[i].r);
                assert_memory_equal(v, cases[i].v, ((size_t) v[0] + 1) * sizeof(v[0]));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sandbox_forbids_everything_but_reading_and_its_folder),
                cmocka_unit_test(sandbox_lets_the_collector_do_its_work),
                cmocka_unit_test(sandbox_holds_before_landlock),
                cmocka_unit_test(sandbox_holds_without_a_mount_namespace),
                cmocka_unit_test(sandbox_is_what_forbids_it),
                cmocka_unit_test(sandbox_without_a_wall_around_files_is_known_to_leak),
                cmocka_unit_test(landlock_ends_looking_into_other_processes),
                cmocka_unit_test(pidlist_takes_ids_and_nothing_else),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
