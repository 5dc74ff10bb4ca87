/* SPDX-License-Identifier: Apache-2.0 */

/* queue tcp|inherited|orphans|neighbour|pacing|txtime: lets the kernel hold data back and send it later, by itself: in
 * a send queue whose reader is slow, in such queues of connections that nobody has open any more, in the queue of a
 * neighbour that does not answer yet, behind a pacing rate, or until a time. What was queued before a freeze needs no
 * instruction to get out. */

#include "tests/escape/routes/elsewhere.h"
#include "tests/escape/routes/kinds.h"

#include <linux/net_tstamp.h>

static int fill(bool paced) {
        const unsigned rate = 20000;
        struct sockaddr_storage to;
        const socklen_t n = outside_port(AF_INET, (paced ? ESCAPE_PORT : ESCAPE_SLOW_PORT) + escape_number(), &to);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (paced)
                setsockopt(fd, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate));
        if (connect(fd, (struct sockaddr *) &to, n) < 0)
                impossible("connect");
        return fd;
}

static void top_up(int fd) {
        char text[4096] = "";

        for (int i = 0; i < 300; i++)
                strcat(text, mark());
        while (send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
                ;
}

static void fill_for_ever(int fd) {
        for (;; nap_ms(20))
                top_up(fd);
}

static void leave_orphans(void) {
        for (;; nap_ms(200)) {
                int fd = fill(false);

                top_up(fd);
                close(fd);
        }
}

/* The witness's namespace has the address only now and then, so that packets wait for it in between. */
static void wait_for_a_neighbour(int fd) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t) (ESCAPE_PORT + escape_number())) };

        inet_pton(AF_INET, "10.77.0.250", &to.sin_addr);
        for (;; nap_ms(200))
                if (system("ip neigh del 10.77.0.250 dev host0 2>/dev/null") != -1)
                        (void) sendto(fd, mark(), strlen(mark()), 0, (struct sockaddr *) &to, sizeof(to));
}

static void send_at_a_time(int fd) {
        const struct sock_txtime when = { .clockid = CLOCK_MONOTONIC };
        struct sockaddr_storage to;
        const socklen_t n = outside(AF_INET, &to);
        char control[CMSG_SPACE(sizeof(uint64_t))] = "";
        struct iovec iov = { (void *) (uintptr_t) mark(), strlen(mark()) };
        struct msghdr m = { .msg_name = &to,
                            .msg_namelen = n,
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control) };
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        struct timespec now;

        if (system("tc qdisc replace dev host0 root fq") != 0 ||
            setsockopt(fd, SOL_SOCKET, SO_TXTIME, &when, sizeof(when)) < 0)
                impossible("a queueing discipline that knows time (fq)");
        *c = (struct cmsghdr) { .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_TXTIME,
                                .cmsg_len = CMSG_LEN(sizeof(uint64_t)) };
        for (;; nap_ms(20)) {
                clock_gettime(CLOCK_MONOTONIC, &now);
                memcpy(CMSG_DATA(c),
                       &(uint64_t) { (uint64_t) now.tv_sec * 1000000000 + (uint64_t) now.tv_nsec + 2000000000 }, 8);
                (void) sendmsg(fd, &m, 0);
        }
}

int main(int argc, char *argv[]) {
        const char *how = argc > 1 ? argv[1] : "";
        int fd;

        if (strcmp(how, "tcp") == 0)
                fill_for_ever(fill(false));
        if (strcmp(how, "orphans") == 0)
                leave_orphans();
        if (strcmp(how, "pacing") == 0)
                fill_for_ever(fill(true));
        if (strcmp(how, "inherited") == 0) {
                go_elsewhere();
                fd = fill(false);
                come_back();
                fill_for_ever(fd);
        }
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (strcmp(how, "neighbour") == 0)
                wait_for_a_neighbour(fd);
        send_at_a_time(fd);
}
