/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>

#include <sodium.h>

#include "tests/lib/age_keys.h"
#include "policy/age.h"

#define PLAIN_MAX 4096U

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is sealed is opened again, and one bit of it changed is not. */
static void round_trip(const uint8_t *data, size_t size, const struct age_identity *me) {
        uint8_t sealed[AGE_HEADER_MAX + PLAIN_MAX + AGE_TAG], opened[PLAIN_MAX];
        const size_t n = MIN(size, (size_t) PLAIN_MAX), to_n = 1 + size % AGE_RECIPIENTS_MAX;
        struct age_recipient to[AGE_RECIPIENTS_MAX];
        struct age_stream out, in;
        struct age_fresh fresh = { .nonce = { 1 } };
        size_t used, head;

        for (size_t i = 0; i < to_n; i++) {
                fresh.ephemeral[i][0] = (uint8_t) (i + 1);
                age_identity_public(me, &to[i]);
        }
        head = age_seal_header(to, to_n, &fresh, sealed, &out);
        age_seal_chunk(&out, data, n, true, sealed + head);
        if (age_open_header(sealed, head + n + AGE_TAG, me, 1, &used, &in) != 0 || used != head ||
            age_open_chunk(&in, sealed + used, n + AGE_TAG, true, opened) != 0 ||
            (n > 0 && memcmp(opened, data, n) != 0))
                __builtin_trap();
        if (n == 0)
                return;
        sealed[(size_t) data[0] * 7919 % (head - AGE_NONCE)] ^= 1;
        if (age_open_header(sealed, head + n + AGE_TAG, me, 1, &used, &in) == 0)
                __builtin_trap();
}

/* A header that opens is not longer than what was given, and says how long it is by itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct age_identity me;
        struct age_stream s;
        size_t used = 0;
        int r = age_identity_from_str(AGE_KEYS_SECRET, &me);

        if (r < 0 || sodium_init() < 0)
                __builtin_trap();
        r = age_open_header(data, size, &me, 1, &used, &s);
        if (r == 0 ? used > size : r != -EBADMSG && r != -EAGAIN && r != -EKEYREJECTED)
                __builtin_trap();
        if (r == 0 && age_open_header(data, used, &me, 1, &used, &s) != 0)
                __builtin_trap();
        if (r == -EAGAIN && size >= AGE_HEADER_MAX)
                __builtin_trap();
        round_trip(data, size, &me);
        return 0;
}
