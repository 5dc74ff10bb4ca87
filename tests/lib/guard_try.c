/* SPDX-License-Identifier: Apache-2.0 */

/* Tries one call after another as whoever it runs as and says what the kernel answers: "ok" or the name of the errno.
 *
 *   guard_try CALL [ARG]          one
 *   guard_try --serve IN OUT      each line of the fifo IN is one; the answers go to OUT, line by line
 *   guard_try --beside IN OUT     the same by another thread than the first
 *   guard_try --born DIR IN OUT   the same by a child that is born in that cgroup
 *   guard_try --listen            makes @outside.stream and @outside.datagram and stays
 *   guard_try --cost              prints what some calls take, in ns each
 *
 * What `keep` opened stays open for the calls after it. */

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/sched.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int kept_packet = -1, kept_stream = -1, kept_outside = -1, kept_inet = -1, kept_pair[2] = { -1, -1 };

static struct sockaddr_un name_of(const char *name, socklen_t *ret_n) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };

        /* "@x" is abstract, as ss writes it */
        (void) snprintf(a.sun_path, sizeof(a.sun_path), "%s", name);
        *ret_n = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name) + (*name != '@'));
        if (*name == '@')
                a.sun_path[0] = 0;
        return a;
}

static long to_unix(int type, const char *name) {
        const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
        socklen_t n;
        const struct sockaddr_un a = name_of(name, &n);
        long r = connect(fd, (const struct sockaddr *) &a, n);

        if (r == 0 && type == SOCK_DGRAM)
                r = send(fd, "MARK=1\n", 7, MSG_DONTWAIT);
        (void) (r < 0 ? close(fd) : 0);
        return r < 0 ? r : fd;
}

static long make_socket(const char *arg) {
        int family = 0, type = 0, protocol = 0;
        long fd;

        (void) sscanf(arg, "%i,%i,%i", &family, &type, &protocol);
        fd = socket(family, type | SOCK_CLOEXEC, protocol);
        if (fd >= 0)
                (void) close((int) fd);
        return fd;
}

static long make_stream(const char *arg) {
        const long fd = to_unix(SOCK_STREAM, arg);

        return fd < 0 ? fd : close((int) fd);
}

static long make_datagram(const char *arg) {
        const long fd = to_unix(SOCK_DGRAM, arg);

        return fd < 0 ? fd : close((int) fd);
}

/* To the other end of the VM's cable, where somebody takes it: no error comes back. */
static int connected_datagram(void) {
        const struct sockaddr_in to = { .sin_family = AF_INET,
                                        .sin_port = htons(7000),
                                        .sin_addr.s_addr = htonl(0x0a4d0001) };
        const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        return connect(fd, (const struct sockaddr *) &to, sizeof(to)) < 0 ? -1 : fd;
}

static long leave(const char *arg) {
        const int fd = open(arg, O_WRONLY | O_CLOEXEC);
        const long r = fd < 0 ? -1 : write(fd, "0", 1);

        if (fd >= 0)
                (void) close(fd);
        return r;
}

/* Whoever is made outside of a cgroup belongs outside: the argument is the cgroup.procs that is home. */
static long keep(const char *arg) {
        kept_outside = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);
        if (write(kept_outside, "0", 1) < 0)
                return -1;
        kept_inet = connected_datagram();
        if (leave(arg) < 0)
                return -1;
        kept_packet = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
        kept_stream = (int) to_unix(SOCK_STREAM, "@outside.stream");
        return kept_packet < 0 || kept_stream < 0 || kept_outside < 0 || kept_inet < 0
                       ? -1
                       : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, kept_pair);
}

