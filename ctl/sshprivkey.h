/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Unencrypted Ed25519 private keys as `ssh-keygen -t ed25519 -N ''` writes them (OpenSSH's PROTOCOL.key). Nothing else
 * is taken: whoever has an encrypted or other key uses ssh-agent. Pure: bytes in, key or problem out. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/sshkey.h"

/* an Ed25519 key file is about 400 bytes; the comment may be long */
#define SSHPRIVKEY_FILE_MAX    (16U * 1024)
#define SSHPRIVKEY_SECRET_SIZE 64U

/* X(NAME, "what to tell the person") */
#define SSHPRIVKEY_PROBLEM_TABLE(X)                                                                                   \
        X(NONE, "")                                                                                                   \
        X(FORMAT, "this is not an OpenSSH private key file (make one with: ssh-keygen -t ed25519)")                   \
        X(ENCRYPTED,                                                                                                  \
          "this key is protected by a passphrase: load it with ssh-add, and name its .pub file or no key at all")     \
        X(KIND, "this is not an Ed25519 key, the only kind that is used here (make one with: ssh-keygen -t ed25519)") \
        X(DAMAGED, "this key file is damaged")

enum sshprivkey_problem {
#define X(name, text) SSHPRIVKEY_##name,
        SSHPRIVKEY_PROBLEM_TABLE(X)
#undef X
                _SSHPRIVKEY_MAX,
};

/* secret is libsodium's form: seed and public key. It has to be in memory that the caller wipes; it and *ret_public are
 * untouched unless the answer is 0 with SSHPRIVKEY_NONE. -ENOMEM. */
int sshprivkey_parse(const char *text, size_t n, uint8_t secret[static SSHPRIVKEY_SECRET_SIZE],
                     struct sshkey *ret_public, enum sshprivkey_problem *ret_problem) _warn_unused_;
const char *sshprivkey_problem_text(enum sshprivkey_problem p);
