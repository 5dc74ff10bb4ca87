/* SPDX-License-Identifier: Apache-2.0 */

/* born_outside CGROUP: makes a child right in that cgroup (CLONE_INTO_CGROUP) every 20 ms. Each says ten lines to
 * 10.77.0.1:7000 in 0.2 s, each by a connection of its own, and ends. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(void) {
        static const char line[] = "born outside\n";
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(7000) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) inet_pton(AF_INET, "10.77.0.1", &to.sin_addr);
        if (fd >= 0 && connect(fd, (struct sockaddr *) &to, sizeof(to)) == 0)
                (void) (write(fd, line, sizeof(line) - 1) < 0);
        (void) close(fd);
}

int main(int argc, char *argv[]) {
        int cgroup = argc == 2 ? open(argv[1], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t) cgroup };

        if (cgroup < 0)
                return 1;
        for (;;) {
                long pid = syscall(SYS_clone3, &args, sizeof(args));

                if (pid < 0)
                        return 1;
                for (unsigned n = 0; pid == 0 && n < 10; n++) {
                        say();
                        (void) usleep(20000);
                }
                if (pid == 0)
                        return 0;
                (void) usleep(20000);
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
        }
}
