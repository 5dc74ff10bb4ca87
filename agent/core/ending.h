/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The end of holds, the same for a release, a lapse and the recovery of either, in the order in which nothing gets
 * away: what waits for the frozen processes is listed; they are thawed while they are still isolated; systemd is told
 * that it may start and stop the units again, and reads that; then it is looked who lives and what they tried to send,
 * and only then is the network theirs again. systemd takes its time for that, so the end comes later. */

#include "agent/core/agent.h"

/* What it became, hold by hold. */
struct undone {
        struct command_id *ended; /* holds of which nothing is in force any more */
        size_t n_ended;
        reason_set reasons;
        json_t *holds; /* as receipts list them */
};

struct ending;

/* holds: with what they were before, NULL for one that is not known here. fn is called when all is undone, or could not
 * be, at once when systemd need not be told; drop instead when the agent ends first. -ENOMEM, and neither is called. */
typedef void (*ending_fn)(struct agent *a, struct undone *u, void *userdata);
struct ending_hold {
        struct command_id id;
        const char *was;
        bool step; /* stops between: what has been thawed stays isolated, and that is proven anew */
};
int ending_begin(struct agent *a, const struct ending_hold *holds, size_t n, ending_fn fn, void (*drop)(void *userdata),
                 void *userdata) _warn_unused_;

void undone_done(struct undone *u);

/* A hold as receipts list it; new reference. state: what it is now. h may be NULL. */
json_t *ending_hold_json(const struct ending_hold *hold, const char *state, const struct hold *h);
