/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rules by which nftables filters packets in a network namespace, counters included, as `nft -j list ruleset`
 * prints them and `nft -j -f` takes them back. Runs in a reader: libnftables is large, it parses what the namespace's
 * owner made, and where it cannot go on it ends the process. So it comes last there. Of the older tables, which only a
 * raw socket tells of, the names are kept, with a hole for what is in them. */

#include "agent/collect/reader.h"

/* False when the collector does not listen any more. */
bool ruleset_copy(struct reader_out *o, const char *source);
