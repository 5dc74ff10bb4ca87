/* SPDX-License-Identifier: GPL-2.0-only */

/* Tells the core of what happens to the cgroups and processes that it holds, at once. Raw tracepoints: they see and
 * change nothing, so FAIL-OPEN in the sense that whatever they miss is found by the core's clock. Kernel floor 5.10
 * (ring buffer, and reading of kernel memory in cgroup programs) with BTF. None of the programs sleeps. All of it lies
 * on the path of cgroup operations but watch_fork and watch_exit, which are attached only while something is held, and
 * watch_socket, which refuses, and is attached only while something is isolated. */

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/cgroup_events_abi.h"

/* the unified hierarchy, as in /proc/PID/cgroup */
#define UNIFIED 0
/* include/linux/pid_namespace.h */
#define PIDNS_DEPTH_MAX 32
/* further down nobody is known to be within anything */
#define CGROUP_DEPTH_MAX 64
/* what a tick of /proc/PID/stat is, whatever the kernel's HZ */
#define TICK_NS 10000000ULL

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct kernfs_node {
        __u64 id;
        const char *name;
};
struct cgroup_root {
        int hierarchy_id;
};
struct cgroup;
struct cgroup_subsys_state {
        struct cgroup *cgroup;
        struct cgroup_subsys_state *parent;
};
struct cgroup {
        struct cgroup_subsys_state self;
        struct kernfs_node *kn;
        struct cgroup_root *root;
};
struct ns_common {
        unsigned int inum;
};
struct pid_namespace {
        struct ns_common ns;
};
struct upid {
        int nr;
        struct pid_namespace *ns;
};
struct pid {
        unsigned int level;
        struct upid numbers[1];
};
struct css_set {
        struct cgroup *dfl_cgrp;
};
typedef struct {
        int counter;
} atomic_t;
struct signal_struct {
        atomic_t live;
};
struct task_struct {
        int pid, tgid;
        struct css_set *cgroups;
        struct task_struct *group_leader;
        struct pid *thread_pid;
        struct signal_struct *signal;
        __u64 start_boottime;
};
#pragma clang attribute pop

char LICENSE[] SEC("license") = "GPL";

/* inode of the core's pid namespace; set before loading */
const volatile __u32 pidns_inum = 0;
/* as it sees itself; set before loading */
const volatile __u32 core_pid = 0;

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, CGROUP_RING_SIZE);
} cgroup_ring SEC(".maps");

/* by enum cgroup_loss */
struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, _CGROUP_LOSS_MAX);
        __type(key, __u32);
        __type(value, __u64);
} cgroup_lost SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, CGROUP_SITES_MAX);
        __type(key, __u64);
        __type(value, __u8);
} cgroup_site SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, CGROUP_NAMES_MAX);
        __type(key, struct cgroup_name);
        __type(value, __u8);
} cgroup_name SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, CGROUP_HELD_MAX);
        __type(key, __u32);
        __type(value, struct cgroup_held);
} cgroup_held SEC(".maps");

/* Who was made outside of his site or was taken there by one who is held himself, and when he started. The oldest are
 * forgotten first: FAIL-OPEN. */
struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, CGROUP_BORN_MAX);
        __type(key, __u32);
        __type(value, __u64);
} cgroup_born SEC(".maps");

static __always_inline void lose(__u32 what) {
        __u64 *lost = bpf_map_lookup_elem(&cgroup_lost, &what);

        if (lost)
                __sync_fetch_and_add(lost, 1);
}

static __always_inline void tell(__u32 kind, __u64 cgroup_id, __u64 held_at, __u32 pid) {
        struct cgroup_event *e = bpf_ringbuf_reserve(&cgroup_ring, sizeof(*e), 0);

        if (!e) {
                lose(CGROUP_LOST_EVENT);
                return;
        }
        e->at_ns = bpf_ktime_get_ns();
        e->cgroup_id = cgroup_id;
        e->held_at = held_at;
        e->kind = kind;
        e->pid = pid;
        bpf_ringbuf_submit(e, 0);
}

static __always_inline int is_unified(struct cgroup *c) {
        return BPF_CORE_READ(c, root, hierarchy_id) == UNIFIED;
}

static __always_inline int lies_within(struct cgroup *c, __u64 id) {
        for (__u32 i = 0; i < CGROUP_DEPTH_MAX && c; i++) {
                if (BPF_CORE_READ(c, kn, id) == id)
                        return 1;
                c = BPF_CORE_READ(c, self.parent, cgroup);
        }
        return 0;
}

/* The process's id in the core's pid namespace; 0 when it has none there. */
static __always_inline __u32 pid_seen_by_core(struct task_struct *leader) {
        struct pid *p = BPF_CORE_READ(leader, thread_pid);
        struct upid *numbers = __builtin_preserve_access_index(&p->numbers[0]);
        const __u32 level = BPF_CORE_READ(p, level);

        for (__u32 i = 0; i <= PIDNS_DEPTH_MAX && i <= level; i++) {
                if (BPF_CORE_READ(numbers + i, ns, ns.inum) == pidns_inum)
                        return BPF_CORE_READ(numbers + i, nr);
        }
        return 0;
}

static __always_inline __u64 start_ticks(struct task_struct *leader) {
        return BPF_CORE_READ(leader, start_boottime) / TICK_NS;
}

