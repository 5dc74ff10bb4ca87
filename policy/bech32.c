/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/bech32.h"

#include <stdbool.h>
#include <string.h>

#define DATA_DIGITS (BECH32_DIGITS - 6U)

static const char alphabet[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/* One step of the checksum, a BCH code over GF(32): BIP 173, "Checksum". */
static uint32_t step(uint32_t c, uint8_t digit) {
        static const uint32_t generator[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3 };
        uint32_t top = c >> 25;

        c = (c & 0x1ffffff) << 5 ^ digit;
        for (size_t i = 0; i < ELEMENTSOF(generator); i++)
                if (top >> i & 1)
                        c ^= generator[i];
        return c;
}

static uint32_t checksum(const char *hrp, const uint8_t *digits, size_t n) {
        uint32_t c = 1;

        for (const char *p = hrp; *p; p++)
                c = step(c, (uint8_t) *p >> 5);
        c = step(c, 0);
        for (const char *p = hrp; *p; p++)
                c = step(c, (uint8_t) *p & 31);
        for (size_t i = 0; i < n; i++)
                c = step(c, digits[i]);
        return c;
}

/* All letters in one case; ret in lower case, with a NUL. */
static bool to_lower(const char *s, size_t n, char *ret) {
        bool lower = false, upper = false;

        for (size_t i = 0; i < n; i++) {
                bool is_upper = s[i] >= 'A' && s[i] <= 'Z';

                upper = upper || is_upper;
                lower = lower || (s[i] >= 'a' && s[i] <= 'z');
                ret[i] = is_upper ? (char) (s[i] - 'A' + 'a') : s[i];
        }
        ret[n] = '\0';
        return !(lower && upper);
}

/* 52 digits are 260 bits: what is left over of the last one has to be zero. */
static bool join(const uint8_t *digits, uint8_t ret[static BECH32_BYTES]) {
        uint32_t bits = 0;
        unsigned n_bits = 0;
        size_t n = 0;

        for (size_t i = 0; i < DATA_DIGITS; i++) {
                bits = (bits << 5 | digits[i]) & 0xfff;
                n_bits += 5;
                if (n_bits >= 8) {
                        n_bits -= 8;
                        ret[n++] = (uint8_t) (bits >> n_bits);
                }
        }
        return (bits & ((1U << n_bits) - 1)) == 0;
}

int bech32_decode(const char *s, const char *hrp, uint8_t ret[static BECH32_BYTES]) {
        const size_t n_hrp = strlen(hrp), n = n_hrp + 1 + BECH32_DIGITS;
        char lower[BECH32_HRP_MAX + 1 + BECH32_DIGITS + 1];
        uint8_t digits[BECH32_DIGITS];

        if (n_hrp > BECH32_HRP_MAX || strlen(s) != n || !to_lower(s, n, lower))
                return -EINVAL;
        if (memcmp(lower, hrp, n_hrp) != 0 || lower[n_hrp] != '1')
                return -EINVAL;
        for (size_t i = 0; i < BECH32_DIGITS; i++) {
                const char *at = strchr(alphabet, lower[n_hrp + 1 + i]);

                if (!at || *at == '\0')
                        return -EINVAL;
                digits[i] = (uint8_t) (at - alphabet);
        }
        return checksum(hrp, digits, BECH32_DIGITS) == 1 && join(digits, ret) ? 0 : -EINVAL;
}

static void split(const uint8_t bytes[static BECH32_BYTES], uint8_t *digits) {
        uint32_t bits = 0;
        unsigned n_bits = 0;
        size_t n = 0;

        for (size_t i = 0; i < BECH32_BYTES; i++) {
                bits = (bits << 8 | bytes[i]) & 0xfff;
                for (n_bits += 8; n_bits >= 5; n_bits -= 5)
                        digits[n++] = bits >> (n_bits - 5) & 31;
        }
        digits[n] = (uint8_t) (bits << (5 - n_bits) & 31);
}

void bech32_encode(const uint8_t bytes[static BECH32_BYTES], const char *hrp, char *ret) {
        uint8_t digits[BECH32_DIGITS] = { 0 };
        char *p = ret + strlen(hrp);
        uint32_t sum;

        split(bytes, digits);
        sum = checksum(hrp, digits, BECH32_DIGITS) ^ 1;
        for (size_t i = 0; i < 6; i++)
                digits[DATA_DIGITS + i] = sum >> (5 * (5 - i)) & 31;
        memcpy(ret, hrp, strlen(hrp));
        *p++ = '1';
        for (size_t i = 0; i < BECH32_DIGITS; i++)
                *p++ = alphabet[digits[i]];
        *p = '\0';
}
