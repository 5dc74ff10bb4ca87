/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "lib/age_keys.h"
#include "policy/bech32.h"

static void what_is_encoded_decodes(void **state) {
        uint8_t in[BECH32_BYTES], out[BECH32_BYTES];
        char s[BECH32_HRP_MAX + 1 + BECH32_DIGITS + 1];

        (void) state;
        for (int i = 0; i < 200; i++) {
                randombytes_buf(in, sizeof(in));
                bech32_encode(in, "some-part", s);
                assert_int_equal(bech32_decode(s, "some-part", out), 0);
                assert_memory_equal(in, out, sizeof(in));
                assert_int_equal(bech32_decode(s, "other-part", out), -EINVAL);
        }
}

static void letters_are_of_one_case(void **state) {
        char s[] = AGE_KEYS_PUBLIC;
        uint8_t out[BECH32_BYTES];

        (void) state;
        assert_int_equal(bech32_decode(s, "age", out), 0);
        for (char *p = s; *p; p++)
                *p = *p >= 'a' && *p <= 'z' ? (char) (*p - 'a' + 'A') : *p;
        assert_int_equal(bech32_decode(s, "age", out), 0);
        s[0] = 'a';
        assert_int_equal(bech32_decode(s, "age", out), -EINVAL);
}

/* BIP 173: any change of up to four characters is seen; of two it is tried here wherever they stand together. */
static void changed_characters_are_seen(void **state) {
        uint8_t out[BECH32_BYTES];

        (void) state;
        for (size_t i = 4; i + 1 < strlen(AGE_KEYS_PUBLIC); i++) {
                char s[] = AGE_KEYS_PUBLIC;

                s[i] = s[i] == 'q' ? 'p' : 'q';
                assert_int_equal(bech32_decode(s, "age", out), -EINVAL);
                s[i + 1] = s[i + 1] == 'z' ? 'r' : 'z';
                assert_int_equal(bech32_decode(s, "age", out), -EINVAL);
        }
}

static void other_lengths_and_letters_are_refused(void **state) {
        static const char *const bad[] = {
                "",
                "age",
                "age1",
                "age1b",
                AGE_KEYS_PUBLIC "q",
                "1" AGE_KEYS_PUBLIC,
                "age1kw3ly7r8n63sj9xzc9wfk7rgmpnh569tdhsqsutgua9xxfqz3qhq2p9gj\x80",
                "age1kw3ly7r8n63sj9xzc9wfk7rgmpnh569tdhsqsutgua9xxfqz3qhq2p9gjb",
        };
        uint8_t out[BECH32_BYTES];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(bech32_decode(bad[i], "age", out), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_encoded_decodes),
                cmocka_unit_test(letters_are_of_one_case),
                cmocka_unit_test(changed_characters_are_seen),
                cmocka_unit_test(other_lengths_and_letters_are_refused),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
