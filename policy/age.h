/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The age file format, version 1, with X25519 recipients (C2SP age.md): what evidence is sealed with, so that who has
 * the key opens it with stock `age -d`. Pure: randomness comes from the caller, and so do the bytes.
 *
 *   age-encryption.org/v1\n
 *   -> X25519 <ephemeral share>\n<wrapped file key>\n       for each recipient
 *   --- <MAC of all before it>\n
 *   16 bytes of nonce | chunks of AGE_CHUNK bytes, each with a tag of AGE_TAG bytes; the last may be shorter
 *
 * A file that ends before its last chunk is told from a whole one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define AGE_RECIPIENTS_MAX 8U
#define AGE_RECIPIENT_SIZE (62U + 1) /* "age1..." with its NUL */
#define AGE_CHUNK          (64U * 1024)
#define AGE_TAG            16U
#define AGE_NONCE          16U
/* the longest header that is made, and that is read: a stock age writes some 200 bytes for each recipient */
#define AGE_HEADER_MAX (16U * 1024)

/* A public key, and the secret one that opens what was sealed to it. */
struct age_recipient {
        uint8_t pub[32];
};

struct age_identity {
        uint8_t secret[32];
};

/* "age1..." in lower case. -EINVAL, also for a key to which nothing can be sealed. */
int age_recipient_from_str(const char *s, struct age_recipient *ret) _warn_unused_;
void age_recipient_to_str(const struct age_recipient *r, char ret[static AGE_RECIPIENT_SIZE]);
/* "AGE-SECRET-KEY-1..." in upper case. -EINVAL. */
int age_identity_from_str(const char *s, struct age_identity *ret) _warn_unused_;
void age_identity_public(const struct age_identity *i, struct age_recipient *ret);

/* The payload of one file, chunk after chunk, in one direction. Holds the key: sodium_memzero when done. */
struct age_stream {
        uint8_t key[32];
        uint64_t chunk;
};

/* What has to be new and unpredictable for each file; randombytes_buf fills the whole struct. */
struct age_fresh {
        uint8_t file_key[16];
        uint8_t ephemeral[AGE_RECIPIENTS_MAX][32];
        uint8_t nonce[AGE_NONCE];
};

/* Writes the header with the nonce to ret, which holds AGE_HEADER_MAX, and returns how long it is. n from 1 to
 * AGE_RECIPIENTS_MAX. */
size_t age_seal_header(const struct age_recipient *to, size_t n, const struct age_fresh *fresh, uint8_t *ret,
                       struct age_stream *ret_stream);
/* Seals n bytes to ret, which holds n + AGE_TAG; in place when ret is plain. Every chunk but the last is AGE_CHUNK
 * bytes; the last one has 1 to AGE_CHUNK, none only when the whole payload is empty. */
void age_seal_chunk(struct age_stream *s, const uint8_t *plain, size_t n, bool last, uint8_t *ret);

/* Reads the header at the start of bytes and looks for a stanza of one of the identities; *ret_used is where the first
 * chunk begins. -EBADMSG: not such a file, or changed since it was written; -EAGAIN: bytes ends before the header does;
 * -EKEYREJECTED: sealed to others. */
int age_open_header(const uint8_t *bytes, size_t n, const struct age_identity *with, size_t n_with, size_t *ret_used,
                    struct age_stream *ret_stream) _warn_unused_;
/* Opens one sealed chunk of n bytes, its tag included, to ret, which holds n - AGE_TAG; in place when ret is sealed.
 * -EBADMSG when it is not the chunk that comes next. */
int age_open_chunk(struct age_stream *s, const uint8_t *sealed, size_t n, bool last, uint8_t *ret) _warn_unused_;
