/* SPDX-License-Identifier: Apache-2.0 */

/* zerocopy sendfile|splice|vmsplice|zerocopy|sendmmsg: other calls than send() on a connection of before the hold. */

#include "tests/escape/routes/kinds.h"

#include <signal.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

int main(int argc, char *argv[]) {
        const char *how = argc > 1 ? argv[1] : "";
        const size_t n = strlen(mark());
        struct iovec iov = { (void *) (uintptr_t) mark(), n };
        struct mmsghdr m = { .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } };
        int fd = kind_open(kind_named("tcp"), AF_INET), file = memfd_create("mark", MFD_CLOEXEC), one = 1, pipes[2];

        if (fd < 0 || pipe2(pipes, O_CLOEXEC) < 0 || write(file, mark(), n) < 0)
                impossible("connect");
        setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one));
        signal(SIGPIPE, SIG_IGN);
        for (;; nap_ms(50)) {
                off_t at = 0;

                if (strcmp(how, "sendfile") == 0) {
                        (void) sendfile(fd, file, &at, n);
                } else if (strcmp(how, "zerocopy") == 0) {
                        (void) send(fd, mark(), n, MSG_ZEROCOPY | MSG_DONTWAIT | MSG_NOSIGNAL);
                } else if (strcmp(how, "sendmmsg") == 0) {
                        (void) sendmmsg(fd, &m, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
                } else {
                        if (strcmp(how, "splice") == 0)
                                (void) splice(file, &at, pipes[1], NULL, n, SPLICE_F_NONBLOCK);
                        else
                                (void) vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK);
                        (void) splice(pipes[0], NULL, fd, NULL, n, SPLICE_F_NONBLOCK);
                }
        }
}
