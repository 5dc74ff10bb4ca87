/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The memory of each process as an ELF core, the smallest first: what is sure to fit comes before what may not. What is
 * swapped out counts as well, as it takes room in the store, and in memory, of which there may be too little. Of a
 * frozen process with the registers of all threads; of one that runs only what it had mapped at the time, marked. Pages
 * that cannot be read are zeros in the core and a hole each range. */

#include "agent/collect/store.h"
#include "agent/collect/target.h"

void core_collect(struct target_set *t, struct store *s);
/* The same, before it, of those that a timer of their own would end, as far as they can be read in max_us: one that is
 * set anew for as long as its process runs goes off when that is frozen. What is not read whole is read again in the
 * pass of all. Of alarm(2) and of when a timer goes off the kernel tells nobody. */
void core_collect_doomed(struct target_set *t, struct store *s, int64_t max_us);

/* The texts of /proc/PID/timers and status: whether a timer sends what ends the process at once. What it blocks counts
 * as not blocked. */
bool core_timer_ends(const char *timers, const char *status);

/* The text of /proc/PID/status: kilobytes that there are of its memory, wherever they are. */
uint64_t core_size(const char *status);
