/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* How long evidence is kept: orders to keep it, to lift that, and to delete it, and the end of its time by the ledger's
 * floor. Whatever ends it is a record first. From then on it is carried out, some files at a time while nobody else
 * wants anything, across failures and starts until it is done; then that is a record too. */

#include "agent/core/agent.h"
#include "agent/core/link.h"
#include "agent/core/record.h"

struct retain;

int retain_new(struct agent *a, struct retain **ret) _warn_unused_;
void retain_free(struct retain *r);

/* Carries a command about evidence out; takes the authorisation over. One that deletes is answered when it is done, or
 * cannot be done now. 0, or -errno when nothing was done and nothing was answered. */
int retain_order(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                 const struct answer *to) _warn_unused_;
/* Evidence was sealed: it may be under a legal hold already, and its time begins. */
void retain_sealed(struct agent *a, const struct command_id *id);
/* What a health report says of the evidence. New reference, NULL when out of memory. */
json_t *retain_to_json(const struct agent *a);
/* At a start: what is there and unknown to the ledger is kept until an order, and what was being deleted goes on. */
void retain_recover(struct agent *a);
