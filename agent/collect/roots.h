/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The trees of files that there are for the target: the host's, and those of its processes that have another root
 * directory or other mounts, such as containers and units with a private /tmp. Opened while /proc/PID/root may be
 * followed, and read later. */

#include "agent/collect/mounts.h"
#include "agent/collect/target.h"

#define ROOTS_MAX 64U

struct root {
        int dir;
        pid_t pid; /* of the first process that has it; 0: the host */
        struct mounts mounts;
        ino_t ns; /* its mount namespace */
        dev_t dev;
        ino_t ino;
};

struct roots {
        struct root v[ROOTS_MAX]; /* the host's first */
        size_t n;
};

/* Holes for those that cannot be opened, and EOVERFLOW when there are more. */
void roots_open(const struct target_set *t, struct store *s, struct roots *ret);
void roots_done(struct roots *r);
/* The one that the process has; NULL when that is none that could be opened. */
const struct root *roots_of(const struct roots *all, const struct process *p);
/* A regular file below a root, for reading: a path is walked one name at a time, no symbolic link is followed, nothing
 * else is ever opened and nobody is waited for. -ELOOP, -EOPNOTSUPP, -EREMOTE as in logs.h, -errno. */
int root_open(const struct root *r, const char *path, int *ret) _warn_unused_;
/* The same for a directory, to be looked at and read. */
int root_open_dir(const struct root *r, const char *path, int *ret) _warn_unused_;
/* What was looked at (O_PATH) is opened for reading, without touching its atime where that is allowed: for the owner.
 */
int root_reopen(int look, int *ret) _warn_unused_;
/* Of a path within the root, "/" first: what a person can use, "/proc/PID/root/..." */
void root_source(const struct root *r, const char *path, char *ret, size_t n);
