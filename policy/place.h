/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Where a host stands in a fleet, from 0 to 2^32 - 1: the first four bytes, big endian, of the SHA-256 of a salt and
 * the fingerprint of its key. Who gives the orders of a rollout draws the salt, so that nobody can choose a key that
 * comes first or last, and each order of it is for one part of the places. Parts that do not overlap have no host in
 * common, whatever joins the fleet meanwhile. */

#include <stdbool.h>
#include <stdint.h>

#define PLACE_SALT_SIZE 8U
/* one more than the last place */
#define PLACE_END (INT64_C(1) << 32)

struct place_part {
        bool is_set; /* false: all places */
        uint8_t salt[PLACE_SALT_SIZE];
        int64_t from, below; /* 0 <= from < below <= PLACE_END */
};

uint32_t place_get(const uint8_t salt[static PLACE_SALT_SIZE], const uint8_t host[static 32]);
bool place_is_in(const struct place_part *p, const uint8_t host[static 32]);
