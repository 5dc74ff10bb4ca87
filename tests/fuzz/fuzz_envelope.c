/* SPDX-License-Identifier: Apache-2.0 */

/* What the gate gets from anyone on the host. Besides not crashing: a parsed envelope is within its caps, writes out
 * as one that parses to the same, and, since no fuzzer makes an Ed25519 signature, carries nothing past a key but
 * the one payload that this key ever signed. */

#include <string.h>

#include <sodium.h>

#include "policy/dsse.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* RFC 8032 section 7.1, TEST SHA(abc). In the corpus it signs "{}" as a trust root, and nothing else anywhere. */
#define ONCE      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOwXK5OtXlY79JMscOEkUDTDVGfvLv1NZOv4GWg0Z+K/"
#define ONCE_TYPE DSSE_TRUST
#define ONCE_BODY "{}"
/* TEST 1 and 2, which sign a lot */
#define ALICE "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
#define BOB   "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM"

static void check_round_trip(const struct dsse *d) {
        _cleanup_(dsse_done) struct dsse back = DSSE_NULL;
        _cleanup_free_ char *json = NULL;
        enum reason reason;

        CHECK(dsse_to_json(d, &json) == 0);
        CHECK(dsse_parse(json, strlen(json), &back, &reason) == 0 && reason == REASON_NONE);
        CHECK(back.type == d->type && back.n_payload == d->n_payload && back.n_sigs == d->n_sigs);
        CHECK(memcmp(back.payload, d->payload, d->n_payload) == 0);
        CHECK(memcmp(back.sigs, d->sigs, d->n_sigs * sizeof(d->sigs[0])) == 0);
}

/* The text of base64 is the one that the bytes have, but for the alphabet. */
static void check_spelling(const json_t *text, const uint8_t *bytes, size_t n) {
        size_t n_b64 = sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
        _cleanup_free_ char *b64 = malloc(n_b64);
        const char *s = json_string_value(text);

        CHECK(b64 && s && strlen(s) == n_b64 - 1);
        (void) sodium_bin2base64(b64, n_b64, bytes, n, sodium_base64_VARIANT_ORIGINAL);
        for (size_t i = 0; s[i]; i++)
                CHECK(s[i] == b64[i] || (s[i] == '-' && b64[i] == '+') || (s[i] == '_' && b64[i] == '/'));
}

static void check_spellings(const uint8_t *data, size_t size, const struct dsse *d) {
        _cleanup_json_ json_t *root = json_loadb((const char *) data, size, 0, NULL);
        const json_t *sigs = json_object_get(root, "signatures");

        check_spelling(json_object_get(root, "payload"), d->payload, d->n_payload);
        CHECK(json_array_size(sigs) == d->n_sigs);
        for (size_t i = 0; i < d->n_sigs; i++)
                check_spelling(json_object_get(json_array_get(sigs, i), "sig"), d->sigs[i].sig, sizeof(d->sigs[i].sig));
}

static void check_signatures(const struct dsse *d) {
        struct sshkey keys[3];
        enum reason reason;
        uint64_t mask;

        CHECK(sshkey_from_line(ALICE, &keys[0]) == 0);
        CHECK(sshkey_from_line(BOB, &keys[1]) == 0);
        CHECK(sshkey_from_line(ONCE, &keys[2]) == 0);
        CHECK(dsse_verify(d, keys, ELEMENTSOF(keys), &mask, &reason) == 0);
        CHECK((reason == REASON_NONE) == (mask != 0));
        CHECK((size_t) __builtin_popcountll(mask) <= d->n_sigs);
        if (mask & 4)
                CHECK(d->type == ONCE_TYPE && d->n_payload == strlen(ONCE_BODY) &&
                      memcmp(d->payload, ONCE_BODY, d->n_payload) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason = _REASON_MAX;

        CHECK(dsse_parse((const char *) data, size, &d, &reason) == 0);
        if (reason != REASON_NONE) {
                CHECK(reason == REASON_OVERSIZE || reason == REASON_MALFORMED || reason == REASON_ENCODING ||
                      reason == REASON_TYPE);
                CHECK(!d.payload && d.type == _DSSE_TYPE_MAX);
                return 0;
        }
        CHECK(d.type < _DSSE_TYPE_MAX && d.n_sigs <= DSSE_SIGS_MAX && d.n_payload <= DSSE_HOST_PAYLOAD_MAX);
        CHECK(d.payload[d.n_payload] == '\0');
        check_spellings(data, size, &d);
        check_round_trip(&d);
        check_signatures(&d);
        return 0;
}
