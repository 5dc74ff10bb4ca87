/* SPDX-License-Identifier: Apache-2.0 */

/* bomb: forks as fast as it can, and each child sends and forks on: there is always one that no list has yet. */

#include "tests/escape/routes/kinds.h"

#include <signal.h>

static void explode(const struct kind *k) {
        for (;;) {
                int fd = kind_open(k, AF_INET);

                worked();
                (void) kind_send(k, fd, AF_INET);
                close(fd);
                if (fork() > 0)
                        _exit(0);
                nap_ms(1);
        }
}

int main(void) {
        signal(SIGCHLD, SIG_IGN);
        for (int i = 0; i < 4; i++)
                if (fork() == 0)
                        explode(kind_named("udp"));
        for (;;)
                pause();
}
