/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ed25519 public keys as OpenSSH writes them. There is no key format of our own: a key is named by the fingerprint that
 * `ssh-keygen -lf` prints, which is the SHA-256 of the public key blob in base64 without padding, after "SHA256:". */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define SSHKEY_TYPE "ssh-ed25519"
/* uint32 length, the type name, uint32 length, 32 key bytes */
#define SSHKEY_BLOB_SIZE (4 + 11 + 4 + 32)
/* "SHA256:", 43 base64 characters, NUL */
#define SSHKEY_ID_SIZE (7 + 43 + 1)
/* "ssh-ed25519 ", the blob in base64, NUL */
#define SSHKEY_LINE_SIZE (12 + 68 + 1)

struct sshkey {
        uint8_t id[32];  /* SHA-256 of the blob; derived here, never taken from a message */
        uint8_t pub[32]; /* the raw Ed25519 public key */
};

/* Builds the key, its id included, from 32 raw bytes. Whether they are a usable point is not asked here: signatures
 * by a malformed or small-order key never verify. */
void sshkey_from_raw(const uint8_t pub[static 32], struct sshkey *ret);
/* Parses one line "ssh-ed25519 BASE64 [comment]", as in a .pub file; one newline may end it. No options, no leading
 * blanks, no control characters. -EINVAL for anything else, *ret untouched. */
int sshkey_from_line(const char *line, struct sshkey *ret) _warn_unused_;
/* Parses the binary blob that ssh-agent lists. -EINVAL for anything but one plain Ed25519 key,
 * *ret untouched. */
int sshkey_from_blob(const uint8_t *blob, size_t n, struct sshkey *ret) _warn_unused_;
/* Writes the blob. */
void sshkey_to_blob(const struct sshkey *k, uint8_t ret[static SSHKEY_BLOB_SIZE]);
/* Writes "ssh-ed25519 BASE64" without comment or newline. */
void sshkey_to_line(const struct sshkey *k, char ret[static SSHKEY_LINE_SIZE]);
/* Writes "SHA256:..." */
void sshkey_id_to_str(const uint8_t id[static 32], char ret[static SSHKEY_ID_SIZE]);
/* The reverse. -EINVAL unless it is exactly that form, ret untouched. */
int sshkey_id_from_str(const char *s, uint8_t ret[static 32]) _warn_unused_;
