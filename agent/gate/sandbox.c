/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/sandbox.h"

#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ARGS_MAX 2

/* A running gate's system calls: what sd-event, malloc, the sockets and the log need. Descriptors are only ever
 * accepted; a datagram goes only where its socket is connected to; a file is written only when it is stderr. */
static const struct {
        int nr;
        unsigned int n_args;
        struct scmp_arg_cmp args[ARGS_MAX];
} allowed[] = {
        { SCMP_SYS(accept4), 0, {} },
        { SCMP_SYS(recvfrom), 0, {} },
        { SCMP_SYS(sendto), 1, { { 4, SCMP_CMP_EQ, 0, 0 } } },
        { SCMP_SYS(getsockopt), 2, { { 1, SCMP_CMP_EQ, SOL_SOCKET, 0 }, { 2, SCMP_CMP_EQ, SO_PEERCRED, 0 } } },
        { SCMP_SYS(setsockopt), 2, { { 1, SCMP_CMP_EQ, SOL_SOCKET, 0 }, { 2, SCMP_CMP_EQ, SO_SNDBUF, 0 } } },
        { SCMP_SYS(close), 0, {} },
        { SCMP_SYS(read), 0, {} },
        { SCMP_SYS(write), 1, { { 0, SCMP_CMP_EQ, STDERR_FILENO, 0 } } },
        { SCMP_SYS(poll), 0, {} },
        { SCMP_SYS(ppoll), 0, {} },
        { SCMP_SYS(epoll_ctl), 0, {} },
        { SCMP_SYS(epoll_wait), 0, {} },
        { SCMP_SYS(epoll_pwait), 0, {} },
        { SCMP_SYS(epoll_pwait2), 0, {} },
        { SCMP_SYS(timerfd_settime), 0, {} },
        { SCMP_SYS(setitimer), 0, {} },
        { SCMP_SYS(clock_gettime), 0, {} },
        { SCMP_SYS(gettimeofday), 0, {} },
        { SCMP_SYS(getpid), 0, {} },
        { SCMP_SYS(brk), 0, {} },
        { SCMP_SYS(mmap), 1, { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
        { SCMP_SYS(mremap), 0, {} },
        { SCMP_SYS(munmap), 0, {} },
        { SCMP_SYS(madvise), 0, {} },
        { SCMP_SYS(futex), 0, {} },
        { SCMP_SYS(rt_sigprocmask), 0, {} },
        { SCMP_SYS(rt_sigreturn), 0, {} },
        { SCMP_SYS(restart_syscall), 0, {} },
        { SCMP_SYS(exit), 0, {} },
        { SCMP_SYS(exit_group), 0, {} },
};

static const struct {
        int resource;
        rlim_t at_most;
} limits[] = {
        { RLIMIT_NPROC, 0 },
        { RLIMIT_CORE, 0 },
        { RLIMIT_MEMLOCK, 0 },
};

static int limit(int resource, rlim_t at_most) {
        const struct rlimit l = { at_most, at_most };

        return setrlimit(resource, &l) < 0 ? -errno : 0;
}

/* No rule follows, so every right that is named here is gone. */
static int give_up_files(void) {
        struct landlock_ruleset_attr attr = { .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1 };
        _cleanup_close_ int fd = -EBADF;
        long version;

        version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        /* FAIL-OPEN: no Landlock in this kernel, switched off, or kept from us by a container. The system call filter
         * alone keeps every file out of reach. */
        if (version < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
        if (version >= 2)
                attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
        fd = (int) syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
        if (fd < 0 || syscall(SYS_landlock_restrict_self, fd, 0) < 0)
                return -errno;
        return 0;
}

static int filter_calls(void) {
        /* An error and not death: a call that some libc makes on a rare path then costs that path, not every client's
         * connection. */
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r = ctx ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(allowed) && r == 0; i++)
                r = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, allowed[i].nr, allowed[i].n_args, allowed[i].args);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

int sandbox_enter(unsigned int n_fds) {
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return -errno;
        r = limit(RLIMIT_NOFILE, n_fds);
        for (size_t i = 0; i < ELEMENTSOF(limits) && r == 0; i++)
                r = limit(limits[i].resource, limits[i].at_most);
        if (r == 0)
                r = give_up_files();
        return r < 0 ? r : filter_calls();
}