static __always_inline struct cgroup_held *find_held(struct task_struct *task, __u32 *ret_pid) {
        struct task_struct *leader = BPF_CORE_READ(task, group_leader);
        struct cgroup_held *h;

        *ret_pid = pid_seen_by_core(leader);
        h = *ret_pid ? bpf_map_lookup_elem(&cgroup_held, ret_pid) : NULL;
        return h && h->start_ticks == start_ticks(leader) ? h : NULL;
}

/* Not the core and not PID 1, into whatever somebody takes them: without either nothing is let go of. */
static __always_inline void hold(struct task_struct *leader, __u32 pid, __u64 cgroup_id) {
        struct cgroup_held h = { .start_ticks = start_ticks(leader), .cgroup_id = cgroup_id };

        if (pid > 1 && pid != core_pid && bpf_map_update_elem(&cgroup_held, &pid, &h, BPF_ANY) < 0)
                lose(CGROUP_LOST_PROCESS);
}

SEC("raw_tp/cgroup_unfreeze")
int BPF_PROG(watch_thaw, struct cgroup *cgroup) {
        __u64 id = BPF_CORE_READ(cgroup, kn, id);
        const __u8 *site = is_unified(cgroup) ? bpf_map_lookup_elem(&cgroup_site, &id) : NULL;

        if (site && *site & CGROUP_SITE_FROZEN)
                tell(CGROUP_THAWED, id, 0, 0);
        return 0;
}

SEC("raw_tp/cgroup_mkdir")
int BPF_PROG(watch_make, struct cgroup *cgroup) {
        struct cgroup_name name = {};

        if (!is_unified(cgroup))
                return 0;
        if (bpf_map_lookup_elem(&cgroup_name, &name) ||
            (bpf_probe_read_kernel_str(name.s, sizeof(name.s), BPF_CORE_READ(cgroup, kn, name)) > 0 &&
             bpf_map_lookup_elem(&cgroup_name, &name)))
                tell(CGROUP_MADE, BPF_CORE_READ(cgroup, kn, id), 0, 0);
        return 0;
}

SEC("raw_tp/cgroup_attach_task")
int BPF_PROG(watch_move, struct cgroup *to, const char *path, struct task_struct *task) {
        __u64 id = BPF_CORE_READ(to, kn, id);
        struct cgroup_held *h;
        __u32 pid;

        (void) path;
        if (!is_unified(to))
                return 0;
        h = find_held(task, &pid);
        if (h && !lies_within(to, h->cgroup_id)) {
                __u64 start = h->start_ticks;
                __u32 mover;

                if (find_held((struct task_struct *) bpf_get_current_task(), &mover))
                        bpf_map_update_elem(&cgroup_born, &pid, &start, BPF_ANY);
                tell(CGROUP_MOVED, id, h->cgroup_id, pid);
        } else if (bpf_map_lookup_elem(&cgroup_site, &id)) {
                /* also a site in the site that he is held at */
                if (h)
                        h->cgroup_id = id;
                else
                        hold(BPF_CORE_READ(task, group_leader), pid, id);
        }
        return 0;
}

/* A child can be made right in another cgroup (CLONE_INTO_CGROUP), which moves nobody. It is there already, and has not
 * run yet. */
SEC("raw_tp/sched_process_fork")
int BPF_PROG(watch_fork, struct task_struct *parent, struct task_struct *child) {
        struct cgroup *at = BPF_CORE_READ(child, cgroups, dfl_cgrp);
        struct cgroup_held *h;
        __u64 start;
        __u32 pid;

        if (BPF_CORE_READ(child, pid) != BPF_CORE_READ(child, tgid))
                return 0;
        h = find_held(parent, &pid);
        if (!h)
                return 0;
        pid = pid_seen_by_core(child);
        hold(child, pid, h->cgroup_id);
        if (lies_within(at, h->cgroup_id))
                return 0;
        start = start_ticks(child);
        bpf_map_update_elem(&cgroup_born, &pid, &start, BPF_ANY);
        tell(CGROUP_MOVED, BPF_CORE_READ(at, kn, id), h->cgroup_id, pid);
        return 0;
}

/* Who has ended needs no place among the held: whoever forks fast does not fill it with the dead. Told for each thread;
 * a process has ended with its last one, whichever that is. */
SEC("raw_tp/sched_process_exit")
int BPF_PROG(watch_exit, struct task_struct *task) {
        __u32 pid;

        if (BPF_CORE_READ(task, signal, live.counter) == 0 && find_held(task, &pid))
                bpf_map_delete_elem(&cgroup_held, &pid);
        return 0;
}

/* Attached at the top of the hierarchy. Whoever is held in an isolated cgroup that runs on, and was made outside of it
 * or went there of his own accord, gets no socket as long as he is held: made before the core could put him back it
 * would not be the cgroup's, and one that is being made while he is put back has its cgroup from before, which nobody
 * can tell here. FAIL-OPEN for who is moved out: a service that somebody else moves is not to die of a refusal. */
SEC("cgroup/sock_create")
int watch_socket(struct bpf_sock *ctx) {
        struct task_struct *task = (struct task_struct *) bpf_get_current_task();
        struct cgroup_held *h;
        const __u64 *born;
        const __u8 *site;
        __u64 held_at;
        __u32 pid;

        (void) ctx;
        h = find_held(task, &pid);
        born = h ? bpf_map_lookup_elem(&cgroup_born, &pid) : NULL;
        if (!h || !born || *born != h->start_ticks)
                return 1;
        held_at = h->cgroup_id;
        site = bpf_map_lookup_elem(&cgroup_site, &held_at);
        return !site || (*site & (CGROUP_SITE_ISOLATED | CGROUP_SITE_FROZEN)) != CGROUP_SITE_ISOLATED;
}
