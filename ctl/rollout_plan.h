/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What many hosts computed of a plan: alike answers are one row, with how many gave it, whom it would hit in words,
 * what is wrong with the host, which layer of containment it lacks and others have, and from how many to how many
 * processes, connections and units that are; who answered otherwise is named. What all lack is said once. */

#include "ctl/render.h"
#include "ctl/rollout.h"

/* Nothing of an order that is no plan, or that no host computed. */
void rollout_plan_tell(const struct rollout *r, const struct page *p);
