/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The ledger's head as others can check it: STATE/ledger/checkpoint, a C2SP checkpoint (policy/note.h) of all records,
 * signed by the host's key and by that of the epoch. It follows the ledger whenever there is nothing else to do, and
 * each hour an epoch begins, so that a ledger to which nothing happens says that it is alive, and how long it was not.
 */

#include "agent/core/agent.h"
#include "agent/core/preserved.h"
#include "policy/epoch.h"

/* Against the checkpoint in the ledger's directory. -EBADMSG, and the ledger takes nothing more, when this host has
 * signed more records than there are, or others; -errno, and nor does it, when that could not be found out. 0 when
 * there is none, or one that says nothing, which is logged: then nothing is known. */
int head_check(struct agent *a, const char *dir) _warn_unused_;
/* After the replay: goes on with the epoch's key, or begins an epoch by the host's; and the heartbeat. */
void head_begin(struct agent *a);
/* Begins the next epoch: what is in the ledger now is signed for good. What fails is logged and tried again at the next
 * heartbeat. Blocks for one record. */
void head_turn(struct agent *a, enum epoch_why why);

/* Where it is now; all zero without a ledger. */
struct seal_position head_position(const struct agent *a);

/* True when the ledger has other records than when a checkpoint was last written. */
bool head_is_due(const struct agent *a);
/* Writes it, if it is due. */
void head_write(struct agent *a);
