/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What of the disk evidence may take, and what is set aside for telling of it.
 *
 * Evidence that is sealed is never given up for new: a snapshot gets what is left of the policy's quota and of the
 * disk, and when that is too little to begin, none is taken, and the receipt says so.
 *
 * STATE/reserve/N are files of zeros. When the disk is full they are given back to it, so that the ledger gets its next
 * segment, the last snapshot its signature, and a deletion, which is what makes room, its tombstone. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/local.h"
#include "policy/shelf.h"

/* With less than this a collector does not even list the processes. */
#define ROOM_LEAST (1024U * 1024)
/* What a set of tag files, or a tombstone, takes at most. */
#define ROOM_TAGS (1024U * 1024)

/* How many bytes a snapshot that asks for `want` may take, when others that run may take `granted`. Less than
 * ROOM_LEAST: it cannot begin. A disk that does not tell counts as one that has room. */
uint64_t room_for_snapshot(const char *state, const struct local *l, const struct shelf *s, uint64_t granted,
                           uint64_t want);

/* Sets aside what is not yet, while there is much more than that. 0, or -errno: some of it is missing. */
int room_reserve(const char *state);
/* Gives the reserve back when the disk has less than that. True when it did. */
bool room_provide(const char *state, uint64_t bytes);
/* All of the reserve is there. */
bool room_is_reserved(const char *state);
