/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whom it hits to hold one target, beyond its own processes: what a plan shows before, and the receipt of an order once
 * more. */

#include "agent/core/agent.h"
#include "agent/core/sockets.h"
#include "agent/core/subtree.h"

/* Asking the service manager takes longer than containing does: an order of more targets than this is answered without
 * their dependents. */
#define RADIUS_ASKED_MAX 8U

/* Adds to an object of one site: "cgroups", how many it is; "units" and "containers" in it, "users" that its processes
 * run as, TCP "ports" that it listens on, and, when it is asked for, "dependents", the units that cannot be without it.
 * What cannot be told is left out. */
void radius_add(struct agent *a, json_t *o, const struct site *s, const struct subtree *t, const pid_t *pids, size_t n,
                const struct sockets_result *sockets, bool ask);
