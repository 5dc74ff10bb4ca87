/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One site of one hold under watch: looking at it, and putting it back in force with one step each, without a record of
 * it. What is done here is what had been ordered, recorded and enforced before. */

#include "agent/core/agent.h"
#include "agent/core/kept.h"

struct watched {
        struct command_id hold;
        size_t index; /* of the hold's sites */
        bool freezes, isolates;
        bool whole;         /* the host: its cgroup is never gone, and nobody is outside of it */
        uint64_t cgroup_id; /* 0: there is none now */
        char *path;         /* where it is, or was; NULL when it never was anywhere. Owned */
        char *name;         /* of a cgroup that would be its next one. Owned */
        int fd;             /* its directory; -EBADF */
        struct kept kept;
        int64_t good_us; /* the last look that found all in force */
        bool gone;       /* that there is no cgroup now has been noted */
        bool known;      /* who is in it is held there already */
};

#define WATCHED_NULL ((struct watched) { .fd = -EBADF, .kept = KEPT_NULL })

/* -ENOMEM. What cannot be opened is looked for again with every look. */
int watched_open(struct agent *a, const struct hold *h, size_t index, const struct site *s,
                 struct watched *ret) _warn_unused_;
void watched_close(struct watched *w);
/* What the hold does now; a release can end its freeze alone. */
void watched_follow(struct watched *w, const struct hold *h, const struct site *s);
/* False while the hold is being released, and for one that only a damaged ledger tells of: nothing is put back then.
 * FAIL-OPEN for the latter, see recover.c. */
bool watched_is_wanted(const struct agent *a, const struct hold *h);

/* True when its cgroup has been removed. */
bool watched_is_gone(const struct watched *w);
/* Freezes it again if someone thawed it. 0: nobody did, or this hold does not freeze; 1: frozen again; -errno. */
int watched_freeze(const struct watched *w) _warn_unused_;
/* Puts links and pins back. 0: none was lost, 1, or -errno. *ret_pins: only pins were. */
int watched_isolate(struct agent *a, struct watched *w, bool *ret_pins) _warn_unused_;

/* Whether the cgroup that is new at this path is what the site's target means now. fd: its directory. */
bool watched_accepts(struct agent *a, const struct watched *w, const char *path, int fd);
/* Holds this cgroup from now on, in place of the one that is gone: isolated first, then frozen, then noted in the list
 * of sites (which is not recorded). Takes fd. -errno. */
int watched_take(struct agent *a, struct watched *w, int fd, uint64_t cgroup_id, const char *path) _warn_unused_;
