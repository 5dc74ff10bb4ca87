/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/leash.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "policy/cleanup.h"

static const char *volatile within;

/* The kernel gives the signal to any thread that takes it: one that is stuck in a lock or spins is enough. */
static void on_alarm(int sig) {
        static const char before[] = "<4>The broker's client library did not return from: ";
        const char *what = within;

        (void) sig;
        if (!what)
                return;
        (void) !write(STDERR_FILENO, before, sizeof(before) - 1);
        (void) !write(STDERR_FILENO, what, strlen(what));
        (void) !write(STDERR_FILENO, "\n", 1);
        _exit(LEASH_STATUS);
}

int leash_open(void) {
        const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };

        return sigaction(SIGALRM, &action, NULL) < 0 ? -errno : 0;
}

static void set(unsigned ms) {
        const struct itimerval t = { .it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 } };

        (void) setitimer(ITIMER_REAL, &t, NULL);
}

void leash_on(const char *what, unsigned ms) {
        within = what;
        set(ms);
}

void leash_off(void) {
        set(0);
        within = NULL;
}
