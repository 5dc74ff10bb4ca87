/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A hold that is known is put in force once more: after a start, when something undid part of it, or when a release
 * took part of it away. What there is to hold is found first; then it passes the stages of an order under the order's
 * own id, and its new receipt takes the place of the one before. */

#include "agent/core/agent.h"

/* Opens the sites. Those whose cgroup is gone are looked for again, and where that is found is recorded before anything
 * is done there. */
void again_find(struct agent *a, const struct command_id *hold, struct sites *sites);
/* Enforces all of it on sites that are open, proves it, records the outcome, which gets the flag why unless nobody is
 * there to be held. Blocks as an order does. -ESRCH when nobody is, and -errno when it could not be done. */
int again_enforce(struct agent *a, const struct command_id *hold, enum reason why) _warn_unused_;
/* The command's last receipt, when it promises another one: the evidence was not sealed yet. New reference, or NULL. */
json_t *again_unfinished(struct agent *a, const struct command_id *hold);
