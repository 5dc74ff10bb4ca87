/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The two questions that are asked of ssh-agent (draft-ietf-sshm-ssh-agent): which keys are there, and sign these
 * bytes. The agent is taken as untrusted input: every length is checked, and a signature counts only after it has been
 * verified here. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/sshkey.h"

#define SSHAGENT_MESSAGE_MAX  (256U * 1024)
#define SSHAGENT_KEYS_MAX     64U
#define SSHAGENT_COMMENT_SIZE 128U
/* a key added with `ssh-add -c` waits for a person to confirm */
#define SSHAGENT_WAIT_MS 120000

struct sshagent_key {
        struct sshkey key;
        char comment[SSHAGENT_COMMENT_SIZE]; /* cleaned for a terminal */
};

/* Connects to $SSH_AUTH_SOCK. -ENOENT when that is unset, or another errno. */
int sshagent_connect(int *ret_fd) _warn_unused_;
/* The plain Ed25519 keys, SSHAGENT_KEYS_MAX at most; other kinds are left out. -EPROTO when the answer is not
 * well-formed, -EACCES when the agent says no, -ETIMEDOUT, -ECONNRESET. ret holds SSHAGENT_KEYS_MAX. Blocks. */
int sshagent_list(int fd, struct sshagent_key *ret, size_t *ret_n) _warn_unused_;
/* Ed25519 over the bytes as they are. Same errors, -EACCES also when the person declined; -EBADMSG when what came is
 * not a signature by that key over these bytes. Blocks up to SSHAGENT_WAIT_MS. */
int sshagent_sign(int fd, const struct sshkey *key, const uint8_t *bytes, size_t n,
                  uint8_t ret[static 64]) _warn_unused_;

/* The parsers of the two answers, without the length before them: -EPROTO, -EACCES, outputs untouched. */
int sshagent_parse_keys(const uint8_t *msg, size_t n, struct sshagent_key *ret, size_t *ret_n) _warn_unused_;
int sshagent_parse_signature(const uint8_t *msg, size_t n, uint8_t ret[static 64]) _warn_unused_;
