/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cap-ng.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <seccomp.h>

#include "agent/collect/landlock_abi.h"
#include "agent/collect/pagemap_abi.h"
#include "agent/util/io.h"

/* Journals of a busy host are thousands of files, and each process under investigation costs two. */
#define NOFILE    16384U
#define OOM_SCORE "500"

int sandbox_mounts(int *folder) {
        struct mount_attr attr = {
                .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
        };
        /* Taken before the namespace changes: a mount can be cloned only from within the namespace that it belongs
         * to. */
        _cleanup_close_ int tree = open_tree(*folder, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
        _cleanup_close_ int fd = -EBADF;

        if (tree < 0)
                return -errno;
        fd = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
                return -errno;
        (void) close(*folder);
        *folder = TAKE_FD(fd);
        return 0;
}

static int limit(__rlimit_resource_t what, uint64_t value) {
        struct rlimit r;

        if (getrlimit(what, &r) < 0)
                return -errno;
        r.rlim_max = MIN(r.rlim_max, (rlim_t) value);
        r.rlim_cur = r.rlim_max;
        return setrlimit(what, &r) < 0 ? -errno : 0;
}

int sandbox_limit(const struct sandbox_limits *l) {
        const struct {
                __rlimit_resource_t what;
                uint64_t value;
        } all[] = {
                { RLIMIT_FSIZE, l->max_bytes },    { RLIMIT_CPU, l->cpu_seconds },
                { RLIMIT_NOFILE, NOFILE },         { RLIMIT_CORE, 0 },
#ifndef __SANITIZE_ADDRESS__ /* whose shadow memory counts as data */
                { RLIMIT_DATA, SANDBOX_DATA_MAX },
#endif
        };

        for (size_t i = 0; i < ELEMENTSOF(all); i++) {
                int r = limit(all[i].what, all[i].value);
                if (r < 0)
                        return r;
        }
        /* The core is the last to be killed when memory runs out and its children inherit that; a snapshot is the
         * first. No wall: where /proc is read-only it goes on without. */
        (void) !io_write_string(AT_FDCWD, "/proc/self/oom_score_adj", OOM_SCORE);
        return 0;
}

static int keep_capabilities(const unsigned *keep, size_t n) {
        bool have[n];

        if (capng_get_caps_process() < 0)
                return -EPERM;
        bool may_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);

        for (size_t i = 0; i < n; i++)
                have[i] = capng_have_capability(CAPNG_PERMITTED, keep[i]);
        capng_clear(CAPNG_SELECT_BOTH);
        for (size_t i = 0; i < n; i++)
                if (have[i] && capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, keep[i]) < 0)
                        return -EPERM;
        return capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) < 0 ? -EPERM : 0;
}

/* All that the collector, libc, libcrypto and sd-journal need once everything is set up. */
static const int calls[] = {
        SCMP_SYS(read),
        SCMP_SYS(pread64),
        SCMP_SYS(readv),
        SCMP_SYS(write),
        SCMP_SYS(pwrite64),
        SCMP_SYS(writev),
        SCMP_SYS(close),
        SCMP_SYS(lseek),
        SCMP_SYS(fstat),
        SCMP_SYS(newfstatat),
        SCMP_SYS(statx),
        SCMP_SYS(fstatfs),
        SCMP_SYS(statfs),
        SCMP_SYS(getdents64),
        SCMP_SYS(readlinkat),
        SCMP_SYS(faccessat),
        SCMP_SYS(faccessat2),
        SCMP_SYS(linkat),
        SCMP_SYS(ftruncate),
        SCMP_SYS(fallocate),
        SCMP_SYS(fsync),
        SCMP_SYS(fdatasync),
        SCMP_SYS(syncfs),
        SCMP_SYS(fcntl),
        SCMP_SYS(munmap),
        SCMP_SYS(mremap),
        SCMP_SYS(madvise),
        SCMP_SYS(brk),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(wait4),
        SCMP_SYS(kcmp),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getpid),
        SCMP_SYS(gettid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getuid),
        SCMP_SYS(getrandom),
        SCMP_SYS(futex),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(rseq),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        /* what only takes more away */
        SCMP_SYS(capget),
        SCMP_SYS(capset),
        SCMP_SYS(landlock_create_ruleset),
        SCMP_SYS(landlock_add_rule),
        SCMP_SYS(landlock_restrict_self),
};

/* Looks at a frozen thread's registers, and changes nothing of it. */
static const unsigned long pagemap_scan = PAGEMAP_SCAN;
static const unsigned ptrace_requests[] = { PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_GETREGSET, PTRACE_DETACH };

/* Memory is data or code for good, never one and then the other. */
static int add_data_only(scmp_filter_ctx ctx) {
        int r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));

        return r < 0 ? r
                     : seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                                        SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
}

static int add_rules(scmp_filter_ctx ctx) {
        const unsigned tmpfile = O_TMPFILE, thread = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND;
        const unsigned read_mask = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(calls); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0);
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, read_mask, O_RDONLY));
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, tmpfile | O_CREAT, tmpfile));
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, pagemap_scan));
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(ptrace_requests); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ptrace), 1,
                                     SCMP_A0(SCMP_CMP_EQ, ptrace_requests[i]));
        /* threads, not processes; clone3(2) hides its flags from a filter, and libc goes without it where it is not
         * there */
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        return r < 0 ? r : add_data_only(ctx);
}

