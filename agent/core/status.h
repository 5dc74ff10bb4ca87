/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the host says when it is asked: read from the kernel at that moment, signed. Nothing here is remembered but what
 * was ordered. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "policy/frame.h"

/* All active holds, or the one that the frame names, each with its state as it is now and as it was recorded. 0 or
 * -errno. */
int status_answer(struct agent *a, const struct frame *f, const struct answer *to) _warn_unused_;
/* The agent itself: layers tried by attaching, trust root, ledger, clock, counters. */
int health_answer(struct agent *a, const struct frame *f, const struct answer *to) _warn_unused_;
