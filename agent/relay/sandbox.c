/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define FDS_MAX 128U

/* Everything that changes a file or runs one; reading is left to the unit, which shows little. */
#define WRITES                                                                                         \
        (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |  \
         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
         LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)
/* for a state file that is replaced */
#define REPLACES (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG)

/* What the event loop, the client library, OpenSSL and the resolver need, threads among it. */
static const int allowed[] = {
        SCMP_SYS(accept4),
        SCMP_SYS(bind),
        SCMP_SYS(brk),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(clone),
        SCMP_SYS(clone3),
        SCMP_SYS(close),
        SCMP_SYS(connect),
        SCMP_SYS(dup),
        SCMP_SYS(epoll_create1),
        SCMP_SYS(epoll_ctl),
        SCMP_SYS(epoll_pwait),
        SCMP_SYS(epoll_pwait2),
        SCMP_SYS(epoll_wait),
        SCMP_SYS(eventfd2),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(fchmod),
        SCMP_SYS(fcntl),
        SCMP_SYS(fstat),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(futex),
        SCMP_SYS(getcwd),
        SCMP_SYS(getdents64),
        SCMP_SYS(getegid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid),
        SCMP_SYS(getpeername),
        SCMP_SYS(getpid),
        SCMP_SYS(getrandom),
        SCMP_SYS(getsockname),
        SCMP_SYS(getsockopt),
        SCMP_SYS(gettid),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getuid),
        SCMP_SYS(ioctl),
        SCMP_SYS(lseek),
        SCMP_SYS(madvise),
        SCMP_SYS(membarrier),
        SCMP_SYS(mremap),
        SCMP_SYS(munmap),
        SCMP_SYS(nanosleep),
        SCMP_SYS(newfstatat),
        SCMP_SYS(open),
        SCMP_SYS(openat),
        SCMP_SYS(pipe2),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(pread64),
        SCMP_SYS(prlimit64),
        SCMP_SYS(pselect6),
        SCMP_SYS(read),
        SCMP_SYS(readlink),
        SCMP_SYS(readlinkat),
        SCMP_SYS(readv),
        SCMP_SYS(recvfrom),
        SCMP_SYS(recvmmsg),
        SCMP_SYS(recvmsg),
        SCMP_SYS(rename),
        SCMP_SYS(renameat),
        SCMP_SYS(renameat2),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(rseq),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(sched_yield),
        SCMP_SYS(select),
        SCMP_SYS(sendmmsg),
        SCMP_SYS(sendmsg),
        SCMP_SYS(sendto),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(setitimer),
        SCMP_SYS(setsockopt),
        SCMP_SYS(shutdown),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(stat),
        SCMP_SYS(statx),
        SCMP_SYS(sysinfo),
        SCMP_SYS(tgkill),
        SCMP_SYS(timerfd_create),
        SCMP_SYS(timerfd_settime),
        SCMP_SYS(uname),
        SCMP_SYS(unlink),
        SCMP_SYS(unlinkat),
        SCMP_SYS(write),
        SCMP_SYS(writev),
};

static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static int allow_write_below(int ruleset, const char *dir) {
        struct landlock_path_beneath_attr attr = { .allowed_access = REPLACES };
        _cleanup_close_ int fd = -EBADF;

        fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        attr.parent_fd = fd;
        return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno : 0;
}

static int give_up_files(const char *dir) {
        const struct landlock_ruleset_attr attr = { .handled_access_fs = WRITES };
        _cleanup_close_ int fd = -EBADF;
        int r = 0;

        fd = (int) syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        /* FAIL-OPEN: no Landlock in this kernel, switched off, or kept from us by a container. Its own uid and the
         * unit keep every file out of reach as well. */
        if (fd < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
        if (dir)
                r = allow_write_below(fd, dir);
        if (r == 0 && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
                r = -errno;
        return r;
}

/* Memory that is or becomes executable is nobody's need any more. */
static int add_rules(scmp_filter_ctx ctx) {
        const struct scmp_arg_cmp not_exec = { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(allowed) && r == 0; i++)
                r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, allowed[i], 0, NULL);
        for (size_t i = 0; i < ELEMENTSOF(families) && r == 0; i++) {
                const struct scmp_arg_cmp family = { 0, SCMP_CMP_EQ, (scmp_datum_t) families[i], 0 };

                r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &family);
        }
        if (r == 0)
                r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &not_exec);
        return r == 0 ? seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &not_exec) : r;
}

static int filter_calls(void) {
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r = ctx ? add_rules(ctx) : -ENOMEM;

        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

int sandbox_enter(const char *dir) {
        const struct rlimit fds = { FDS_MAX, FDS_MAX }, none = { 0, 0 };
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
            setrlimit(RLIMIT_NOFILE, &fds) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
                return -errno;
        r = give_up_files(dir);
        return r < 0 ? r : filter_calls();
}
