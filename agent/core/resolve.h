/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From what was ordered to cgroups that exist now, and the look before the leap: nothing is changed here. A target that
 * cannot be held is a site with a reason; the others are held all the same. */

#include "agent/core/site.h"
#include "agent/core/systemd.h"
#include "policy/local.h"
#include "policy/reason.h"

struct resolver {
        const char *cgroup_root; /* NULL: none */
        struct systemd *systemd;
        const struct local *local;
        const struct command_id *hold; /* that is to be made or renewed; NULL: nothing will be done to what is found */
        bool freezes;                  /* what is ordered */
        bool orders;                   /* resolve_targets() sets it: a target is looked for everywhere */
};

/* Fills one site per target (and for a host that is to be frozen one more for each part of it), each with its directory
 * open or with its reason. *ret_notes gets NO_SYSTEMD where that is so. -ENOMEM. Asks PID 1 what it has not written
 * down; walks the tree of slices. */
int resolve_targets(const struct resolver *r, const struct target *targets, size_t n, struct sites *ret,
                    reason_set *ret_notes) _warn_unused_;
/* True when a cgroup of this path is, or is part of, what must never stop. */
bool resolve_is_protected_path(const struct local *l, const char *path);
/* The same, and also when it holds such a thing, PID 1 or this process; fd is its directory. */
bool resolve_is_protected(const struct local *l, const char *path, int fd);
/* True when what is at that path must go on running while the rest of the host is frozen: it is protected, is the way
 * in, or holds PID 1 or us; or, for now, the host comes up and waits for it. */
bool resolve_spares(const struct resolver *r, const char *path);
/* Finds the cgroup that one site's target means now; what it was found as before can have gone elsewhere, but nobody
 * can take its place who could not have made it (find.h); what was never found is taken only where the host's own root
 * puts it, and never when it was PROTECTED, or a PID. Updates the site; its reason when there is none. -ENOMEM. */
int resolve_again(const struct resolver *r, struct site *s, reason_set *ret_notes) _warn_unused_;
