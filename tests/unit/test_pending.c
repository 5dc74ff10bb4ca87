/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/pending.c agent/util/io.c */

/* What waits for a process: by the kernel's text, and of a process that really has it. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/core/pending.h"

#define BIT(sig) (UINT64_C(1) << ((sig) -1))

static void only_what_ends_the_process_counts(void **state) {
        (void) state;
        assert_int_equal(
                pending_fatal_of("Name:\tx\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000000020\n"
                                 "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\n"),
                BIT(SIGABRT));
        /* to the thread or to the process, all of them */
        assert_int_equal(pending_fatal_of("x\nSigPnd:\t0000000000000400\nShdPnd:\t0000000000000020\n"),
                         BIT(SIGSEGV) | BIT(SIGABRT));
        /* SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH */
        assert_int_equal(pending_fatal_of("x\nSigPnd:\t0000000000000000\nShdPnd:\t00000000087f0000\n"), 0);
        assert_int_equal(pending_fatal_of(""), 0);
}

static void blocked_ignored_and_caught_ones_do_not(void **state) {
        const char *const names[] = { "SigBlk", "SigIgn", "SigCgt" };

        (void) state;
        for (size_t i = 0; i < 3; i++) {
                char text[128];

                (void) snprintf(text, sizeof(text), "x\nSigPnd:\t0\nShdPnd:\t0000000000000020\n%s:\t0000000000000020\n",
                                names[i]);
                assert_int_equal(pending_fatal_of(text), 0);
        }
}

/* A stopped process takes no signal but SIGKILL, and keeps the others waiting. */
static void of_a_process_it_is_found(void **state) {
        pid_t pid = fork();
        int status;

        (void) state;
        if (pid == 0) {
                (void) signal(SIGUSR1, SIG_IGN);
                (void) raise(SIGSTOP);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status));
        assert_int_equal(pending_fatal(pid), 0);
        assert_int_equal(kill(pid, SIGUSR1), 0);
        assert_int_equal(pending_fatal(pid), 0);
        assert_int_equal(kill(pid, SIGABRT), 0);
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_int_equal(pending_fatal(pid), BIT(SIGABRT) | BIT(SIGTERM));
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(pending_fatal(pid), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(only_what_ends_the_process_counts),
                cmocka_unit_test(blocked_ignored_and_caught_ones_do_not),
                cmocka_unit_test(of_a_process_it_is_found),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
