/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/descriptors.c agent/core/process.c agent/core/ways.c agent/core/sockets.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* Whatever a thread of the target has open is found, in every namespace; what cannot be looked at is said. */

#include "lib/sockets_box.h"

#include <fcntl.h>
#include <signal.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <bpf/bpf.h>

#include "agent/core/descriptors.h"
#include "agent/core/process.h"

static void *keep_it(void *userdata) {
        atomic_bool *kept = userdata;

        (void) unshare(CLONE_FILES);
        atomic_store(kept, true);
        for (;;)
                (void) pause();
        return NULL;
}

static void leave_it_to_a_thread(void *userdata) {
        static atomic_bool kept;
        pthread_t thread;

        (void) userdata;
        (void) pthread_create(&thread, NULL, keep_it, &kept);
        while (!atomic_load(&kept))
                (void) usleep(1000);
        (void) close(CAGE_HELD);
}

/* A thread can have descriptors that its process does not show. */
static void what_only_a_thread_holds_is_found(void **state) {
        struct cage a = cage_make("a");
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0), peer;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        (void) cage_spawn_with(&a, fd, leave_it_to_a_thread, NULL);
        check(sweep(&a, true), 1, 0, 1, 0);
        assert_int_equal(error_of(peer), -ECONNRESET);
        (void) close(fd), (void) close(peer);
}

static void *stay(void *userdata) {
        for (;;)
                (void) pause();
        return userdata;
}

static void *go_ahead(void *userdata) {
        const atomic_bool *go = userdata;

        while (!atomic_load(go))
                (void) usleep(1000);
        (void) usleep(20 * 1000);
        if (write(CAGE_HELD + 1, "", 1) != 1)
                _exit(1);
        return stay(NULL);
}

/* The first thread ends, and says so through another. */
static void end_the_first_thread(void *userdata) {
        static atomic_bool go;
        pthread_t thread;

        (void) userdata;
        (void) pthread_create(&thread, NULL, go_ahead, &go);
        atomic_store(&go, true);
        (void) syscall(SYS_exit, 0);
}

/* The first thread is a zombie then, and /proc/PID has neither its descriptors nor its namespaces. */
static void a_process_whose_first_thread_has_ended_is_looked_into(void **state) {
        struct cage a = cage_make("a");
        int fd = wire_socket(AF_INET, SOCK_STREAM, 0), peer;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        (void) cage_spawn_with(&a, fd, end_the_first_thread, NULL);
        check(sweep(&a, true), 1, 0, 1, 0);
        assert_int_equal(error_of(peer), -ECONNRESET);
        (void) close(fd), (void) close(peer);
}

/* A connection within a network namespace of its own, and how it is. */
struct far {
        int error;
        bool by_thread;
        volatile bool up, look, looked;
};

static void *be_far(void *userdata) {
        struct far *far = userdata;
        union wire_addr at = wire_addr("127.0.0.1", 0);
        socklen_t size = sizeof(at);
        int listener, fd, in;
        char c;

        if (unshare(CLONE_NEWNET) < 0 || system("ip link set lo up") != 0) /* NOLINT */
                return NULL;
        listener = socket(AF_INET, SOCK_STREAM, 0);
        fd = socket(AF_INET, SOCK_STREAM, 0);
        if (bind(listener, &at.sa, sizeof(at.v4)) < 0 || listen(listener, 1) < 0 ||
            getsockname(listener, &at.sa, &size) < 0 || connect(fd, &at.sa, sizeof(at.v4)) < 0)
                return NULL;
        in = accept(listener, NULL, NULL);
        (void) close(listener);
        far->up = true;
        while (!far->look)
                (void) usleep(1000);
        far->error = recv(in, &c, 1, MSG_DONTWAIT) < 0 ? errno : 0;
        far->looked = true;
        for (;;)
                (void) pause();
        return NULL;
}

static void go_far(void *userdata) {
        struct far *far = userdata;
        pthread_t thread;

        if (!far->by_thread && fork() == 0)
                (void) be_far(far);
        if (far->by_thread)
                (void) pthread_create(&thread, NULL, be_far, far);
        while (!far->up)
                (void) usleep(1000);
}

