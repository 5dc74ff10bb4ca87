/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command ids that this host has acted on or will never act on. It is what makes a command that arrives twice, or is replayed, act
 * once, without asking a clock. Part of struct hold_set and rebuilt with it. Lookups take 16 comparisons at most. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/command.h"

#define SEEN_MAX 65536U
/* an id is forgotten this long after its command expired by the clock floor: from then on decide() calls it expired, whatever the clock says */
#define SEEN_GRACE_MS (7LL * 24 * 3600 * 1000)

struct seen {
        struct command_id id;
        uint8_t digest[32]; /* of the signed payload; all zero for a tombstone whose order never came */
        int64_t exp_ms;
        uint64_t receipt; /* ledger record number of the last receipt for it; 0: none yet */
};

/* Zeroed, it is empty. order is a permutation of the slots of all: the first n are in use and sorted by id, the others are free. */
struct seen_set {
        struct seen *all;
        uint16_t *order;
        size_t n, size;
};

/* Frees what s owns. */
void seen_done(struct seen_set *s);

/* NULL when the id is not known. Valid until the next change. */
struct seen *seen_find(const struct seen_set *s, const struct command_id *id);
/* Remembers an id that must not be in the set yet. -ENOSPC, -ENOMEM. */
int seen_add(struct seen_set *s, const struct seen *e) _warn_unused_;
/* Drops every entry that is outdated at floor_ms and that needed() does not ask for. */
void seen_forget(struct seen_set *s, int64_t floor_ms,
                 bool (*needed)(const struct command_id *id, const void *userdata), const void *userdata);

bool seen_is_tombstone(const struct seen *e);
/* True when an id whose command expired at exp_ms may have been forgotten. */
bool seen_outdated(int64_t exp_ms, int64_t floor_ms);
