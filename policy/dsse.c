/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/dsse.h"

#include <string.h>

#include <sodium.h>

#include "policy/base64.h"
#include "policy/schema.h"

static const struct {
        const char *str;
        size_t payload_max, envelope_max;
} types[_DSSE_TYPE_MAX] = {
#define X(name, str, payload_max, envelope_max) [DSSE_##name] = { str, payload_max, envelope_max },
        DSSE_TYPE_TABLE(X)
#undef X
};

static const uint8_t no_keyid[32];

void dsse_done(struct dsse *d) {
        free(d->payload);
        *d = DSSE_NULL;
}

const char *dsse_type_to_str(enum dsse_type t) {
        return (unsigned int) t < _DSSE_TYPE_MAX ? types[t].str : NULL;
}

/* The alphabet is the one whose own characters appear, so a string that mixes both is of neither. */
static int text_decode(const json_t *str, uint8_t *ret, size_t size, size_t *ret_n) {
        const char *s = json_string_value(str);
        int variant = strpbrk(s, "-_") ? sodium_base64_VARIANT_URLSAFE : sodium_base64_VARIANT_ORIGINAL;

        return base64_decode(s, json_string_length(str), variant, ret, size, ret_n);
}

static enum reason type_parse(const json_t *root, size_t n_envelope, enum dsse_type *ret) {
        const json_t *str = json_object_get(root, "payloadType");

        if (!json_is_string(str))
                return REASON_MALFORMED;
        for (size_t i = 0; i < _DSSE_TYPE_MAX; i++)
                if (strcmp(types[i].str, json_string_value(str)) == 0) {
                        *ret = (enum dsse_type) i;
                        return n_envelope > types[i].envelope_max ? REASON_OVERSIZE : REASON_NONE;
                }
        return REASON_TYPE;
}

static enum reason sig_parse(const json_t *j, struct dsse_sig *ret) {
        const json_t *sig = json_object_get(j, "sig"), *keyid = json_object_get(j, "keyid");
        /* 88 characters are 64 bytes with two signs of padding, 66 with none */
        uint8_t buf[66];
        size_t n;

        if (!json_is_string(sig) || (keyid && !json_is_string(keyid)))
                return REASON_MALFORMED;
        if (json_string_length(sig) != sodium_base64_ENCODED_LEN(sizeof(ret->sig), sodium_base64_VARIANT_ORIGINAL) - 1)
                return REASON_MALFORMED;
        if (text_decode(sig, buf, sizeof(buf), &n) < 0)
                return REASON_ENCODING;
        if (n != sizeof(ret->sig))
                return REASON_MALFORMED;
        memcpy(ret->sig, buf, sizeof(ret->sig));

        /* A foreign key id names nobody here. It is only a hint, so the signature is then tried against every key. */
        if (!keyid || sshkey_id_from_str(json_string_value(keyid), ret->keyid) < 0)
                memcpy(ret->keyid, no_keyid, sizeof(ret->keyid));
        return REASON_NONE;
}

static enum reason sigs_parse(const json_t *root, struct dsse *d) {
        const json_t *sigs = json_object_get(root, "signatures");
        enum reason reason;

        if (!json_is_array(sigs))
                return REASON_MALFORMED;
        if (json_array_size(sigs) > DSSE_SIGS_MAX)
                return REASON_OVERSIZE;
        for (size_t i = 0; i < json_array_size(sigs); i++) {
                reason = sig_parse(json_array_get(sigs, i), &d->sigs[i]);
                if (reason != REASON_NONE)
                        return reason;
        }
        d->n_sigs = json_array_size(sigs);
        return REASON_NONE;
}

static int payload_parse(const json_t *root, struct dsse *d, enum reason *ret_reason) {
        const json_t *str = json_object_get(root, "payload");
        size_t cap;

        *ret_reason = REASON_MALFORMED;
        if (!json_is_string(str))
                return 0;

        cap = json_string_length(str) / 4 * 3;
        d->payload = malloc(cap + 1);
        if (!d->payload)
                return -ENOMEM;
        if (text_decode(str, d->payload, cap, &d->n_payload) < 0) {
                *ret_reason = REASON_ENCODING;
                return 0;
        }
        d->payload[d->n_payload] = '\0';
        *ret_reason = d->n_payload > types[d->type].payload_max ? REASON_OVERSIZE : REASON_NONE;
        return 0;
}

int dsse_parse(const char *json, size_t n, struct dsse *ret, enum reason *ret_reason) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_json_ json_t *root = NULL;
        enum reason reason;
        int r;

        if (n > MAX(DSSE_ENVELOPE_MAX, DSSE_HOST_ENVELOPE_MAX)) {
                *ret_reason = REASON_OVERSIZE;
                return 0;
        }
        r = schema_json(json, n, &root, &reason);
        if (r < 0)
                return r;
        /* Cheap members first; of an array, which has no members, the first look-up says malformed. */
        if (reason == REASON_NONE)
                reason = type_parse(root, n, &d.type);
        if (reason == REASON_NONE)
                reason = sigs_parse(root, &d);
        if (reason == REASON_NONE) {
                r = payload_parse(root, &d, &reason);
                if (r < 0)
                        return r;
        }
        if (reason == REASON_NONE) {
                *ret = d;
                d = DSSE_NULL;
        }
        *ret_reason = reason;
        return 0;
}

