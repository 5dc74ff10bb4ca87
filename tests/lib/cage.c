/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/cage.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/core/cgroup.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "lib/scratch.h"

#define PATIENCE_US (60LL * 1000 * 1000)
#define CAGES_MAX   512

static struct {
        char *hierarchy;
        const char *why_not;
        struct scratch scratch;
        char pins[96];
        struct cage top;
        int fds[CAGES_MAX];
        size_t n_fds;
        int janitor; /* its end of the pipe */
        int fence[2];
        unsigned cases;
} here = { .janitor = -EBADF, .fence = { -EBADF, -EBADF } };

/* One by one, because cgroup.kill does not end a process whose first thread has ended by itself (6.18). */
static void kill_all(const char *dir) {
        _cleanup_free_ char *text = NULL;
        char path[800];

        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
        if (io_read_file(AT_FDCWD, path, 1U << 20, &text, NULL) < 0)
                return;
        for (char *at = text, *end; *at; at = end + 1) {
                long pid = strtol(at, &end, 10);

                if (end == at || *end != '\n')
                        return;
                (void) (pid > 0 && kill((pid_t) pid, SIGKILL));
        }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        (void) st, (void) ftw;
        if (type == FTW_DP && rmdir(path) < 0)
                kill_all(path);
        return 0;
}

/* Also called when the test is dead, so it asserts nothing: 0, or -EBUSY when something could not be removed. */
static int sweep(const char *dir) {
        const int64_t end = clock_mono_us() + PATIENCE_US;
        char path[700];

        (void) snprintf(path, sizeof(path), "%s/cgroup.kill", dir);
        for (;;) {
                struct stat st;

                /* a process that forks is faster than a list of them */
                if (io_write_string(AT_FDCWD, path, "1") == -ENOENT)
                        return 0;
                while (waitpid(-1, NULL, WNOHANG) > 0)
                        ;
                (void) nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
                if (stat(dir, &st) < 0)
                        return 0;
                if (clock_mono_us() > end)
                        return -EBUSY;
                (void) usleep(1000);
        }
}

/* Waits for the end of the test however it comes, and sweeps then. */
static void start_janitor(void) {
        int pipe_fds[2];
        pid_t pid;

        assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                char c;

                (void) setsid();
                (void) close(pipe_fds[1]);
                for (int fd = 0; fd < 3; fd++)
                        (void) close(fd);
                while (read(pipe_fds[0], &c, 1) < 0 && errno == EINTR)
                        ;
                (void) sweep(here.top.dir);
                /* it has kept the test's mount namespace */
                (void) umount2(here.scratch.path, MNT_DETACH);
                (void) rmdir(here.scratch.path);
                _exit(0);
        }
        (void) close(pipe_fds[0]);
        here.janitor = pipe_fds[1];
}

