/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The trust root that is in force: the file that root put there (config.trust), or what came after it as an order. The
 * ledger has each of those, and STATE/trust.json the last one, the envelope as it came. At start the successors of
 * root's file that the ledger has follow it, one by one. Where the ledger is lost STATE/trust.json is what is left, if
 * it is newer, of the same fleet and signed by its own root people; not where the ledger has it and knows nothing of
 * root's file, which then began anew. Where it is lost it is written again, and if the ledger has it, it stands for a
 * file of root's that is there and cannot be used. From then on, whichever way it comes, only a successor replaces it:
 * version N+1, signed by the root thresholds of both. A host without a file of root's is in no fleet, whatever came
 * before. */

#include "agent/core/agent.h"
#include "agent/core/link.h"

/* Reads the files; at the start, and when root says so. What cannot be accepted is logged and leaves the one in force
 * as it is. */
void rooted_load(struct agent *a);
/* The floor is from now on at least the earlier of the root's iat and the wall clock: one that was made with a clock
 * that is ahead must not put the floor where every order is expired and this host's clock provably behind. To be called
 * as time passes. */
void rooted_date(struct agent *a);
/* Judges an envelope and answers with a receipt, whose id is how the SHA-256 of the payload begins. The ledger and the
 * gate are told of it, the ledger before it is in force; one that the ledger has is in force. 0 or -errno. */
int rooted_take(struct agent *a, const struct dsse *d, const struct answer *to) _warn_unused_;