static long use_packet(const char *arg) {
        const struct sockaddr_ll to = { .sll_family = AF_PACKET,
                                        .sll_ifindex = (int) if_nametoindex(arg),
                                        .sll_halen = 6,
                                        .sll_addr = { 255, 255, 255, 255, 255, 255 } };
        char frame[60] = { 0 };

        memset(frame, 255, 6);
        frame[12] = 0x88, frame[13] = 0xb5; /* for experiments */
        return sendto(kept_packet, frame, sizeof(frame), 0, (const struct sockaddr *) &to, sizeof(to));
}

static long use_stream(const char *arg) {
        (void) arg;
        return send(kept_stream, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long use_inet(const char *arg) {
        (void) arg;
        return send(kept_inet, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long splice_inet(const char *arg) {
        const int file = memfd_create("x", MFD_CLOEXEC);
        off_t at = 0;
        long r = write(file, "x", 1);

        (void) arg;
        r = r < 0 ? r : sendfile(kept_inet, file, &at, 1);
        (void) close(file);
        return r;
}

static long use_pair(const char *arg) {
        (void) arg;
        return send(kept_pair[0], "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static long leave_kept(const char *arg) {
        (void) arg;
        return write(kept_outside, "0", 1);
}

/* A child that is born in another cgroup. */
static long born_in(const char *dir) {
        const int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct clone_args args = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t) fd };
        const long pid = syscall(SYS_clone3, &args, sizeof(args));

        (void) close(fd);
        return pid;
}

static long clone_into(const char *arg) {
        const long pid = born_in(arg);

        if (pid == 0)
                _exit(0);
        if (pid > 0)
                (void) waitpid((pid_t) pid, NULL, 0);
        return pid;
}

static long force(const char *arg) {
        const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), size = 4096;
        const long r = setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));

        (void) arg;
        (void) close(fd);
        return r;
}

static long signal_to(const char *arg) {
        int pid = 0, sig = 0;

        (void) sscanf(arg, "%i,%i", &pid, &sig);
        return kill(pid, sig);
}

static long trace(const char *arg) {
        const long r = ptrace(PTRACE_SEIZE, atoi(arg), NULL, NULL);

        if (r == 0)
                (void) ptrace(PTRACE_DETACH, atoi(arg), NULL, NULL);
        return r;
}

static long memory(const char *arg) {
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%s/mem", arg);
        fd = open(path, O_RDWR | O_CLOEXEC);
        return fd < 0 ? -1 : close(fd);
}

/* FILE,TEXT: one write(2), as an echo makes it, or a writev(2) */
static long write_file(const char *arg) {
        char file[256], text[64] = "";
        long fd, r;

        (void) sscanf(arg, "%255[^,],%63s", file, text);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        r = fd < 0 ? -1 : write((int) fd, text, strlen(text));
        return r;
}

static long writev_file(const char *arg) {
        char file[256], text[64] = "";
        const struct {
                void *base;
                size_t n;
        } v = { text, (size_t) (sscanf(arg, "%255[^,],%63s", file, text), strlen(text)) };
        const int fd = open(file, O_WRONLY | O_CLOEXEC);

        return fd < 0 ? -1 : syscall(SYS_writev, fd, &v, 1);
}

/* FILE,OWN,PID: writes OWN while another thread of the same memory makes PID of it, until PID is somewhere else. */
static char racing[2][16];

static int flip(void *text) {
        for (;;) {
                memcpy(text, racing[0], sizeof(racing[0]));
                memcpy(text, racing[1], sizeof(racing[1]));
        }
        return 0;
}

static bool has_left(const char *pid, const char *before) {
        char path[64], now[256] = "";
        FILE *f;

        (void) snprintf(path, sizeof(path), "/proc/%s/cgroup", pid);
        f = fopen(path, "re");
        if (!f || !fgets(now, sizeof(now), f))
                now[0] = 0;
        (void) (f ? fclose(f) : 0);
        return before[0] ? strcmp(now, before) != 0 : false;
}

