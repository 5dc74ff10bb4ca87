/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether freezectl itself would be held: the answer to such an order is shown when somebody releases it, and not
 * before. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/command.h"

/* True when the process's unified cgroup path, as /proc/self/cgroup has it, is in what the target names: below the
 * cgroup, or below a component that has the unit's name or is the user's slice; or when the process of that number is
 * among those that started this one. */
bool inside_target(const struct target *t, const char *own);
/* The target of an order that freezes, and that this process is in; NULL when there is none, or when that cannot be
 * told. */
const struct target *inside_any(const struct command *c);
