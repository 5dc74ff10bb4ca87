/* SPDX-License-Identifier: Apache-2.0 */

/* packets CGROUP TIMES ADDRESS: joins the cgroup and sends so many small datagrams over one connected socket to port
 * 7199 there, where nobody reads. packets CGROUP TIMES socket: makes and closes so many sockets instead. Prints the
 * nanoseconds of one of them. What a hook or a rule costs is the difference between two of these. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT    7199
#define WARM_UP 1000

static int join(const char *cgroup) {
        char path[512];
        int fd, r;

        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        r = fd < 0 || write(fd, "0", 1) != 1 ? -1 : 0;
        (void) close(fd);
        return r;
}

static int64_t now_ns(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int send_all(int fd, long n) {
        for (long i = 0; i < n; i++)
                if (send(fd, "bench", 5, 0) != 5)
                        return -1;
        return 0;
}

static int make_all(int fd, long n) {
        for (long i = 0; i < n; i++)
                if ((fd = socket(AF_INET, SOCK_DGRAM, 0)) < 0 || close(fd) < 0)
                        return -1;
        return 0;
}

int main(int argc, char **argv) {
        const struct sockaddr_in to = { .sin_family = AF_INET,
                                        .sin_port = htons(PORT),
                                        .sin_addr.s_addr = inet_addr(argc == 4 ? argv[3] : "") };
        const struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(PORT) };
        int (*const repeat)(int fd, long n) = to.sin_addr.s_addr == INADDR_NONE ? make_all : send_all;
        const int small = 1, sink = socket(AF_INET, SOCK_DGRAM, 0);
        const long n = argc == 4 ? atol(argv[2]) : 0;
        int64_t from;
        int fd;

        if (n < 1 || setsockopt(sink, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) < 0 ||
            bind(sink, (const struct sockaddr *) &here, sizeof(here)) < 0 || join(argv[1]) < 0) {
                perror("packets");
                return 1;
        }
        fd = socket(AF_INET, SOCK_DGRAM, 0);
        if ((repeat == send_all && connect(fd, (const struct sockaddr *) &to, sizeof(to)) < 0) ||
            repeat(fd, WARM_UP) < 0) {
                perror("packets");
                return 1;
        }
        from = now_ns();
        if (repeat(fd, n) < 0) {
                perror("packets");
                return 1;
        }
        (void) printf("%lld\n", (long long) ((now_ns() - from) / n));
        return 0;
}
