/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The keys with which a client shows a NATS server who it is: Ed25519, written in base32 with a checksum
 * (nats-io/nkeys). They open the pipe and nothing else: no host and no person obeys one. Only users' keys are taken. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* "SU" and 56 more characters; "U" and 55 more, NUL */
#define NKEY_SEED_LENGTH 58U
#define NKEY_PUBLIC_SIZE 57U
#define NKEY_SIG_SIZE    64U

struct nkey {
        char pub[NKEY_PUBLIC_SIZE];
        uint8_t secret[64];
};

/* Parses a seed of a user; one newline may end it. -EINVAL, *ret untouched. */
int nkey_from_seed(const char *seed, size_t n, struct nkey *ret) _warn_unused_;
/* The reverse of what a seed is made from: 32 random bytes. ret is NKEY_SEED_LENGTH characters and a NUL. */
void nkey_seed(const uint8_t random[static 32], char ret[static NKEY_SEED_LENGTH + 1]);
/* Is this the public half of a user's, as it is in pub? */
bool nkey_is_public(const char *text);
/* What a server's nonce is answered with. */
void nkey_sign(const struct nkey *k, const void *nonce, size_t n, uint8_t ret[static NKEY_SIG_SIZE]);
/* Overwrites the secret. */
void nkey_done(struct nkey *k);
