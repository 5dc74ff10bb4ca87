/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Seventh stage: prove -> PRESERVE -> report. Starts the collector for what was held, and when it is done issues the
 * command's receipt again with what became of the evidence. The target is held before this begins and stays held
 * whatever happens here. */

#include "agent/core/agent.h"
#include "agent/core/link.h"

/* receipt: the object that was (or, for a snapshot alone, will be) sent; kept. Answers when the evidence is sealed, or
 * at once when it cannot be begun. 0 or -ENOMEM. */
int snapshot_of_hold(struct agent *a, const struct command_id *hold, json_t *receipt,
                     const struct answer *to) _warn_unused_;
int snapshot_of_sites(struct agent *a, const struct command_id *id, const char *incident, const struct sites *sites,
                      json_t *receipt, const struct answer *to) _warn_unused_;
/* The agent died, or had no room, before it could tell what became of an order that holds nothing, or nothing any more:
 * says what there is of its evidence. More can be ordered. */
void snapshot_remains(struct agent *a, const struct command *c, const uint8_t digest[static 32]);
/* Evidence of this command is being taken. */
bool snapshot_runs(const struct agent *a, const struct command_id *id);
/* Kills the collectors that still run; what they have written stays, unsealed. */
void snapshot_free_all(struct agent *a);
