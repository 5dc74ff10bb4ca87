/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an administrator without this agent does with stock tools: `nft -f` a table that drops what the service's cgroup
 * sends and gets, `systemctl freeze` it, and look whether both are so. No signature, no record, no proof from inside,
 * and connections that are open stay open: it does less. */

#include <stdint.h>

struct peer_times {
        int64_t nft, freeze, check, total;
};

/* Writes the nft file. cgroup: path below the root of the hierarchy, without its slash. */
void peer_prepare(const char *cgroup);
/* One round, undone when it returns. */
void peer_round(const char *unit, const char *cgroup_dir, struct peer_times *ret);