int dsse_pae_str(const char *type, const uint8_t *payload, size_t n_payload, uint8_t **ret, size_t *ret_n) {
        char *pae;
        int n;

        n = snprintf(NULL, 0, "DSSEv1 %zu %s %zu ", strlen(type), type, n_payload);
        if (n < 0)
                return -ENOMEM;
        pae = malloc((size_t) n + n_payload + 1);
        if (!pae)
                return -ENOMEM;
        (void) snprintf(pae, (size_t) n + 1, "DSSEv1 %zu %s %zu ", strlen(type), type, n_payload);
        if (n_payload > 0)
                memcpy(pae + n, payload, n_payload);
        *ret = (uint8_t *) pae;
        *ret_n = (size_t) n + n_payload;
        return 0;
}

int dsse_pae(enum dsse_type type, const uint8_t *payload, size_t n_payload, uint8_t **ret, size_t *ret_n) {
        const char *str = dsse_type_to_str(type);

        return str ? dsse_pae_str(str, payload, n_payload, ret, ret_n) : -EINVAL;
}

/* Who made a signature: the key's index, or n_keys when none of them did. *ret_false: it names one of them, which
 * did not. */
static size_t signer_find(const struct dsse_sig *s, const uint8_t *pae, size_t n_pae, const struct sshkey *keys,
                          size_t n_keys, bool *ret_false) {
        bool named = memcmp(s->keyid, no_keyid, sizeof(no_keyid)) != 0;

        *ret_false = false;
        for (size_t i = 0; i < n_keys; i++) {
                if (named && memcmp(s->keyid, keys[i].id, sizeof(s->keyid)) != 0)
                        continue;
                /* libsodium refuses an S not below the group's order and keys and points of small order. */
                if (crypto_sign_verify_detached(s->sig, pae, n_pae, keys[i].pub) == 0)
                        return i;
                *ret_false = named;
        }
        return n_keys;
}

int dsse_verify(const struct dsse *d, const struct sshkey *keys, size_t n_keys, uint64_t *ret_signed,
                enum reason *ret_reason) {
        _cleanup_free_ uint8_t *pae = NULL;
        bool is_false = false;
        uint64_t mask = 0;
        size_t n_pae;
        int r;

        if (n_keys > DSSE_KEYS_MAX)
                return -EINVAL;
        r = dsse_pae(d->type, d->payload, d->n_payload, &pae, &n_pae);
        if (r < 0)
                return r;

        /* FAIL-CLOSED: one false signature takes the true ones beside it down. */
        for (size_t i = 0; i < d->n_sigs && !is_false; i++) {
                size_t k = signer_find(&d->sigs[i], pae, n_pae, keys, n_keys, &is_false);

                if (k < n_keys)
                        mask |= UINT64_C(1) << k;
        }
        *ret_signed = is_false ? 0 : mask;
        *ret_reason = is_false ? REASON_SIGNATURE : mask ? REASON_NONE : REASON_UNTRUSTED;
        return 0;
}

int dsse_add(struct dsse *d, const uint8_t keyid[static 32], const uint8_t sig[static 64]) {
        bool named = memcmp(keyid, no_keyid, sizeof(no_keyid)) != 0;
        size_t i = 0;

        while (i < d->n_sigs && !(named && memcmp(d->sigs[i].keyid, keyid, sizeof(d->sigs[i].keyid)) == 0))
                i++;
        if (i == DSSE_SIGS_MAX)
                return -ENOSPC;
        memcpy(d->sigs[i].keyid, keyid, sizeof(d->sigs[i].keyid));
        memcpy(d->sigs[i].sig, sig, sizeof(d->sigs[i].sig));
        d->n_sigs = MAX(d->n_sigs, i + 1);
        return 0;
}

static json_t *sig_to_json(const struct dsse_sig *s) {
        char b64[sodium_base64_ENCODED_LEN(sizeof(s->sig), sodium_base64_VARIANT_ORIGINAL)];
        char keyid[SSHKEY_ID_SIZE];

        (void) sodium_bin2base64(b64, sizeof(b64), s->sig, sizeof(s->sig), sodium_base64_VARIANT_ORIGINAL);
        if (memcmp(s->keyid, no_keyid, sizeof(no_keyid)) == 0)
                return json_pack("{s:s}", "sig", b64);
        sshkey_id_to_str(s->keyid, keyid);
        return json_pack("{s:s, s:s}", "keyid", keyid, "sig", b64);
}

int dsse_to_json(const struct dsse *d, char **ret) {
        _cleanup_json_ json_t *root = NULL, *sigs = NULL;
        _cleanup_free_ char *b64 = NULL;
        const char *type = dsse_type_to_str(d->type);
        size_t n;

        if (!type)
                return -EINVAL;
        n = sodium_base64_encoded_len(d->n_payload, sodium_base64_VARIANT_ORIGINAL);
        b64 = malloc(n);
        sigs = json_array();
        if (!b64 || !sigs)
                return -ENOMEM;
        (void) sodium_bin2base64(b64, n, d->payload, d->n_payload, sodium_base64_VARIANT_ORIGINAL);
        for (size_t i = 0; i < d->n_sigs; i++)
                if (json_array_append_new(sigs, sig_to_json(&d->sigs[i])) < 0)
                        return -ENOMEM;

        root = json_pack("{s:s, s:s, s:O}", "payload", b64, "payloadType", type, "signatures", sigs);
        return root ? schema_dump(root, ret) : -ENOMEM;
}
