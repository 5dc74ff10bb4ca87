/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The ways out of the pipeline in which nothing is done. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "policy/decide.h"

/* Answers with a signed refusal. One of a command whose signature was valid (digest given; people: whose it was) is
 * recorded, each once, 60 a minute, of one person 500 a day, and none in the last of the ledger's room: somebody with a
 * trusted key must not be able to fill the ledger with nothing. What is left out is in the log. 0 or -ENOMEM. */
int refusal_answer(struct agent *a, const struct command *c, uint64_t people, const uint8_t *digest,
                   const struct decision *d, const struct answer *to) _warn_unused_;
/* The same for what is no command; label stands for its id. */
int refusal_of(struct agent *a, const char *label, const uint8_t *digest, const struct decision *d,
               const struct answer *to) _warn_unused_;
/* The same for an order of which no target can be held: the receipt says of each why, and what it could have meant. */
int refusal_of_targets(struct agent *a, const struct authorised *authorised, const struct sites *sites,
                       const struct answer *to) _warn_unused_;
/* Of a command that is for other hosts than this one (decide.h, for_others), to who carried it here: without signature,
 * without a record. */
void refusal_for_others(struct agent *a, const struct answer *to);
/* Answers a command that was acted on before with its stored receipt. */
int refusal_duplicate(struct agent *a, const struct command *c, const uint8_t *digest,
                      const struct answer *to) _warn_unused_;
