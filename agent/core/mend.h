/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the watch does about an event and in a look by the clock: finds what was undone, puts it back in the kernel, and
 * counts it. Only watch.c uses this; records are made there. */

#include "agent/core/agent.h"
#include "agent/core/cgroup_events.h"
#include "agent/core/followed.h"
#include "agent/core/watched.h"

/* What somebody else can make long is done for so long at a time, so that a command waits for no more than that. */
#define MEND_TURN_US (20LL * 1000)

struct watch {
        struct agent *agent;
        int error; /* why the kernel does not tell of events */
        struct watched *sites;
        size_t n_sites;
        struct followed_list holds;
        sd_event_source *ring, *timer;
        int64_t every_us, sweep_every_us, outer_every_us;         /* how often */
        int64_t next_us;                                          /* from one look to the next, at most every_us */
        int64_t sweep_us, sweep_not_before_us, outer_us, seek_us; /* CLOCK_MONOTONIC of the next time */
        int64_t seek_spent_us, sweep_spent_us;                    /* in the round that goes on */
        size_t seek_next;                                         /* the site that it goes on with */
        pid_t *swept;                                             /* who was held when the sweep began */
        size_t n_swept, swept_next;                               /* 0 between two sweeps */
        uint64_t n_events, n_looks, lost;                         /* events */
        uint64_t crowded_out;                                     /* processes that found no room among the held */
        bool crowded;                                             /* there were such since the sweep before the last */
        bool fenced;                                              /* the last time that it was looked */
        struct tally tally;
};

/* Tells the kernel what to tell of. */
void mend_ask(struct watch *w);
/* Who is in the site now is held there. */
void mend_hold(struct watch *w, const struct watched *s);
/* Who was held at what is not a site any more is held at the one that it lies in, if it was among those before, or not
 * at all. */
void mend_forget(struct watch *w, const struct watched *before, size_t n);

/* r of the step: 0 nothing was to be done, 1 done, -errno. since_us: the last moment in which all was in force. */
void mend_note(struct watch *w, const struct command_id *hold, enum repair what, int r, int64_t since_us);

/* A cgroup_events_fn; w is the watch. */
void mend_event(const struct cgroup_event *e, void *w);
/* All sites, and how often to look from now on. */
void mend_look(struct watch *w);
