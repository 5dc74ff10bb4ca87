/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* DSSE v1.0.2 envelopes with Ed25519 (github.com/secure-systems-lab/dsse, protocol.md and envelope.md).
 *
 * What is signed is PAE(type, payload), and the payload bytes that were signed are the bytes that are verified, hashed, stored and
 * parsed: nothing is ever serialised a second time. A key id only narrows which keys are tried; authority comes from the
 * public key that verified. Parsing here stops at the envelope: the payload stays opaque bytes until a signature has been checked. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"
#include "policy/sshkey.h"

#define DSSE_ENVELOPE_MAX (64U * 1024)
#define DSSE_PAYLOAD_MAX (32U * 1024)
#define DSSE_SIGS_MAX 8U

/* X(NAME, "payload type") */
#define DSSE_TYPE_TABLE(X)                                         \
        X(COMMAND, "application/vnd.freezed.command.v1+json")     \
        X(RECEIPT, "application/vnd.freezed.receipt.v1+json")     \
        X(TRUST, "application/vnd.freezed.trust.v1+json")         \
        X(HEAD, "application/vnd.freezed.head.v1+json")           \
        X(REPORT, "application/vnd.freezed.report.v1+json")       \
        X(EVIDENCE, "application/vnd.in-toto+json")

enum dsse_type {
#define X(name, str) DSSE_##name,
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

#define DSSE_NULL ((struct dsse){ .type = _DSSE_TYPE_MAX })

/* Frees what d owns and resets it. Accepts DSSE_NULL. */
void dsse_done(struct dsse *d);

/* The payload type's string. */
const char *dsse_type_to_str(enum dsse_type t);

/* Parses an envelope: byte cap, strict JSON, known type, either base64 alphabet. Unknown envelope members are ignored, as the
 * specification demands; they are not signed and carry nothing.
 * Returns 0 with *ret_reason REASON_NONE and *ret filled, 0 with a reason and *ret untouched, or -ENOMEM.
 * An absent, empty or foreign-format keyid is kept as all zero. */
int dsse_parse(const char *json, size_t n, struct dsse *ret, enum reason *ret_reason) _warn_unused_;

/* The exact bytes that are signed. *ret is malloc'ed, *ret_n bytes. -ENOMEM. */
int dsse_pae(enum dsse_type type, const uint8_t *payload, size_t n_payload, uint8_t **ret, size_t *ret_n) _warn_unused_;

/* Checks every signature against the keys. Bit i of *ret_signed is set when keys[i] signed: a key counts once however many
 * signatures it made. n_keys is at most 64. A signature without key id is tried against every key.
 * *ret_reason: REASON_NONE when at least one key signed and no signature by a named, known key was false; REASON_SIGNATURE when
 * a known key's signature does not match (then nothing counts: the message was tampered with); REASON_UNTRUSTED when no
 * signature is by any of the keys. Returns 0 or -ENOMEM. */
int dsse_verify(const struct dsse *d, const struct sshkey *keys, size_t n_keys, uint64_t *ret_signed, enum reason *ret_reason) _warn_unused_;

/* Adds a signature; one by the same key id is replaced. -ENOSPC when there are already DSSE_SIGS_MAX. */
int dsse_add(struct dsse *d, const uint8_t keyid[static 32], const uint8_t sig[static 64]) _warn_unused_;

/* Serialises the envelope: one line, standard base64 with padding, keyids as "SHA256:...", no newline at the end.
 * *ret is malloc'ed and NUL-terminated. -ENOMEM. */
int dsse_to_json(const struct dsse *d, char **ret) _warn_unused_;
