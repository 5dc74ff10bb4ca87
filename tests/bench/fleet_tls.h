/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* TLS on a connection of a simulated host as the relay's library has it: OpenSSL as it comes, 1.2 at least, the
 * server's certificate has to lead to an authority and to be for the address. No session is kept, so every handshake is
 * a whole one; and whoever comes back to a server that was started anew would have none that it knows. The socket is
 * one that does not block: what cannot go on is -EAGAIN. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/cleanup.h"

struct tls;
struct tls_trust;

/* The authorities of that file; for ever. -EINVAL. */
int tls_trust_new(const char *ca, struct tls_trust **ret) _warn_unused_;

/* On a socket that is connected to that address, which is borrowed. -ENOMEM. */
int tls_new(struct tls_trust *t, int fd, struct in_addr address, struct tls **ret) _warn_unused_;
void tls_free(struct tls *t);

/* How many bytes were taken or are there, 0 at the other's end, -EAGAIN or -EPROTO. Either goes on with the handshake.
 */
ssize_t tls_send(struct tls *t, const void *bytes, size_t n) _warn_unused_;
ssize_t tls_recv(struct tls *t, void *bytes, size_t n) _warn_unused_;
/* Whether the last of these waits for the other, so that a socket that takes bytes is of no use. */
bool tls_waits(const struct tls *t);
/* What the socket carried since the last call. */
void tls_carried(struct tls *t, uint64_t *ret_in, uint64_t *ret_out);