static int shell(const char *command) {
        int status = system(command); /* NOLINT: constant strings of this file */

        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The namespaces are this process's own and end with it, and with them the bpffs and every pin. */
static const char *unshare_all(void) {
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
                return "namespaces of its own are refused";
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("bpf", here.scratch.path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
                return "a bpffs cannot be mounted";
        if (shell("ip link set lo up && ip route add local 10.0.0.0/8 dev lo && ip -6 route add local fd00::/8 dev lo "
                  "&& "
                  "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind") != 0)
                return "the loopback of a new network namespace cannot be set up";
        return NULL;
}

static void stay_on_one_cpu(void) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(sched_getcpu(), &set);
        assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
}

/* NULL, or why there can be no cages here. */
static const char *prepare(void) {
        if (geteuid() != 0)
                return "not root";
        if (cgroup_root(&here.hierarchy) < 0)
                return "no unified cgroup hierarchy";
        scratch_make(&here.scratch);
        return unshare_all();
}

static int group_begin(void **state) {
        (void) state;
        (void) snprintf(here.top.path, sizeof(here.top.path), "/freezed-unit-%d.slice", (int) getpid());
        (void) snprintf(here.top.dir, sizeof(here.top.dir), "%s%s", here.hierarchy, here.top.path);
        start_janitor();
        stay_on_one_cpu();
        here.fence[0] = wire_socket(AF_INET, SOCK_DGRAM, 0);
        here.fence[1] = wire_socket(AF_INET, SOCK_DGRAM, 0);
        for (int k = 0; k < 2; k++) {
                const union wire_addr any = wire_addr("127.0.0.1", 0);

                assert_int_equal(bind(here.fence[k], &any.sa, wire_size(&any)), 0);
        }
        for (int k = 0; k < 2; k++) {
                const union wire_addr other = wire_name(here.fence[!k]);

                assert_int_equal(wire_connect(here.fence[k], &other), 0);
        }
        return 0;
}

static void tidy(void) {
        closep(&here.fence[0]);
        closep(&here.fence[1]);
        closep(&here.janitor);
        if (here.scratch.path[0]) {
                (void) umount2(here.scratch.path, MNT_DETACH);
                (void) rmdir(here.scratch.path);
        }
        free(here.hierarchy);
}

static int group_end(void **state) {
        (void) state;
        tidy();
        return 0;
}

static void say_why(void **state) {
        (void) state;
        print_message("skip: %s\n", here.why_not);
        skip();
}

/* A case that is skipped by its setup counts as failed, so each is replaced by one that skips. */
int cage_run(const struct CMUnitTest *cases, size_t n) {
        struct CMUnitTest skipped[n];

        here.why_not = prepare();
        if (!here.why_not)
                return _cmocka_run_group_tests("cases", cases, n, group_begin, group_end);
        for (size_t i = 0; i < n; i++)
                skipped[i] = (struct CMUnitTest) { .name = cases[i].name, .test_func = say_why };
        tidy();
        return _cmocka_run_group_tests("cases", skipped, n, NULL, NULL);
}

static void open_cage(struct cage *c) {
        struct stat st;

        assert_int_equal(mkdir(c->dir, 0755), 0);
        c->fd = open(c->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(c->fd >= 0);
        assert_int_equal(fstat(c->fd, &st), 0);
        c->id = st.st_ino;
        assert_true(here.n_fds < CAGES_MAX);
        here.fds[here.n_fds++] = c->fd;
}

int cage_begin(void **state) {
        (void) state;
        here.cases++;
        open_cage(&here.top);
        return 0;
}

int cage_end(void **state) {
        (void) state;
        for (size_t i = 0; i < here.n_fds; i++)
                (void) close(here.fds[i]);
        here.n_fds = 0;
        assert_int_equal(sweep(here.top.dir), 0);
        return 0;
}

const char *cage_hierarchy(void) {
        return here.hierarchy;
}

/* One directory for each case, so that no case sees what one that failed has left. */
const char *cage_pins(void) {
        (void) snprintf(here.pins, sizeof(here.pins), "%s/pins%u", here.scratch.path, here.cases);
        return here.pins;
}

const struct cage *cage_top(void) {
        return &here.top;
}

struct cage cage_make(const char *name) {
        struct cage c = { .fd = -EBADF };

        assert_in_range(snprintf(c.path, sizeof(c.path), "%s/%s", here.top.path, name), 1, sizeof(c.path) - 1);
        assert_in_range(snprintf(c.dir, sizeof(c.dir), "%s/%s", here.top.dir, name), 1, sizeof(c.dir) - 1);
        open_cage(&c);
        return c;
}

void cage_remove(struct cage *c) {
        assert_int_equal(sweep(c->dir), 0);
}

/* Nothing of the test's is open in the process, or it would count as its own, but fd as CAGE_HELD. */
static void close_all_but(int fd, int ready) {
        enum { READY = CAGE_HELD + 1 };
        int kept = fd >= 0 ? fcntl(fd, F_DUPFD, 1000) : -EBADF;

        ready = fcntl(ready, F_DUPFD, 1000);
        if (dup2(ready, READY) < 0 || (fd >= 0 && dup2(kept, CAGE_HELD) < 0))
                _exit(1);
        if (fd < 0)
                (void) close(CAGE_HELD);
        (void) close_range(READY + 1, ~0U, 0);
}

pid_t cage_spawn(const struct cage *c, void (*body)(void *userdata), void *userdata) {
        return cage_spawn_with(c, -EBADF, body, userdata);
}

pid_t cage_spawn_with(const struct cage *c, int fd, void (*body)(void *userdata), void *userdata) {
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (io_write_string(c->fd, "cgroup.procs", "0") < 0)
                        _exit(1);
                close_all_but(fd, ready[1]);
                if (body)
                        body(userdata);
                if (write(CAGE_HELD + 1, "", 1) != 1)
                        _exit(1);
                for (;;)
                        (void) pause();
        }
        (void) close(ready[1]);
        /* not the end of the file: what it has forked keeps that open */
        assert_int_equal(read(ready[0], &byte, 1), 1);
        (void) close(ready[0]);
        return pid;
}

static int run_in(const struct cage *c, unsigned long flags, int (*fn)(void *userdata), void *userdata) {
        pid_t pid = (pid_t) syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(io_write_string(c->fd, "cgroup.procs", "0") < 0 ? 255 : fn(userdata));
        return scratch_wait(pid);
}

int cage_call(const struct cage *c, int (*fn)(void *userdata), void *userdata) {
        return run_in(c, 0, fn, userdata);
}

static int make_socket(void *userdata) {
        const int *kind = userdata;
        int fd = socket(kind[0], kind[1] | SOCK_CLOEXEC | SOCK_NONBLOCK, kind[2]);

        return fd < 0 ? 254 : fd;
}

int cage_socket(const struct cage *c, int family, int type, int protocol) {
        int kind[] = { family, type, protocol };
        /* it shares our file descriptors, so its socket stays */
        int fd = run_in(c, CLONE_FILES, make_socket, kind);

        assert_true(fd >= 0 && fd < 254);
        return fd;
}

void cage_freeze(const struct cage *c, bool freeze) {
        const int64_t end = clock_mono_us() + PATIENCE_US;

        assert_int_equal(cage_write(c, "cgroup.freeze", freeze ? "1" : "0"), 0);
        while (!cage_says(c, "cgroup.events", freeze ? "frozen 1" : "frozen 0"))
                assert_true(clock_mono_us() < end);
}

void cage_kill(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        (void) scratch_wait(pid);
}

int cage_write(const struct cage *c, const char *file, const char *text) {
        return io_write_string(c->fd, file, text);
}

bool cage_says(const struct cage *c, const char *file, const char *text) {
        _cleanup_free_ char *all = NULL;

        return io_read_file(c->fd, file, 65536, &all, NULL) == 0 && strstr(all, text);
}

union wire_addr wire_addr(const char *ip, uint16_t port) {
        union wire_addr a = { 0 };

        if (inet_pton(AF_INET, ip, &a.v4.sin_addr) == 1) {
                a.v4.sin_family = AF_INET;
                a.v4.sin_port = htons(port);
        } else {
                assert_int_equal(inet_pton(AF_INET6, ip, &a.v6.sin6_addr), 1);
                a.v6.sin6_family = AF_INET6;
                a.v6.sin6_port = htons(port);
        }
        return a;
}

socklen_t wire_size(const union wire_addr *a) {
        return a->sa.sa_family == AF_INET ? sizeof(a->v4) : sizeof(a->v6);
}

int wire_socket(int family, int type, int protocol) {
        int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);

        assert_true(fd >= 0);
        return fd;
}

