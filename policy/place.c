/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/place.h"

#include <sodium.h>

uint32_t place_get(const uint8_t salt[static PLACE_SALT_SIZE], const uint8_t host[static 32]) {
        uint8_t digest[crypto_hash_sha256_BYTES];
        crypto_hash_sha256_state s;

        (void) crypto_hash_sha256_init(&s);
        (void) crypto_hash_sha256_update(&s, salt, PLACE_SALT_SIZE);
        (void) crypto_hash_sha256_update(&s, host, 32);
        (void) crypto_hash_sha256_final(&s, digest);
        return (uint32_t) digest[0] << 24 | (uint32_t) digest[1] << 16 | (uint32_t) digest[2] << 8 | digest[3];
}

bool place_is_in(const struct place_part *p, const uint8_t host[static 32]) {
        const int64_t place = p->is_set ? place_get(p->salt, host) : 0;

        return !p->is_set || (p->from <= place && place < p->below);
}
