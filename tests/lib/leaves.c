/* SPDX-License-Identifier: Apache-2.0 */

/* leaves OWN OTHER: two processes. One sleeps. The other one goes from its cgroup, whose directory is OWN, to that at OTHER
 * at the first sign of an order: when a connection is refused it, or when somebody else is in there with them. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define OURS 2

static bool is_refused(void) {
        const struct sockaddr_in nobody = { .sin_family = AF_INET,
                                            .sin_port = htons(9),
                                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool refused = fd < 0 || (connect(fd, (const struct sockaddr *) &nobody, sizeof(nobody)) < 0 && errno == EPERM);

        (void) close(fd);
        return refused;
}

static bool is_joined(int procs) {
        char text[256];
        ssize_t n = pread(procs, text, sizeof(text), 0);
        int lines = 0;

        for (ssize_t i = 0; i < n; i++)
                lines += text[i] == '\n';
        return lines > OURS;
}

int main(int argc, char **argv) {
        char path[512];
        int own, other;

        if (argc != 3)
                return 2;
        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", argv[1]);
        own = open(path, O_RDONLY | O_CLOEXEC);
        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", argv[2]);
        other = open(path, O_WRONLY | O_CLOEXEC);
        if (own < 0 || other < 0)
                return 1;
        if (fork() == 0)
                for (;;)
                        (void) pause();
        while (!is_refused() && !is_joined(own))
                ;
        if (write(other, "0", 1) != 1)
                return 1;
        for (;;)
                (void) pause();
}
