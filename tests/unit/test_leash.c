/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/leash.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/relay/leash.h"

static void spin(void) {
        for (volatile unsigned n = 0;; n++)
                ;
}

static void wait_in_a_lock(void) {
        pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

        (void) pthread_mutex_lock(&lock);
        (void) pthread_mutex_lock(&lock);
}

static void *spin_in_a_thread(void *userdata) {
        (void) userdata;
        spin();
        return NULL;
}

static void wait_for_a_thread(void) {
        pthread_t t;

        if (pthread_create(&t, NULL, spin_in_a_thread, NULL) == 0)
                (void) pthread_join(t, NULL);
}

static void return_in_time(void) {
}

/* The exit status of a process that makes the call on a leash and lives on for longer than that when it returns. */
static int status_of(void (*call)(void), unsigned leash_ms) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                if (leash_open() < 0)
                        _exit(1);
                leash_on("a call", leash_ms);
                call();
                leash_off();
                (void) usleep((leash_ms + 200) * 1000);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void a_call_that_does_not_return_ends_the_process(void **state) {
        (void) state;
        assert_int_equal(status_of(spin, 100), LEASH_STATUS);
        assert_int_equal(status_of(wait_in_a_lock, 100), LEASH_STATUS);
        assert_int_equal(status_of(wait_for_a_thread, 100), LEASH_STATUS);
}

static void one_that_returns_does_not(void **state) {
        (void) state;
        /* long enough for a busy machine to come to the end of the call */
        assert_int_equal(status_of(return_in_time, 3000), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_call_that_does_not_return_ends_the_process),
                cmocka_unit_test(one_that_returns_does_not),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
