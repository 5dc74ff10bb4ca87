/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An order is in the ledger, and memory ran out before it was carried through. Its id is remembered, so its repeat
 * would do nothing; and to say that nothing was done would be untrue. So the core ends, which takes nothing back, and
 * the next start, with memory of its own, finishes what the ledger has (recover.h). Whoever waits loses the connection,
 * and sends the same bytes again. */

#include "agent/core/agent.h"
#include "agent/core/link.h"

/* Where the ledger is now. */
uint64_t anew_mark(const struct agent *a);
/* A command failed with r, -errno, and may have been recorded since the mark. True when that was such a case; the event
 * loop is left then. */
bool anew_if_due(struct agent *a, int r, const struct command_id *id, uint64_t mark);
/* The same later on; in any other case who waits is refused. */
void anew_or_refuse(struct agent *a, int r, const struct command_id *id, const struct answer *to);
