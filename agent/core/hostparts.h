/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a hold that freezes the whole host freezes: everything but PID 1, the agent, what the policy protects, the way
 * in, and login sessions, as the fewest cgroups that together hold nothing of these. */

#include "agent/core/resolve.h"

/* Appends a site for each that is not among those of held (NULL: none), open, with only_freeze set. *ret_notes gets
 * SESSIONS. -ENOMEM, -errno. */
int hostparts_add(const struct resolver *r, const struct sites *held, struct sites *s,
                  reason_set *ret_notes) _warn_unused_;
/* A cgroup that was just made, with nobody in it yet: 1 and its site when it is one that is frozen by itself; 0 when it
 * is spared, or goes with what it lies in. -errno. */
int hostparts_made(const struct resolver *r, const char *path, int fd, uint64_t id, struct site *ret) _warn_unused_;
