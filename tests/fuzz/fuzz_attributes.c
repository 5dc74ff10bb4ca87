/* SPDX-License-Identifier: Apache-2.0 */

/* The payload of attributes, which one stolen key can sign. What parses is written and read back as the same, and no
 * bytes certify anything without a signature. */

#include <string.h>

#include "policy/attributes.h"
#include "policy/schema.h"
#include "policy/trust.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void check(const struct attributes *a) {
        CHECK(a->n >= 1 && a->n <= SCHEMA_INT_MAX && a->iat_ms >= 0 && a->n_groups <= ATTRIBUTES_GROUPS_MAX);
        CHECK(schema_is_name(a->fleet, sizeof(a->fleet)) && schema_is_name(a->name, sizeof(a->name)));
        for (size_t i = 0; i < a->n_groups; i++) {
                CHECK(schema_is_name(a->groups[i], sizeof(a->groups[i])) && attributes_is_of(a, a->groups[i]));
                for (size_t k = 0; k < i; k++)
                        CHECK(strcmp(a->groups[i], a->groups[k]) != 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct trust nobody;
        struct dsse d = { .type = DSSE_ATTRIBUTES, .payload = (uint8_t *) data, .n_payload = size };
        _cleanup_free_ char *first = NULL, *second = NULL;
        struct attributes a, again;
        enum reason reason = _REASON_MAX, unsigned_one = _REASON_MAX;

        CHECK(attributes_verify(&nobody, &d, &a, &unsigned_one) == 0 && unsigned_one != REASON_NONE);
        CHECK(attributes_parse(data, size, &a, &reason) == 0 && reason < _REASON_MAX);
        if (reason != REASON_NONE)
                return 0;
        check(&a);
        CHECK(attributes_to_json(&a, &first) == 0);
        CHECK(attributes_parse((const uint8_t *) first, strlen(first), &again, &reason) == 0 && reason == REASON_NONE);
        CHECK(memcmp(&a, &again, sizeof(a)) == 0);
        CHECK(attributes_to_json(&again, &second) == 0 && strcmp(first, second) == 0);
        return 0;
}
