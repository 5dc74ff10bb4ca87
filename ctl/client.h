/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One connection to the agent's gate: messages in, messages out, one deadline over everything. What comes is bytes, not
 * yet an answer. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/dsse.h"

#define CLIENT_SOCKET      "/run/freezed/command.sock"
#define CLIENT_MESSAGE_MAX DSSE_HOST_ENVELOPE_MAX

struct client {
        int fd;
        int64_t deadline_ms; /* CLOCK_MONOTONIC */
};

#define CLIENT_NULL ((struct client) { .fd = -EBADF })

/* Connects; from here on timeout_ms passes. -errno of socket(2) and connect(2), -ETIMEDOUT, -ENAMETOOLONG. Blocks until
 * the deadline. */
int client_connect(const char *path, int64_t timeout_ms, struct client *ret) _warn_unused_;
/* The deadline is timeout_ms from now. */
void client_rearm(struct client *c, int64_t timeout_ms);
void client_done(struct client *c);
/* Sends one message. -ETIMEDOUT, -ECONNRESET when the peer closed, -EMSGSIZE. Blocks until the deadline. */
int client_send(struct client *c, const char *msg, size_t n) _warn_unused_;
/* Receives one message; *ret is malloc'ed and NUL-terminated. -ETIMEDOUT, -ECONNRESET, -EMSGSIZE for one that is larger
 * than any answer, -ENOMEM. Blocks until the deadline. */
int client_recv(struct client *c, char **ret, size_t *ret_n) _warn_unused_;
