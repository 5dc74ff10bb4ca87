/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/sandbox.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/relay/sandbox.h"

static char dir[] = "/tmp/relay-XXXXXX";

static long try_exec(void) {
        char *const argv[] = { (char *) "/bin/true", NULL };

        return execv(argv[0], argv);
}

static long try_exec_memory(void) {
        void *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -1 : 0;
}

static long try_packet_socket(void) {
        return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
}

static long try_ptrace(void) {
        return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long try_mkdir(void) {
        return mkdir("/tmp/relay-made", 0700);
}

static long try_chown(void) {
        return chown(dir, 1, 1);
}

static long use_state_file(void) {
        char path[64], name[64];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/new", dir);
        (void) snprintf(name, sizeof(name), "%s/state.json", dir);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        return fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0 || rename(path, name) < 0 ? -1 : unlink(name);
}

static long use_tcp(void) {
        return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long use_files(void) {
        return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static void *nothing(void *userdata) {
        return userdata;
}

static long use_threads(void) {
        pthread_t t;

        return pthread_create(&t, NULL, nothing, NULL) == 0 && pthread_join(t, NULL) == 0 ? 0 : -1;
}

/* 0: it works; 1: it does not. Outside of the sandbox everything but exec, which does not return, works. */
static int status_of(long (*call)(void), bool inside) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                if (inside && sandbox_enter(dir) < 0)
                        syscall(SYS_exit_group, 3);
                /* not _exit(): a sanitizer makes system calls of its own before it */
                syscall(SYS_exit_group, call() < 0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void what_it_does_not_need_is_gone(void **state) {
        static long (*const calls[])(void) = { try_exec,   try_exec_memory, try_packet_socket,
                                               try_ptrace, try_mkdir,       try_chown };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                assert_int_equal(status_of(calls[i], false), 0);
                (void) rmdir("/tmp/relay-made");
                if (status_of(calls[i], true) != 1)
                        fail_msg("call %zu works", i);
        }
}

static void what_it_needs_is_there(void **state) {
        static long (*const calls[])(void) = { use_state_file, use_tcp, use_files, use_threads };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                if (status_of(calls[i], true) != 0)
                        fail_msg("call %zu does not work", i);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_it_does_not_need_is_gone),
                cmocka_unit_test(what_it_needs_is_there),
        };
        int r;

        if (!mkdtemp(dir))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        (void) rmdir(dir);
        return r;
}
