/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a cgroup has below itself: how much a hold of it means, and whether each part of it is frozen. The kernel says
 * so of the whole at once; asking every part is how a receipt can name the one that is not. */

#include "agent/core/paths.h"

struct subtree {
        size_t cgroups;     /* itself included */
        struct paths units; /* names of those below it that no other unit has made */
        struct paths containers;
        struct paths thawed; /* paths below it that have processes and do not say that they are frozen */
};

/* Looks at the cgroup and all below it. -ENOMEM, -errno. */
int subtree_look(int fd, struct subtree *ret) _warn_unused_;
void subtree_done(struct subtree *s);