int wire_listen(const char *ip, int type, union wire_addr *ret) {
        const union wire_addr any = wire_addr(ip, 0);
        int fd = wire_socket(any.sa.sa_family, type, 0);

        assert_int_equal(bind(fd, &any.sa, wire_size(&any)), 0);
        if (type == SOCK_STREAM)
                assert_int_equal(listen(fd, 16), 0);
        *ret = wire_name(fd);
        return fd;
}

int wire_connect(int fd, const union wire_addr *to) {
        return connect(fd, &to->sa, wire_size(to)) < 0 && errno != EINPROGRESS ? -errno : 0;
}

int wire_send(int fd, const void *data, size_t n) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);

        return sent < 0 ? -errno : sent == (ssize_t) n ? 0 : -EIO;
}

int wire_sendto(int fd, const union wire_addr *to, const void *data, size_t n) {
        ssize_t sent = sendto(fd, data, n, MSG_NOSIGNAL, &to->sa, wire_size(to));

        return sent < 0 ? -errno : sent == (ssize_t) n ? 0 : -EIO;
}

union wire_addr wire_name(int fd) {
        union wire_addr a = { 0 };
        socklen_t size = sizeof(a);

        assert_int_equal(getsockname(fd, &a.sa, &size), 0);
        return a;
}

void wire_settle(void) {
        struct pollfd p = { .fd = here.fence[1], .events = POLLIN };
        char c = 0;

        assert_int_equal(wire_send(here.fence[0], &c, 1), 0);
        assert_int_equal(poll(&p, 1, (int) (PATIENCE_US / 1000)), 1);
        assert_int_equal(recv(here.fence[1], &c, 1, 0), 1);
}

ssize_t wire_arrived(int fd) {
        char buf[4096];
        ssize_t n, sum = 0;

        wire_settle();
        while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
                sum += n;
        return n < 0 && errno != EAGAIN ? -errno : sum;
}

void wire_join(int fd, const char *ip, int type, int *ret_peer) {
        union wire_addr at, from;
        int listener = wire_listen(ip, type, &at);

        assert_int_equal(wire_connect(fd, &at), 0);
        wire_settle();
        if (type == SOCK_STREAM) {
                *ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                assert_true(*ret_peer >= 0);
                (void) close(listener);
                return;
        }
        from = wire_name(fd);
        assert_int_equal(wire_connect(listener, &from), 0);
        *ret_peer = listener;
}

size_t wire_open_fds(void) {
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}
