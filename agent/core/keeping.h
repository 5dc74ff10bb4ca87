/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* keeping.dsse.json in a folder of evidence: the host's word for which legal holds it is under and how long it is kept,
 * for those who have the folder and not the ledger. The ledger decides; this is made from it. */

#include "agent/core/agent.h"

/* Writes it anew into each folder of that evidence. 0 or -errno. */
int keeping_tell(struct agent *a, const struct command_id *id) _warn_unused_;
