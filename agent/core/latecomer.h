/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is started on a host that is frozen as a whole is frozen too: units that timers, sockets and people start get a
 * cgroup that was not there when the order came. */

#include "agent/core/agent.h"

/* how long one may run that the kernel did not tell of */
#define LATECOMER_LOOK_US (1000LL * 1000)

/* Freezes what is new, after it is on record. False when no host is frozen. Call it when a cgroup was made. */
bool latecomer_look(struct agent *a);
/* Holds may have changed: begins or ends to look. */
void latecomer_keep(struct agent *a);
