/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The Merkle tree of RFC 6962, section 2: what one hash says of a list of records, and short proofs that a record is in
 * the list and that one list is the beginning of another. Leaves are counted from 0. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define MERKLE_HASH_SIZE 32U
/* No proof is longer: a tree of 2^63 leaves has 63 levels, and a consistency proof may have one hash more. */
#define MERKLE_PROOF_MAX 64U

/* The whole of a tree that has to be remembered to go on with it: the roots of the full trees of which it is made, the
 * largest first, as many as n has bits set. All zeros is the empty tree. */
struct merkle {
        uint64_t n;
        uint8_t peaks[64][MERKLE_HASH_SIZE];
};

struct merkle_proof {
        size_t n;
        uint8_t hashes[MERKLE_PROOF_MAX][MERKLE_HASH_SIZE];
};

/* SHA-256(0x00 || bytes) */
void merkle_leaf(const void *bytes, size_t n, uint8_t ret[static MERKLE_HASH_SIZE]);
void merkle_append(struct merkle *m, const uint8_t leaf[static MERKLE_HASH_SIZE]);
/* The root of the empty tree is SHA-256 of nothing. */
void merkle_root(const struct merkle *m, uint8_t ret[static MERKLE_HASH_SIZE]);
/* The root over the first n leaves, from all of them. */
void merkle_root_of(const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n, uint8_t ret[static MERKLE_HASH_SIZE]);

/* That leaf `index` is in the tree over the first n leaves: from the leaf's sibling to the root's child. -EINVAL unless
 * index < n. */
int merkle_prove_inclusion(const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n, uint64_t index,
                           struct merkle_proof *ret) _warn_unused_;
/* That the tree over the first `old` leaves is the beginning of the one over the first n. Empty when old is 0 or n.
 * -EINVAL when old > n. */
int merkle_prove_consistency(const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n, uint64_t old,
                             struct merkle_proof *ret) _warn_unused_;

/* True when the proof shows it, and only then; a proof that is longer than it has to be shows nothing. */
bool merkle_is_included(const uint8_t leaf[static MERKLE_HASH_SIZE], uint64_t index, uint64_t n,
                        const uint8_t root[static MERKLE_HASH_SIZE], const struct merkle_proof *p);
bool merkle_is_consistent(uint64_t old, const uint8_t old_root[static MERKLE_HASH_SIZE], uint64_t n,
                          const uint8_t root[static MERKLE_HASH_SIZE], const struct merkle_proof *p);
