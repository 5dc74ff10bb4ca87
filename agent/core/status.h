/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the host says when it is asked: read from the kernel at that moment, signed. Nothing here is remembered but what
 * was ordered. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "policy/frame.h"

/* Who says it, when, and to which question: the members that every report has. All kinds of frame that are questions
 * begin with the nonce; f is NULL for what is no question. NULL when out of memory. */
json_t *status_report_new(struct agent *a, const char *type, const struct frame *f);
/* Signs a report and sends it; takes the reference, NULL included. 0 or -errno. */
int status_report_send(struct agent *a, json_t *report, const struct answer *to) _warn_unused_;

/* All active holds, or the one that the frame names, each with its state as it is now and as it was recorded. 0 or
 * -errno. */
int status_answer(struct agent *a, const struct frame *f, const struct answer *to) _warn_unused_;
/* The agent itself: layers tried by attaching, trust root, ledger, clock, counters. */
int health_answer(struct agent *a, const struct frame *f, const struct answer *to) _warn_unused_;
