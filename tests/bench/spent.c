/* SPDX-License-Identifier: Apache-2.0 */

/* spent CMD ARG...: runs a program with its standard output on a file that is thrown away, and prints "MICROSECONDS
 * PEAK_KB": how long it took, and the most memory that one of its processes had at a time. Exits as it did. */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void run(char **argv) {
        int null = open("/dev/null", O_WRONLY);

        if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0)
                (void) execvp(argv[0], argv);
        perror(argv[0]);
        _exit(127);
}

int main(int argc, char **argv) {
        const long long start = now_us();
        struct rusage used;
        pid_t pid = argc > 1 ? fork() : -1;
        int status;

        if (pid == 0)
                run(argv + 1);
        if (pid < 0 || wait4(pid, &status, 0, &used) < 0)
                return 126;
        (void) printf("%lld %ld\n", now_us() - start, used.ru_maxrss);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
