/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* First stage: ARRIVE -> verify. The core's only input: frames from the gate on one SOCK_SEQPACKET socket that nobody
 * else may open. Whoever connects is sent the keys of the trust root, so that it can drop what none of them signed. A
 * frame that breaks its layout ends the connection: the gate is not what it should be, and systemd starts a fresh one.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "policy/cleanup.h"
#include "policy/frame.h"

struct agent;
struct link;

/* Whom to answer. Stays valid when the connection is gone: answering then does nothing. */
struct answer {
        struct link *link;
        uint64_t connection;
        uint32_t number;
        bool carried; /* to somebody who brought it for others */
};

typedef void (*link_fn)(struct agent *a, const struct frame *f, const struct answer *to);

/* Listens on the socket passed by the service manager, or makes one at path (mode 0600). Every frame goes to fn.
 * -errno. */
int link_new(struct agent *a, const char *path, link_fn fn, struct link **ret) _warn_unused_;
void link_free(struct link *l);
/* Ends the connections of another core to that path, which was killed and cannot end: whoever is connected to it waits
 * for it, and comes here then. */
void link_part(const char *path, pid_t pid);
/* Sends the keys to everyone connected; after the trust root changed. */
void link_send_keys(struct link *l);

/* Who connected, as the kernel says: at that moment. -ENOTCONN when it is gone. */
int link_peer(const struct answer *to, struct ucred *ret) _warn_unused_;
/* Sends one signed answer; more: others follow for the same request. Never blocks; a gate that does not read is
 * disconnected. */
void link_answer(const struct answer *to, const char *envelope, bool more);
/* Without a signature: the core could not make one, or nobody would read it. */
void link_refuse(const struct answer *to, enum reason reason);
