/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was put back of each hold since this agent started, and when that has to be recorded: at once, and then ever
 * more rarely as long as someone goes on undoing it, so that he can fill neither ledger nor journal. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/core/tally.h"
#include "policy/cleanup.h"
#include "policy/command.h"

#define FOLLOWED_MIN_US (1000LL * 1000)
#define FOLLOWED_MAX_US (900LL * 1000 * 1000)

struct followed {
        struct command_id hold;
        struct tally tally;
        int64_t due_us;                  /* CLOCK_MONOTONIC; 0: there is nothing to record */
        int64_t recorded_us, backoff_us; /* of the last record, and how long it is the only one */
        bool moved;                      /* a site is another cgroup than was recorded */
};

struct followed_list {
        struct followed *v;
        size_t n;
};

void followed_list_done(struct followed_list *l);
/* NULL when there is none. */
struct followed *followed_find(const struct followed_list *l, const struct command_id *hold);
/* Finds or adds; NULL when out of memory. */
struct followed *followed_get(struct followed_list *l, const struct command_id *hold);
/* Forgets the i-th, whose place the last one takes. */
void followed_remove(struct followed_list *l, size_t i);

/* It has to be recorded, delay_us from now or later. */
void followed_want(struct followed *f, int64_t now_us, int64_t delay_us);
/* It is being recorded now. */
void followed_recorded(struct followed *f, int64_t now_us);
