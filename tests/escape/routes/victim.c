/* SPDX-License-Identifier: Apache-2.0 */

/* victim [watchdog]: a service that others do something to. It works and sends every 5 ms, with a socket of before and
 * a new one; every instruction that it gets shows. */

#include "tests/escape/routes/kinds.h"

static void pat(void) {
        struct sockaddr_un to = { .sun_family = AF_UNIX };
        const char *path = getenv("NOTIFY_SOCKET");
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (path) {
                strncpy(to.sun_path, path, sizeof(to.sun_path) - 1);
                (void) sendto(fd, "READY=1\nWATCHDOG=1", 18, MSG_NOSIGNAL, (struct sockaddr *) &to, sizeof(to));
        }
        close(fd);
}

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named("udp-connected");
        int before = kind_open(k, AF_INET), i = 0;

        (void) argv;
        for (;; nap_ms(5)) {
                int fd = kind_open(k, AF_INET);

                worked();
                (void) kind_send(k, before, AF_INET);
                (void) kind_send(k, fd, AF_INET);
                close(fd);
                if (argc > 1 && i++ % 20 == 0)
                        pat();
        }
}
