/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/linger.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

static volatile sig_atomic_t rang;

static void on_alarm(int signo) {
        (void) signo;
        rang = 1;
}

int linger_prepare(int listen_fd) {
        const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
        const int off = 0;
        sigset_t alarm_only;

        /* FAIL-OPEN: the signal is for kernels that do not know it. */
        (void) setsockopt(listen_fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off));
        (void) sigemptyset(&alarm_only);
        (void) sigaddset(&alarm_only, SIGALRM);
        if (sigaction(SIGALRM, &action, NULL) < 0 || sigprocmask(SIG_UNBLOCK, &alarm_only, NULL) < 0)
                return -errno;
        return 0;
}

/* It rings again and again: one may come before the wait has begun. */
static void ring_every(long us) {
        const struct itimerval every = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

        (void) setitimer(ITIMER_REAL, &every, NULL);
}

void linger_begin(void) {
        rang = 0;
        ring_every(LINGER_US);
}

bool linger_end(void) {
        ring_every(0);
        return rang;
}
