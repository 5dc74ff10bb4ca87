/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/gate/sandbox.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/gate/sandbox.h"

static int pipe_ends[2], pair[2];

/* Each makes the call for real, and outside the sandbox it works. */
static long try_open(void) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long try_openat_by_number(void) {
        return syscall(SYS_openat, AT_FDCWD, "/", O_PATH | O_CLOEXEC);
}

static long try_create(void) {
        return memfd_create("x", MFD_CLOEXEC);
}

static long try_socket(void) {
        return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

static long try_socketpair(void) {
        int ends[2];

        return socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends);
}

static long try_fork(void) {
        pid_t pid = (pid_t) syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

        if (pid == 0)
                _exit(0);
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        return pid;
}

static long try_exec_memory(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -1 : 0;
}

static long try_write_elsewhere(void) {
        return write(pipe_ends[1], "x", 1);
}

static long try_send_descriptor(void) {
        struct msghdr m = {};

        return sendmsg(pair[0], &m, MSG_DONTWAIT);
}

static long try_other_option(void) {
        int one = 1;

        return setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
}

static long try_kill(void) {
        return kill(getpid(), 0);
}

static long try_unshare(void) {
        return unshare(CLONE_FS);
}

static long try_limit(void) {
        struct rlimit l;

        return getrlimit(RLIMIT_NOFILE, &l);
}

static long try_prctl(void) {
        return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
}

static const struct {
        const char *what;
        long (*call)(void);
} forbidden[] = {
        { "open", try_open },
        { "openat by number", try_openat_by_number },
        { "memfd_create", try_create },
        { "socket", try_socket },
        { "socketpair", try_socketpair },
        { "clone", try_fork },
        { "executable memory", try_exec_memory },
        { "write to another file than stderr", try_write_elsewhere },
        { "sendmsg", try_send_descriptor },
        { "setsockopt of another option", try_other_option },
        { "kill", try_kill },
        { "unshare", try_unshare },
        { "getrlimit", try_limit },
        { "prctl", try_prctl },
};

static long try_memory(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -1 : 0;
}

static long try_exchange(void) {
        char c;

        return send(pair[1], "x", 1, MSG_DONTWAIT) == 1 && recv(pair[0], &c, 1, MSG_DONTWAIT) == 1 ? 0 : -1;
}

/* no value that a sanitizer ends with */
enum outcome {
        WORKED = 100,
        NOT_PERMITTED,
        FAILED,
        NOT_CONFINED,
};

/* Makes the call in a child of its own. */
static enum outcome outcome_of(bool confined, long (*call)(void)) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                enum outcome o = NOT_CONFINED;

                if (!confined || sandbox_enter(64) == 0)
                        o = call() >= 0 ? WORKED : errno == EPERM ? NOT_PERMITTED : FAILED;
                /* Not _exit(): before a call that does not return, the sanitizer makes system calls of its own. */
                (void) syscall(SYS_exit_group, o);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return (enum outcome) WEXITSTATUS(status);
}

static void sandbox_forbids_what_works_outside(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(forbidden); i++) {
                enum outcome outside = outcome_of(false, forbidden[i].call),
                             inside = outcome_of(true, forbidden[i].call);

                if (outside != WORKED || inside != NOT_PERMITTED)
                        fail_msg("%s: %d outside, %d inside", forbidden[i].what, outside, inside);
        }
}

static void sandbox_leaves_memory_and_open_sockets(void **state) {
        (void) state;
        assert_int_equal(outcome_of(true, try_memory), WORKED);
        assert_int_equal(outcome_of(true, try_exchange), WORKED);
}

static int pair_up(void **state) {
        (void) state;
        return pipe(pipe_ends) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ? -1 : 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sandbox_forbids_what_works_outside),
                cmocka_unit_test(sandbox_leaves_memory_and_open_sockets),
        };

        return cmocka_run_group_tests(tests, pair_up, NULL);
}
