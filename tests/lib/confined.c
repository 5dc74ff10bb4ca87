/* SPDX-License-Identifier: Apache-2.0 */

/* Run in place of a unit's program, under everything that the unit takes away: tries what it is told to and prints for
 * each attempt `ATTEMPT ok`, `ATTEMPT EROFS` or whatever errno, or `ATTEMPT SIGSYS` when the kernel killed it for
 * trying. Each attempt is a child of its own, so that being killed ends only that.
 *
 *   confined ATTEMPT...   read:PATH write:PATH (a new file, removed again) append:PATH connect:PATH socket:NAME and the
 * words of the table */

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int try_read(const char *path) {
        return open(path, O_RDONLY | O_CLOEXEC);
}

static int try_write(const char *path) {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        if (fd >= 0)
                (void) unlink(path);
        return fd;
}

static int try_append(const char *path) {
        return open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
}

static int try_connect(const char *path) {
        static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);

                if (fd < 0)
                        return -1;
                if (connect(fd, (const struct sockaddr *) &a, sizeof(a)) == 0)
                        return 0;
                (void) close(fd);
                if (errno != EPROTOTYPE)
                        return -1;
        }
        return -1;
}

static int try_socket(const char *family) {
        static const struct {
                const char *name;
                int family, type;
        } all[] = {
                { "unix", AF_UNIX, SOCK_STREAM },   { "inet", AF_INET, SOCK_STREAM },
                { "inet6", AF_INET6, SOCK_STREAM }, { "netlink", AF_NETLINK, SOCK_RAW },
                { "packet", AF_PACKET, SOCK_RAW },  { "vsock", AF_VSOCK, SOCK_STREAM },
        };

        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                if (strcmp(family, all[i].name) == 0)
                        return socket(all[i].family, all[i].type | SOCK_CLOEXEC, 0);
        errno = EINVAL;
        return -1;
}

static int try_bpf(const char *arg) {
        /* BPF_MAP_CREATE of a small array */
        struct {
                unsigned int type, key, value, max, rest[26];
        } attr = { .type = 2, .key = 4, .value = 4, .max = 1 };

        (void) arg;
        return (int) syscall(SYS_bpf, 0, &attr, sizeof(attr));
}

static int try_mount(const char *arg) {
        (void) arg;
        return mount("none", "/tmp", "tmpfs", 0, NULL);
}

static int try_unshare(const char *arg) {
        (void) arg;
        return unshare(CLONE_NEWUSER);
}

static int try_ptrace(const char *arg) {
        (void) arg;
        return (int) ptrace(PTRACE_SEIZE, 1, NULL, NULL);
}

static int try_kill(const char *arg) {
        (void) arg;
        return kill(1, 0);
}

static int try_wx(const char *arg) {
        (void) arg;
        return mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int try_setuid(const char *arg) {
        (void) arg;
        return (int) syscall(SYS_setuid, getuid() == 0 ? 65534 : 0);
}

static int try_clock(const char *arg) {
        struct timespec now;

        (void) arg;
        return clock_gettime(CLOCK_REALTIME, &now) < 0 ? -1 : clock_settime(CLOCK_REALTIME, &now);
}

static int try_synced(const char *arg) {
        struct timex now = { 0 };

        (void) arg;
        return adjtimex(&now);
}

static int try_adjust(const char *arg) {
        struct timex now = { 0 };

        (void) arg;
        if (adjtimex(&now) < 0)
                return -1;
        /* as it is */
        now.modes = ADJ_STATUS;
        return adjtimex(&now);
}

static int try_module(const char *arg) {
        (void) arg;
        return (int) syscall(SYS_finit_module, -1, "", 0);
}

static int try_reboot(const char *arg) {
        (void) arg;
        /* does not end anything where it is allowed: Ctrl-Alt-Del is only told apart */
        return reboot(RB_DISABLE_CAD);
}

static const struct {
        const char *name;
        int (*run)(const char *arg);
} attempts[] = {
        { "read", try_read },     { "write", try_write },   { "append", try_append }, { "connect", try_connect },
        { "socket", try_socket }, { "bpf", try_bpf },       { "mount", try_mount },   { "unshare", try_unshare },
        { "ptrace", try_ptrace }, { "kill", try_kill },     { "wx", try_wx },         { "setuid", try_setuid },
        { "clock", try_clock },   { "module", try_module }, { "reboot", try_reboot }, { "synced", try_synced },
        { "adjust", try_adjust },
};

/* In the child: its exit status is the errno. */
static int attempt(const char *word) {
        size_t n = strcspn(word, ":");

        for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
                if (strlen(attempts[i].name) == n && strncmp(attempts[i].name, word, n) == 0)
                        return attempts[i].run(word + n + (word[n] == ':')) < 0 ? errno : 0;
        return EINVAL;
}

int main(int argc, char **argv) {
        for (int i = 1; i < argc; i++) {
                int status = 0;
                pid_t pid = fork();

                if (pid == 0)
                        _exit(attempt(argv[i]));
                if (pid < 0 || waitpid(pid, &status, 0) < 0)
                        return EXIT_FAILURE;
                if (WIFSIGNALED(status))
                        printf("%s SIG%s\n", argv[i], sigabbrev_np(WTERMSIG(status)));
                else
                        printf("%s %s\n", argv[i],
                               WEXITSTATUS(status) == 0 ? "ok" : strerrorname_np(WEXITSTATUS(status)));
        }
        return EXIT_SUCCESS;
}
