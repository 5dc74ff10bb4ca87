/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Listens to what the isolation programs tell (isolate_abi.h), keeps a table for each hold (tried.h), shows it in
 * status, and writes it into the ledger: a second after the first attempt, from then on at most once a minute and ever
 * more rarely while it goes on, and when the hold is over or the agent ends. Who floods gets neither the agent's time
 * nor the ledger's room: the ring is read once a second, and is of a fixed size.
 *
 * While the agent is away the ring keeps what is told. What was read and not written down yet when the agent is killed
 * is gone from the table; the counters of the programs stay. */

#include "agent/core/agent.h"

struct attempts;

/* Begins to listen. Without a ring it does nothing: the counters are all there is then. */
void attempts_start(struct agent *a);
void attempts_free(struct attempts *t);
/* Reads what there is and writes it down: the hold is about to end. */
void attempts_settle(struct agent *a, const struct command_id *hold);
/* The set of holds has changed: what was tried under one that is over is in the ledger, and is forgotten. */
void attempts_update(struct agent *a);
/* Writes down everything, because the agent ends. */
void attempts_stop(struct agent *a);
/* What tried_to_json says of a hold, or NULL when nothing was tried. New reference. */
json_t *attempts_to_json(struct agent *a, const struct command_id *hold);
