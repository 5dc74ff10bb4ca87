/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* DSSE v1.0.2 envelopes with Ed25519 (github.com/secure-systems-lab/dsse, protocol.md and envelope.md).
 *
 * What is signed is PAE(type, payload), and the payload bytes that were signed are the bytes that are verified,
 * hashed, stored and parsed: nothing is ever serialised a second time. A key id only narrows which keys are tried;
 * authority comes from the public key that verified. Parsing here stops at the envelope: the payload stays opaque
 * bytes until a signature has been checked. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"
#include "policy/sshkey.h"

/* what people and automation sign */
#define DSSE_ENVELOPE_MAX (64U * 1024)
#define DSSE_PAYLOAD_MAX  (32U * 1024)
/* What a host signs: a receipt of many targets is larger than any command. Such a payload fits in base64, with all
 * signatures. */
#define DSSE_HOST_ENVELOPE_MAX (160U * 1024)
#define DSSE_HOST_PAYLOAD_MAX  (112U * 1024)
#define DSSE_SIGS_MAX          8U
/* one bit each in dsse_verify's answer */
#define DSSE_KEYS_MAX 64U

/* X(NAME, "payload type", most bytes of payload, most bytes of envelope) */
#define DSSE_TYPE_TABLE(X)                                                                                   \
        X(COMMAND, "application/vnd.freezed.command.v1+json", DSSE_PAYLOAD_MAX, DSSE_ENVELOPE_MAX)           \
        X(RECEIPT, "application/vnd.freezed.receipt.v1+json", DSSE_HOST_PAYLOAD_MAX, DSSE_HOST_ENVELOPE_MAX) \
        X(TRUST, "application/vnd.freezed.trust.v1+json", DSSE_PAYLOAD_MAX, DSSE_ENVELOPE_MAX)               \
        X(HEAD, "application/vnd.freezed.head.v1+json", DSSE_PAYLOAD_MAX, DSSE_ENVELOPE_MAX)                 \
        X(REPORT, "application/vnd.freezed.report.v1+json", DSSE_HOST_PAYLOAD_MAX, DSSE_HOST_ENVELOPE_MAX)   \
        X(EVIDENCE, "application/vnd.in-toto+json", DSSE_HOST_PAYLOAD_MAX, DSSE_HOST_ENVELOPE_MAX)           \
        X(ATTRIBUTES, "application/vnd.freezed.attributes.v1+json", DSSE_PAYLOAD_MAX, DSSE_ENVELOPE_MAX)

enum dsse_type {
#define X(name, str, payload_max, envelope_max) DSSE_##name,
        DSSE_TYPE_TABLE(X)
#undef X
                _DSSE_TYPE_MAX,
};

struct dsse_sig {
        uint8_t keyid[32]; /* all zero: the envelope gave none */
        uint8_t sig[64];
};

struct dsse {
        enum dsse_type type;
        uint8_t *payload; /* owned; n_payload bytes and a NUL that does not count */
        size_t n_payload;
        struct dsse_sig sigs[DSSE_SIGS_MAX];
        size_t n_sigs;
};

#define DSSE_NULL ((struct dsse) { .type = _DSSE_TYPE_MAX })

/* Frees what d owns and resets it. Accepts DSSE_NULL. */
void dsse_done(struct dsse *d);

/* The payload type's string; NULL when t is not in the table. */
const char *dsse_type_to_str(enum dsse_type t);

/* Parses an envelope: byte caps of its type, strict JSON (a member named twice or a NUL in a string is a refusal),
 * known type. Base64 is taken in either alphabet but not in both at once, padded, and with its unused bits zero.
 * Unknown members are ignored, as the specification demands; they are not signed and carry nothing. An absent, empty
 * or foreign-format keyid is kept as all zero. No signature at all is an envelope too: dsse_verify then answers
 * UNTRUSTED. Returns 0 with *ret_reason REASON_NONE and *ret filled; 0 with a reason and *ret untouched: OVERSIZE
 * (bytes, payload, or more than DSSE_SIGS_MAX signatures), MALFORMED (JSON, a member missing or of the wrong kind, a
 * signature that is not 64 bytes), ENCODING (base64, UTF-8) or TYPE; or -ENOMEM. */
int dsse_parse(const char *json, size_t n, struct dsse *ret, enum reason *ret_reason) _warn_unused_;

/* The exact bytes that are signed, for any type string; lengths are counted in bytes. *ret is malloc'ed, *ret_n
 * bytes. -ENOMEM. */
int dsse_pae_str(const char *type, const uint8_t *payload, size_t n_payload, uint8_t **ret,
                 size_t *ret_n) _warn_unused_;
/* The same for a type of the table; -EINVAL when it is not one. */
int dsse_pae(enum dsse_type type, const uint8_t *payload, size_t n_payload, uint8_t **ret, size_t *ret_n) _warn_unused_;

/* Checks every signature against the keys. Bit i of *ret_signed is set when keys[i] signed: a key counts once
 * however many signatures it made, and a signature counts for one key. A signature without key id is tried against
 * every key, which makes the cost of an envelope up to DSSE_SIGS_MAX * n_keys verifications: limit the rate of
 * whoever sends them before calling this. *ret_reason: REASON_NONE when at least one key signed and no signature by
 * a named, known key was false; REASON_SIGNATURE when a known key's signature does not match (then nothing counts:
 * the message was tampered with); REASON_UNTRUSTED when no signature is by any of the keys. *ret_signed is 0 unless
 * REASON_NONE. Returns 0, -ENOMEM, or -EINVAL when n_keys is above DSSE_KEYS_MAX or the type is not in the table. */
int dsse_verify(const struct dsse *d, const struct sshkey *keys, size_t n_keys, uint64_t *ret_signed,
                enum reason *ret_reason) _warn_unused_;

/* Adds a signature; one by the same key id is replaced, one without key id (all zero) is always added. -ENOSPC when
 * there are already DSSE_SIGS_MAX. */
int dsse_add(struct dsse *d, const uint8_t keyid[static 32], const uint8_t sig[static 64]) _warn_unused_;

/* Serialises the envelope: one line, standard base64 with padding, keyids as "SHA256:...", absent where all zero;
 * no newline at the end. *ret is malloc'ed and NUL-terminated. -ENOMEM, or -EINVAL when the type is not in the table.
 */
int dsse_to_json(const struct dsse *d, char **ret) _warn_unused_;
