/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/merkle.h"

#define LEAVES 70U

static uint8_t leaves[LEAVES][MERKLE_HASH_SIZE];
static uint8_t roots[LEAVES + 1][MERKLE_HASH_SIZE];

/* The definition of RFC 6962, section 2.1, word for word: what the code that is tested does not do. */
static void root_by_definition(const uint8_t (*l)[MERKLE_HASH_SIZE], size_t n, uint8_t *ret) {
        uint8_t both[1 + 2 * MERKLE_HASH_SIZE] = { 0x01 };
        size_t k = 1;

        if (n == 1) {
                memcpy(ret, l[0], MERKLE_HASH_SIZE);
                return;
        }
        while (k * 2 < n)
                k *= 2;
        root_by_definition(l, k, both + 1);
        root_by_definition(l + k, n - k, both + 1 + MERKLE_HASH_SIZE);
        (void) crypto_hash_sha256(ret, both, sizeof(both));
}

static int make_leaves(void **state) {
        (void) state;
        for (uint8_t i = 0; i < LEAVES; i++)
                merkle_leaf(&i, 1, leaves[i]);
        (void) crypto_hash_sha256(roots[0], NULL, 0);
        for (size_t n = 1; n <= LEAVES; n++)
                root_by_definition(leaves, n, roots[n]);
        return 0;
}

