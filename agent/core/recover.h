/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* After a start: every active hold of the ledger is compared with the kernel. An order to stop without outcome is
 * carried out, a release or lapse without outcome is finished, and what someone undid meanwhile is put back; what is in
 * force as recorded is left alone. Of a snapshot and an extension without outcome it is said what there is. Nothing
 * that the ledger does not know is ever taken away: pins without a hold are reported, not dropped (FAIL-CLOSED). */

#include "agent/core/agent.h"

/* While the agent runs: part of the hold had been undone and was put back in the kernel, or cannot be. Enforces all of
 * it, proves it, records the outcome. Blocks as an order does. */
void recover_hold(struct agent *a, const struct command_id *id);
/* Logs what it did. Blocks for as long as enforcing does. */
void recover_all(struct agent *a);
