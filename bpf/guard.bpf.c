/* SPDX-License-Identifier: GPL-2.0-only */

/* Keeps what is held from being let go by anyone but the core, root included: BPF LSM programs, on kernels that run
 * them. While nothing is held each of them is a load and a branch. What another security module refused stays refused;
 * whoever and whatever is not held and not the core's own passes. None of the programs sleeps. Kernel floor 5.17.
 *
 * FAIL-CLOSED: what should be known about a held task or about the core's own and cannot be read is refused.
 *
 * What root can do all the same: load a kernel module, kexec, write to /dev/mem or to the disk below the file system,
 * reboot, take over PID 1 or a process of the core that it had prepared before the first hold, have PID 1 stop the
 * core, have the memory of the host run out. What a service, held in whatever way, can have arranged for before: a
 * signal that the kernel sends in its own name, as a timer's. What a service that is only isolated can do all the same:
 * have the kernel send what waits in an AF_XDP socket of before by poll(2), which no hook sees, have it send from a
 * vhost device of before, and talk through one end of a socket pair whose other end it had given away before. */

#include "bpf/guard_find.h"

char LICENSE[] SEC("license") = "GPL";

/* Sockets of an isolated service: the network families that the isolation programs see, and what stays on the host. A
 * task that left its cgroup, or came into one that has no program yet, is seen by none of them. */
static __always_inline bool may_use(const struct found *f, int family, int protocol) {
        if (family == AF_UNIX)
                return true;
        if (f->flags & (GUARD_MOVED | GUARD_INHERITED))
                return false;
        return family == AF_INET || family == AF_INET6 || (family == AF_NETLINK && protocol == NETLINK_ROUTE);
}

static __always_inline bool stopped(const struct found *f) {
        return f->flags & GUARD_ISOLATED || (f->flags & GUARD_FROZEN && f->flags & (GUARD_MOVED | GUARD_INHERITED));
}

SEC("lsm/socket_create")
int BPF_PROG(guard_socket_create, int family, int type, int protocol, int kern, int ret) {
        struct found f;

        ENTER(GUARD_SOCKET);
        if (kern)
                return 0;
        f = found_current();
        return stopped(&f) && !may_use(&f, family, protocol) ? deny(GUARD_SOCKET) : 0;
}

/* Who is at the other end of a unix socket. What belongs to the service manager has a name; a connection that was
 * accepted has the name of the socket that listened. */
static __always_inline bool is_log_or_notify(struct sock *peer) {
        struct unix_address *addr = BPF_CORE_READ((struct unix_sock *) peer, addr);
        char path[32] = {};

        if (!addr || bpf_probe_read_kernel_str(path, sizeof(path),
                                               (void *) addr + bpf_core_field_offset(struct unix_address, name) +
                                                       bpf_core_field_offset(struct sockaddr_un, sun_path)) < 0)
                return false;
        return bpf_strncmp(path, sizeof(path), "/run/systemd/journal/stdout") == 0 ||
               bpf_strncmp(path, sizeof(path), "/run/systemd/journal/socket") == 0 ||
               bpf_strncmp(path, sizeof(path), "/run/systemd/journal/dev-log") == 0 ||
               bpf_strncmp(path, sizeof(path), "/run/systemd/notify") == 0;
}

/* Another process's socket, as made by it. */
static __always_inline bool may_talk_to(struct sock *peer) {
        struct cgroup *cgroup = BPF_CORE_READ(peer, sk_cgrp_data.cgroup);
        struct found f = found_at(cgroup);

        return f.flags & GUARD_ISOLATED || (place_of(cgroup) == PLACE_MANAGER && is_log_or_notify(peer));
}

SEC("lsm/unix_stream_connect")
int BPF_PROG(guard_unix_stream_connect, struct sock *sock, struct sock *other, struct sock *newsk, int ret) {
        struct found f;

        ENTER(GUARD_STREAM);
        f = found_current();
        return stopped(&f) && !may_talk_to(other) ? deny(GUARD_STREAM) : 0;
}

SEC("lsm/unix_may_send")
int BPF_PROG(guard_unix_may_send, struct socket *sock, struct socket *other, int ret) {
        struct found f;

        ENTER(GUARD_DATAGRAM);
        f = found_current();
        return stopped(&f) && !may_talk_to(other->sk) ? deny(GUARD_DATAGRAM) : 0;
}

