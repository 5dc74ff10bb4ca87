/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The programs and libraries that the target's processes have mapped for executing, as digests: which version is
 * affected, and is it the file that was installed? What is digested is the mapped file, whatever its path has become.
 */

#include <stdint.h>

#include "agent/collect/roots.h"

#define BINARIES_MAX 4096U

struct binary {
        char *path;              /* as /proc/PID/maps has it; owned */
        uint64_t dev, inode;     /* likewise */
        const struct root *root; /* that the path is of; NULL: of one more than are opened */
        pid_t pid;               /* the first process that has it */
        struct statx stat;
        int err; /* negative errno: no digest */
        uint8_t sha256[32];
        char *package, *version; /* by packages.h; NULL: none; owned */
};

struct binaries {
        struct binary *v; /* owned */
        size_t n;
};

/* While /proc/PID/map_files may be followed. Holes for what cannot be read. */
void binaries_find(const struct target_set *t, const struct roots *roots, struct store *s, struct binaries *ret);
/* One object of kind `binaries`, a line for each. */
void binaries_put(struct store *s, const struct binaries *b);
void binaries_done(struct binaries *b);
