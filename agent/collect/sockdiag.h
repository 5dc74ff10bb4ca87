/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Every socket of a network namespace as sock_diag tells of it: more than /proc/net does, and of more kinds. The inode
 * is what a process's descriptor is called ("socket:[INODE]"), the cgroup what made it. Runs in a reader. */

#include "agent/collect/reader.h"

/* False when the collector does not listen any more. */
bool sockdiag_copy(struct reader_out *o, const char *source);
