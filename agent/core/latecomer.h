/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is started on a host that is frozen as a whole is frozen too: units that timers, sockets and people start get a
 * cgroup that was not there when the order came. */

#include "agent/core/agent.h"

/* The kernel tells of a cgroup when it is made, and it is frozen before anybody is in it; or at least, where the core
 * is late, soon after. With every look those are found that the kernel did not tell of. */

/* how long one of them may run */
#define LATECOMER_LOOK_US (1000LL * 1000)
/* There when the host goes down (packaging/end-held.sh): what is frozen is ended then. PID 1 is not asked, because one
 * that is stuck would be waited for at every look. */
#define LATECOMER_GOING_DOWN "/run/freezed/going-down"

/* A cgroup was made at this path. */
void latecomer_made(struct agent *a, const char *path, int fd, uint64_t cgroup_id);
/* Freezes what is new. False when no host is frozen. */
bool latecomer_look(struct agent *a);
/* Holds may have changed: begins or ends to look. */
void latecomer_keep(struct agent *a);
