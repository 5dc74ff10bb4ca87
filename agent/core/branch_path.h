/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a branch is called, see branch.h: CGROUP/freezed-<the hold's id> */

#include <stdbool.h>

#include "policy/cleanup.h"
#include "policy/command.h"

/* The path of the hold's branch of a cgroup. *ret is malloc'ed. -ENOMEM. */
int branch_path_make(const char *cgroup, const struct command_id *hold, char **ret) _warn_unused_;
/* True for the path of a branch of any hold. */
bool branch_path_is(const char *path);
/* The cgroup that a path lies in. *ret is malloc'ed. -ENOMEM. */
int branch_path_parent(const char *path, char **ret) _warn_unused_;
