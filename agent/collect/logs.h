/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The log files that the host's policy lists (policy/local.h), as the host and as each of the target's processes sees
 * them. Their directories may belong to the attacker, so a path is walked one name at a time, and nothing on the way or
 * at its end is anything but a directory or a regular file of a file system that asks nobody (mounts.h):
 *
 *   ELOOP        a symbolic link
 *   EOPNOTSUPP   neither file nor directory: nothing else is ever opened
 *   EREMOTE      a mount in user space, of the network or of the automounter
 *   ENOENT       a path without `*` and `?` that is nowhere
 *   EFBIG        larger than LOGS_FILE_MAX; what was written last is kept
 *   EOVERFLOW    deeper or more than is taken
 *
 * A file is read to the size that it had when it was opened, and listed as changed where it was written to meanwhile.
 * Each is taken once, however many paths and hard links lead to it; a link more than one is in its "stat", because
 * somebody may have linked a secret of another's there, and is no reason to leave a log out. */

#include "agent/collect/roots.h"

#define LOGS_FILE_MAX  (512LL * 1024 * 1024)
#define LOGS_DEPTH_MAX 24U
/* Names that are looked at in one root. */
#define LOGS_NAMES_MAX 131072U

/* At most COLLECT_LOGS_MAX patterns. */
void logs_collect(struct store *s, const struct roots *roots, const char *const *patterns, size_t n);
