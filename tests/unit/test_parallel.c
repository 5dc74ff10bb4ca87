/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/parallel.c */

/* Each piece is done, once, before the call returns: on several processors, on one, and where no thread can be made. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "ctl/parallel.h"
#include "policy/cleanup.h"

#define PIECES 1000U

struct done {
        _Atomic unsigned times[PIECES];
        _Atomic unsigned elsewhere; /* on a thread that the caller is not */
        pthread_t caller;
        unsigned apart; /* how many have to be at work at a time; 0: no matter */
        _Atomic unsigned at_work;
        _Atomic bool takes_signals;
};

static void piece(void *arg, size_t i) {
        struct done *d = arg;
        sigset_t masked;

        d->times[i]++;
        if (!pthread_equal(pthread_self(), d->caller)) {
                d->elsewhere++;
                (void) pthread_sigmask(SIG_SETMASK, NULL, &masked);
                if (!sigismember(&masked, SIGINT))
                        d->takes_signals = true;
        }
        /* ends only when another one is here too */
        d->at_work++;
        while (d->at_work < d->apart)
                (void) sched_yield();
}

static void is_done(size_t n, struct done *d) {
        d->caller = pthread_self();
        parallel_for(n, piece, d);
        for (size_t i = 0; i < PIECES; i++)
                assert_int_equal(d->times[i], i < n ? 1 : 0);
}

static void each_piece_is_done_once(void **state) {
        static const size_t sizes[] = { 0, 1, 2, 3, PIECES };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                struct done d = { .apart = 0 };
                is_done(sizes[i], &d);
                assert_false(d.takes_signals);
        }
}

static void two_are_at_work_where_there_are_two_processors(void **state) {
        struct done d = { .apart = 2 };
        cpu_set_t set;

        (void) state;
        if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 2)
                skip();
        is_done(2, &d);
        assert_int_equal(d.elsewhere, 1);
}

static void one_processor_needs_no_thread(void **state) {
        struct done d = { .apart = 0 };
        cpu_set_t before, one;

        (void) state;
        assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
        CPU_ZERO(&one);
        for (int i = 0; CPU_COUNT(&one) == 0; i++)
                if (CPU_ISSET(i, &before))
                        CPU_SET(i, &one);
        assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
        is_done(PIECES, &d);
        assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
        assert_int_equal(d.elsewhere, 0);
}

static bool no_more_threads;

/* In place of the library's, which it calls. */
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg) {
        int (*real)(pthread_t *, const pthread_attr_t *, void *(*) (void *), void *);

        *(void **) &real = dlsym(RTLD_NEXT, "pthread_create");
        return no_more_threads ? EAGAIN : real(t, a, f, arg);
}

static void who_gets_no_thread_does_it_alone(void **state) {
        struct done d = { .apart = 0 };

        (void) state;
        no_more_threads = true;
        is_done(PIECES, &d);
        no_more_threads = false;
        assert_int_equal(d.elsewhere, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_piece_is_done_once),
                cmocka_unit_test(two_are_at_work_where_there_are_two_processors),
                cmocka_unit_test(one_processor_needs_no_thread),
                cmocka_unit_test(who_gets_no_thread_does_it_alone),
        };

        return cmocka_run_group_tests_name("parallel", tests, NULL, NULL);
}
