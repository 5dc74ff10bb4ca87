/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/guard_trial.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

_Static_assert(_GUARD_HOOK_MAX <= 32, "a trial's outcome is one word");

/* What the calls are made on, ready before the first. */
struct ground {
        int stream, listener, pair[2], memory, map;
        struct sockaddr_un name, nobody;
        char file[PATH_MAX], file_new[PATH_MAX], dir[PATH_MAX], self[32];
};

/* Each changes nothing that lasts. 0, or the errno with which it failed. */
static int result(long r) {
        return r < 0 ? errno : 0;
}

static int try_socket(const struct ground *g) {
        const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), e = result(fd);

        (void) g;
        if (fd >= 0)
                (void) close(fd);
        return e;
}

static int try_connect(const struct ground *g) {
        return result(connect(g->stream, (const struct sockaddr *) &g->nobody, sizeof(g->nobody)));
}

static int try_stream(const struct ground *g) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        return result(connect(fd, (const struct sockaddr *) &g->name, sizeof(g->name)));
}

static int try_send(const struct ground *g) {
        return result(send(g->pair[0], "", 1, MSG_NOSIGNAL | MSG_DONTWAIT));
}

static int try_capable(const struct ground *g) {
        const int size = 4096;

        return result(setsockopt(g->stream, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
}

static int try_signal(const struct ground *g) {
        (void) g;
        return result(kill(getpid(), 0));
}

/* reading the memory of another takes what tracing takes */
static int try_trace(const struct ground *g) {
        char path[32];
        int fd, e;

        (void) g;
        (void) snprintf(path, sizeof(path), "/proc/%d/mem", (int) getppid());
        fd = open(path, O_RDONLY | O_CLOEXEC);
        e = result(fd);
        if (fd >= 0)
                (void) close(fd);
        return e;
}

/* what is in there is no program */
static int try_exec(const struct ground *g) {
        char *const none[] = { NULL };

        return result(fexecve(g->memory, none, none));
}

static int try_clone(const struct ground *g) {
        const pid_t pid = fork();
        const int e = result(pid);

        (void) g;
        if (pid == 0)
                _exit(0);
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        return e;
}

static int try_write(const struct ground *g) {
        return result(write(g->memory, "x", 1));
}

static int try_open(const struct ground *g) {
        const int fd = open(g->self, O_RDONLY | O_CLOEXEC), e = result(fd);

        if (fd >= 0)
                (void) close(fd);
        return e;
}

static int try_truncate(const struct ground *g) {
        return result(truncate(g->self, 1));
}

static int try_ioctl(const struct ground *g) {
        int flags;

        return result(ioctl(g->memory, FS_IOC_GETFLAGS, &flags));
}

static int try_unlink(const struct ground *g) {
        const int fd = open(g->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        if (fd >= 0)
                (void) close(fd);
        return result(unlink(g->file));
}

static int try_rmdir(const struct ground *g) {
        (void) mkdir(g->dir, 0700);
        return result(rmdir(g->dir));
}

static int try_rename(const struct ground *g) {
        const int fd = open(g->file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        if (fd >= 0)
                (void) close(fd);
        return result(rename(g->file, g->file_new));
}

/* of two kinds of propagation at once, which cannot be */
static int try_mount(const struct ground *g) {
        (void) g;
        return result(mount(NULL, "/", NULL, MS_SLAVE | MS_PRIVATE, NULL));
}

/* the root cannot expire */
static int try_umount(const struct ground *g) {
        (void) g;
        return result(umount2("/", MNT_EXPIRE));
}

/* the root cannot be moved into itself */
static int try_move_mount(const struct ground *g) {
        (void) g;
        return result(syscall(SYS_move_mount, AT_FDCWD, "/", AT_FDCWD, "/", 0));
}

static int try_bpf(const struct ground *g) {
        char attr[64] = { 0 };

        (void) g;
        return result(syscall(SYS_bpf, 0x7fff, attr, sizeof(attr)));
}

static int try_map(const struct ground *g) {
        struct bpf_map_info info = { 0 };
        uint32_t size = sizeof(info);
        int fd = -1, e;

        if (bpf_obj_get_info_by_fd(g->map, &info, &size) == 0)
                fd = bpf_map_get_fd_by_id(info.id);
        e = result(fd);
        if (fd >= 0)
                (void) close(fd);
        return e;
}

static int (*const tries[_GUARD_HOOK_MAX])(const struct ground *g) = {
        [GUARD_SOCKET] = try_socket,     [GUARD_CONNECT] = try_connect,       [GUARD_SENDMSG] = try_send,
        [GUARD_STREAM] = try_stream,     [GUARD_DATAGRAM] = try_send,         [GUARD_CAPABLE] = try_capable,
        [GUARD_SIGNAL] = try_signal,     [GUARD_TRACE] = try_trace,           [GUARD_EXEC] = try_exec,
        [GUARD_CLONE] = try_clone,       [GUARD_CGROUPFS] = try_write,        [GUARD_OPEN] = try_open,
        [GUARD_TRUNCATE] = try_truncate, [GUARD_ATTRIBUTES] = try_ioctl,      [GUARD_UNLINK] = try_unlink,
        [GUARD_RMDIR] = try_rmdir,       [GUARD_RENAME] = try_rename,         [GUARD_MOUNT] = try_mount,
        [GUARD_UMOUNT] = try_umount,     [GUARD_MOVE_MOUNT] = try_move_mount, [GUARD_BPF] = try_bpf,
        [GUARD_MAP] = try_map,
};

static int prepare(const char *dir, int map, struct ground *ret) {
        struct ground g = { .map = map, .name.sun_family = AF_UNIX, .nobody.sun_family = AF_UNIX };

        /* names of no file, of which one is nobody's */
        (void) snprintf(g.name.sun_path + 1, sizeof(g.name.sun_path) - 1, "freezed-trial-%d", (int) getpid());
        (void) snprintf(g.nobody.sun_path + 1, sizeof(g.nobody.sun_path) - 1, "freezed-nobody-%d", (int) getpid());
        (void) snprintf(g.file, sizeof(g.file), "%s/trial", dir);
        (void) snprintf(g.file_new, sizeof(g.file_new), "%s/trial.new", dir);
        (void) snprintf(g.dir, sizeof(g.dir), "%s/trial.d", dir);
        g.stream = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        g.memory = memfd_create("trial", MFD_CLOEXEC);
        (void) snprintf(g.self, sizeof(g.self), "/proc/self/fd/%d", g.memory);
        if (g.stream < 0 || g.listener < 0 || g.memory < 0 || write(g.memory, "x", 1) != 1 ||
            bind(g.listener, (const struct sockaddr *) &g.name, sizeof(g.name)) < 0 || listen(g.listener, 16) < 0 ||
            socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, g.pair) < 0)
                return -errno;
        *ret = g;
        return 0;
}

/* What the program does not change is not its doing: where a sandbox refuses the plain call as well, nothing is seen.
 */
static uint32_t try_all(volatile struct guard_state *guard, const struct ground *g) {
        uint32_t seen = 0;

        for (uint32_t k = 0; k < _GUARD_HOOK_MAX; k++) {
                const int plain = tries[k](g);
                int refused;

                guard->trial_hook = k;
                guard->trial = (uint32_t) getpid();
                refused = tries[k](g);
                guard->trial = 0;
                if (refused != plain && (refused == EPERM || refused == EACCES))
                        seen |= 1U << k;
        }
        (void) unlink(g->file);
        (void) unlink(g->file_new);
        (void) rmdir(g->dir);
        return seen;
}

int guard_trial(volatile struct guard_state *guard, const char *dir, int map, uint32_t *ret) {
        uint32_t seen = 0;
        ssize_t n = -1;
        int pipes[2];
        pid_t pid;

        if (pipe2(pipes, O_CLOEXEC) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                struct ground g;

                seen = prepare(dir, map, &g) < 0 ? 0 : try_all(guard, &g);
                n = write(pipes[1], &seen, sizeof(seen));
                _exit(n == sizeof(seen) ? 0 : 1);
        }
        (void) close(pipes[1]);
        if (pid > 0) {
                n = read(pipes[0], &seen, sizeof(seen));
                (void) waitpid(pid, NULL, 0);
                guard->trial = 0; /* also when it died at it */
        }
        (void) close(pipes[0]);
        if (n != sizeof(seen))
                return -EIO;
        *ret = seen;
        return 0;
}
