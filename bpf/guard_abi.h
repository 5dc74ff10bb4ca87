/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once

/* Shared by the guard's programs and the core.
 *
 *   guard_holds   cgroup id -> GUARD_ISOLATED | GUARD_FROZEN: whoever is in it or below it is held
 *                 cgroup id -> GUARD_ABOVE: it contains such a cgroup, and kills or starves it when it is told to
 *   guard_paths   path of a held cgroup -> the same flags: what is made at that path again is held from the start
 *   guard_own     what of the core's own has to stay as it is, see enum guard_kind
 *
 * The maps outlive the core together with the programs; struct guard_state belongs to one loaded set. */

#include <linux/types.h>

#define GUARD_ISOLATED  1U
#define GUARD_FROZEN    2U
#define GUARD_ABOVE     4U
#define GUARD_MANAGER   8U  /* PID 1 may write its cgroup.freeze just now */
#define GUARD_INHERITED 16U /* made at a held path; nothing of ours is attached to it yet */
#define GUARD_MOVED     32U /* never in a map: the task is held by its mark and no longer by its cgroup */

#define GUARD_HOLDS_MAX 8192
#define GUARD_OWN_MAX   1024
#define GUARD_PATH_SIZE 256
#define GUARD_DEPTH_MAX 24

/* X(NAME, "layer", "hook"): every program, in the order of their counters */
#define GUARD_TABLE(X)                                 \
        X(SOCKET, "socket-families", socket_create)    \
        X(CONNECT, "socket-connect", socket_connect)   \
        X(SENDMSG, "socket-send", socket_sendmsg)      \
        X(STREAM, "unix-connect", unix_stream_connect) \
        X(DATAGRAM, "unix-send", unix_may_send)        \
        X(CAPABLE, "capabilities", capable)            \
        X(SIGNAL, "signals", task_kill)                \
        X(TRACE, "tracing", ptrace_access_check)       \
        X(EXEC, "exec", bprm_check_security)           \
        X(CLONE, "clone-into", task_alloc)             \
        X(CGROUPFS, "cgroup-files", file_permission)   \
        X(OPEN, "own-files", file_open)                \
        X(TRUNCATE, "own-truncate", path_truncate)     \
        X(ATTRIBUTES, "own-attributes", file_ioctl)    \
        X(UNLINK, "own-unlink", inode_unlink)          \
        X(RMDIR, "own-rmdir", inode_rmdir)             \
        X(RENAME, "own-rename", inode_rename)          \
        X(MOUNT, "own-mount", sb_mount)                \
        X(UMOUNT, "own-umount", sb_umount)             \
        X(MOVE_MOUNT, "own-move-mount", move_mount)    \
        X(BPF, "own-links", bpf)                       \
        X(MAP, "own-maps", bpf_map)

enum guard_hook {
#define X(name, ...) GUARD_##name,
        GUARD_TABLE(X)
#undef X
                _GUARD_HOOK_MAX,
};

/* id and dev of a struct guard_own, and what its value says */
enum guard_kind {
        GUARD_OWN_INODE, /* inode and device of a directory or file: GUARD_TREE, or GUARD_ABOVE for what leads to one */
        GUARD_OWN_MOUNT, /* mount id */
        GUARD_OWN_MAP,   /* map id */
};

/* agent/core/fencefile.h */
#define GUARD_FENCE "zz-freezed-hold.conf"

#define GUARD_TREE 1U /* it and all below it */

struct guard_own {
        __u64 id;
        __u32 dev; /* as the kernel writes it: major << 20 | minor */
        __u32 kind;
};

struct guard_path {
        char text[GUARD_PATH_SIZE]; /* padded with zeros */
};

struct guard_mark {
        __u64 cgroup_id; /* 0: not held */
        __u32 alien;     /* it put itself into the core's cgroup, or the manager's: it is neither */
        __u32 core;      /* it is the core, wherever somebody takes it */
};

struct guard_state {
        __u32 active;       /* there are holds */
        __u32 trial;        /* process that one program refuses everything, to see that the program runs */
        __u32 trial_hook;   /* which */
        __u32 levels;       /* bit l: some held cgroup is l below the root */
        __u32 pins_dev;     /* device of the bpffs */
        __u32 state_dev;    /* device of the ledger and the evidence */
        __u32 mount_ns[2];  /* PID 1's and the core's */
        __u64 agent_cgroup; /* of the core that runs now, or ran last */
        __u64 denied[_GUARD_HOOK_MAX];
};

#ifdef __cplusplus
#define guard_assert static_assert
#else
#define guard_assert _Static_assert
#endif
guard_assert(sizeof(struct guard_own) == 16, "guard_own has no padding");
guard_assert(sizeof(struct guard_mark) == 16, "guard_mark has no padding");
guard_assert(sizeof(struct guard_state) == 40 + 8 * _GUARD_HOOK_MAX, "guard_state has no padding");
