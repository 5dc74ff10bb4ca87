/* SPDX-License-Identifier: Apache-2.0 */

/* Proofs. The first two bytes are a tree's size and a leaf or an older size in it, the third how many hashes of the
 * rest stand in the place of the proof's. No proof but the right one shows anything, and the right one does. */

#include <string.h>

#include "policy/merkle.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static uint8_t leaves[256][MERKLE_HASH_SIZE];

static bool same(const struct merkle_proof *a, const struct merkle_proof *b) {
        return a->n == b->n && memcmp(a->hashes, b->hashes, a->n * MERKLE_HASH_SIZE) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct merkle_proof right = { .n = 0 }, p = { .n = 0 };
        uint8_t root[MERKLE_HASH_SIZE], old_root[MERKLE_HASH_SIZE];
        uint64_t n, k;

        if (size < 3)
                return 0;
        n = data[0];
        k = data[1];
        for (size_t i = 0; i < ELEMENTSOF(leaves); i++)
                merkle_leaf(&(uint8_t) { (uint8_t) i }, 1, leaves[i]);
        merkle_root_of(leaves, n, root);
        merkle_root_of(leaves, k, old_root);
        p.n = MIN((size_t) data[2], MERKLE_PROOF_MAX + 1);
        memcpy(p.hashes, data + 3, MIN(size - 3, sizeof(p.hashes)));
        if (merkle_prove_inclusion(leaves, n, k, &right) == 0)
                CHECK(merkle_is_included(leaves[k], k, n, root, &right));
        CHECK(merkle_is_included(leaves[k], k, n, root, &p) == (k < n && same(&p, &right)));
        right = (struct merkle_proof) { .n = 0 };
        if (merkle_prove_consistency(leaves, n, k, &right) == 0)
                CHECK(merkle_is_consistent(k, old_root, n, root, &right));
        CHECK(merkle_is_consistent(k, old_root, n, root, &p) == (k <= n && same(&p, &right)));
        return 0;
}
