/* SPDX-License-Identifier: Apache-2.0 */

/* vsock [listen]: to a process in another cgroup over AF_VSOCK's loopback, which passes it on: what a hypervisor would
 * be. */

#include "tests/escape/routes/kinds.h"

#include <linux/vm_sockets.h>

int main(int argc, char *argv[]) {
        struct sockaddr_vm a = { .svm_family = AF_VSOCK,
                                 .svm_cid = VMADDR_CID_LOCAL,
                                 .svm_port = (unsigned) (ESCAPE_PORT + escape_number()) };
        const struct kind *k = kind_named("udp");
        int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0), s = -1;
        char buf[64];

        (void) argv;
        if (fd < 0)
                impossible("AF_VSOCK");
        if (argc > 1) {
                a.svm_cid = VMADDR_CID_ANY;
                if (bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 8) < 0)
                        impossible("AF_VSOCK loopback");
                for (;;) {
                        int peer = accept(fd, NULL, NULL);

                        if (read(peer, buf, sizeof(buf)) > 0 && (s = kind_open(k, AF_INET)) >= 0)
                                (void) kind_send(k, s, AF_INET);
                        close(s);
                        close(peer);
                }
        }
        for (;; nap_ms(50)) {
                close(fd);
                fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
                if (connect(fd, (struct sockaddr *) &a, sizeof(a)) == 0)
                        (void) !write(fd, mark(), strlen(mark()));
                else if (errno == ENODEV || errno == ETIMEDOUT)
                        impossible("AF_VSOCK loopback");
        }
}
