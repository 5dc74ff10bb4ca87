/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A process and its descendants in a cgroup of their own, so that they can be held and their siblings run on. It lies
 * below the one where they were: whatever limits, accounts for or looks after that one still does, and systemd still
 * finds the unit of each by its path.
 *
 * Its name follows from the hold alone (branch_path.h), so that a core that died between the record and the move finds
 * what it made. A descendant that is in another cgroup stays there, see elsewhere.h. The sockets that they have already
 * belong to the cgroup that they leave: destroying them goes by who has them open. */

#include "agent/core/agent.h"

/* For each site of a PID that has a path: makes the branch if it is not there, moves the process and its descendants
 * into it, and opens it. One that cannot be made becomes a site with a reason, NOT_SEPARABLE. What was made is
 * recorded.
 *
 * While they are moved, all of the cgroup that they come from is frozen, for as long as that takes: who runs can fork
 * faster than he is found, and a child whose parent has died is nobody's descendant. It is thawed after, unless it was
 * frozen before the order or another hold freezes it. Blocks for at most a quarter of a second and the moving. */
void branch_make(struct agent *a, const struct command_id *hold, struct sites *sites);
/* When the hold is no longer in force: whoever is in its branches goes back to where they came from, and they are
 * removed; those that an active hold is about, or lies in, stay. What cannot be undone is logged: nothing is held by
 * it. */
void branch_unmake(struct agent *a, const struct command_id *hold, const struct sites *sites);
