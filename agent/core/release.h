/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ending holds, and making them longer. FAIL-CLOSED throughout: what cannot be recorded first is not released, and what
 * is still in force afterwards is said to be. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "agent/core/record.h"

/* Both take the authorisation over and answer. 0, or -errno when nothing was done and nothing was answered. */
int release_holds(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                  const struct answer *to) _warn_unused_;
int release_extend(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) _warn_unused_;

/* The agent died between the record of these and their outcome. A release is carried out again, of what the ledger
 * knows as of what it does not; of an extension it is said whether it is in force. */
void release_resume(struct agent *a, const struct command *c, const uint8_t digest[static 32]);
void release_resume_extend(struct agent *a, const struct command *c, const uint8_t digest[static 32]);

/* A hold whose lease is over: records, undoes, records the outcome. */
void release_lapsed(struct agent *a, const struct command_id *hold);
/* A hold that is being released or is lapsing, and is not over yet: because the agent died, or because something could
 * not be undone. Tries again, for all others of the same release too. notes go into the receipt. */
void release_finish(struct agent *a, const struct command_id *hold, reason_set notes);
