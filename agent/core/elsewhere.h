/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A user or a process is more than a cgroup: what else belongs to it and runs outside of what is held. It is looked for
 * and named, not held: it may be a part of something that has to run. */

#include "agent/core/paths.h"
#include "agent/core/site.h"

struct elsewhere {
        struct paths cgroups;
        size_t processes;
};

/* Of a USER all processes that have the uid, of a PID its descendants, that are in none of the cgroups of held. Of
 * other targets nothing. Reads all of /proc. -ENOMEM, -errno. */
int elsewhere_look(const struct site *s, const struct sites *held, struct elsewhere *ret) _warn_unused_;
void elsewhere_done(struct elsewhere *e);
/* {"processes","cgroups"}; new reference, NULL when out of memory. */
json_t *elsewhere_to_json(const struct elsewhere *e);
