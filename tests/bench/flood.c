/* SPDX-License-Identifier: Apache-2.0 */

/* flood FILE RATE CONNECTIONS: sends what looks like the signed command in FILE, with one character of its signature
 * changed, RATE times a second over so many connections, until SIGTERM. Whatever the gate does about it (answer, not
 * read, hang up), it goes on: a full socket costs it that one message, a lost connection is opened again. Tells at the
 * end what it offered and what was taken. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define GATE            "/run/freezed/command.sock"
#define TICK_NS         1000000
#define TICKS_A_SECOND  1000
#define CONNECTIONS_MAX 64

static volatile sig_atomic_t done;
static unsigned long long offered, taken, full, answers, reconnects;

static void on_term(int signal) {
        done = signal;
}

static int knock(void) {
        const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = GATE };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd >= 0 && connect(fd, (const struct sockaddr *) &to, sizeof(to)) < 0) {
                (void) close(fd);
                fd = -1;
        }
        return fd;
}

static void offer(int *fd, const char *text, size_t n) {
        offered++;
        if (*fd < 0) {
                *fd = knock();
                reconnects++;
        }
        if (*fd < 0)
                return;
        if (send(*fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                taken++;
        else if (errno == EAGAIN)
                full++;
        else {
                (void) close(*fd);
                *fd = -1;
        }
}

static void hear(int fd) {
        char answer[4096];

        while (fd >= 0 && recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
                answers++;
}

/* One character of the signature becomes another. */
static size_t forge(const char *path, char *text, size_t size) {
        FILE *f = fopen(path, "re");
        size_t n = f ? fread(text, 1, size - 1, f) : 0;
        char *sig;

        text[n] = 0;
        sig = strstr(text, "\"sig\":\"");
        if (!sig)
                exit(1);
        sig[20] = sig[20] == 'A' ? 'B' : 'A';
        (void) fclose(f);
        return n;
}

int main(int argc, char **argv) {
        static char text[65536];
        int fds[CONNECTIONS_MAX], connections, per_tick, next = 0;
        struct timespec at, begin, end;
        double s;
        size_t n;

        if (argc != 4)
                return 2;
        n = forge(argv[1], text, sizeof(text));
        per_tick = atoi(argv[2]) / TICKS_A_SECOND;
        connections = atoi(argv[3]);
        if (connections < 1 || connections > CONNECTIONS_MAX)
                return 2;
        for (int i = 0; i < connections; i++)
                fds[i] = knock();
        (void) signal(SIGTERM, on_term);
        (void) clock_gettime(CLOCK_MONOTONIC, &at);
        begin = at;
        while (!done) {
                for (int i = 0; i < per_tick; i++, next = (next + 1) % connections)
                        offer(&fds[next], text, n);
                for (int i = 0; i < connections; i++)
                        hear(fds[i]);
                at.tv_nsec += TICK_NS;
                if (at.tv_nsec >= 1000000000) {
                        at.tv_nsec -= 1000000000;
                        at.tv_sec++;
                }
                /* behind schedule it does not sleep: the rate is kept on average */
                (void) clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        }
        (void) clock_gettime(CLOCK_MONOTONIC, &end);
        s = (double) (end.tv_sec - begin.tv_sec) + (double) (end.tv_nsec - begin.tv_nsec) / 1e9;
        (void) printf("%.0f %.0f %.0f %.0f %llu\n", (double) offered / s, (double) taken / s, (double) full / s,
                      (double) answers / s, reconnects);
        return 0;
}
