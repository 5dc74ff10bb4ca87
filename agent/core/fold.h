/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the records mean for the host's memory (holds, sites, seen ids, floor). The same functions run when something
 * happens and when the ledger is replayed at start, so there is one truth and it is the ledger. */

#include "agent/core/agent.h"
#include "agent/core/record.h"

/* An order of any verb, record n of the ledger, 0 when it could not be written; by: whose it is, and who is charged for
 * it when that is automation. Takes the sites over in any case. 0, -ENOMEM, -ENOSPC. */
int fold_order(struct agent *a, const struct command *c, const uint8_t digest[static 32],
               const struct account_charge *by, bool is_automation, int64_t wall_ms, uint64_t n,
               struct sites *sites) _warn_unused_;
/* n: number of the record that carries the receipt; 0 when none could be written. floor_ms: the floor of then. Does all
 * it can; the first -errno of policy/hold.h. */
int fold_outcome(struct agent *a, const struct outcome *o, uint64_t n, int64_t floor_ms);
int fold_lapse(struct agent *a, const struct command_id *hold);

/* ledger_replay_fn; userdata is the agent. -EBADMSG for a record that no version of ours wrote so far;
 * nothing of it is folded. */
int fold_replay(const json_t *body, uint64_t n, void *userdata);