/* The inputs and roots that the tests of Certificate Transparency's own log have. */
static void the_published_trees_have_the_published_roots(void **state) {
        static const struct {
                const char *leaf, *root;
        } known[] = {
                { "", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d" },
                { "00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125" },
                { "10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77" },
                { "2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7" },
                { "3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4" },
                { "40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef" },
                { "5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c" },
                { "606162636465666768696a6b6c6d6e6f",
                  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328" },
        };
        struct merkle m = { .n = 0 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                uint8_t bytes[16], leaf[MERKLE_HASH_SIZE], root[MERKLE_HASH_SIZE];
                char hex[65];
                size_t n;

                assert_int_equal(
                        sodium_hex2bin(bytes, sizeof(bytes), known[i].leaf, strlen(known[i].leaf), NULL, &n, NULL), 0);
                merkle_leaf(bytes, n, leaf);
                merkle_append(&m, leaf);
                merkle_root(&m, root);
                assert_string_equal(sodium_bin2hex(hex, sizeof(hex), root, sizeof(root)), known[i].root);
        }
}

static void a_tree_that_grows_has_the_root_of_one_that_is_built(void **state) {
        struct merkle m = { .n = 0 };
        uint8_t root[MERKLE_HASH_SIZE];

        (void) state;
        for (size_t n = 0; n <= LEAVES; n++) {
                merkle_root(&m, root);
                assert_memory_equal(root, roots[n], sizeof(root));
                merkle_root_of(leaves, n, root);
                assert_memory_equal(root, roots[n], sizeof(root));
                if (n < LEAVES)
                        merkle_append(&m, leaves[n]);
        }
        assert_int_equal(m.n, LEAVES);
}

static void every_leaf_of_every_tree_is_proven_and_no_other(void **state) {
        struct merkle_proof p;

        (void) state;
        for (size_t n = 1; n <= LEAVES; n++)
                for (size_t i = 0; i < n; i++) {
                        assert_int_equal(merkle_prove_inclusion(leaves, n, i, &p), 0);
                        assert_true(merkle_is_included(leaves[i], i, n, roots[n], &p));
                        for (size_t j = 0; j <= n; j++)
                                if (j != i)
                                        assert_false(merkle_is_included(leaves[i], j, n, roots[n], &p));
                        assert_false(merkle_is_included(leaves[(i + 1) % LEAVES], i, n, roots[n], &p));
                        assert_false(merkle_is_included(leaves[i], i, n, roots[n - 1], &p));
                }
        assert_int_equal(merkle_prove_inclusion(leaves, 5, 5, &p), -EINVAL);
        assert_int_equal(merkle_prove_inclusion(leaves, 0, 0, &p), -EINVAL);
}

static void every_beginning_of_every_tree_is_proven_and_no_other(void **state) {
        struct merkle_proof p;

        (void) state;
        for (size_t n = 0; n <= LEAVES; n++)
                for (size_t old = 0; old <= n; old++) {
                        assert_int_equal(merkle_prove_consistency(leaves, n, old, &p), 0);
                        assert_true(merkle_is_consistent(old, roots[old], n, roots[n], &p));
                        assert_true((old != 0 && old != n) || p.n == 0);
                        for (size_t wrong = 0; wrong <= LEAVES; wrong++)
                                if (wrong != old && old != 0)
                                        assert_false(merkle_is_consistent(old, roots[wrong], n, roots[n], &p));
                        if (n > old && old > 0)
                                assert_false(merkle_is_consistent(old, roots[old], n, roots[n - 1], &p));
                }
        assert_int_equal(merkle_prove_consistency(leaves, 5, 6, &p), -EINVAL);
        assert_false(merkle_is_consistent(6, roots[6], 5, roots[5], &p));
}

/* Each bit of each hash, one hash less, one more, two exchanged. */
static void a_proof_that_was_changed_shows_nothing(void **state) {
        struct merkle_proof in, con, p;

        (void) state;
        assert_int_equal(merkle_prove_inclusion(leaves, LEAVES, 37, &in), 0);
        assert_int_equal(merkle_prove_consistency(leaves, LEAVES, 37, &con), 0);
        for (size_t i = 0; i < in.n * MERKLE_HASH_SIZE * 8; i++) {
                p = in;
                p.hashes[i / 8 / MERKLE_HASH_SIZE][i / 8 % MERKLE_HASH_SIZE] ^= (uint8_t) (1U << i % 8);
                assert_false(merkle_is_included(leaves[37], 37, LEAVES, roots[LEAVES], &p));
        }
        for (size_t i = 0; i < con.n * MERKLE_HASH_SIZE * 8; i++) {
                p = con;
                p.hashes[i / 8 / MERKLE_HASH_SIZE][i / 8 % MERKLE_HASH_SIZE] ^= (uint8_t) (1U << i % 8);
                assert_false(merkle_is_consistent(37, roots[37], LEAVES, roots[LEAVES], &p));
        }
        for (size_t cut = 0; cut < in.n; cut++) {
                p = in;
                p.n = cut;
                assert_false(merkle_is_included(leaves[37], 37, LEAVES, roots[LEAVES], &p));
        }
        for (size_t cut = 0; cut < con.n; cut++) {
                p = con;
                p.n = cut;
                assert_false(merkle_is_consistent(37, roots[37], LEAVES, roots[LEAVES], &p));
        }
        in.n++;
        con.n++;
        assert_false(merkle_is_included(leaves[37], 37, LEAVES, roots[LEAVES], &in));
        assert_false(merkle_is_consistent(37, roots[37], LEAVES, roots[LEAVES], &con));
        in.n = con.n = MERKLE_PROOF_MAX + 1;
        assert_false(merkle_is_included(leaves[37], 37, LEAVES, roots[LEAVES], &in));
        assert_false(merkle_is_consistent(37, roots[37], LEAVES, roots[LEAVES], &con));
}

/* The same hash as a leaf and as an inner node would let two records stand for one. */
static void an_inner_node_is_never_a_leaf(void **state) {
        uint8_t both[2 * MERKLE_HASH_SIZE], leaf[MERKLE_HASH_SIZE];

        (void) state;
        memcpy(both, leaves[0], MERKLE_HASH_SIZE);
        memcpy(both + MERKLE_HASH_SIZE, leaves[1], MERKLE_HASH_SIZE);
        merkle_leaf(both, sizeof(both), leaf);
        assert_memory_not_equal(leaf, roots[2], sizeof(leaf));
}

static void numbers_at_their_limits_are_taken(void **state) {
        struct merkle_proof p = { .n = MERKLE_PROOF_MAX };

        (void) state;
        assert_false(merkle_is_included(leaves[0], UINT64_MAX - 1, UINT64_MAX, roots[1], &p));
        assert_false(merkle_is_included(leaves[0], UINT64_MAX, UINT64_MAX, roots[1], &p));
        assert_false(merkle_is_consistent(UINT64_MAX - 1, roots[1], UINT64_MAX, roots[2], &p));
        assert_false(merkle_is_consistent(UINT64_MAX, roots[1], UINT64_MAX, roots[2], &p));
        p.n = 0;
        assert_false(merkle_is_consistent(0, roots[1], 5, roots[5], &p));
        assert_true(merkle_is_consistent(0, roots[0], 0, roots[0], &p));
        assert_false(merkle_is_consistent(0, roots[0], 0, roots[1], &p));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_published_trees_have_the_published_roots),
                cmocka_unit_test(a_tree_that_grows_has_the_root_of_one_that_is_built),
                cmocka_unit_test(every_leaf_of_every_tree_is_proven_and_no_other),
                cmocka_unit_test(every_beginning_of_every_tree_is_proven_and_no_other),
                cmocka_unit_test(a_proof_that_was_changed_shows_nothing),
                cmocka_unit_test(an_inner_node_is_never_a_leaf),
                cmocka_unit_test(numbers_at_their_limits_are_taken),
        };

        return cmocka_run_group_tests(tests, make_leaves, NULL);
}
