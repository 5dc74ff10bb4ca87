/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/vectors.h"
#include "policy/dsse.h"

/* kinds of forgery that generate.py makes of every signing that is accepted */
#define TWINS 5U

/* What a stage that counts keys would answer to a vector. */
static enum reason judge(const json_t *vector, uint64_t *ret_signed, size_t *ret_n_keys, struct sshkey *keys) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *data = NULL;
        const json_t *trusted = json_object_get(vector, "trusted");
        enum reason reason;
        size_t n;

        data = slurp(str_of(vector, "file"), &n);
        for (size_t i = 0; i < json_array_size(trusted); i++)
                keys[i] = key_named(json_string_value(json_array_get(trusted, i)));
        *ret_n_keys = json_array_size(trusted);

        reason = parse(data, n, &d);
        if (reason == REASON_NONE)
                reason = verify(&d, keys, *ret_n_keys, ret_signed);
        else
                assert_null(d.payload);
        if (reason == REASON_NONE &&
            __builtin_popcountll(*ret_signed) < json_integer_value(json_object_get(vector, "threshold")))
                reason = REASON_THRESHOLD;
        return reason;
}

static void dsse_answers_every_vector_as_its_index_says(void **state) {
        const json_t *vector;
        size_t i;

        (void) state;
        json_array_foreach(json_object_get(index_root, "vectors"), i, vector) {
                struct sshkey keys[4];
                uint64_t mask = 0, want = 0;
                size_t n_keys;
                enum reason reason = judge(vector, &mask, &n_keys, keys);
                const json_t *signers = json_object_get(vector, "signers"), *name;
                size_t k;

                if (strcmp(reason_id(reason), str_of(vector, "expect")) != 0)
                        fail_msg("%s: %s, expected %s (%s)", str_of(vector, "file"), reason_id(reason),
                                 str_of(vector, "expect"), str_of(vector, "says"));
                json_array_foreach(signers, k, name) {
                        struct sshkey signer = key_named(json_string_value(name));

                        for (size_t t = 0; t < n_keys; t++)
                                if (memcmp(keys[t].id, signer.id, sizeof(signer.id)) == 0)
                                        want |= UINT64_C(1) << t;
                }
                if (signers)
                        assert_int_equal(mask, want);
        }
        assert_true(i > 100);
}

/* The published vectors with a type that is not ours are refused for the type alone: their PAE and their signature
 * are true. This is also what shows that lengths count bytes, and that "DSSEv1 0  ..." is made for an empty type. */
static void dsse_pae_is_the_one_that_the_vectors_signed(void **state) {
        const json_t *vector;
        size_t i, n_checked = 0;

        (void) state;
        json_array_foreach(json_object_get(index_root, "vectors"), i, vector) {
                _cleanup_free_ uint8_t *pae = NULL;
                _cleanup_free_ char *data = NULL;
                _cleanup_json_ json_t *root = NULL;
                const char *hex = json_string_value(json_object_get(vector, "pae")), *payload, *b64;
                uint8_t want[1024], body[1024], sig[64];
                size_t n, n_pae, n_want, n_body;
                int variant;

                if (!hex)
                        continue;
                data = slurp(str_of(vector, "file"), &n);
                root = json_loadb(data, n, 0, NULL);
                payload = str_of(root, "payload");
                b64 = str_of(json_array_get(json_object_get(root, "signatures"), 0), "sig");
                variant = strpbrk(payload, "-_") || strpbrk(b64, "-_") ? sodium_base64_VARIANT_URLSAFE
                                                                       : sodium_base64_VARIANT_ORIGINAL;
                assert_int_equal(sodium_hex2bin(want, sizeof(want), hex, strlen(hex), NULL, &n_want, NULL), 0);
                assert_int_equal(
                        sodium_base642bin(body, sizeof(body), payload, strlen(payload), NULL, &n_body, NULL, variant),
                        0);
                assert_int_equal(sodium_base642bin(sig, sizeof(sig), b64, strlen(b64), NULL, &n, NULL, variant), 0);

                assert_int_equal(dsse_pae_str(str_of(root, "payloadType"), body, n_body, &pae, &n_pae), 0);
                assert_int_equal(n_pae, n_want);
                assert_memory_equal(pae, want, n_want);
                if (strcmp(str_of(vector, "expect"), "wrong-type") == 0)
                        assert_int_equal(crypto_sign_verify_detached(sig, pae, n_pae, key_a.pub), 0);
                n_checked++;
        }
        assert_true(n_checked >= 16);
}

static void dsse_pae_of_the_protocols_example(void **state) {
        static const char want[] = "DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        _cleanup_free_ uint8_t *pae = NULL;
        size_t n;

        (void) state;
        assert_int_equal(dsse_pae_str("http://example.com/HelloWorld", (const uint8_t *) "hello world", 11, &pae, &n),
                         0);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(pae, want, n);
}

static void dsse_every_accepted_signing_has_all_its_forged_twins(void **state) {
        const json_t *vectors = json_object_get(index_root, "vectors"), *a, *b;
        size_t i, k, n_published = 0;

        (void) state;
        json_array_foreach(vectors, i, a) {
                const char *file = str_of(a, "file");
                size_t stem = strlen(file) - strlen(".json"), n_twins = 0;

                n_published += json_object_get(a, "published") != NULL;
                if (strcmp(str_of(a, "expect"), "none") != 0 || strstr(file, "bystander"))
                        continue;
                json_array_foreach(vectors, k, b) if (strncmp(str_of(b, "file"), file, stem) == 0 &&
                                                      strncmp(str_of(b, "file") + stem, ".forged-", 8) == 0) {
                        assert_string_not_equal(str_of(b, "expect"), "none");
                        n_twins++;
                }
                assert_int_equal(n_twins, TWINS);
        }
        assert_int_equal(n_published, 9);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(dsse_answers_every_vector_as_its_index_says),
                cmocka_unit_test(dsse_pae_is_the_one_that_the_vectors_signed),
                cmocka_unit_test(dsse_pae_of_the_protocols_example),
                cmocka_unit_test(dsse_every_accepted_signing_has_all_its_forged_twins),
        };

        if (sodium_init() < 0)
                return EXIT_FAILURE;
        return cmocka_run_group_tests(tests, load_index, unload_index);
}
