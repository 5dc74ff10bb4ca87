/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One connection to a nats-server, of thousands in one process: what a relay says and hears on the wire, without the
 * thread, the 64 KiB of buffers and the connect that blocks of a connection of libnats, so that all hosts of a fleet
 * can come back in the same moment, as they would. For benches: the server is trusted. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "policy/cleanup.h"

struct tls_trust;
struct wire;

struct wire_server {
        struct sockaddr_in address;
        struct tls_trust *trust; /* NULL: in the clear */
};

struct wire_message {
        const char *subject; /* ends with a NUL */
        int status;          /* of an answer by JetStream: 0, or 404 and the like */
        int64_t sequence;    /* of a message of a stream, else 0 */
        const char *text;
        size_t n;
};

struct wire_calls {
        void (*open)(void *userdata);    /* the server greeted, and was told who this is */
        void (*settled)(void *userdata); /* it has seen all that was said before wire_settle() */
        void (*message)(void *userdata, const struct wire_message *m);
        void (*closed)(void *userdata); /* it is over; wire_free() it later, not from here */
};

/* bytes of all connections of this process so far, as TCP carries them */
struct wire_traffic {
        uint64_t in, out;
};
extern struct wire_traffic wire_traffic;

/* Begins to connect, from the address that from names (its port is any). All is borrowed. -errno. */
int wire_new(sd_event *event, const struct sockaddr_in *from, const struct wire_server *to,
             const struct wire_calls *calls, void *userdata, struct wire **ret) _warn_unused_;
void wire_free(struct wire *w);

void wire_hear(struct wire *w, const char *subject);
void wire_say(struct wire *w, const char *subject, const char *reply, const char *text, size_t n);
void wire_settle(struct wire *w);
/* As a client looks whether the server is still there. */
void wire_ping(struct wire *w);
