/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How much memory there is for a process before somebody is killed for want of it. To read a page that is swapped out
 * takes it back into memory, and the kernel counts it as the process's: of a frozen service at its limit that would
 * kill what is to be preserved. */

#include <limits.h>

#include "agent/collect/target.h"

/* What has to be left: the kernel fetches some neighbours of a page along with it. */
#define HEADROOM_KEEP (16ULL * 1024 * 1024)
/* After so much it is asked anew. */
#define HEADROOM_STEP (1ULL * 1024 * 1024)

struct headroom {
        int base; /* of the hierarchy that counts memory; negative: none */
        bool v1;
        char cgroup[PATH_MAX]; /* the process's in it, "/..." */
        uint64_t granted;
};

void headroom_open(const struct process *p, struct headroom *ret);
void headroom_done(struct headroom *h);
/* Whether n bytes may be taken, HEADROOM_STEP at most. */
bool headroom_take(struct headroom *h, uint64_t n);

/* The least that any cgroup from the one at the path up to the base has left, half of its cache of files counted as
 * such, as the kernel does for a host. UINT64_MAX: none has a limit. 0 where it has one and does not tell the rest. */
uint64_t headroom_below(int base, const char *path, bool v1);
/* The text of /proc/PID/cgroup: the path in the hierarchy that counts memory. False when there is none. */
bool headroom_parse_cgroup(const char *text, bool *ret_v1, char *ret, size_t n);
