/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The lines that escalate writes: one JSON object each, and nothing in them can move a cursor. */

#include "ctl/escalate.h"
#include "ctl/escalate_outcome.h"

/* What became of an event; r is the rule, or NULL; why may be "". Takes over more, which may be NULL. */
void escalate_tell_event(const struct escalate *x, const struct escalate_event *e, const struct escalate_rule *r,
                         enum escalate_outcome outcome, const char *why, json_t *more);
/* What became of an order. */
void escalate_tell_order(const struct escalate *x, const struct escalate_record *r, enum escalate_outcome outcome,
                         const char *why, json_t *more);
/* Anything else. */
void escalate_tell(const struct escalate *x, enum escalate_outcome outcome, const char *why, json_t *more);
/* A signed answer: the line, and the CloudEvent that carries the envelope as it came, on standard output with --json
 * and to the webhook. */
void escalate_tell_receipt(const struct escalate *x, const struct escalate_record *r, const struct receipt *answer,
                           const char *envelope, size_t n);
/* What an order says. Owned by the caller. */
json_t *escalate_tell_draft(const struct escalate_draft *d);
