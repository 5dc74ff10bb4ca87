/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* The guard's maps, and the questions that its programs ask: who is held, who is the core, what is the core's own. */

#include "bpf/guard_kernel.h"

#include "bpf/guard_abi.h"

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, GUARD_HOLDS_MAX);
        __type(key, __u64);
        __type(value, __u32);
} guard_holds SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, GUARD_HOLDS_MAX);
        __type(key, struct guard_path);
        __type(value, __u32);
} guard_paths SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __uint(max_entries, GUARD_OWN_MAX);
        __type(key, struct guard_own);
        __type(value, __u32);
} guard_own SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, int);
        __type(value, struct guard_mark);
} guard_marks SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct guard_path);
} guard_scratch SEC(".maps");

volatile struct guard_state guard_state;

#define HELD (GUARD_ISOLATED | GUARD_FROZEN)

/* One who is held: by which cgroup, and how. */
struct found {
        __u64 cgroup_id;
        __u32 flags;
};

/* What every program does first, and all that it does while nothing is held. */
#define ENTER(hook)                                      \
        do {                                             \
                if (ret < 0)                             \
                        return ret;                      \
                if (guard_state.trial && is_trial(hook)) \
                        return -EPERM;                   \
                if (!guard_state.active)                 \
                        return 0;                        \
        } while (0)

static __always_inline bool is_trial(enum guard_hook hook) {
        return guard_state.trial_hook == hook && guard_state.trial == bpf_get_current_pid_tgid() >> 32;
}

static __always_inline int deny(enum guard_hook hook) {
        __sync_fetch_and_add(&guard_state.denied[hook], 1);
        return -EPERM;
}

static __always_inline struct kernfs_node *parent_of(struct kernfs_node *kn) {
        if (bpf_core_field_exists(struct kernfs_node___rcu, __parent))
                return BPF_CORE_READ((struct kernfs_node___rcu *) kn, __parent);
        return BPF_CORE_READ(kn, parent);
}

static __always_inline struct task_struct *task_of(struct pid *pid) {
        struct hlist_node *first = pid ? BPF_CORE_READ(pid, tasks[0].first) : 0;

        return first ? (void *) first - bpf_core_field_offset(struct task_struct, pid_links) : 0;
}

/* Whose number that is for who calls: in his own pid namespace, looked up as the kernel does. */
static __always_inline struct pid *pid_called(int number) {
        struct pid *mine = BPF_CORE_READ(bpf_get_current_task_btf(), thread_pid);
        struct upid *numbers = __builtin_preserve_access_index(&mine->numbers[0]);
        const __u32 slots = bpf_core_field_size(struct xa_node, slots) / sizeof(void *),
                    level = BPF_CORE_READ(mine, level);
        __u64 entry = (__u64) BPF_CORE_READ(numbers + level, ns, idr.idr_rt.xa_head);

        /* what leads on to a node of the tree is marked by these bits */
        for (int i = 0; i < PID_TREE_MAX && (entry & 3) == 2; i++) {
                struct xa_node *node = (void *) (entry - 2);
                const __u32 slot = (__u32) number >> BPF_CORE_READ(node, shift);

                entry = 0;
                if (i > 0 || slot < slots)
                        bpf_probe_read_kernel(&entry, sizeof(entry),
                                              (void *) node + bpf_core_field_offset(struct xa_node, slots) +
                                                      (slot & (slots - 1)) * sizeof(entry));
        }
        return entry & 3 ? 0 : (struct pid *) entry;
}

/* Of the cgroup that is that far below the root and contains this one, or is it. */
static __always_inline __u64 ancestor_id(struct cgroup *cgroup, int level) {
        struct cgroup *above = 0;
        __u64 id = 0;

        if (bpf_core_field_exists(struct cgroup, ancestors)) {
                bpf_probe_read_kernel(&above, sizeof(above),
                                      (void *) cgroup + bpf_core_field_offset(struct cgroup, ancestors) +
                                              (__u64) level * sizeof(above));
                return above ? BPF_CORE_READ(above, kn, id) : 0;
        }
        bpf_probe_read_kernel(&id, sizeof(id),
                              (void *) cgroup + bpf_core_field_offset(struct cgroup___ids, ancestor_ids) +
                                      (__u64) level * sizeof(id));
        return id;
}

