/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/nkey.h"

/* the pair of NATS's own documentation */
#define SEED "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
#define PUB  "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"

static void a_seed_has_the_public_key_that_others_compute(void **state) {
        struct nkey k;

        (void) state;
        assert_int_equal(nkey_from_seed(SEED, strlen(SEED), &k), 0);
        assert_string_equal(k.pub, PUB);
        assert_int_equal(nkey_from_seed(SEED "\n", strlen(SEED) + 1, &k), 0);
        assert_string_equal(k.pub, PUB);
}

static void only_the_public_half_of_a_user_is_one(void **state) {
        char text[] = PUB;

        (void) state;
        assert_true(nkey_is_public(PUB));
        assert_false(nkey_is_public(""));
        assert_false(nkey_is_public(SEED));
        assert_false(nkey_is_public(PUB "A"));
        /* of an account */
        assert_false(nkey_is_public("ADXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"));
        for (size_t i = 0; i < strlen(PUB); i++) {
                text[i] = text[i] == 'A' ? 'B' : 'A';
                assert_false(nkey_is_public(text));
                text[i] = PUB[i];
        }
}

static void a_signature_is_by_that_key(void **state) {
        uint8_t sig[NKEY_SIG_SIZE];
        struct nkey k;

        (void) state;
        assert_int_equal(nkey_from_seed(SEED, strlen(SEED), &k), 0);
        nkey_sign(&k, "nonce", 5, sig);
        assert_int_equal(crypto_sign_verify_detached(sig, (const uint8_t *) "nonce", 5, k.secret + 32), 0);
        assert_int_not_equal(crypto_sign_verify_detached(sig, (const uint8_t *) "nonse", 5, k.secret + 32), 0);
        nkey_done(&k);
        assert_true(sodium_is_zero((const uint8_t *) &k, sizeof(k)));
}

static void a_new_seed_is_read_back(void **state) {
        uint8_t random[32];
        char seed[NKEY_SEED_LENGTH + 1];
        struct nkey k;

        (void) state;
        randombytes_buf(random, sizeof(random));
        nkey_seed(random, seed);
        assert_int_equal(strlen(seed), NKEY_SEED_LENGTH);
        assert_int_equal(strncmp(seed, "SU", 2), 0);
        assert_int_equal(nkey_from_seed(seed, strlen(seed), &k), 0);
        assert_memory_equal(k.secret, random, sizeof(random));
        assert_int_equal(k.pub[0], 'U');
}

static void no_character_of_a_seed_can_be_another(void **state) {
        static const char *const others[] = { "", "SU", SEED "\n\n", SEED "Y", " " SEED, PUB, "\n" };
        char seed[] = SEED;
        struct nkey k, before;

        (void) state;
        memset(&k, 0x5a, sizeof(k));
        before = k;
        for (size_t i = 0; i < strlen(SEED); i++) {
                seed[i] = seed[i] == 'A' ? 'B' : 'A';
                assert_int_equal(nkey_from_seed(seed, strlen(seed), &k), -EINVAL);
                seed[i] = '\0';
                assert_int_equal(nkey_from_seed(seed, strlen(SEED), &k), -EINVAL);
                seed[i] = (char) (SEED[i] | 0x20);
                if (seed[i] != SEED[i])
                        assert_int_equal(nkey_from_seed(seed, strlen(seed), &k), -EINVAL);
                seed[i] = SEED[i];
        }
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                assert_int_equal(nkey_from_seed(others[i], strlen(others[i]), &k), -EINVAL);
        assert_memory_equal(&k, &before, sizeof(k));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_seed_has_the_public_key_that_others_compute),
                cmocka_unit_test(only_the_public_half_of_a_user_is_one),
                cmocka_unit_test(a_signature_is_by_that_key),
                cmocka_unit_test(a_new_seed_is_read_back),
                cmocka_unit_test(no_character_of_a_seed_can_be_another),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
