/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Finding a cgroup by its name, in a tree where others may give names as well: whoever was given cgroups of his own can
 * make one in there that is called like somebody else's container. So what lies inside a unit or a container never
 * stands in the way of what lies outside of one, and nothing is chosen between equals. */

#include <stdbool.h>

#include "agent/core/paths.h"

/* How well the cgroup's own name, and nothing else of its path, fits. */
enum find_fit {
        FIND_NOT,
        FIND_BEGINS, /* like what is looked for, which several may do */
        FIND_IS,
};

typedef enum find_fit (*find_fn)(const char *name, const char *wanted);

/* Of all that fit, those that have processes come first; of these, those that no unit and no container has made, also
 * none that only has a name, which a folder of containers may be too; then those below such a name, those of a user's
 * own manager, the rest; of these, those that fit exactly; and where anybody could have made it, the ones nearest to
 * the root. An empty one that comes before them by whom it was named by is left beside them.
 *
 * was: where it was when it was found before, NULL at first. What is found again was named by whom it was named by
 * then: while it is gone, nobody else can make himself what is looked for. "/" is where only the host's own root names.
 *
 * *ret is malloc'ed. -ENOENT; -ENOTUNIQ when several are left, which *ret_several, the caller's and empty, then names.
 * Walks the tree. */
int find_cgroup(const char *root, find_fn fits, const char *wanted, const char *was, char **ret,
                struct paths *ret_several) _warn_unused_;
