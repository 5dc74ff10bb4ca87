/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The host's Ed25519 key: made on first start, kept in one 0600 file of the state directory, used to sign receipts,
 * reports and manifests and for nothing else. The secret lives in locked memory. Its fingerprint is the host's id in
 * every command. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/dsse.h"
#include "policy/sshkey.h"

struct hostkey;

/* Loads DIR/host_key (32-byte seed), or makes it, durably, with DIR/host_key.pub (OpenSSH line) and DIR/host_key.pem
 * (for openssl). -errno; -EBADMSG when the file is not exactly a seed or is readable by others. */
int hostkey_open(const char *dir, struct hostkey **ret) _warn_unused_;
void hostkey_free(struct hostkey *k);
void hostkey_freep(struct hostkey **k);

const struct sshkey *hostkey_public(const struct hostkey *k);
/* Ed25519 over the bytes as they are. */
void hostkey_sign(const struct hostkey *k, const uint8_t *bytes, size_t n, uint8_t ret[static 64]);
/* Wraps a payload as a signed DSSE envelope in JSON; *ret is malloc'ed. -ENOMEM. */
int hostkey_envelope(const struct hostkey *k, enum dsse_type type, const char *payload, char **ret) _warn_unused_;
