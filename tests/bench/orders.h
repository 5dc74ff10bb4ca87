/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a client does with commands: sign them ahead of time, send one, wait for what the host says to it. */

#include <jansson.h>
#include <stdint.h>

#include "policy/command.h"
#include "policy/dsse.h"

struct orders_signers {
        char fleet[COMMAND_FLEET_MAX + 1];
        struct {
                struct sshkey key;
                uint8_t secret[64];
        } person[2];
};

/* An order and the release that two people signed for it, as bytes. */
struct orders_pair {
        char *contain, *release;
};

/* Reads two OpenSSH key files without passphrase. Ends the program when one is not. */
void orders_load(const char *fleet, const char *const files[static 2], struct orders_signers *ret);
/* Signs a contain of the units, by one person, and its release, by two. */
struct orders_pair orders_sign(const struct orders_signers *s, const char *const *units, size_t n);
void orders_pair_done(struct orders_pair *p);

/* Connects to the gate. */
int orders_connect(const char *path);
/* Sends a message and waits for the first answer. Tells the microseconds between, and the answer's payload, owned by
 * the caller. */
json_t *orders_ask(int fd, const char *message, int64_t *ret_us);
/* Waits for the next answer. */
json_t *orders_next(int fd);

/* One Ed25519 verification of the first signature of an envelope. Never true for another key. */
bool orders_verify(const struct orders_signers *s, const uint8_t *pae, size_t n_pae, const uint8_t sig[static 64]);

int64_t now_us(void);
/* Says what is wrong and ends the program. */
void fail(const char *format, ...) _printf_(1, 2) __attribute__((__noreturn__));