static __always_inline bool is_isolated(struct pid *pid) {
        struct task_struct *task = task_of(pid);

        return task && found_at(BPF_CORE_READ(task, cgroups, dfl_cgrp)).flags & GUARD_ISOLATED;
}

/* A stream that is connected already. Both its ends belong to the cgroup of whoever connected, or made the pair; only
 * the pid of the other party tells who that was. */
static __always_inline bool may_go_on(struct sock *sk) {
        struct sock *peer = BPF_CORE_READ((struct unix_sock *) sk, peer);
        struct pid *pid = BPF_CORE_READ(sk, sk_peer_pid);

        if (!peer)
                return true;
        return pid && (is_isolated(pid) || (BPF_CORE_READ(pid, numbers[0].nr) == 1 && is_log_or_notify(peer)));
}

/* One that was made outside and handed in belongs to a cgroup whose packets nobody looks at. */
static __always_inline bool may_use_socket(const struct found *f, struct sock *sk) {
        const int family = BPF_CORE_READ(sk, __sk_common.skc_family);

        if (!may_use(f, family, BPF_CORE_READ(sk, sk_protocol)))
                return false;
        return (family != AF_INET && family != AF_INET6) ||
               found_at(BPF_CORE_READ(sk, sk_cgrp_data.cgroup)).flags & GUARD_ISOLATED;
}

static __always_inline bool may_send(const struct found *f, struct socket *sock) {
        struct sock *sk = BPF_CORE_READ(sock, sk);

        if (!sk)
                return true;
        if (!may_use_socket(f, sk))
                return false;
        return BPF_CORE_READ(sk, __sk_common.skc_family) != AF_UNIX || BPF_CORE_READ(sock, type) == SOCK_DGRAM ||
               may_go_on(sk);
}

SEC("lsm/socket_sendmsg")
int BPF_PROG(guard_socket_sendmsg, struct socket *sock, struct msghdr *msg, int size, int ret) {
        struct found f;

        ENTER(GUARD_SENDMSG);
        f = found_current();
        return stopped(&f) && !may_send(&f, sock) ? deny(GUARD_SENDMSG) : 0;
}

SEC("lsm/socket_connect")
int BPF_PROG(guard_socket_connect, struct socket *sock, struct sockaddr *address, int size, int ret) {
        struct found f;

        ENTER(GUARD_CONNECT);
        f = found_current();
        return stopped(&f) && sock->sk && !may_use_socket(&f, sock->sk) ? deny(GUARD_CONNECT) : 0;
}

/* With these, root in the service has the kernel carry its bytes: packet sockets, tunnels, routes, rules, other
 * programs, modules, the hardware. NET_ADMIN, NET_RAW, SYS_MODULE, SYS_RAWIO, SYS_BOOT, PERFMON, BPF. */
#define CARRIES (1ULL << 12 | 1ULL << 13 | 1ULL << 16 | 1ULL << 17 | 1ULL << 22 | 1ULL << 38 | 1ULL << 39)

SEC("lsm/capable")
int BPF_PROG(guard_capable, const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts, int ret) {
        struct found f;

        ENTER(GUARD_CAPABLE);
        if (cap < 0 || cap > 63 || !(CARRIES >> cap & 1))
                return 0;
        f = found_current();
        return stopped(&f) ? deny(GUARD_CAPABLE) : 0;
}

SEC("lsm/task_kill")
int BPF_PROG(guard_task_kill, struct task_struct *task, struct kernel_siginfo *info, int sig, const struct cred *cred,
             int ret) {
        struct found f;

        ENTER(GUARD_SIGNAL);
        if (sig == 0)
                return 0;
        if (is_core(task))
                return is_agent() || is_manager() ? 0 : deny(GUARD_SIGNAL);
        f = found_task(task);
        return f.flags & GUARD_FROZEN && !is_agent() ? deny(GUARD_SIGNAL) : 0;
}

/* Looking is not touching: what ps and ss read passes. */
SEC("lsm/ptrace_access_check")
int BPF_PROG(guard_ptrace_access_check, struct task_struct *task, unsigned int mode, int ret) {
        struct found f, mine;

        ENTER(GUARD_TRACE);
        if (!(mode & PTRACE_ATTACH))
                return 0;
        if (is_core(task))
                return is_agent() ? 0 : deny(GUARD_TRACE);
        f = found_task(task);
        if (!(f.flags & HELD))
                return 0;
        mine = found_current();
        return mine.cgroup_id == f.cgroup_id || is_agent() ? 0 : deny(GUARD_TRACE);
}

