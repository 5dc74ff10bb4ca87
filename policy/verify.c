/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/verify.h"

#include <sodium.h>

struct verified {
        uint8_t *payload;
        size_t n_payload;
        uint8_t digest[crypto_hash_sha256_BYTES];
        uint64_t keys;
        uint64_t people;
};

_Static_assert(TRUST_PEOPLE_MAX <= 64 && TRUST_KEYS_MAX <= 64, "sets of people and of keys are one 64-bit word");

void verified_free(struct verified *v) {
        if (!v)
                return;

        free(v->payload);
        free(v);
}

void verified_freep(struct verified **v) {
        verified_free(*v);
}

static int verified_new(const struct dsse *d, uint64_t keys, uint64_t people, struct verified **ret) {
        _cleanup_(verified_freep) struct verified *v = calloc(1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        v->payload = memdup_array(d->payload, d->n_payload, 1);
        if (!v->payload)
                return -ENOMEM;

        v->n_payload = d->n_payload;
        v->keys = keys;
        v->people = people;
        crypto_hash_sha256(v->digest, v->payload, v->n_payload);
        *ret = TAKE_PTR(v);
        return 0;
}

/* Which keys of t signed d as that type, as bits. */
static int signers(const struct trust *t, const struct dsse *d, enum dsse_type type, uint64_t *ret_keys,
                   enum reason *ret_reason) {
        struct sshkey keys[TRUST_KEYS_MAX];
        enum reason reason = REASON_NONE;
        uint64_t by_key = 0;
        int r = 0;

        if (!t)
                reason = REASON_NO_TRUST;
        else if (d->type != type)
                reason = REASON_TYPE;
        else if (d->n_payload > DSSE_PAYLOAD_MAX)
                reason = REASON_OVERSIZE;
        if (reason == REASON_NONE) {
                trust_keys(t, keys);
                r = dsse_verify(d, keys, t->n_keys, &by_key, &reason);
        }
        if (r < 0)
                return r;
        if (reason == REASON_NONE)
                *ret_keys = by_key;
        *ret_reason = reason;
        return 0;
}

int verify_command(const struct trust *t, const struct dsse *d, struct verified **ret, enum reason *ret_reason) {
        enum reason reason;
        uint64_t by_key = 0;
        int r = signers(t, d, DSSE_COMMAND, &by_key, &reason);

        if (r == 0 && reason == REASON_NONE)
                r = verified_new(d, by_key, trust_people_of(t, by_key), ret);
        if (r < 0)
                return r;
        *ret_reason = reason;
        return 0;
}

int verify_by_role(const struct trust *t, const struct dsse *d, enum dsse_type type, const char *role,
                   enum reason *ret_reason) {
        enum reason reason;
        uint64_t by_key = 0;
        int r = signers(t, d, type, &by_key, &reason);

        if (r < 0)
                return r;
        if (reason == REASON_NONE && !(trust_people_of(t, by_key) & trust_role_people(t, role)))
                reason = REASON_ROLE;
        *ret_reason = reason;
        return 0;
}

const uint8_t *verified_payload(const struct verified *v, size_t *ret_n) {
        *ret_n = v->n_payload;
        return v->payload;
}

const uint8_t *verified_digest(const struct verified *v) {
        return v->digest;
}

uint64_t verified_keys(const struct verified *v) {
        return v->keys;
}

uint64_t verified_people(const struct verified *v) {
        return v->people;
}