static void in_a_far_namespace(bool by_thread) {
        struct cage a = cage_make("a");
        struct far *far = mmap(NULL, sizeof(*far), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct stat before, after;
        struct sockets_result r;

        assert_ptr_not_equal(far, MAP_FAILED);
        far->by_thread = by_thread;
        (void) cage_spawn(&a, go_far, far);
        assert_int_equal(stat("/proc/self/ns/net", &before), 0);
        r = sweep(&a, true);
        /* destroying the one end may be the end of the other */
        assert_in_range(r.destroyed, 1, 2);
        check(r, r.destroyed, 0, 0, 0);
        assert_int_equal(stat("/proc/self/ns/net", &after), 0);
        assert_int_equal(before.st_ino, after.st_ino);
        far->look = true;
        while (!far->looked)
                (void) usleep(1000);
        assert_true(far->error == ECONNABORTED || far->error == ECONNRESET);
        check(sweep(&a, true), 0, 0, 0, 0);
        assert_int_equal(munmap(far, sizeof(*far)), 0);
}

static void other_network_namespaces_are_entered(void **state) {
        (void) state;
        in_a_far_namespace(false);
}

static void the_namespace_of_a_thread_is_entered(void **state) {
        (void) state;
        in_a_far_namespace(true);
}

static int drop_capability(int cap) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        if (syscall(SYS_capget, &header, data) < 0)
                return -1;
        data[cap / 32].effective &= ~(1U << (cap % 32));
        data[cap / 32].permitted &= ~(1U << (cap % 32));
        return (int) syscall(SYS_capset, &header, data);
}

struct unable {
        const struct sockets_scope *scope;
        int cap;
        unsigned destroyed, left;
        reason_set gaps;
};

static int sweep_without(void *userdata) {
        const struct unable *u = userdata;
        struct sockets_result r;

        if (drop_capability(u->cap) < 0)
                return 1;
        sockets_destroy(u->scope, 1, true, &r);
        return r.destroyed != u->destroyed ? 2 : r.left != u->left ? 3 : r.gaps != u->gaps ? 4 : 0;
}

static void what_may_not_be_destroyed_is_said_to_be_left(void **state) {
        struct cage a = cage_make("a");
        int in = cage_socket(&a, AF_INET, SOCK_STREAM, 0), out;
        struct unable u = { .cap = CAP_NET_ADMIN, .left = 1, .gaps = GAP(SOCKETS_LEFT) };
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        (void) state;
        wire_join(in, "10.0.0.1", SOCK_STREAM, &out);
        u.scope = &s.s;
        assert_int_equal(cage_call(cage_top(), sweep_without, &u), 0);
        assert_int_equal(error_of(in), -EAGAIN);
        (void) close(in), (void) close(out);
}

