/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who signs: keys that ssh-agent holds, and unencrypted OpenSSH Ed25519 key files. A key file that others can read is
 * refused, because a key that others had is not one person's word. Signatures are over the DSSE PAE and nothing else.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/sshagent.h"
#include "ctl/why.h"
#include "policy/dsse.h"
#include "policy/sshkey.h"

#define SIGN_MAX DSSE_SIGS_MAX

struct signer {
        struct sshkey key;
        char name[SSHAGENT_COMMENT_SIZE]; /* the agent's comment or the file's name */
        uint8_t *secret;                  /* in guarded memory; NULL: the agent signs */
};

struct signers {
        struct signer v[SIGN_MAX];
        size_t n;
        int agent; /* -EBADF: not needed */
};

#define SIGNERS_NULL ((struct signers) { .agent = -EBADF })

/* Which of the agent's keys are meant when no --key says it. */
enum sign_pick {
        SIGN_PICK_ONE, /* the only candidate; several are an error that lists them */
        SIGN_PICK_ALL, /* every candidate, and none is no error */
};

/* files: private keys, or .pub files that choose a key of the agent. Without any, the agent's keys are asked for, those
 * among the candidates when there are candidates. Returns 0 with at least one signer (SIGN_PICK_ALL: possibly none), or
 * an exit code and *w. *ret has to be SIGNERS_NULL before. */
int sign_open(const char *const *files, size_t n_files, const struct sshkey *candidates, size_t n_candidates,
              enum sign_pick pick, struct signers *ret, struct why *w) _warn_unused_;
/* Wipes the secrets and closes the agent. */
void sign_done(struct signers *s);
/* Adds everybody's signature. On failure d may have some of them. */
int sign_envelope(const struct signers *s, struct dsse *d, struct why *w) _warn_unused_;
