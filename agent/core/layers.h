/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What this kernel gives, layer by layer, found out by really using each one on a cgroup of our own that nobody is in.
 * What no layer of ours covers is listed as well: a gap that is not named is a lie. */

#include "agent/core/agent.h"

/* [{"id","state":"yes"|"no","why"}]; new reference, NULL when out of memory. Takes some milliseconds. */
json_t *layers_to_json(struct agent *a);
/* Removes what a death in the middle of that has left, before anybody takes it for a hold. */
void layers_recover(struct agent *a);
