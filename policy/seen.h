/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The command ids that this host has acted on or will never act on. It is what makes a command that arrives twice, or
 * is replayed, act once, without asking a clock. Part of struct hold_set and rebuilt with it. Lookups take 16
 * comparisons at most. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/command.h"

#define SEEN_MAX 65536U
/* An id may be forgotten this long after its command expired by the clock floor, and only while more than SEEN_KEPT are
 * remembered: the floor is only as right as the clocks that raised it, and memory is cheap. */
#define SEEN_GRACE_MS (7LL * 24 * 3600 * 1000)
#define SEEN_KEPT     (SEEN_MAX / 2)

struct seen {
        struct command_id id;
        uint8_t digest[32];     /* of the signed payload; all zero for a tombstone whose order never came */
        int64_t exp_ms;         /* no command with this id is valid longer */
        uint64_t receipt;       /* ledger record number of the last receipt for it; 0: none yet */
        uint64_t order : 62;    /* ledger record number of the order; 0: none */
        uint64_t more : 1;      /* the last receipt promises another one */
        uint64_t unwritten : 1; /* the last receipt could not be recorded; not known after a restart */
};

/* Zeroed, it is empty. order is a permutation of the slots of all: the first n are in use and sorted by id, the others
 * are free. */
struct seen_set {
        struct seen *all;
        uint16_t *order;
        size_t n, size;
        int64_t forgotten_ms; /* the latest exp_ms that was forgotten: what expires later than this and is not known
                                 never was */
};

/* Frees what s owns. */
void seen_done(struct seen_set *s);

/* NULL when the id is not known. Valid until the next change. */
struct seen *seen_find(const struct seen_set *s, const struct command_id *id);
/* The i-th by id; NULL beyond the last. Valid until the next change. */
const struct seen *seen_at(const struct seen_set *s, size_t i);
/* Remembers an id that must not be in the set yet. -ENOSPC, -ENOMEM. */
int seen_add(struct seen_set *s, const struct seen *e) _warn_unused_;
/* Drops every entry that is outdated at floor_ms and that needed() does not ask for, when there are more than
 * SEEN_KEPT. */
void seen_forget(struct seen_set *s, int64_t floor_ms,
                 bool (*needed)(const struct command_id *id, const void *userdata), const void *userdata);

bool seen_is_tombstone(const struct seen *e);
/* True when the floor is SEEN_GRACE_MS past exp_ms. */
bool seen_outdated(int64_t exp_ms, int64_t floor_ms);
