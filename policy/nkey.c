/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/nkey.h"

#include <sodium.h>
#include <string.h>

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
/* what makes the first character an S, a U */
#define PREFIX_SEED 0x90U
#define PREFIX_USER 0xa0U
#define CRC_SIZE    2U
#define SEED_BYTES  (2U + 32U + CRC_SIZE)
#define PUB_BYTES   (1U + 32U + CRC_SIZE)

/* CRC-16/XMODEM, low byte first */
static void checksum(const uint8_t *bytes, size_t n, uint8_t ret[static CRC_SIZE]) {
        uint16_t crc = 0;

        for (size_t i = 0; i < n; i++) {
                crc ^= (uint16_t) (bytes[i] << 8);
                for (int bit = 0; bit < 8; bit++)
                        crc = (uint16_t) (crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
        }
        ret[0] = (uint8_t) crc;
        ret[1] = (uint8_t) (crc >> 8);
}

static void encode(const uint8_t *bytes, size_t n, char *ret) {
        uint32_t held = 0;
        unsigned bits = 0;

        for (size_t i = 0; i < n; i++) {
                held = held << 8 | bytes[i];
                for (bits += 8; bits >= 5; bits -= 5)
                        *ret++ = ALPHABET[held >> (bits - 5) & 31];
        }
        if (bits > 0)
                *ret++ = ALPHABET[held << (5 - bits) & 31];
        *ret = '\0';
}

/* Whole bytes only; what is left of the last character is not looked at. -EINVAL for a character of another alphabet.
 */
static int decode(const char *text, size_t n, uint8_t *ret) {
        uint32_t held = 0;
        unsigned bits = 0;

        for (size_t i = 0; i < n; i++) {
                const char *c = text[i] == '\0' ? NULL : strchr(ALPHABET, text[i]);

                if (!c)
                        return -EINVAL;
                held = held << 5 | (uint32_t) (c - ALPHABET);
                bits += 5;
                if (bits >= 8) {
                        bits -= 8;
                        *ret++ = (uint8_t) (held >> bits);
                }
        }
        return 0;
}

void nkey_seed(const uint8_t random[static 32], char ret[static NKEY_SEED_LENGTH + 1]) {
        uint8_t bytes[SEED_BYTES] = { PREFIX_SEED | PREFIX_USER >> 5, (uint8_t) (PREFIX_USER << 3) };

        memcpy(bytes + 2, random, 32);
        checksum(bytes, SEED_BYTES - CRC_SIZE, bytes + SEED_BYTES - CRC_SIZE);
        encode(bytes, SEED_BYTES, ret);
        sodium_memzero(bytes, sizeof(bytes));
}

int nkey_from_seed(const char *seed, size_t n, struct nkey *ret) {
        uint8_t bytes[SEED_BYTES], pub[PUB_BYTES] = { PREFIX_USER };
        char again[NKEY_SEED_LENGTH + 1];
        int r = -EINVAL;

        if (n == NKEY_SEED_LENGTH + 1 && seed[n - 1] == '\n')
                n--;
        if (n != NKEY_SEED_LENGTH || decode(seed, n, bytes) < 0)
                return -EINVAL;
        /* checksum, kind and unused bits at once */
        nkey_seed(bytes + 2, again);
        if (memcmp(again, seed, n) == 0) {
                (void) crypto_sign_seed_keypair(pub + 1, ret->secret, bytes + 2);
                checksum(pub, PUB_BYTES - CRC_SIZE, pub + PUB_BYTES - CRC_SIZE);
                encode(pub, PUB_BYTES, ret->pub);
                r = 0;
        }
        sodium_memzero(bytes, sizeof(bytes));
        sodium_memzero(again, sizeof(again));
        return r;
}

bool nkey_is_public(const char *text) {
        uint8_t bytes[PUB_BYTES], crc[CRC_SIZE];
        char again[NKEY_PUBLIC_SIZE];

        if (strlen(text) != NKEY_PUBLIC_SIZE - 1 || decode(text, NKEY_PUBLIC_SIZE - 1, bytes) < 0)
                return false;
        checksum(bytes, PUB_BYTES - CRC_SIZE, crc);
        encode(bytes, PUB_BYTES, again);
        return bytes[0] == PREFIX_USER && memcmp(crc, bytes + PUB_BYTES - CRC_SIZE, CRC_SIZE) == 0 &&
               strcmp(again, text) == 0;
}

void nkey_sign(const struct nkey *k, const void *nonce, size_t n, uint8_t ret[static NKEY_SIG_SIZE]) {
        (void) crypto_sign_detached(ret, NULL, nonce, n, k->secret);
}

void nkey_done(struct nkey *k) {
        sodium_memzero(k, sizeof(*k));
}
