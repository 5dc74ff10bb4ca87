/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Copies what the kernel or a file says into one object, byte for byte. Everything here may be a trap: a FIFO that
 * would block, a symbolic link that leads elsewhere, a device that acts on being opened, a file that grows for ever.
 * Nothing is read but regular files, up to the size they had when first looked at, and procfs or cgroupfs files (which
 * have none) up to a cap.
 *
 * These functions do not fail: what cannot be read becomes a hole of the store. Names of holes beside the usual errno:
 * ELOOP a symbolic link, EOPNOTSUPP no regular file, ENODATA shorter than at first look, EFBIG or ENOSPC the budget or
 * the cap, ETIME the deadline. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/collect/store.h"

#define SOURCE_OPTIONAL 1U /* its absence is not a hole: a kernel without that feature, a controller not enabled */
#define SOURCE_FOLLOW   2U /* follow symbolic links; the end has to be a regular file all the same */

/* One row of the tables of what is read from where. */
struct source {
        const char *kind;
        const char *path; /* relative to the directory that it is read from */
        unsigned flags;
};

/* Most bytes of one procfs, cgroupfs or unit file. */
#define SOURCE_MAX (16U * 1024 * 1024)

/* at is a directory's descriptor. */
void source_copy(struct store *s, const struct index_item *item, int at, const char *path, unsigned flags);
/* The same from a descriptor that is open for reading, borrowed. */
void source_copy_fd(struct store *s, const struct index_item *item, int fd);
/* One object of these bytes. */
void source_put(struct store *s, const struct index_item *item, const void *bytes, size_t n);
/* The target of a symbolic link, NUL-terminated, n bytes at most with the NUL. Returns its length, or -errno;
 * -ENAMETOOLONG when it does not fit. */
ssize_t source_link(int at, const char *path, char *ret, size_t n);
/* Opens a regular file for reading without waiting or acting on anything else. -errno as above. */
int source_open(int at, const char *path, unsigned flags, int *ret) _warn_unused_;
