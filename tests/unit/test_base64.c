/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/base64.h"

#define DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static const struct {
        int variant;
        const char *digits;
        bool padded;
} variants[] = {
        { sodium_base64_VARIANT_ORIGINAL, DIGITS "+/", true },
        { sodium_base64_VARIANT_ORIGINAL_NO_PADDING, DIGITS "+/", false },
        { sodium_base64_VARIANT_URLSAFE, DIGITS "-_", true },
        { sodium_base64_VARIANT_URLSAFE_NO_PADDING, DIGITS "-_", false },
};

static int decode(const char *s, size_t n, int variant, uint8_t *ret, size_t size, size_t *ret_n) {
        /* of just that size, so that a read beyond it is seen */
        _cleanup_free_ char *copy = malloc(n > 0 ? n : 1);

        memcpy(copy, s, n);
        return base64_decode(copy, n, variant, ret, size, ret_n);
}

static void base64_takes_the_digits_of_the_alphabet_and_no_other_byte(void **state) {
        (void) state;
        for (size_t v = 0; v < ELEMENTSOF(variants); v++)
                for (int c = 0; c < 256; c++)
                        for (size_t at = 0; at < 4; at++) {
                                bool good = c != '\0' && strchr(variants[v].digits, c);
                                char s[] = "AAAA";
                                uint8_t bytes[3];
                                size_t n = 4711;

                                /* "AAA=" is of its own length */
                                if (c == '=' && at == 3 && variants[v].padded)
                                        continue;
                                s[at] = (char) c;
                                assert_int_equal(decode(s, 4, variants[v].variant, bytes, 3, &n), good ? 0 : -EINVAL);
                                assert_int_equal(n, good ? 3 : 4711);
                        }
}

static void base64_reads_back_every_length(void **state) {
        uint8_t bytes[100], back[100];
        char text[200];
        size_t n;

        (void) state;
        randombytes_buf(bytes, sizeof(bytes));
        for (size_t v = 0; v < ELEMENTSOF(variants); v++)
                for (size_t len = 0; len <= sizeof(bytes); len++) {
                        (void) sodium_bin2base64(text, sizeof(text), bytes, len, variants[v].variant);
                        assert_int_equal(decode(text, strlen(text), variants[v].variant, back, len, &n), 0);
                        assert_int_equal(n, len);
                        assert_memory_equal(back, bytes, len);
                        if (len > 0)
                                assert_int_equal(decode(text, strlen(text), variants[v].variant, back, len - 1, &n),
                                                 -EINVAL);
                }
}

static void base64_demands_the_padding_that_the_variant_has(void **state) {
        static const struct {
                const char *text;
                bool padded, unpadded;
        } cases[] = {
                { "", true, true },        { "AA==", true, false },      { "AA", false, true },
                { "AAA=", true, false },   { "AAA", false, true },       { "A", false, false },
                { "A===", false, false },  { "=", false, false },        { "AA=", false, false },
                { "AA===", false, false }, { "AAA==", false, false },    { "AAAA=", false, false },
                { "AB==", false, false },  { "AB", false, false },       { "AAB=", false, false },
                { "AAB", false, false },   { "AA==AAAA", false, false }, { "====", false, false },
                { " AA==", false, false }, { "AA==\n", false, false },
        };

        (void) state;
        for (size_t v = 0; v < ELEMENTSOF(variants); v++)
                for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                        bool good = variants[v].padded ? cases[i].padded : cases[i].unpadded;
                        uint8_t bytes[16];
                        size_t n;

                        assert_int_equal(decode(cases[i].text, strlen(cases[i].text), variants[v].variant, bytes,
                                                sizeof(bytes), &n),
                                         good ? 0 : -EINVAL);
                }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(base64_takes_the_digits_of_the_alphabet_and_no_other_byte),
                cmocka_unit_test(base64_reads_back_every_length),
                cmocka_unit_test(base64_demands_the_padding_that_the_variant_has),
        };

        if (sodium_init() < 0)
                return EXIT_FAILURE;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
