/* SPDX-License-Identifier: Apache-2.0 */

/* The payload of a trust root. What parses could be satisfied by the people in it, and is written and read back as the
 * same; and no bytes are ever a trust root without signatures. */

#include <string.h>

#include "policy/dsse.h"
#include "policy/trust.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static unsigned int size_of_role(const struct trust *t, size_t role) {
        CHECK(role < t->n_roles);
        return (unsigned int) __builtin_popcountll(t->roles[role].people);
}

static void check_trust(const struct trust *t) {
        uint64_t everyone = t->n_people == 64 ? UINT64_MAX : (UINT64_C(1) << t->n_people) - 1;
        int root = trust_role_find(t, TRUST_ROOT_ROLE);

        CHECK(t->version >= 1 && t->iat_ms >= 0 && t->expires_ms > t->iat_ms);
        CHECK(root >= 0 && t->root_k >= 1 && t->root_k <= size_of_role(t, (size_t) root) && t->root_k <= DSSE_SIGS_MAX);
        CHECK(trust_people_of(t, UINT64_MAX) == everyone);
        for (size_t i = 1; i < t->n_people; i++)
                CHECK(strcmp(t->people[i - 1], t->people[i]) < 0);
        for (size_t i = 0; i < t->n_keys; i++)
                for (size_t k = 0; k < i; k++)
                        CHECK(memcmp(t->keys[i].key.pub, t->keys[k].key.pub, 32) != 0);
        for (size_t i = 0; i < t->n_roles; i++)
                CHECK(t->roles[i].people != 0 && (t->roles[i].people & ~everyone) == 0);
        for (size_t i = 0; i < t->n_rules; i++) {
                const struct trust_rule *r = &t->rules[i];
                bool of_hold = r->verb == VERB_EXTEND || r->verb == VERB_RELEASE;

                CHECK(r->k >= 1 && r->k <= size_of_role(t, r->role) && r->k <= DSSE_SIGS_MAX);
                CHECK(r->severities != 0 && r->targets != 0 && (r->targets == 1U << TARGET_HOLD) == of_hold);
                CHECK(r->max_lease_ms >= 0 && (r->max_lease_ms == 0 || r->verb != VERB_RELEASE));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_trust_ struct trust *t = NULL, *again = NULL, *unsigned_one = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL, *envelope = NULL;
        struct dsse d = { .type = DSSE_TRUST, .payload = (uint8_t *) data, .n_payload = size };
        enum reason reason = _REASON_MAX;

        CHECK(trust_parse(data, size, &t, &reason) == 0);
        CHECK((t != NULL) == (reason == REASON_NONE) && reason < _REASON_MAX);
        if (!t)
                return 0;
        check_trust(t);

        CHECK(dsse_to_json(&d, &envelope) == 0);
        CHECK(trust_accept(envelope, strlen(envelope), NULL, &unsigned_one, &reason) == 0);
        CHECK(reason == REASON_TRUST_CHAIN && !unsigned_one);

        CHECK(trust_to_json(t, &first) == 0);
        CHECK(trust_parse((const uint8_t *) first, strlen(first), &again, &reason) == 0 && reason == REASON_NONE);
        CHECK(memcmp(again, t, sizeof(*t)) == 0);
        CHECK(trust_to_json(again, &second) == 0 && strcmp(first, second) == 0);
        return 0;
}
