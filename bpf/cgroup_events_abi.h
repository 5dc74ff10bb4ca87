/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once

/* Shared by the programs that tell of cgroup events and the core.
 *
 * What the core cares about is in three maps; an event that matches none of them costs one lookup and nothing else:
 *
 * cgroup_site: id of a cgroup that is held. CGROUP_THAWED when it has to be frozen and is thawed.
 *
 * cgroup_name: name of a cgroup that has to be held if it is made, as "nginx.service". CGROUP_MADE when one of that
 * name is made anywhere; the core looks whether it is the one.
 *
 * cgroup_held: process that has to stay where it is. CGROUP_MOVED when it, or a child as it is made, gets out of its
 * site.
 *
 * A process is known by its id as the core sees it (in the core's own pid namespace) and by when it started, because
 * ids are used again. Whoever is moved into a cgroup of cgroup_site is added to cgroup_held by the program itself, and
 * so are children of a process in it as they are forked, as long as the core has that program attached; whoever ends is
 * taken out of it by another one. The core and PID 1 are never in it: whoever took one of them into such a cgroup would
 * have it held. Whoever is held at a cgroup and is moved into one of cgroup_site below it is held there. */

#include <linux/types.h>

enum cgroup_event_kind {
        CGROUP_THAWED = 1,
        CGROUP_MADE,
        CGROUP_MOVED,
};

/* What the core cannot know of by an event: it has to look for itself. */
enum cgroup_loss {
        CGROUP_LOST_EVENT,   /* the ring was full */
        CGROUP_LOST_PROCESS, /* cgroup_held was full: who is held, and nobody will know when he gets out */
        _CGROUP_LOSS_MAX,
};

struct cgroup_event {
        __u64 at_ns;     /* CLOCK_MONOTONIC */
        __u64 cgroup_id; /* thawed, made, or moved into */
        __u64 held_at;   /* CGROUP_MOVED: the site */
        __u32 kind;
        __u32 pid; /* CGROUP_MOVED */
};

#define CGROUP_NAME_MAX 256
struct cgroup_name {
        char s[CGROUP_NAME_MAX]; /* zero to the end */
};

struct cgroup_held {
        __u64 start_ticks; /* field 22 of /proc/PID/stat: 1/100 s since boot */
        __u64 cgroup_id;   /* of the site */
};

/* value of cgroup_site: bits */
#define CGROUP_SITE_HELD     1
#define CGROUP_SITE_FROZEN   2
#define CGROUP_SITE_ISOLATED 4

#define CGROUP_SITES_MAX 32768
#define CGROUP_NAMES_MAX 32768
#define CGROUP_HELD_MAX  131072
#define CGROUP_BORN_MAX  16384
#define CGROUP_RING_SIZE (64 * 1024)

#ifdef __cplusplus
#define cgroup_events_assert static_assert
#else
#define cgroup_events_assert _Static_assert
#endif
cgroup_events_assert(sizeof(struct cgroup_event) == 32, "cgroup_event has no padding");
cgroup_events_assert(sizeof(struct cgroup_held) == 16, "cgroup_held has no padding");