/* The union of what holds this cgroup and all above it. Only the levels at which something is held are looked up, so
 * that it does not count how far below it lies. */
static __always_inline struct found found_at(struct cgroup *cgroup) {
        const __u32 levels = guard_state.levels;
        const int lowest = BPF_CORE_READ(cgroup, level);
        struct found f = {};

        for (int level = 1; level < GUARD_DEPTH_MAX && level <= lowest && levels >> level; level++) {
                __u32 *flags;
                __u64 id;

                if (!(levels >> level & 1))
                        continue;
                id = ancestor_id(cgroup, level);
                flags = bpf_map_lookup_elem(&guard_holds, &id);
                if (flags && *flags & HELD) {
                        f.flags |= *flags;
                        f.cgroup_id = id;
                }
        }
        return f;
}

static __always_inline bool lies_in(struct cgroup *cgroup, __u64 id) {
        const int lowest = BPF_CORE_READ(cgroup, level);

        for (int level = 1; level < GUARD_DEPTH_MAX && level <= lowest; level++)
                if (ancestor_id(cgroup, level) == id)
                        return true;
        return false;
}

/* A mark counts for as long as what it names is held. Where a process was taken in as a whole its first task has it for
 * all. */
static __always_inline struct found found_by_mark(struct task_struct *task) {
        struct guard_mark *mark = bpf_task_storage_get(&guard_marks, task, 0, 0);
        struct found f = {};

        if ((!mark || !mark->cgroup_id) && task->pid != task->tgid)
                mark = bpf_task_storage_get(&guard_marks, task->group_leader, 0, 0);

        if (mark && mark->cgroup_id) {
                __u64 id = mark->cgroup_id;
                __u32 *flags = bpf_map_lookup_elem(&guard_holds, &id);

                if (flags && *flags & HELD) {
                        f.flags = *flags | GUARD_MOVED;
                        f.cgroup_id = id;
                }
        }
        return f;
}

/* What nothing holds, wherever somebody takes it: the core, which lets go of what is held, and PID 1, which starts the
 * core again. */
static __always_inline bool is_free(struct task_struct *task) {
        struct guard_mark *mark = bpf_task_storage_get(&guard_marks, task, 0, 0);

        return task->tgid == 1 || (mark && mark->core);
}

/* at: what his cgroup says. Who was moved to where another hold has him is his first one's for as long as that is in
 * force, and may no more than who was moved anywhere else. */
static __always_inline struct found found_marked(struct task_struct *task, struct found at) {
        struct found f;

        if (at.flags && is_free(task))
                return (struct found) {};
        f = found_by_mark(task);
        if (!f.flags || f.cgroup_id == at.cgroup_id || (at.flags && lies_in(task->cgroups->dfl_cgrp, f.cgroup_id)))
                return at;
        f.flags |= at.flags;
        return f;
}

static __always_inline struct found found_task(struct task_struct *task) {
        return found_marked(task, found_at(task->cgroups->dfl_cgrp));
}

/* The same for who calls, for a fraction: this is what everyone else pays while there are holds. */
static __always_inline struct found found_current(void) {
        const __u32 levels = guard_state.levels;
        struct found f = {};

        for (int level = 1; level < GUARD_DEPTH_MAX && levels >> level; level++) {
                __u32 *flags;
                __u64 id;

                if (!(levels >> level & 1))
                        continue;
                id = bpf_get_current_ancestor_cgroup_id(level);
                if (!id)
                        break;
                flags = bpf_map_lookup_elem(&guard_holds, &id);
                if (flags && *flags & HELD) {
                        f.flags |= *flags;
                        f.cgroup_id = id;
                }
        }
        return found_marked(bpf_get_current_task_btf(), f);
}

static __always_inline bool is_called(struct kernfs_node *kn, const char *name) {
        char buf[16] = {};

        return kn && bpf_probe_read_kernel_str(buf, sizeof(buf), BPF_CORE_READ(kn, name)) > 0 &&
               bpf_strncmp(buf, sizeof(buf), name) == 0;
}

