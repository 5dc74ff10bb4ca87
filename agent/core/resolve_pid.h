/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* From a process to where it would be held: the branch that the hold makes of its cgroup (branch.h), which does not
 * exist before the order is recorded. Without a hold, for a plan or a snapshot, to the cgroup that it is in. */

#include "agent/core/resolve.h"

/* Fills the site as resolve_again() says; its directory is open only when it exists. A site that was recorded means the
 * very process that it was then: one that was given the same number since is NOT_RUNNING, and what is in the branch
 * already is held whether or not the first one still lives. Returns a reason, or -ENOMEM. */
int resolve_pid(const struct resolver *r, struct site *s) _warn_unused_;
