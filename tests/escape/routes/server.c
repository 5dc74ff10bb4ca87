/* SPDX-License-Identifier: Apache-2.0 */

/* server tcp|udp: answers whoever knocks, on its own socket or on the one that it was started with. */

#include "tests/escape/routes/kinds.h"

#include <poll.h>

static int listening(int type) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t) (ESCAPE_PORT + escape_number())) };
        int fd, one = 1;

        if (getenv("LISTEN_FDS"))
                return 3;
        fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, 8) < 0))
                impossible("bind");
        return fd;
}

static void answer_datagrams(int fd) {
        struct sockaddr_storage from;
        char buf[64];

        for (;;) {
                socklen_t n = sizeof(from);

                if (recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *) &from, &n) >= 0)
                        (void) sendto(fd, mark(), strlen(mark()), 0, (struct sockaddr *) &from, n);
        }
}

static void answer_streams(int listener) {
        int fd = -1;

        for (;; nap_ms(20)) {
                struct pollfd p = { listener, POLLIN, 0 };

                if (poll(&p, 1, 0) > 0) {
                        close(fd);
                        fd = accept(listener, NULL, NULL);
                }
                (void) send(fd, mark(), strlen(mark()), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
}

int main(int argc, char *argv[]) {
        const bool tcp = argc > 1 && strcmp(argv[1], "tcp") == 0;
        const int fd = listening(tcp ? SOCK_STREAM : SOCK_DGRAM);

        if (tcp)
                answer_streams(fd);
        answer_datagrams(fd);
}
