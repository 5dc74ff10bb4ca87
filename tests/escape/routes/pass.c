/* SPDX-License-Identifier: Apache-2.0 */

/* pass give|use|use-new KIND: two processes, one of them held, and a socket that goes from one to the other.
 *   give        makes sockets and hands them to whoever asks, by SCM_RIGHTS: in the service, for an accomplice outside,
 * or the other way round use         asks for one, once, and sends on it for ever use-new     asks again each time */

#include "tests/escape/routes/kinds.h"

static void give(const struct kind *k) {
        struct sockaddr_un a;
        const socklen_t n = meeting(false, &a);
        int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        unlink(a.sun_path);
        if (bind(listener, (struct sockaddr *) &a, n) < 0 || listen(listener, 8) < 0)
                impossible("a unix socket");
        for (;;) {
                int peer = accept(listener, NULL, NULL), fd = kind_open(k, AF_INET);
                char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
                struct iovec iov = { &byte, 1 };
                struct msghdr m = {
                        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
                };
                struct cmsghdr *c = CMSG_FIRSTHDR(&m);

                *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET,
                                        .cmsg_type = SCM_RIGHTS,
                                        .cmsg_len = CMSG_LEN(sizeof(int)) };
                memcpy(CMSG_DATA(c), &fd, sizeof(fd));
                if (fd >= 0)
                        (void) sendmsg(peer, &m, MSG_NOSIGNAL);
                close(fd);
                close(peer);
        }
}

static int ask(void) {
        struct sockaddr_un a;
        const socklen_t n = meeting(false, &a);
        char control[CMSG_SPACE(sizeof(int))] = "", byte;
        struct iovec iov = { &byte, 1 };
        struct msghdr m = {
                .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
        };
        const struct timeval patience = { 0, PATIENCE_MS * 1000 };
        int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;

        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
        if (connect(s, (struct sockaddr *) &a, n) == 0 && recvmsg(s, &m, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&m))
                memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
        close(s);
        return fd;
}

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named(argc > 2 ? argv[2] : "udp");
        int fd = -1;

        if (strcmp(argv[1], "give") == 0)
                give(k);
        for (;; nap_ms(50)) {
                if (fd < 0 || strcmp(argv[1], "use-new") == 0) {
                        close(fd);
                        fd = ask();
                }
                (void) kind_send(k, fd, AF_INET);
        }
}
