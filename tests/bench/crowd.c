/* SPDX-License-Identifier: Apache-2.0 */

/* crowd PROCESSES: a service of so many processes that sleep, with a few sockets: one listener and one bound datagram
 * socket that all of them have, and connections to `crowd 0`, which are opened again when they are cut. `crowd 0` takes
 * connections and keeps them. `crowd -N` is N processes that do nothing but fork children that end at once. */

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <signal.h>

#define PORT        7100
#define CONNECTIONS 4
#define KEPT_MAX    4096

static const struct sockaddr_in meeting = { .sin_family = AF_INET,
                                            .sin_port = __builtin_bswap16(PORT),
                                            .sin_addr.s_addr = __builtin_bswap32(0x7f000001) };

static void take(void) {
        const int one = 1;
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        static struct pollfd kept[KEPT_MAX];
        nfds_t n = 1;

        (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (bind(fd, (const struct sockaddr *) &meeting, sizeof(meeting)) < 0 || listen(fd, 128) < 0)
                _exit(1);
        kept[0] = (struct pollfd) { .fd = fd, .events = POLLIN };
        for (;;) {
                (void) poll(kept, n, -1);
                for (nfds_t i = n - 1; i > 0; i--)
                        if (kept[i].revents) {
                                (void) close(kept[i].fd);
                                kept[i] = kept[--n];
                        }
                if (kept[0].revents && n < KEPT_MAX)
                        kept[n++] = (struct pollfd) { .fd = accept(fd, NULL, NULL), .events = POLLIN };
        }
}

static int call(void) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        while (connect(fd, (const struct sockaddr *) &meeting, sizeof(meeting)) < 0)
                (void) usleep(1000);
        return fd;
}

static void stay(void) {
        struct pollfd lines[CONNECTIONS];

        for (int i = 0; i < CONNECTIONS; i++)
                lines[i] = (struct pollfd) { .fd = call(), .events = POLLIN };
        for (;;) {
                (void) poll(lines, CONNECTIONS, -1);
                for (int i = 0; i < CONNECTIONS; i++)
                        if (lines[i].revents) {
                                (void) close(lines[i].fd);
                                lines[i].fd = call();
                        }
        }
}

static void breed(int processes) {
        (void) signal(SIGCHLD, SIG_IGN);
        for (int i = 1; i < processes && fork() != 0; i++)
                ;
        for (;;)
                if (fork() == 0)
                        _exit(0);
}

int main(int argc, char **argv) {
        const int processes = argc == 2 ? atoi(argv[1]) : INT_MIN;
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0);

        if (processes == INT_MIN)
                return 2;
        if (processes < 0)
                breed(-processes);
        if (processes == 0)
                take();
        if (bind(tcp, (struct sockaddr *) &any, sizeof(any)) < 0 || listen(tcp, 16) < 0 ||
            bind(udp, (struct sockaddr *) &any, sizeof(any)) < 0)
                return 1;
        for (int i = 1; i < processes; i++)
                if (fork() == 0) {
                        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                        for (;;)
                                (void) pause();
                }
        stay();
}