/* By name, so that a core that was restarted is itself at once. */
enum place {
        PLACE_ELSEWHERE,
        PLACE_MANAGER, /* /init.scope: PID 1, and what it forked until that went where it belongs */
        PLACE_AGENT,   /* /freezed.slice/freezed.service */
        PLACE_ABOVE,   /* /freezed.slice: it kills, freezes or starves the core when it is told to */
};

static __always_inline enum place place_of(struct cgroup *cgroup) {
        struct kernfs_node *kn = BPF_CORE_READ(cgroup, kn), *below = 0;
        int level = BPF_CORE_READ(cgroup, level);

        for (int i = 0; i < GUARD_DEPTH_MAX && kn && level > 1; i++) {
                below = kn;
                kn = parent_of(kn);
                level--;
        }
        if (level != 1)
                return PLACE_ELSEWHERE;
        if (is_called(kn, "init.scope"))
                return PLACE_MANAGER;
        if (!is_called(kn, "freezed.slice"))
                return PLACE_ELSEWHERE;
        if (!below)
                return PLACE_ABOVE;
        return is_called(below, "freezed.service") ? PLACE_AGENT : PLACE_ELSEWHERE;
}

static __always_inline bool is_core(struct task_struct *task) {
        struct guard_mark *mark = bpf_task_storage_get(&guard_marks, task, 0, 0);

        return (mark && mark->core) || (place_of(task->cgroups->dfl_cgrp) == PLACE_AGENT && !(mark && mark->alien));
}

static __always_inline bool is_agent(void) {
        return is_core(bpf_get_current_task_btf());
}

static __always_inline bool is_manager(void) {
        struct task_struct *task = bpf_get_current_task_btf();
        struct guard_mark *mark = bpf_task_storage_get(&guard_marks, task, 0, 0);

        return task->tgid == 1 || (place_of(task->cgroups->dfl_cgrp) == PLACE_MANAGER && !(mark && mark->alien));
}

static __always_inline __u32 own(__u64 id, __u32 dev, enum guard_kind kind) {
        struct guard_own key = { .id = id, .dev = dev, .kind = kind };
        __u32 *flags = bpf_map_lookup_elem(&guard_own, &key);

        return flags ? *flags : 0;
}

/* The drop-in that keeps the service manager from a held unit. It is replaced whenever a hold more or less wants it, so
 * it is known by its name. */
static __always_inline bool is_fence(struct dentry *dentry) {
        char name[24] = {};

        return bpf_probe_read_kernel_str(name, sizeof(name), BPF_CORE_READ(dentry, d_name.name)) > 0 &&
               bpf_strncmp(name, sizeof(name), GUARD_FENCE) == 0;
}

/* GUARD_TREE for what is the core's own or lies in it, GUARD_ABOVE for what leads there. */
static __always_inline __u32 own_dentry(struct dentry *dentry) {
        const __u32 dev = BPF_CORE_READ(dentry, d_sb, s_dev);
        struct dentry *self = dentry;

        if (dev != guard_state.pins_dev && dev != guard_state.state_dev)
                return is_fence(dentry) ? GUARD_TREE : 0;
        for (int i = 0; i < GUARD_DEPTH_MAX && dentry; i++) {
                struct inode *inode = BPF_CORE_READ(dentry, d_inode);
                __u32 flags = inode ? own(BPF_CORE_READ(inode, i_ino), dev, GUARD_OWN_INODE) : 0;
                struct dentry *parent = BPF_CORE_READ(dentry, d_parent);

                if (flags & GUARD_TREE || (flags && i == 0))
                        return flags;
                if (parent == dentry)
                        break;
                dentry = parent;
        }
        return is_fence(self) ? GUARD_TREE : 0;
}

static __always_inline struct mount *mount_of(struct vfsmount *mnt) {
        return (void *) mnt - bpf_core_field_offset(struct mount, mnt);
}

/* In the namespaces that count. In its own, everyone may mount over what he sees. */
static __always_inline bool own_mount_point(const struct path *path) {
        struct vfsmount *mnt = BPF_CORE_READ(path, mnt);
        const __u32 ns = BPF_CORE_READ(mount_of(mnt), mnt_ns, ns.inum);

        return (ns == guard_state.mount_ns[0] || ns == guard_state.mount_ns[1]) &&
               own_dentry(BPF_CORE_READ(path, dentry));
}