static __always_inline void mark(struct task_struct *task, __u64 cgroup_id) {
        struct guard_mark *m = bpf_task_storage_get(&guard_marks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

        if (m)
                m->cgroup_id = cgroup_id;
}

/* Of a process that executes a program the thread that does remains, with its own mark, and it may not be the first. */
SEC("lsm/bprm_check_security")
int BPF_PROG(guard_bprm_check_security, struct linux_binprm *bprm, int ret) {
        struct found f;

        ENTER(GUARD_EXEC);
        f = found_current();
        if (f.flags)
                mark(bpf_get_current_task_btf(), f.cgroup_id);
        return f.flags & GUARD_FROZEN ? deny(GUARD_EXEC) : 0;
}

/* Born elsewhere than its parent is a way to leave. */
SEC("lsm/task_alloc")
int BPF_PROG(guard_task_alloc, struct task_struct *task, unsigned long flags, int ret) {
        struct found f;

        ENTER(GUARD_CLONE);
        if (!(flags & CLONE_INTO_CGROUP))
                return 0;
        f = found_current();
        return f.flags ? deny(GUARD_CLONE) : 0;
}

static __always_inline bool read_write_args(const char **ret_buf, __u64 *ret_n) {
        struct pt_regs *regs = (struct pt_regs *) bpf_task_pt_regs(bpf_get_current_task_btf());

        if (bpf_core_field_exists(struct pt_regs___x86, orig_ax)) {
                struct pt_regs___x86 *x86 = (void *) regs;

                *ret_buf = (const char *) BPF_CORE_READ(x86, si);
                *ret_n = BPF_CORE_READ(x86, dx);
                return BPF_CORE_READ(x86, orig_ax) == 1;
        }
        if (bpf_core_field_exists(struct pt_regs___arm64, syscallno)) {
                struct pt_regs___arm64 *arm = (void *) regs;

                *ret_buf = (const char *) BPF_CORE_READ(arm, regs[1]);
                *ret_n = BPF_CORE_READ(arm, regs[2]);
                return BPF_CORE_READ(arm, syscallno) == 64;
        }
        return false;
}

/* The number that is written, the way everyone writes it: other ways to which the kernel listens as well (blanks before
 * it, hexadecimal, octal) are for who wants to be misread. -1 for those. */
static __always_inline int number_in(const char *text, __u64 n) {
        int number = 0;

        for (__u64 i = 0; i < 10; i++) {
                if (i >= n || (i > 0 && i + 1 == n && text[i] == '\n'))
                        return i > 0 ? number : -1;
                if (text[i] < '0' || text[i] > '9' || (i > 0 && number == 0))
                        return -1;
                number = number * 10 + (text[i] - '0');
        }
        return -1;
}

#define GUARD_CORE (~0ULL) /* no cgroup's id */

/* By what he is held whom a write to cgroup.procs is about: the id of a cgroup, 0 when he is not, GUARD_CORE for whom
 * nobody moves. The hook is not given what is written, so it is read from where write(2) will read it. FAIL-CLOSED: any
 * other way to write, which nobody uses on these files, is taken for one that moves the core. A second thread can
 * change the bytes in between; then the task is found by its mark. */
static __always_inline __u64 moved(const struct found *mine) {
        struct task_struct *task = bpf_get_current_task_btf(), *who;
        struct cgroup *cgroup;
        const char *from;
        char text[12] = {};
        int number, tgid;
        __u64 n;

        if (!read_write_args(&from, &n) || n >= sizeof(text) || bpf_probe_read_user(text, n, from) < 0)
                return GUARD_CORE;
        number = number_in(text, n);
        if (number < 0)
                return GUARD_CORE;
        who = number == 0 ? task : task_of(pid_called(number));
        if (!who)
                return 0;
        tgid = BPF_CORE_READ(who, tgid);
        if (tgid == 1)
                return GUARD_CORE;
        if (tgid == task->tgid)
                return mine->cgroup_id;
        cgroup = BPF_CORE_READ(who, cgroups, dfl_cgrp);
        return place_of(cgroup) == PLACE_AGENT ? GUARD_CORE : found_at(cgroup).cgroup_id;
}

/* cgroup is the one whose cgroup.procs is written to. Nobody is taken to where he could not be killed any more but by
 * the core, or would be held by another hold than his own; and who is held takes nobody in. */
static __always_inline bool may_move(struct cgroup *cgroup, const struct found *into) {
        const struct found mine = found_current();
        const enum place place = place_of(cgroup);
        __u64 holder;

        if (is_agent())
                return true;
        if ((place != PLACE_ELSEWHERE || into->flags & GUARD_FROZEN) && !is_manager())
                return false;
        holder = moved(&mine);
        if (holder == GUARD_CORE)
                return place != PLACE_ELSEWHERE;
        if (mine.flags & HELD && holder != mine.cgroup_id)
                return false;
        return holder == 0 || holder == into->cgroup_id;
}

static __always_inline bool may_write(struct kernfs_node *kn) {
        struct kernfs_node *dir = parent_of(kn);
        struct cgroup *cgroup = dir ? BPF_CORE_READ(dir, priv) : 0;
        struct found f;
        __u32 *above;
        __u64 id;

        if (!cgroup)
                return true;
        f = found_at(cgroup);
        if (is_called(kn, "cgroup.procs") || is_called(kn, "cgroup.threads"))
                return may_move(cgroup, &f);
        if (place_of(cgroup) != PLACE_ELSEWHERE)
                return is_agent() || is_manager();
        if (f.flags & GUARD_FROZEN) {
                if (f.flags & GUARD_MANAGER && is_called(kn, "cgroup.freeze") && is_manager())
                        return true;
                return is_agent();
        }
        id = BPF_CORE_READ(dir, id);
        above = bpf_map_lookup_elem(&guard_holds, &id);
        if (above && *above & GUARD_ABOVE && (is_called(kn, "cgroup.kill") || is_called(kn, "memory.max")))
                return is_agent();
        return true;
}

/* splice(2) and sendfile(2) hand pages to a socket, which no other hook sees (up to 6.4). */
static __always_inline bool splices(struct file *file) {
        struct found f = found_current();

        return stopped(&f) && !may_send(&f, file->private_data);
}

/* What is written to a tun is a packet that the host forwards. */
static __always_inline bool feeds(void) {
        struct found f = found_current();

        return stopped(&f);
}

SEC("lsm/file_permission")
int BPF_PROG(guard_file_permission, struct file *file, int mask, int ret) {
        ENTER(GUARD_CGROUPFS);
        if (!(mask & MAY_WRITE))
                return 0;
        if (file->f_inode->i_sb->s_magic == SOCKFS_MAGIC)
                return splices(file) ? deny(GUARD_SENDMSG) : 0;
        if (file->f_inode->i_rdev == TUN_DEVICE)
                return feeds() ? deny(GUARD_SENDMSG) : 0;
        if (file->f_inode->i_sb->s_magic != CGROUP2_MAGIC)
                return 0;
        return may_write(file->f_inode->i_private) ? 0 : deny(GUARD_CGROUPFS);
}

SEC("lsm/file_open")
int BPF_PROG(guard_file_open, struct file *file, int ret) {
        ENTER(GUARD_OPEN);
        if (!(file->f_mode & FMODE_WRITE))
                return 0;
        return own_dentry(file->f_path.dentry) & GUARD_TREE && !is_agent() ? deny(GUARD_OPEN) : 0;
}

SEC("lsm/path_truncate")
int BPF_PROG(guard_path_truncate, const struct path *path, int ret) {
        ENTER(GUARD_TRUNCATE);
        return own_dentry(path->dentry) & GUARD_TREE && !is_agent() ? deny(GUARD_TRUNCATE) : 0;
}

SEC("lsm/file_ioctl")
int BPF_PROG(guard_file_ioctl, struct file *file, unsigned int cmd, unsigned long arg, int ret) {
        ENTER(GUARD_ATTRIBUTES);
        if (cmd != FS_IOC_SETFLAGS && cmd != FS_IOC_FSSETXATTR)
                return 0;
        return own_dentry(file->f_path.dentry) && !is_agent() ? deny(GUARD_ATTRIBUTES) : 0;
}

SEC("lsm/inode_unlink")
int BPF_PROG(guard_inode_unlink, struct inode *dir, struct dentry *dentry, int ret) {
        ENTER(GUARD_UNLINK);
        return own_dentry(dentry) && !is_agent() ? deny(GUARD_UNLINK) : 0;
}

/* A held cgroup stays when its last process is gone: a service that is started again comes into it, and is held. */
static __always_inline bool is_held_dir(struct dentry *dentry) {
        struct inode *inode = BPF_CORE_READ(dentry, d_inode);
        struct kernfs_node *kn;
        __u32 *flags;
        __u64 id;

        if (!inode || BPF_CORE_READ(dentry, d_sb, s_magic) != CGROUP2_MAGIC)
                return false;
        kn = BPF_CORE_READ(inode, i_private);
        id = BPF_CORE_READ(kn, id);
        flags = bpf_map_lookup_elem(&guard_holds, &id);
        return flags && *flags & HELD;
}

SEC("lsm/inode_rmdir")
int BPF_PROG(guard_inode_rmdir, struct inode *dir, struct dentry *dentry, int ret) {
        ENTER(GUARD_RMDIR);
        return (is_held_dir(dentry) || own_dentry(dentry)) && !is_agent() ? deny(GUARD_RMDIR) : 0;
}

SEC("lsm/inode_rename")
int BPF_PROG(guard_inode_rename, struct inode *old_dir, struct dentry *old, struct inode *new_dir, struct dentry *new,
             int ret) {
        ENTER(GUARD_RENAME);
        return (own_dentry(old) || own_dentry(new)) && !is_agent() ? deny(GUARD_RENAME) : 0;
}

SEC("lsm/sb_mount")
int BPF_PROG(guard_sb_mount, const char *dev_name, const struct path *path, const char *type, unsigned long flags,
             void *data, int ret) {
        ENTER(GUARD_MOUNT);
        /* what is remounted is what is there; only our bpffs has to stay writable */
        if (flags & MS_CHANGES && path->mnt->mnt_sb->s_dev != guard_state.pins_dev)
                return 0;
        return own_mount_point(path) && !is_agent() ? deny(GUARD_MOUNT) : 0;
}

SEC("lsm/sb_umount")
int BPF_PROG(guard_sb_umount, struct vfsmount *mnt, int flags, int ret) {
        ENTER(GUARD_UMOUNT);
        return own((__u32) BPF_CORE_READ(mount_of(mnt), mnt_id), 0, GUARD_OWN_MOUNT) && !is_agent() ? deny(GUARD_UMOUNT)
                                                                                                    : 0;
}

SEC("lsm/move_mount")
int BPF_PROG(guard_move_mount, const struct path *from, const struct path *to, int ret) {
        ENTER(GUARD_MOVE_MOUNT);
        if (!own((__u32) BPF_CORE_READ(mount_of(from->mnt), mnt_id), 0, GUARD_OWN_MOUNT) && !own_mount_point(to))
                return 0;
        return is_agent() ? 0 : deny(GUARD_MOVE_MOUNT);
}

/* A descriptor of anything but a link gives bytes that are not a name of ours, and the call fails by itself. A table of
 * descriptors that others share can change before the kernel looks: FAIL-CLOSED, nothing is detached from there. */
static __always_inline bool is_own_link(int fd) {
        struct files_struct *files = bpf_get_current_task_btf()->files;
        struct file **table, *file = 0;
        struct bpf_link *link;
        char name[8] = {};

        if (BPF_CORE_READ(files, count.counter) != 1)
                return true;
        table = BPF_CORE_READ(files, fdt, fd);
        if (fd < 0 || (__u32) fd >= BPF_CORE_READ(files, fdt, max_fds) ||
            bpf_probe_read_kernel(&file, sizeof(file), table + fd) < 0 || !file)
                return false;
        link = BPF_CORE_READ(file, private_data);
        if (bpf_probe_read_kernel(name, sizeof(name), BPF_CORE_READ(link, prog, aux, name)) < 0)
                return false;
        return bpf_strncmp(name, 8, "isolate_") == 0 || bpf_strncmp(name, 6, "guard_") == 0 ||
               bpf_strncmp(name, 6, "watch_") == 0 || bpf_strncmp(name, 5, "host_") == 0;
}

SEC("lsm/bpf")
int BPF_PROG(guard_bpf, int cmd, union bpf_attr *attr, unsigned int size, int ret) {
        int fd = -1;

        ENTER(GUARD_BPF);
        if (cmd != BPF_LINK_DETACH && cmd != BPF_LINK_UPDATE)
                return 0;
        /* link_fd is the first member of either's part */
        if (bpf_probe_read_kernel(&fd, sizeof(fd), attr) < 0)
                return deny(GUARD_BPF);
        return is_own_link(fd) && !is_agent() ? deny(GUARD_BPF) : 0;
}

SEC("lsm/bpf_map")
int BPF_PROG(guard_bpf_map, struct bpf_map *map, unsigned int mode, int ret) {
        ENTER(GUARD_MAP);
        if (!(mode & FMODE_WRITE))
                return 0;
        return own(map->id, 0, GUARD_OWN_MAP) && !is_agent() ? deny(GUARD_MAP) : 0;
}

/* Who makes it does not wait for the core to learn of it. */
SEC("tp_btf/cgroup_mkdir")
int BPF_PROG(guard_cgroup_mkdir, struct cgroup *cgroup, const char *path) {
        __u32 zero = 0, *held, flags;
        struct guard_path *key;
        __u64 id;

        if (!guard_state.active)
                return 0;
        key = bpf_map_lookup_elem(&guard_scratch, &zero);
        if (!key)
                return 0;
        for (int i = 0; i < GUARD_PATH_SIZE; i++)
                key->text[i] = 0;
        if (bpf_probe_read_kernel_str(key->text, sizeof(key->text), path) < 0)
                return 0;
        held = bpf_map_lookup_elem(&guard_paths, key);
        if (!held)
                return 0;
        flags = *held | GUARD_INHERITED;
        id = BPF_CORE_READ(cgroup, kn, id);
        (void) bpf_map_update_elem(&guard_holds, &id, &flags, BPF_NOEXIST);
        return 0;
}

static __always_inline void mark_core(struct task_struct *task) {
        struct guard_mark *m = bpf_task_storage_get(&guard_marks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

        if (m)
                m->core = 1;
}

static __always_inline void mark_alien(struct task_struct *task) {
        struct guard_mark *m = bpf_task_storage_get(&guard_marks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

        if (m)
                m->alien = 1;
}

static __always_inline void unmark(struct task_struct *task) {
        struct guard_mark *m = bpf_task_storage_get(&guard_marks, task, 0, 0);

        if (!m)
                return;
        m->cgroup_id = 0;
        m->core = 0;
}

/* Who is in a held cgroup is held, wherever somebody takes him from there. */
static __always_inline void mark_taken_in(struct task_struct *task) {
        const struct found f = found_task(task);

        if (f.flags)
                mark(task, f.cgroup_id);
}

/* Before the child runs for the first time. What the core makes is the core, but for what it makes elsewhere than where
 * it is itself: with that it tries from within whether a hold holds. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(guard_process_fork, struct task_struct *parent, struct task_struct *child) {
        struct cgroup *at = child->cgroups->dfl_cgrp;
        enum place place;
        struct found f;

        if (!guard_state.active)
                return 0;
        f = found_current();
        if (f.flags) {
                mark(child, f.cgroup_id);
                return 0;
        }
        place = place_of(at);
        if (is_agent() && (place == PLACE_AGENT || at == parent->cgroups->dfl_cgrp))
                mark_core(child);
        else if (is_manager() && place == PLACE_AGENT)
                mark_core(child);
        else if (place != PLACE_ELSEWHERE && !is_agent() && !is_manager())
                mark_alien(child);
        else
                mark_taken_in(child);
        return 0;
}

/* By whomever, be it what starts in a container that is isolated. */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(guard_cgroup_attach, struct cgroup *to, const char *path, struct task_struct *task) {
        if (guard_state.active)
                mark_taken_in(task);
        return 0;
}

/* Run by the core when holds changed: marks who is in a held cgroup now, and no longer whom nothing holds; and the core
 * for as long as anything is held. */
SEC("iter/task")
int guard_sweep(struct bpf_iter__task *ctx) {
        struct task_struct *task = ctx->task;
        struct found f;

        if (!task)
                return 0;
        if (guard_state.active && is_core(task)) {
                mark_core(task);
                return 0;
        }
        f = found_task(task);
        if (f.flags)
                mark(task, f.cgroup_id);
        else
                unmark(task);
        return 0;
}
