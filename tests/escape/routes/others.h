/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The other of service and accomplice, and what it has open. */

#include "tests/escape/routes/kinds.h"

#include <sys/syscall.h>

/* Of the service, or with "-with" of its accomplice; waits until it runs. */
static inline pid_t main_pid(const char *which) {
        char command[128];
        int pid = 0;

        snprintf(command, sizeof(command), "systemctl show -P MainPID \"${ESCAPE_UNIT%%.service}%s.service\"", which);
        while (pid <= 1) {
                FILE *f = popen(command, "re");

                if (!f || fscanf(f, "%d", &pid) != 1)
                        pid = 0;
                if (f)
                        pclose(f);
                nap_ms(50);
        }
        return pid;
}

static inline int socket_of(pid_t pid, int n) {
        const int pidfd = (int) syscall(SYS_pidfd_open, pid, 0), fd = (int) syscall(SYS_pidfd_getfd, pidfd, n, 0);

        close(pidfd);
        return fd;
}
