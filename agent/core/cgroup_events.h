/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the kernel tells of cgroups as it happens, and which of it is asked for. The only user of the skeleton of
 * bpf/cgroup_events.bpf.c. Nothing here decides or changes anything but the three maps. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "bpf/cgroup_events_abi.h"
#include "policy/cleanup.h"

struct cgroup_events;

/* Loads the programs (20 ms measured) and attaches those that lie only on the path of cgroup operations (0.5 ms), which
 * get no slower by what can be measured. pin: file on a bpffs that keeps the held processes over an end of the agent;
 * they are there again. -errno where the kernel has no raw tracepoints, no BTF or refuses. */
int cgroup_events_new(const char *pin, struct cgroup_events **ret) _warn_unused_;
void cgroup_events_free(struct cgroup_events *e);
void cgroup_events_freep(struct cgroup_events **e);

/* Calls fn with each of its maps; the first result that is not 0 ends that and is returned. */
int cgroup_events_each_map(const struct cgroup_events *e, int (*fn)(int fd, void *userdata),
                           void *userdata) _warn_unused_;

/* Readable when there are events. */
int cgroup_events_fd(const struct cgroup_events *e);
/* Calls fn for at most max of them; a flood must not keep the caller here. */
typedef void (*cgroup_events_fn)(const struct cgroup_event *event, void *userdata);
void cgroup_events_read(struct cgroup_events *e, size_t max, cgroup_events_fn fn, void *userdata);
/* How many were lost so far: whoever sees it change has to look for himself. */
uint64_t cgroup_events_lost(const struct cgroup_events *e, enum cgroup_loss what);

struct cgroup_events_site {
        uint64_t cgroup_id;
        bool frozen, isolated; /* it has to be */
};

/* Asks for one more; */
void cgroup_events_add_site(struct cgroup_events *e, const struct cgroup_events_site *site);
/* and for exactly these from now on. */
void cgroup_events_set_sites(struct cgroup_events *e, const struct cgroup_events_site *sites, size_t n);
void cgroup_events_set_names(struct cgroup_events *e, const char *const *names, size_t n);
/* Whether children of held processes are followed; that lies on the path of every fork of the host (0.3 us measured)
 * and of every end of a thread (0.2 us). */
void cgroup_events_follow_forks(struct cgroup_events *e, bool follow);
/* Refuses sockets to whoever is held at a site that is isolated and not frozen, and was made outside of it or
 * went there himself, in the cgroup whose directory is top and below; attaches it again when someone took it away. A
 * negative top ends that. True when someone had. FAIL-OPEN where the kernel refuses. */
bool cgroup_events_refuse_outside(struct cgroup_events *e, int top);

/* Where the process is held from now on, 0 when it is gone, is the core or PID 1, or, which is counted as lost, when
 * there is no room: at that cgroup, unless it is held elsewhere and not at instead_of (0: nowhere). */
uint64_t cgroup_events_hold(struct cgroup_events *e, pid_t pid, uint64_t cgroup_id, uint64_t instead_of);
/* Calls fn with every process that is held and lives; whoever is dead, or fn returns false for, is not held any more.
 * fn may change *cgroup_id. */
typedef bool (*cgroup_events_each_fn)(pid_t pid, uint64_t *cgroup_id, void *userdata);
void cgroup_events_each_held(struct cgroup_events *e, cgroup_events_each_fn fn, void *userdata);
/* Where a process is held; 0 when it is not. */
uint64_t cgroup_events_held_at(const struct cgroup_events *e, pid_t pid);
