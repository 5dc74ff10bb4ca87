/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files that only processes still hold: programs and libraries that were deleted while they run, deleted files that are
 * open, memfds. Whole, each once whoever holds it. Of a file with gaps the object is the data alone, one run after the
 * other, and a note says where each belongs. One on a file system that may have to ask somebody for it is a hole
 * EREMOTE: its daemon may be what was frozen. */

#include "agent/collect/store.h"
#include "agent/collect/target.h"

void nameless_collect(struct target_set *t, struct store *s);
