/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/turn.c agent/core/process.c agent/util/io.c agent/util/fault.c */

/* Which of several processes has its turn. One that is killed and kept by the kernel is made by whoever traces it: it
 * stops on its way out with all that it has open. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "agent/core/process.h"
#include "agent/core/turn.h"
#include "lib/expect.h"
#include "lib/scratch.h"

static struct scratch s;
static char socket_path[128];

static int set_up(void **state) {
        (void) state;
        scratch_make(&s);
        (void) snprintf(socket_path, sizeof(socket_path), "%s/core.sock", s.path);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        scratch_remove(&s);
        return 0;
}

/* What another process gets that asks now. */
static int others_turn(void) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                struct turn t;

                _exit(-turn_take(socket_path, &t));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return -WEXITSTATUS(status);
}

/* One that has its turn and stays. */
static pid_t start_core(void) {
        int ends[2];
        char c;

        assert_int_equal(pipe(ends), 0);
        const pid_t pid = fork();

        if (pid == 0) {
                struct turn t;

                EXPECT(turn_take(socket_path, &t) == 0);
                EXPECT(write(ends[1], "x", 1) == 1);
                for (;;)
                        (void) pause();
        }
        assert_int_equal(close(ends[1]), 0);
        assert_int_equal(read(ends[0], &c, 1), 1);
        assert_int_equal(close(ends[0]), 0);
        return pid;
}

static void end_core(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void kill_and_keep(pid_t pid) {
        int status;

        assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, PTRACE_O_TRACEEXIT), 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
        assert_int_equal(status >> 8, SIGTRAP | PTRACE_EVENT_EXIT << 8);
}

static void let_end(pid_t pid) {
        assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, 0), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void who_lives_has_the_turn_alone(void **state) {
        pid_t core = start_core();
        struct turn t;

        (void) state;
        assert_false(process_is_killed(core));
        assert_int_equal(turn_take(socket_path, &t), -EBUSY);
        assert_int_equal(kill(core, SIGSTOP), 0);
        assert_int_equal(turn_take(socket_path, &t), -EBUSY);
        end_core(core);
        assert_int_equal(turn_take(socket_path, &t), 0);
        assert_int_equal(t.n_dying, 0);
        assert_int_equal(others_turn(), -EBUSY);
        assert_int_equal(close(t.fd), 0);
        assert_int_equal(others_turn(), 0);
}

static void *stay(void *userdata) {
        for (;;)
                (void) pause();
        return userdata;
}

static void who_is_killed_and_cannot_end_is_passed_by(void **state) {
        pid_t core = start_core();
        struct turn t;

        (void) state;
        kill_and_keep(core);
        assert_true(process_is_killed(core));
        assert_int_equal(turn_take(socket_path, &t), 0);
        assert_int_equal(t.n_dying, 1);
        assert_int_equal(t.dying[0], core);
        assert_int_equal(others_turn(), -EBUSY);
        /* nor does anybody come before it once that place is free */
        let_end(core);
        assert_int_equal(others_turn(), -EBUSY);
        assert_int_equal(close(t.fd), 0);
        assert_int_equal(others_turn(), 0);
}

/* Whoever is on its way out has taken its signal, or had none. */
static void who_is_ending_is_as_good_as_killed(void **state) {
        pid_t core = start_core();
        siginfo_t info;

        (void) state;
        assert_int_equal(kill(core, SIGTERM), 0);
        assert_int_equal(waitid(P_PID, (id_t) core, &info, WEXITED | WNOWAIT), 0);
        assert_true(process_is_killed(core));
        assert_int_equal(waitpid(core, NULL, 0), core);
        assert_false(process_is_killed(core));
}

/* The first thread's end is not that of the others. */
static void who_has_a_thread_that_runs_is_not(void **state) {
        int ends[2];
        struct process p;
        char c;
        pid_t core;

        (void) state;
        assert_int_equal(pipe(ends), 0);
        core = fork();
        if (core == 0) {
                pthread_t thread;

                EXPECT(pthread_create(&thread, NULL, stay, NULL) == 0);
                EXPECT(write(ends[1], "x", 1) == 1);
                pthread_exit(NULL);
        }
        assert_int_equal(read(ends[0], &c, 1), 1);
        do
                assert_int_equal(process_read(core, &p), 0);
        while (!p.dead);
        assert_false(process_is_killed(core));
        end_core(core);
        assert_int_equal(close(ends[0]) | close(ends[1]), 0);
}

/* As when each of them waits for the same disk. */
static void as_many_as_are_dying_are_passed_by(void **state) {
        pid_t cores[TURN_PLACES];
        struct turn t;

        (void) state;
        for (unsigned i = 0; i < TURN_PLACES; i++) {
                cores[i] = start_core();
                kill_and_keep(cores[i]);
        }
        assert_int_equal(turn_take(socket_path, &t), -EBUSY);
        let_end(cores[3]);
        assert_int_equal(turn_take(socket_path, &t), 0);
        assert_int_equal(t.n_dying, TURN_PLACES - 1);
        assert_int_equal(close(t.fd), 0);
        for (unsigned i = 0; i < TURN_PLACES; i++)
                if (i != 3)
                        let_end(cores[i]);
}

/* What a core has forked does not stand for it. */
static void a_child_has_no_turn(void **state) {
        pid_t child;
        struct turn t;

        (void) state;
        assert_int_equal(turn_take(socket_path, &t), 0);
        child = fork();
        if (child == 0)
                for (;;)
                        (void) pause();
        assert_int_equal(close(t.fd), 0);
        assert_int_equal(others_turn(), 0);
        end_core(child);
}

static void without_a_directory_nobody_can_say(void **state) {
        struct turn t;

        (void) state;
        assert_int_equal(turn_take("/nonexistent/core.sock", &t), -ENOENT);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                CASE(who_lives_has_the_turn_alone),       CASE(who_is_killed_and_cannot_end_is_passed_by),
                CASE(who_is_ending_is_as_good_as_killed), CASE(who_has_a_thread_that_runs_is_not),
                CASE(as_many_as_are_dying_are_passed_by), CASE(a_child_has_no_turn),
                CASE(without_a_directory_nobody_can_say),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
