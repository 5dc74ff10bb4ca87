/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the guard has to guard: worked out from the holds, the sites and the paths of the core, without telling the
 * kernel anything. */

#include <stddef.h>
#include <stdint.h>

#include "bpf/guard_abi.h"
#include "policy/cleanup.h"
#include "policy/command.h"

struct agent;
struct site;

struct guard_want {
        struct {
                uint64_t id;
                uint32_t flags;
        } * holds;
        size_t n_holds;
        struct {
                struct guard_path path;
                uint32_t flags;
        } * paths;
        size_t n_paths;
        uint32_t levels;
};

/* All sites of the holds, and what the pins of forgotten holds name. One that is being released, and thawed (NULL:
 * none), freezes nothing any more and isolates until it is gone. -errno. */
int guard_want_holds(struct agent *a, const struct command_id *thawed, struct guard_want *ret) _warn_unused_;
#define GUARD_LEVELS_ALL (UINT32_MAX >> (32 - GUARD_DEPTH_MAX))

void guard_want_done(struct guard_want *w);
uint32_t guard_want_flags(const struct guard_want *w, uint64_t id);
bool guard_want_path(const struct guard_want *w, const struct guard_path *path);

/* False for a site that lies too deep for the programs, which look for nobody there. */
bool guard_want_reaches(const struct site *s);

struct guard_owned {
        struct guard_own key;
        uint32_t flags;
};

/* The directory at path, what leads to it, and the mounts that it is on, as PID 1 and the core see them. Tells how many
 * entries there are; ret_dev is the directory's device as the kernel writes it. -ENOSPC, -errno. */
int guard_want_own(const char *path, struct guard_owned *ret, size_t max, uint32_t *ret_dev) _warn_unused_;