static long race(const char *arg) {
        static char text[16], stack[65536] __attribute__((aligned(16)));
        char file[256], before[256] = "", path[64];
        FILE *f;
        int fd, child;
        bool left = false;

        (void) sscanf(arg, "%255[^,],%15[^,],%15s", file, racing[0], racing[1]);
        (void) snprintf(path, sizeof(path), "/proc/%s/cgroup", racing[1]);
        f = fopen(path, "re");
        if (!f || !fgets(before, sizeof(before), f))
                return -1;
        (void) fclose(f);
        fd = open(file, O_WRONLY | O_CLOEXEC);
        child = clone(flip, stack + sizeof(stack), CLONE_VM | SIGCHLD, text);
        for (int k = 0; k < 2000 && !left; k++) {
                (void) !write(fd, text, strlen(racing[0]));
                left = k % 16 == 15 && has_left(racing[1], before);
        }
        (void) kill(child, SIGKILL);
        (void) waitpid(child, NULL, 0);
        errno = EPERM;
        return left ? 0 : -1;
}

static long bpf_call(int cmd, union bpf_attr *attr) {
        return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static long detach_link(const char *arg) {
        union bpf_attr get = { .link_id = (uint32_t) atoi(arg) }, detach = { 0 };

        detach.link_detach.link_fd = (uint32_t) bpf_call(BPF_LINK_GET_FD_BY_ID, &get);
        return bpf_call(BPF_LINK_DETACH, &detach);
}

static long open_map(const char *arg) {
        union bpf_attr get = { .map_id = (uint32_t) atoi(arg) };

        return bpf_call(BPF_MAP_GET_FD_BY_ID, &get);
}

static long execute(const char *arg) {
        return execl("/bin/sh", "sh", arg, NULL);
}

typedef long (*call_fn)(const char *arg);

static const struct {
        const char *name;
        call_fn fn;
} calls[] = {
        { "socket", make_socket }, { "stream", make_stream },    { "datagram", make_datagram },
        { "keep", keep },          { "packet", use_packet },     { "use-stream", use_stream },
        { "use-pair", use_pair },  { "use-inet", use_inet },     { "splice-inet", splice_inet },
        { "leave", leave },        { "leave-kept", leave_kept }, { "clone-into", clone_into },
        { "force", force },        { "kill", signal_to },        { "trace", trace },
        { "memory", memory },      { "write", write_file },      { "writev", writev_file },
        { "detach", detach_link }, { "open-map", open_map },     { "race", race },
        { "exec", execute },
};

static call_fn find(const char *name) {
        for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
                if (strcmp(calls[i].name, name) == 0)
                        return calls[i].fn;
        return NULL;
}

/* What the child has made, or why there is none. */
static long outcome_of(long child) {
        int status = 0;

        if (child < 0)
                return child;
        (void) waitpid((pid_t) child, &status, 0);
        errno = WEXITSTATUS(status);
        return errno ? -1 : 0;
}

/* DIR,CALL,ARG: made by a child that is born in that cgroup. */
static long from(const char *arg) {
        char dir[256], name[64], rest[300] = "";
        long child;

        (void) sscanf(arg, "%255[^,],%63[^,],%299s", dir, name, rest);
        child = born_in(dir);
        if (child == 0)
                _exit(find(name)(rest) < 0 ? errno : 0);
        return outcome_of(child);
}

/* PID,CALL,ARG: made by a child in the pid namespace of that one's children. */
static long within(const char *arg) {
        char path[64], pid[16] = "", name[64], rest[300] = "";
        long child;
        int fd;

        (void) sscanf(arg, "%15[^,],%63[^,],%299s", pid, name, rest);
        (void) snprintf(path, sizeof(path), "/proc/%s/ns/pid_for_children", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || setns(fd, CLONE_NEWPID) < 0)
                return -1;
        child = fork();
        if (child == 0)
                _exit(find(name)(rest) < 0 ? errno : 0);
        return outcome_of(child);
}

static const char *answer(const char *name, const char *arg) {
        const call_fn fn = strcmp(name, "from") == 0 ? from : strcmp(name, "within") == 0 ? within : find(name);

        if (!fn)
                return "unknown";
        return fn(arg) < 0 ? strerrorname_np(errno) : "ok";
}

static int serve(const char *in, const char *out) {
        char line[512];
        FILE *o = fopen(out, "ae"), *i = fopen(in, "r+e");

        while (o && i && fgets(line, sizeof(line), i)) {
                char name[64] = "", arg[400] = "";

                (void) sscanf(line, "%63s %399s", name, arg);
                (void) fprintf(o, "%s\n", answer(name, arg));
                (void) fflush(o);
        }
        return 1;
}

static void *serve_beside(void *names) {
        char **n = names;

        exit(serve(n[0], n[1]));
}

static int beside(char **names) {
        pthread_t thread;

        if (pthread_create(&thread, NULL, serve_beside, names) != 0)
                return 1;
        for (;;)
                (void) pause();
}

static int stay(void) {
        static const struct {
                const char *name;
                int type;
        } names[] = { { "@outside.stream", SOCK_STREAM }, { "@outside.datagram", SOCK_DGRAM } };

        for (size_t i = 0; i < 2; i++) {
                const int fd = socket(AF_UNIX, names[i].type, 0);
                socklen_t n;
                const struct sockaddr_un a = name_of(names[i].name, &n);

                if (bind(fd, (const struct sockaddr *) &a, n) < 0 || (i == 0 && listen(fd, 64) < 0))
                        return 1;
        }
        for (;;)
                (void) pause();
}

static long cost_connect(int fd) {
        socklen_t n;
        const struct sockaddr_un a = name_of("@outside.datagram", &n);

        return connect(fd, (const struct sockaddr *) &a, n);
}

static long cost_write(int fd) {
        (void) fd;
        static int null = -1;

        null = null < 0 ? open("/dev/null", O_WRONLY | O_CLOEXEC) : null;
        return write(null, "x", 1);
}

static long cost_open(int fd) {
        (void) fd;
        return close(open("/root/.cost", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static long cost_signal(int fd) {
        (void) fd;
        return kill(getpid(), SIGURG);
}

static int cost(void) {
        static const struct {
                const char *name;
                long (*fn)(int fd);
        } costs[] = {
                { "connect", cost_connect }, { "write", cost_write }, { "open", cost_open }, { "signal", cost_signal }
        };
        const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), rounds = 20000;

        for (size_t i = 0; i < sizeof(costs) / sizeof(*costs); i++) {
                struct timespec a, b;

                (void) clock_gettime(CLOCK_MONOTONIC, &a);
                for (int k = 0; k < rounds; k++)
                        if (costs[i].fn(fd) < 0)
                                return 1;
                (void) clock_gettime(CLOCK_MONOTONIC, &b);
                (void) printf("%s %lld%s", costs[i].name,
                              ((b.tv_sec - a.tv_sec) * 1000000000LL + b.tv_nsec - a.tv_nsec) / rounds,
                              i + 1 < sizeof(costs) / sizeof(*costs) ? ", " : "\n");
        }
        return 0;
}

int main(int argc, char **argv) {
        if (argc == 4 && strcmp(argv[1], "--serve") == 0)
                return serve(argv[2], argv[3]);
        if (argc == 4 && strcmp(argv[1], "--beside") == 0)
                return beside(argv + 2);
        if (argc == 5 && strcmp(argv[1], "--born") == 0)
                return born_in(argv[2]) == 0 ? serve(argv[3], argv[4]) : 0;
        if (argc == 2 && strcmp(argv[1], "--listen") == 0)
                return stay();
        if (argc == 2 && strcmp(argv[1], "--cost") == 0)
                return cost();
        if (argc < 2)
                return 2;
        (void) puts(answer(argv[1], argc > 2 ? argv[2] : ""));
        return 0;
}
