/* SPDX-License-Identifier: Apache-2.0 */

/* repair: connections that come about without a handshake, by TCP_REPAIR (what restores a process from a checkpoint
 * uses): the first segment on the wire is one of data. One of before, and a new one each time. */

#include "tests/escape/routes/kinds.h"

#include <netinet/tcp.h>

static int restore(void) {
        struct sockaddr_storage to;
        const socklen_t n = outside(AF_INET, &to);
        const struct tcp_repair_window window = { .snd_wnd = 65535, .max_window = 65535, .rcv_wnd = 65535 };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, silently_off = -1;

        if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)) == 0) {
                (void) connect(fd, (struct sockaddr *) &to, n);
                (void) setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof(window));
                (void) setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &silently_off, sizeof(silently_off));
        }
        return fd;
}

static void say(int fd) {
        (void) send(fd, mark(), strlen(mark()), MSG_NOSIGNAL | MSG_DONTWAIT);
}

int main(void) {
        const int before = restore();

        for (;; nap_ms(50)) {
                int fd = restore();

                say(before);
                say(fd);
                close(fd);
        }
}