/* What a reader of the kernel's tables, libc, libmnl, libbpf and libnftables need. */
static const int reader_calls[] = {
        SCMP_SYS(read),          SCMP_SYS(write),        SCMP_SYS(writev),       SCMP_SYS(close),
        SCMP_SYS(lseek),         SCMP_SYS(fstat),        SCMP_SYS(newfstatat),   SCMP_SYS(fcntl),
        SCMP_SYS(munmap),        SCMP_SYS(mremap),       SCMP_SYS(madvise),      SCMP_SYS(brk),
        SCMP_SYS(rt_sigaction),  SCMP_SYS(sigaltstack),  SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getpid),       SCMP_SYS(gettid),
        SCMP_SYS(geteuid),       SCMP_SYS(getuid),       SCMP_SYS(getrandom),    SCMP_SYS(futex),
        SCMP_SYS(exit),          SCMP_SYS(exit_group),   SCMP_SYS(bind),         SCMP_SYS(getsockname),
        SCMP_SYS(setsockopt),    SCMP_SYS(getsockopt),   SCMP_SYS(sendto),       SCMP_SYS(sendmsg),
        SCMP_SYS(recvfrom),      SCMP_SYS(recvmsg),      SCMP_SYS(select),       SCMP_SYS(pselect6),
        SCMP_SYS(poll),          SCMP_SYS(ppoll),
};

/* Of bpf(2) what looks. */
static const unsigned bpf_commands[] = {
        BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID,   BPF_LINK_GET_NEXT_ID,   BPF_PROG_GET_FD_BY_ID,
        BPF_MAP_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID, BPF_OBJ_GET_INFO_BY_FD, BPF_PROG_QUERY,
};

static int add_reader_rules(scmp_filter_ctx ctx) {
        const unsigned read_mask = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
        int r = add_data_only(ctx);

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(reader_calls); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, reader_calls[i], 0);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(bpf_commands); i++)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1, SCMP_A0(SCMP_CMP_EQ, bpf_commands[i]));
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK));
        if (r == 0)
                r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                                     SCMP_A2(SCMP_CMP_MASKED_EQ, read_mask, O_RDONLY));
        return r;
}

static int filter_calls(int (*add)(scmp_filter_ctx ctx)) {
        /* FAIL-CLOSED: a call that is not listed fails; a library that tries one on the side goes on, and what needed
         * it becomes a hole. */
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r;

        if (!ctx)
                return -ENOMEM;
        r = add(ctx);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}

/* Keeps of the capabilities what there is: a host in a container may have none, and then other users' processes and
 * mapped files that were deleted become holes. */
static int confine(const unsigned *keep, size_t n) {
        int r = keep_capabilities(keep, n);

        if (r == 0 && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0))
                r = -errno;
        return r;
}

int sandbox_enter(void) {
        static const unsigned keep[] = { CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_CHECKPOINT_RESTORE };
        int r = confine(keep, ELEMENTSOF(keep));

        return r < 0 ? r : filter_calls(add_rules);
}

int sandbox_enter_reader(const unsigned *capabilities, size_t n) {
        int r = confine(capabilities, n);

        return r < 0 ? r : filter_calls(add_reader_rules);
}

/* What each version of the interface can refuse. Reading is left alone: it is what the collector is for. */
static const struct {
        long abi;
        uint64_t fs, net, scoped;
} rights[] = {
        { 1,
          LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                  LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                  LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                  LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
          0, 0 },
        { 2, LANDLOCK_ACCESS_FS_REFER, 0, 0 },
        { 3, LANDLOCK_FS_TRUNCATE, 0, 0 },
        { 4, 0, LANDLOCK_NET_BIND_TCP | LANDLOCK_NET_CONNECT_TCP, 0 },
        { 5, LANDLOCK_FS_IOCTL_DEV, 0, 0 },
        { 6, 0, 0, LANDLOCK_SCOPE_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNALS },
};

static int make_ruleset(int *ret, uint64_t *ret_needed) {
        long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        struct landlock_attr attr = { 0 };
        size_t size = abi >= 6   ? sizeof(attr)
                      : abi >= 4 ? offsetof(struct landlock_attr, scoped)
                                 : offsetof(struct landlock_attr, net);

        if (abi < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(rights); i++) {
                if (abi < rights[i].abi)
                        break;
                attr.fs |= rights[i].fs;
                attr.net |= rights[i].net;
                attr.scoped |= rights[i].scoped;
        }
        int fd = (int) syscall(SYS_landlock_create_ruleset, &attr, size, 0);

        if (fd < 0)
                return -errno;
        *ret = fd;
        /* A part-written buffer is taken back with ftruncate(2). */
        *ret_needed = attr.fs & (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_FS_TRUNCATE);
        return 0;
}

/* libcap-ng would ask prctl(2) first, which the filter no longer allows. */
static int drop_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
        static const unsigned drop[] = { CAP_SYS_PTRACE, CAP_CHECKPOINT_RESTORE };

        if (syscall(SYS_capget, &header, data) < 0)
                return -errno;
        for (size_t i = 0; i < ELEMENTSOF(drop); i++) {
                data[CAP_TO_INDEX(drop[i])].effective &= ~CAP_TO_MASK(drop[i]);
                data[CAP_TO_INDEX(drop[i])].permitted &= ~CAP_TO_MASK(drop[i]);
        }
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int sandbox_landlock(int folder) {
        struct landlock_path_beneath_attr beneath = { .parent_fd = folder };
        uint64_t needed = 0;
        _cleanup_close_ int ruleset = -EBADF;
        int r = drop_capabilities();

        if (r == 0)
                r = make_ruleset(&ruleset, &needed);
        if (r < 0)
                return r;
        beneath.allowed_access = needed;
        if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
            syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return -errno;
        return 0;
}
