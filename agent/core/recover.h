/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* After a start: every active hold of the ledger is compared with the kernel. An order without outcome is carried out,
 * a release or lapse without outcome is finished, and what someone undid meanwhile is put back; what is in force as
 * recorded is left alone. Nothing that the ledger does not know is ever taken away: pins without a hold are reported,
 * not dropped (FAIL-CLOSED). */

#include "agent/core/agent.h"

/* Logs what it did. Blocks for as long as enforcing does. */
void recover_all(struct agent *a);
