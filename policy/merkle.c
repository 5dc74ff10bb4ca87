/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/merkle.h"

#include <sodium.h>

typedef uint8_t hash[MERKLE_HASH_SIZE];

static void node(const hash left, const hash right, hash ret) {
        static const uint8_t inner = 0x01;
        crypto_hash_sha256_state s;

        (void) crypto_hash_sha256_init(&s);
        (void) crypto_hash_sha256_update(&s, &inner, 1);
        (void) crypto_hash_sha256_update(&s, left, MERKLE_HASH_SIZE);
        (void) crypto_hash_sha256_update(&s, right, MERKLE_HASH_SIZE);
        (void) crypto_hash_sha256_final(&s, ret);
}

void merkle_leaf(const void *bytes, size_t n, uint8_t ret[static MERKLE_HASH_SIZE]) {
        static const uint8_t leaf = 0x00;
        crypto_hash_sha256_state s;

        (void) crypto_hash_sha256_init(&s);
        (void) crypto_hash_sha256_update(&s, &leaf, 1);
        (void) crypto_hash_sha256_update(&s, bytes, n);
        (void) crypto_hash_sha256_final(&s, ret);
}

static size_t n_peaks(uint64_t n) {
        return (size_t) __builtin_popcountll(n);
}

void merkle_append(struct merkle *m, const uint8_t leaf[static MERKLE_HASH_SIZE]) {
        size_t at = n_peaks(m->n);
        hash h;

        /* as carries in a binary addition: two full trees of a size become one */
        memcpy(h, leaf, sizeof(h));
        for (uint64_t n = m->n; n & 1; n >>= 1)
                node(m->peaks[--at], h, h);
        memcpy(m->peaks[at], h, sizeof(h));
        m->n++;
}

void merkle_root(const struct merkle *m, uint8_t ret[static MERKLE_HASH_SIZE]) {
        size_t at = n_peaks(m->n);
        hash h;

        if (at == 0) {
                (void) crypto_hash_sha256(ret, NULL, 0);
                return;
        }
        memcpy(h, m->peaks[--at], sizeof(h));
        while (at > 0)
                node(m->peaks[--at], h, h);
        memcpy(ret, h, sizeof(h));
}

void merkle_root_of(const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n, uint8_t ret[static MERKLE_HASH_SIZE]) {
        struct merkle m = { .n = 0 };

        for (uint64_t i = 0; i < n; i++)
                merkle_append(&m, leaves[i]);
        merkle_root(&m, ret);
}

/* The largest power of two below n, for n > 1: where RFC 6962 splits a tree. */
static uint64_t split(uint64_t n) {
        return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

static void push(struct merkle_proof *p, const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n) {
        merkle_root_of(leaves, n, p->hashes[p->n++]);
}

static void reverse(struct merkle_proof *p) {
        for (size_t i = 0; i < p->n / 2; i++) {
                hash h;

                memcpy(h, p->hashes[i], sizeof(h));
                memcpy(p->hashes[i], p->hashes[p->n - 1 - i], sizeof(h));
                memcpy(p->hashes[p->n - 1 - i], h, sizeof(h));
        }
}

int merkle_prove_inclusion(const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n, uint64_t index,
                           struct merkle_proof *ret) {
        struct merkle_proof p = { .n = 0 };

        if (index >= n)
                return -EINVAL;
        while (n > 1) {
                const uint64_t k = split(n);

                if (index < k) {
                        push(&p, leaves + k, n - k);
                        n = k;
                } else {
                        push(&p, leaves, k);
                        leaves += k;
                        index -= k;
                        n -= k;
                }
        }
        reverse(&p);
        *ret = p;
        return 0;
}

int merkle_prove_consistency(const uint8_t (*leaves)[MERKLE_HASH_SIZE], uint64_t n, uint64_t old,
                             struct merkle_proof *ret) {
        struct merkle_proof p = { .n = 0 };
        bool whole = true; /* the old tree is all of what is left: its root is known to whoever asks */

        if (old > n)
                return -EINVAL;
        while (old > 0 && old < n) {
                const uint64_t k = split(n);

                if (old <= k) {
                        push(&p, leaves + k, n - k);
                        n = k;
                } else {
                        push(&p, leaves, k);
                        leaves += k;
                        old -= k;
                        n -= k;
                        whole = false;
                }
        }
        if (!whole)
                push(&p, leaves, n);
        reverse(&p);
        *ret = p;
        return 0;
}

/* Goes up from a node that is the fn-th of its level, to the root of a tree whose last one there is the sn-th. Each
 * hash that stands to the left is hashed into *old too, where that is not NULL. False unless the proof is used up
 * exactly at the root. */
static bool climb(const struct merkle_proof *p, size_t from, uint64_t fn, uint64_t sn, hash old, hash h) {
        for (size_t i = from; i < p->n; i++) {
                if (sn == 0)
                        return false;
                if ((fn & 1) || fn == sn) {
                        if (old)
                                node(p->hashes[i], old, old);
                        node(p->hashes[i], h, h);
                        while (!(fn & 1) && fn != 0) {
                                fn >>= 1;
                                sn >>= 1;
                        }
                } else
                        node(h, p->hashes[i], h);
                fn >>= 1;
                sn >>= 1;
        }
        return sn == 0;
}

bool merkle_is_included(const uint8_t leaf[static MERKLE_HASH_SIZE], uint64_t index, uint64_t n,
                        const uint8_t root[static MERKLE_HASH_SIZE], const struct merkle_proof *p) {
        hash h;

        if (index >= n || p->n > MERKLE_PROOF_MAX)
                return false;
        memcpy(h, leaf, sizeof(h));
        return climb(p, 0, index, n - 1, NULL, h) && memcmp(h, root, sizeof(h)) == 0;
}

static bool is_empty_root(const uint8_t root[static MERKLE_HASH_SIZE]) {
        hash h;

        (void) crypto_hash_sha256(h, NULL, 0);
        return memcmp(h, root, sizeof(h)) == 0;
}

bool merkle_is_consistent(uint64_t old, const uint8_t old_root[static MERKLE_HASH_SIZE], uint64_t n,
                          const uint8_t root[static MERKLE_HASH_SIZE], const struct merkle_proof *p) {
        uint64_t fn = old - 1, sn = n - 1;
        size_t from = 0;
        hash was, is;

        if (old > n || p->n > MERKLE_PROOF_MAX)
                return false;
        if (old == 0)
                return p->n == 0 && is_empty_root(old_root) && (n > 0 || is_empty_root(root));
        if (old == n)
                return p->n == 0 && memcmp(old_root, root, sizeof(was)) == 0;
        while (fn & 1) {
                fn >>= 1;
                sn >>= 1;
        }
        /* An old tree that is one full tree is a node of the new one, and is not repeated in the proof. */
        if (fn == 0)
                memcpy(was, old_root, sizeof(was));
        else if (p->n > 0)
                memcpy(was, p->hashes[from++], sizeof(was));
        else
                return false;
        memcpy(is, was, sizeof(is));
        return climb(p, from, fn, sn, was, is) && memcmp(was, old_root, sizeof(was)) == 0 &&
               memcmp(is, root, sizeof(is)) == 0;
}
