/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is being preserved: cgroups of the unified hierarchy with everything below them, and the processes in there. A
 * process is held by a descriptor of its /proc directory from the first look on, so a pid that is used again can never
 * stand for another process. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/collect/store.h"

#define TARGET_PROCESSES_MAX 2048U
#define TARGET_CGROUPS_MAX   512U
#define TARGET_DEPTH_MAX     16U

struct target {
        const char *path; /* absolute, in cgroupfs */
        const char *unit; /* "-": none */
        int dir;          /* -EBADF with err set: could not be opened */
        int err;
        bool frozen;   /* as the kernel said when it was last asked */
        bool released; /* and it had said otherwise before; until that is a hole */
};

struct process {
        pid_t pid;
        int dir;   /* O_PATH of /proc/PID */
        int stack; /* /proc/PID/stack, opened while that was allowed; negative errno otherwise */
        bool done;
        bool doomed;   /* a timer of its own would end it, frozen as it is (core.h) */
        bool dumped;   /* whole */
        bool frozen;   /* as the kernel said of all that the target is, when this pass came to the process */
        size_t target; /* which it is of */
};

/* Which tables of mounts are kept already (process.h). */
struct process_views {
        uint8_t keys[256][16];
        size_t n;
};

struct target_set {
        int proc; /* /proc */
        struct target targets[COLLECT_TARGETS_MAX];
        size_t n_targets;
        struct process processes[TARGET_PROCESSES_MAX];
        size_t n_processes;
        struct process_views views;
        uint64_t left_out; /* processes beyond TARGET_PROCESSES_MAX, of the last look */
};

/* Opens /proc and every target's cgroup. NULL when out of memory or without /proc. Nothing is read yet. paths and units
 * are borrowed. */
struct target_set *target_set_new(const char *const *paths, const char *const *units, size_t n);
void target_set_free(struct target_set *t);
void target_set_freep(struct target_set **t);

/* Looks for processes that are not in the set yet and adds them; true when there were any. What could not be looked
 * into becomes a hole. */
bool target_find_processes(struct target_set *t, struct store *s);
/* What the kernel says now of the process's target as a whole. A thread that a tracer let go of is not frozen for the
 * moment that it takes to be so again, so for the first no a while is waited. */
bool target_is_frozen(struct target_set *t, const struct process *p);
/* A pass over the processes is done: a hole `changed` for each target that was frozen and has not been all the time. */
void target_end_pass(struct target_set *t, struct store *s);
/* The path of every cgroup, targets and what is below them. */
void target_each_cgroup(struct target_set *t, void (*found)(const char *path, void *userdata), void *userdata);
/* The files of each cgroup itself, and holes for the cgroups and processes that could not be reached. */
void target_collect(struct target_set *t, struct store *s);
