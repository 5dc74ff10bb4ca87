/* SPDX-License-Identifier: Apache-2.0 */

/* move self|clone|child: leaves its cgroup: by moving, while another of its processes stays; by making a child right in
 * another one, which moves nobody; or stays below it, in a cgroup of its own making. */

#include "tests/escape/routes/elsewhere.h"
#include "tests/escape/routes/kinds.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/sched.h>

static void send_once(void) {
        const struct kind *k = kind_named("udp");
        int fd = kind_open(k, AF_INET);

        (void) kind_send(k, fd, AF_INET);
        close(fd);
}

static void clone_into(const char *cgroup) {
        int fd = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t) fd };
        long pid = syscall(SYS_clone3, &args, sizeof(args));

        close(fd);
        if (pid == 0) {
                send_once();
                _exit(0);
        }
        if (pid > 0)
                (void) waitpid((pid_t) pid, NULL, 0);
}

int main(int argc, char *argv[]) {
        const char *how = argc > 1 ? argv[1] : "";
        char below[300];

        read_own_cgroup();
        snprintf(below, sizeof(below), "%.200s/below", own_cgroup);
        if (strcmp(how, "self") == 0 && fork() > 0)
                (void) pause();
        for (;; nap_ms(50)) {
                if (strcmp(how, "self") == 0) {
                        enter(elsewhere());
                        send_once();
                        nap_ms(5);
                        enter(own_cgroup);
                } else if (strcmp(how, "clone") == 0) {
                        clone_into(elsewhere());
                } else {
                        (void) mkdir(below, 0755);
                        clone_into(below);
                        (void) rmdir(below);
                }
        }
}
