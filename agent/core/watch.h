/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What was put in force stays in force. Every site of every hold is looked at when the kernel tells of an event there,
 * and by the clock; what someone undid is put back at once, in the kernel first, then counted, and then proven and
 * recorded as a recovery of the hold. Whoever undoes it in a loop is answered each time, but recorded ever more rarely,
 * and never before a command that waits.
 *
 *   thawed                       frozen again
 *   link detached or exchanged   the same program attached again
 *   pin removed                  pinned again; the link held on, because it is open here
 *   process moved out            moved back; its children as well, also one that is made right in another cgroup
 *                                (clone3), which is counted even if it has ended; where the hold leaves it running, it
 *                                gets no socket until then
 *   cgroup made again            isolated and frozen while it is still empty, and the hold's site from then on
 *
 * Without events (no BTF, no raw tracepoints) there is the clock alone, and moves are not seen: REASON_UNWATCHED. So it
 * is while more processes are held than the kernel's map has room for. */

#include <jansson.h>

#include "agent/core/agent.h"

/* Never fails but for -ENOMEM: what the kernel does not give is noted. */
int watch_new(struct agent *a, struct watch **ret) _warn_unused_;
void watch_free(struct watch *w);
/* Whoever is in one of these sites, which nothing was done to yet, is known from now on: who leaves at the first sign of
 * an order, before there is a hold to watch, is seen by its proof and brought back. To be followed by watch_update(). */
void watch_begin(struct agent *a, const struct sites *sites, enum verb verb);
/* Watches what is held now; see keep_update. Without holds nothing wakes up. */
void watch_update(struct agent *a);

/* An interface of the held host lost a program or a table, and whoever looks after those put it back (r is 1) or could
 * not (-errno): counted and recorded as what the watch itself puts back. */
void watch_uplink(struct agent *a, const struct command_id *hold, int r, int64_t since_us);

/* Why there are no events; 0 when there are. */
int watch_error(const struct agent *a);
/* UNWATCHED, or nothing. */
reason_set watch_notes(const struct agent *a);
/* {"source":"kernel"|"clock","events","lost","checks","every_us","repairs",...}, see tally.h. New reference, NULL when
 * out of memory. */
json_t *watch_to_json(const struct agent *a);
/* What was put back of one hold since this agent started; NULL when nothing was. */
json_t *watch_hold_to_json(const struct agent *a, const struct command_id *hold);
