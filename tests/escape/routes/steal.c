/* SPDX-License-Identifier: Apache-2.0 */

/* steal KIND: an accomplice with root takes every socket that the service has open, by pidfd_getfd(), and sends on it.
 */

#include "tests/escape/routes/kinds.h"

#include <sys/syscall.h>

static pid_t main_pid(void) {
        char command[128];
        int pid = 0;
        FILE *f;

        snprintf(command, sizeof(command), "systemctl show -P MainPID %s", getenv("ESCAPE_UNIT"));
        f = popen(command, "re");
        if (!f || fscanf(f, "%d", &pid) != 1)
                pid = 0;
        if (f)
                pclose(f);
        return pid;
}

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named(argc > 1 ? argv[1] : "udp");
        pid_t pid = 0;

        while (pid <= 1) {
                nap_ms(50);
                pid = main_pid();
        }
        for (;; nap_ms(50)) {
                int pidfd = (int) syscall(SYS_pidfd_open, pid, 0);

                for (int n = 3; n < 8; n++) {
                        int fd = (int) syscall(SYS_pidfd_getfd, pidfd, n, 0);

                        (void) kind_send(k, fd, AF_INET);
                        close(fd);
                }
                close(pidfd);
        }
}
