/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Chain of custody: who is about to read evidence of this host is written into the ledger, and the record's number is
 * the signed answer. Who it is comes from the kernel: the uid that connected, and the login uid of that process, which
 * stays that of the person who logged in whatever sudo made of them. Nobody is kept from reading: root can read the
 * files without asking. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "policy/frame.h"

/* Only for root, who alone can read evidence; the gate passes nothing like it on. Anybody else, what is no custody, and
 * a ledger that takes no record are answered by a refusal. -errno. */
int custody_answer(struct agent *a, const struct frame *f, const struct answer *to) _warn_unused_;
