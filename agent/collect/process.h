/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What /proc tells about each process of the targets and each of its threads, in two passes. The first takes what the
 * kernel answers from its own tables. The second takes what the kernel has to fetch from the process's own memory: its
 * owner can have laid that memory on a file system that never answers, which stops the reader until the deadline kills
 * it. By then everything of the first pass is already kept. */

#include "agent/collect/target.h"

/* First pass over the processes that are not done yet; marks them done. */
void process_collect(struct target_set *t, struct store *s);
/* Second pass, over all. */
void process_collect_memory(struct target_set *t, struct store *s);
