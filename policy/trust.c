/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/trust.h"

#include <string.h>

_Static_assert(TRUST_PEOPLE_MAX <= 64 && TRUST_KEYS_MAX <= 64, "sets of people and of keys are one 64-bit word");

void trust_freep(struct trust **t) {
        free(*t);
}

int trust_role_find(const struct trust *t, const char *name) {
        for (size_t i = 0; i < t->n_roles; i++)
                if (strcmp(t->roles[i].name, name) == 0)
                        return (int) i;
        return -ENOENT;
}

uint64_t trust_role_people(const struct trust *t, const char *name) {
        int role = trust_role_find(t, name);

        return role < 0 ? 0 : t->roles[role].people;
}

void trust_keys(const struct trust *t, struct sshkey *ret) {
        for (size_t i = 0; i < t->n_keys; i++)
                ret[i] = t->keys[i].key;
}

uint64_t trust_people_of(const struct trust *t, uint64_t keys) {
        uint64_t people = 0;

        for (size_t i = 0; i < t->n_keys; i++)
                if (keys & UINT64_C(1) << i)
                        people |= UINT64_C(1) << t->keys[i].person;
        return people;
}

/* NONE when t's root threshold signed d. */
static int chain_check(const struct trust *t, const struct dsse *d, enum reason *ret_reason) {
        struct sshkey keys[TRUST_KEYS_MAX];
        enum reason reason;
        uint64_t signed_by;
        int r;

        trust_keys(t, keys);
        r = dsse_verify(d, keys, t->n_keys, &signed_by, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE &&
            __builtin_popcountll(trust_people_of(t, signed_by) & trust_role_people(t, TRUST_ROOT_ROLE)) < t->root_k)
                reason = REASON_TRUST_CHAIN;
        *ret_reason = reason == REASON_UNTRUSTED ? REASON_TRUST_CHAIN : reason;
        return 0;
}

bool trust_signed_by_root(const struct trust *t, const struct dsse *d) {
        enum reason reason;

        return chain_check(t, d, &reason) == 0 && reason == REASON_NONE;
}

static int payload_accept(const struct dsse *d, const struct trust *prev, struct trust **ret, enum reason *ret_reason) {
        _cleanup_trust_ struct trust *t = NULL;
        enum reason reason = REASON_NONE;
        int r = 0;

        if (prev)
                r = chain_check(prev, d, &reason);
        if (r == 0 && reason == REASON_NONE)
                r = trust_parse(d->payload, d->n_payload, &t, &reason);
        if (r == 0 && reason == REASON_NONE)
                r = chain_check(t, d, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE && prev && (strcmp(t->fleet, prev->fleet) != 0 || t->version != prev->version + 1))
                reason = REASON_TRUST_CHAIN;
        if (reason == REASON_NONE)
                *ret = TAKE_PTR(t);
        *ret_reason = reason;
        return 0;
}

int trust_accept(const char *envelope, size_t n, const struct trust *prev, struct trust **ret,
                 enum reason *ret_reason) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;
        int r;

        r = dsse_parse(envelope, n, &d, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE && d.type != DSSE_TRUST)
                reason = REASON_TYPE;
        if (reason == REASON_NONE)
                return payload_accept(&d, prev, ret, ret_reason);
        *ret_reason = reason;
        return 0;
}

bool trust_rule_is_automation(const struct trust_rule *rule) {
        return rule->max_lease_ms > 0;
}

int trust_key_of_id(const struct trust *t, uint64_t keys, const struct command_id *id) {
        for (size_t i = 0; i < t->n_keys; i++)
                if (keys & UINT64_C(1) << i && command_id_is_of_key(id, t->keys[i].key.id))
                        return (int) i;
        return -ENOENT;
}