static void a_namespace_that_may_not_be_entered_is_a_gap(void **state) {
        struct cage a = cage_make("a");
        struct far *far = mmap(NULL, sizeof(*far), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        struct unable u = { .cap = CAP_SYS_ADMIN, .gaps = GAP(NETNS) };

        (void) state;
        assert_ptr_not_equal(far, MAP_FAILED);
        (void) cage_spawn(&a, go_far, far);
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        u.scope = &s.s;
        assert_int_equal(cage_call(cage_top(), sweep_without, &u), 0);
        assert_int_equal(munmap(far, sizeof(*far)), 0);
}

static void a_process_that_may_not_be_looked_into_is_a_gap(void **state) {
        struct cage a = cage_make("a");
        struct unable u = { .cap = CAP_SYS_PTRACE, .gaps = GAP(NETNS) | GAP(SOCKETS_LEFT) };

        (void) state;
        (void) cage_spawn_with(&a, 0, NULL, NULL);
        _cleanup_(scope_done) struct scope s = scope_of(&a);

        u.scope = &s.s;
        assert_int_equal(cage_call(cage_top(), sweep_without, &u), 0);
}

static void each_one_that_resists_is_counted(void **state) {
        struct cage a = cage_make("a");
        int in[3], out[3];

        (void) state;
        for (size_t k = 0; k < 3; k++) {
                in[k] = cage_socket(&a, AF_INET, SOCK_STREAM, 0);
                wire_join(in[k], "10.0.0.1", SOCK_STREAM, &out[k]);
        }
        assert_int_equal(setenv("FREEZED_FAULT", "fail:2", 1), 0);
        check(sweep(&a, true), 2, 1, 0, 0);
        assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
        check(sweep(&a, false), 0, 1, 0, 0);
        check(sweep(&a, true), 1, 0, 0, 0);
        for (size_t k = 0; k < 3; k++)
                (void) close(in[k]), (void) close(out[k]);
}

static void nothing_stays_open(void **state) {
        struct cage a = cage_make("a");
        struct far *far = mmap(NULL, sizeof(*far), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        size_t fds;

        (void) state;
        assert_ptr_not_equal(far, MAP_FAILED);
        (void) cage_spawn(&a, go_far, far);
        fds = wire_open_fds();
        for (int k = 0; k < 3; k++)
                (void) sweep(&a, true);
        assert_int_equal(wire_open_fds(), fds);
        assert_int_equal(munmap(far, sizeof(*far)), 0);
}

/* Its paths are listed as TCP, with its inode. */
static void a_multipath_socket_is_told_and_destroyed_by_its_paths(void **state) {
        struct cage a = cage_make("a");
        int fd = wire_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP), peer;
        int own = cage_socket(&a, AF_INET, SOCK_STREAM, IPPROTO_MPTCP), other;

        (void) state;
        wire_join(fd, "10.0.0.1", SOCK_STREAM, &peer);
        wire_join(own, "10.0.0.1", SOCK_STREAM, &other);
        check(sweep(&a, false), 0, 1, 0, 0);
        (void) cage_spawn_with(&a, fd, NULL, NULL);
        check(sweep(&a, true), 2, 0, 1, 0);
        assert_int_equal(error_of(peer), -ECONNRESET);
        assert_int_equal(error_of(other), -ECONNRESET);
        (void) close(fd), (void) close(peer), (void) close(own), (void) close(other);
}

static int load_program(void) {
        const struct bpf_insn insns[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
                                          { .code = BPF_JMP | BPF_EXIT } };

        return bpf_prog_load(BPF_PROG_TYPE_CGROUP_SKB, "pass", "GPL", insns, ELEMENTSOF(insns), NULL);
}

static void who_has_a_program_open_has_loaded_bpf(void **state) {
        struct cage a = cage_make("a");
        int prog = load_program();

        (void) state;
        assert_true(prog >= 0);
        (void) cage_spawn_with(&a, prog, NULL, NULL);
        assert_reasons(sweep(&a, false).gaps, GAP(LOADED_BPF));
        (void) close(prog);
}

/* Of a child that is a copy of this process, or executes a program of its own, and has the same open. */
static reason_set gaps_of_child(int prog, bool execute) {
        struct descriptors d;
        reason_set gaps = 0;
        const pid_t pid = fork();

        if (pid == 0) {
                if (execute && fcntl(prog, F_SETFD, 0) == 0)
                        (void) execl("/bin/sleep", "sleep", "infinity", NULL);
                for (;;)
                        (void) pause();
        }
        for (int i = 0; i < 60000 && process_is_copy(pid, getpid()) == execute; i++)
                (void) usleep(1000);
        if (descriptors_begin(&d) < 0)
                return GAP(INTERNAL);
        gaps = descriptors_add(&d, &pid, 1, 0, NULL);
        descriptors_done(&d);
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
        return gaps;
}

/* As process 1 of a namespace of its own. */
static int be_the_manager(void) {
        int prog;

        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
                return 1;
        prog = load_program();
        return prog < 0                                       ? 2
               : gaps_of_child(prog, false) != 0              ? 3
               : gaps_of_child(prog, true) != GAP(LOADED_BPF) ? 4
                                                              : 0;
}

static void what_a_copy_of_the_manager_has_of_it_is_the_managers(void **state) {
        int status = -1;
        pid_t pid = fork();

        (void) state;
        if (pid == 0) {
                if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
                        _exit(5);
                pid = fork();
                if (pid == 0)
                        _exit(be_the_manager());
                _exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 6);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CAGE_CASE(what_only_a_thread_holds_is_found),
                CAGE_CASE(a_process_whose_first_thread_has_ended_is_looked_into),
                CAGE_CASE(other_network_namespaces_are_entered),
                CAGE_CASE(the_namespace_of_a_thread_is_entered),
                CAGE_CASE(what_may_not_be_destroyed_is_said_to_be_left),
                CAGE_CASE(a_namespace_that_may_not_be_entered_is_a_gap),
                CAGE_CASE(a_process_that_may_not_be_looked_into_is_a_gap),
                CAGE_CASE(each_one_that_resists_is_counted),
                CAGE_CASE(nothing_stays_open),
                CAGE_CASE(a_multipath_socket_is_told_and_destroyed_by_its_paths),
                CAGE_CASE(who_has_a_program_open_has_loaded_bpf),
                CAGE_CASE(what_a_copy_of_the_manager_has_of_it_is_the_managers),
        };

        return CAGE_MAIN(cases);
}
