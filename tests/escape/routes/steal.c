/* SPDX-License-Identifier: Apache-2.0 */

/* steal KIND: an accomplice with root takes every socket that the service has open, by pidfd_getfd(), and sends on it.
 */

#include "tests/escape/routes/others.h"

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named(argc > 1 ? argv[1] : "udp");
        const pid_t service = main_pid("");

        for (;; nap_ms(50))
                for (int n = 3; n < 8; n++) {
                        int fd = socket_of(service, n);

                        (void) kind_send(k, fd, AF_INET);
                        close(fd);
                }
}
