/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Between two waves: do the hosts of the one that went out still hold what they said, and can they still be asked? Each
 * is asked by name for the status of the hold, and reads it from its kernel for that answer; one that containment has
 * cut off from the brokers is silent, and the waves end with it. */

#include "ctl/rollout.h"

/* Waits for --wait-wave, and asks. 0 with w->looks set, or an exit code when nobody could be asked. An order that
 * leaves no hold is not asked about, and w->looks is NULL. Blocks until all have answered, as long as for a wave. */
int rollout_look(struct rollout *r, struct rollout_wave *w) _warn_unused_;
/* Nobody was found to hold less, or to be silent. */
bool rollout_look_is_good(const struct rollout_wave *w);
const char *rollout_look_str(enum rollout_look l);
