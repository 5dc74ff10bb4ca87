/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The BPF that is loaded on the host: programs with their translated instructions, maps, links with what they are
 * attached to, and which programs act on the targets' cgroups, the ones of their ancestors included. Runs in a reader
 * with CAP_SYS_ADMIN and CAP_NET_ADMIN, of which its filter leaves looking. */

#include "agent/collect/reader.h"
#include "agent/collect/target.h"

/* The targets' directories have to be open in the reader. */
void programs_copy(struct reader_out *o, const struct target_set *t);
