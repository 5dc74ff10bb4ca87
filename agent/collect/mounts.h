/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which mounts can be read without waiting for anybody, and hold files. A file system in user space, of the network or
 * of the automounter is somebody else's answer, which may never come: its daemon may be what was just frozen. What the
 * kernel makes up as it is read may wait too, and opening it may act. So each is known by what the kernel's list of
 * mounts says, and never by asking it. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "policy/cleanup.h"

struct mounts {
        uint64_t *ids; /* of those that can be read, sorted; owned */
        size_t n;
};

/* Text of /proc/PID/mountinfo. -EBADMSG, *ret untouched, when it is not; -ENOMEM. */
int mounts_parse(const char *text, size_t n, struct mounts *ret) _warn_unused_;
/* The list of the process whose /proc directory dir is. -errno. */
int mounts_read(int dir, struct mounts *ret) _warn_unused_;
void mounts_done(struct mounts *m);

/* Whether what statx(2) told, STATX_MNT_ID included, is of a mount of the list. */
bool mounts_has(const struct mounts *m, const struct statx *st);
/* What the descriptor leads to, told without waiting for it: a regular file, directory or whatever else of a mount of
 * the list. -EREMOTE when the mount is another, -errno. */
int mounts_look(const struct mounts *m, int fd, struct statx *ret) _warn_unused_;
