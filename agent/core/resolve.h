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
};

/* Fills one site per target, each with its directory open or with its reason. *ret_notes gets NO_SYSTEMD where that is
 * so. -ENOMEM. Asks PID 1 what it has not written down; walks the tree of slices. */
int resolve_targets(const struct resolver *r, const struct target *targets, size_t n, struct sites *ret,
                    reason_set *ret_notes) _warn_unused_;
/* Finds the cgroup that one site's target means now. Updates the site; its reason when there is none. -ENOMEM. */
int resolve_again(const struct resolver *r, struct site *s, reason_set *ret_notes) _warn_unused_;
