/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* The few fields of the kernel that the guard reads; where they are is found out when it is loaded. */

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#define EPERM             1
#define MAY_WRITE         2
#define FMODE_WRITE       2
#define CGROUP2_MAGIC     0x63677270
#define SOCKFS_MAGIC      0x534f434b
#define TUN_DEVICE        (10 << 20 | 200)
#define PTRACE_ATTACH     2
#define NETLINK_ROUTE     0
#define AF_UNIX           1
#define AF_INET           2
#define AF_INET6          10
#define AF_NETLINK        16
#define SOCK_DGRAM        2
#define CLONE_INTO_CGROUP 0x200000000ULL
#define FS_IOC_SETFLAGS   0x40086602
#define FS_IOC_FSSETXATTR 0x401c5820
#define PID_TREE_MAX      8 /* levels of what a pid namespace finds its pids by */
#define MS_CHANGES        (32 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20) /* a remount, or of propagation */

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct kernfs_node {
        __u64 id;
        const char *name;
        struct kernfs_node *parent;
        void *priv;
};
/* since 6.15 */
struct kernfs_node___rcu {
        struct kernfs_node *__parent;
};
struct cgroup {
        struct kernfs_node *kn;
        int level;
        struct cgroup *ancestors[]; /* since 6.1; itself is the last */
};
struct cgroup___ids {
        int level;
        __u64 ancestor_ids[];
};
struct css_set {
        struct cgroup *dfl_cgrp;
};
struct hlist_node {
        struct hlist_node *next;
};
struct hlist_head {
        struct hlist_node *first;
};
struct xarray {
        void *xa_head;
};
struct xa_node {
        unsigned char shift;
        void *slots[64];
};
struct idr {
        struct xarray idr_rt;
};
struct pid_namespace {
        struct idr idr;
};
struct upid {
        int nr;
        struct pid_namespace *ns;
};
struct pid {
        unsigned int level;
        struct hlist_head tasks[1];
        struct upid numbers[1];
};
struct fdtable {
        unsigned int max_fds;
        struct file **fd;
};
struct files_struct {
        struct {
                int counter;
        } count;
        struct fdtable *fdt;
};
struct task_struct {
        int pid, tgid;
        struct task_struct *group_leader;
        struct css_set *cgroups;
        struct files_struct *files;
        struct pid *thread_pid;
        struct hlist_node pid_links[1];
};
struct super_block {
        __u32 s_dev;
        unsigned long s_magic;
};
struct inode {
        unsigned long i_ino;
        __u32 i_rdev;
        struct super_block *i_sb;
        void *i_private;
};
struct qstr {
        const unsigned char *name;
};
struct dentry {
        struct dentry *d_parent;
        struct qstr d_name;
        struct inode *d_inode;
        struct super_block *d_sb;
};
struct ns_common {
        unsigned int inum;
};
struct mnt_namespace {
        struct ns_common ns;
};
struct vfsmount {
        struct super_block *mnt_sb;
};
struct mount {
        struct vfsmount mnt;
        struct mnt_namespace *mnt_ns;
        int mnt_id;
};
struct path {
        struct vfsmount *mnt;
        struct dentry *dentry;
};
struct file {
        unsigned int f_mode;
        struct path f_path;
        struct inode *f_inode;
        void *private_data;
};
struct sock_cgroup_data {
        struct cgroup *cgroup;
};
struct sock_common {
        unsigned short skc_family;
};
struct sock {
        struct sock_common __sk_common;
        struct sock_cgroup_data sk_cgrp_data;
        struct pid *sk_peer_pid;
        __u16 sk_protocol;
};
struct socket {
        short type;
        struct sock *sk;
};
struct sockaddr_un {
        unsigned short sun_family;
        char sun_path[108];
};
struct unix_address {
        int len;
        struct sockaddr_un name[];
};
struct unix_sock {
        struct unix_address *addr;
        struct sock *peer;
};
struct bpf_prog_aux {
        char name[16];
};
struct bpf_prog {
        struct bpf_prog_aux *aux;
};
struct bpf_link {
        struct bpf_prog *prog;
};
struct bpf_map {
        __u32 id;
};
struct pt_regs___x86 {
        unsigned long orig_ax, si, dx;
};
struct pt_regs___arm64 {
        int syscallno;
        __u64 regs[31];
};
struct pt_regs;
struct linux_binprm;
struct kernel_siginfo;
struct cred;
struct user_namespace;
struct sockaddr;
struct msghdr;
struct bpf_iter_meta;
struct bpf_iter__task {
        struct bpf_iter_meta *meta;
        struct task_struct *task;
};
#pragma clang attribute pop
