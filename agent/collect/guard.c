/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/guard.h"

#include <setjmp.h>
#include <signal.h>

/* A signal handler has no other way to reach them. */
static sigjmp_buf out;
static volatile sig_atomic_t armed;

static void on_sigbus(int sig) {
        if (armed)
                siglongjmp(out, 1);
        /* Not ours: die of it. The handler was reset on entry. */
        (void) raise(sig);
}

int guard_run(int (*fn)(void *userdata), void *userdata) {
        const struct sigaction action = { .sa_handler = on_sigbus, .sa_flags = (int) SA_RESETHAND };
        struct sigaction before;
        int r;

        if (sigaction(SIGBUS, &action, &before) < 0)
                return -errno;
        if (sigsetjmp(out, 1) == 0) {
                armed = 1;
                r = fn(userdata);
        } else
                r = -EFAULT;
        armed = 0;
        return sigaction(SIGBUS, &before, NULL) < 0 ? -errno : r;
}
