/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "ctl/parallel.h"
#include "policy/cleanup.h"

/* more of them wait for one connection to a broker */
#define THREADS_MAX 64

struct pieces {
        _Atomic size_t next;
        size_t n;
        void (*work)(void *arg, size_t i);
        void *arg;
};

static void *do_pieces(void *p) {
        struct pieces *s = p;

        for (size_t i = s->next++; i < s->n; i = s->next++)
                s->work(s->arg, i);
        return NULL;
}

static size_t processors(void) {
        cpu_set_t set;

        return sched_getaffinity(0, sizeof(set), &set) == 0 ? (size_t) CPU_COUNT(&set) : 1;
}

void parallel_for(size_t n, void (*work)(void *arg, size_t i), void *arg) {
        struct pieces s = { .n = n, .work = work, .arg = arg };
        const size_t wanted = MIN(MIN(processors(), n), (size_t) THREADS_MAX);
        pthread_t helpers[THREADS_MAX];
        sigset_t all, before;
        size_t started = 0;

        (void) sigfillset(&all);
        (void) pthread_sigmask(SIG_SETMASK, &all, &before);
        while (started + 1 < wanted && pthread_create(&helpers[started], NULL, do_pieces, &s) == 0)
                started++;
        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
        (void) do_pieces(&s);
        for (size_t i = 0; i < started; i++)
                (void) pthread_join(helpers[i], NULL);
}
