/* SPDX-License-Identifier: Apache-2.0 */

/* server tcp|udp|sendfile|deaf|mute: answers whoever knocks, on its own socket or on the one that it was started with;
 * by send(2) or by sendfile(2). Or it only listens, or only lets in, and the kernel answers. */

#include "tests/escape/routes/kinds.h"

#include <poll.h>
#include <signal.h>
#include <sys/sendfile.h>

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

static void answer_streams(int listener, bool by_file) {
        const int file = memfd_create("mark", MFD_CLOEXEC);
        int fd = -1;

        if (write(file, mark(), strlen(mark())) < 0)
                impossible("a file in memory");

        for (;; nap_ms(20)) {
                struct pollfd p = { listener, POLLIN, 0 };

                if (poll(&p, 1, 0) > 0) {
                        close(fd);
                        fd = accept(listener, NULL, NULL);
                }
                if (by_file)
                        (void) sendfile(fd, file, &(off_t) { 0 }, strlen(mark()));
                else
                        (void) send(fd, mark(), strlen(mark()), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
}

int main(int argc, char *argv[]) {
        const char *how = argc > 1 ? argv[1] : "udp";
        const bool datagrams = strcmp(how, "udp") == 0;
        const int fd = listening(datagrams ? SOCK_DGRAM : SOCK_STREAM);

        (void) signal(SIGPIPE, SIG_IGN);
        if (datagrams)
                answer_datagrams(fd);
        if (strcmp(how, "deaf") == 0 || (strcmp(how, "mute") == 0 && accept(fd, NULL, NULL) >= 0))
                for (;;)
                        (void) pause();
        answer_streams(fd, strcmp(how, "sendfile") == 0);
}
