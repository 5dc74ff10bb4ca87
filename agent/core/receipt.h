/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Last stage: what the host says about a command, as signed JSON; policy/PROTOCOL.md lists the members. Every function
 * gives a new reference to an object that already has who, when and where, or NULL when out of memory; receipt_seal
 * signs it. */

#include "agent/core/prove.h"

struct preserved;

/* A stop order or the recovery of one. */
json_t *receipt_of_proof(struct agent *a, const struct proven *p);
/* The members that describe one site as read back: used by receipts and by status. */
json_t *receipt_site(const struct site *s, const struct proof *p, const struct hold *h);
/* Of a site that cannot be held: why, and what it could have meant. */
json_t *receipt_missing_site(const struct site *s);
/* Of all sites of an order that was refused because no target can be held. */
json_t *receipt_missing(const struct sites *sites);
/* The attached ones of a cgroup's hooks. */
json_t *receipt_links(const struct isolate_link links[static _ISOLATE_HOOK_MAX]);
/* A command that was refused. c and digest may be NULL. */
json_t *receipt_of_refusal(struct agent *a, const struct command *c, const uint8_t *digest, const struct decision *d);
/* A command that was acted on before: carries the stored receipt, and whether its hold is active now. */
json_t *receipt_of_duplicate(struct agent *a, const struct command *c, const uint8_t *digest);
/* Any other: a state with flags and notes; verbs add their members. */
json_t *receipt_plain(struct agent *a, const struct command_id *id, const uint8_t *digest, const char *verb,
                      const char *state, reason_set reasons);
/* One more flag or note, unless it is there. Without memory it stays away. */
void receipt_add_flag(json_t *receipt, enum reason reason);
/* A hold can end, or become one that only isolates, before the last receipt of its order is issued. That must not say
 * then that it is held, or frozen, nor take the place of the one that tells of a lapse. */
void receipt_catch_up(struct agent *a, const struct command_id *id, json_t **receipt);
/* Adds what the snapshot became. */
int receipt_add_evidence(json_t *receipt, const struct preserved *p) _warn_unused_;

/* Sets "final", makes it fit in an envelope (fit.h) and signs. *ret is malloc'ed. -ENOMEM, -E2BIG. Does not take the
 * reference. */
int receipt_seal(struct agent *a, json_t *receipt, bool final, char **ret) _warn_unused_;
/* The same of what became of a command, and records that: o, which gets the envelope. It was done and cannot be taken
 * back; where the record of it is missing, the receipt says so (REASON_LEDGER). */
int receipt_conclude(struct agent *a, json_t *receipt, bool final, struct outcome *o, char **ret) _warn_unused_;
