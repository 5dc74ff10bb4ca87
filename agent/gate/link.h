/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The connection to the core. Never blocks and never queues: it holds at most the one frame that the socket would not
 * take, and says so, so that clients are not read meanwhile. When the core goes away the event loop is left with status
 * 0: systemd starts the gate again, and clients send the same signed bytes again, which has no second effect. */

#include <stdbool.h>

#include <systemd/sd-event.h>

#include "policy/cleanup.h"
#include "policy/frame.h"

struct link;

struct link_handler {
        /* A frame that a core may send; valid until it returns. */
        void (*frame)(void *userdata, const struct frame *f);
        /* There is room again. */
        void (*room)(void *userdata);
};

/* Takes over the connected fd. handler is borrowed. -errno. */
int link_new(sd_event *event, int fd, const struct link_handler *handler, void *userdata,
             struct link **ret) _warn_unused_;
void link_free(struct link *l);
void link_freep(struct link **l);

/* False while a frame waits for room in the socket. */
bool link_has_room(const struct link *l);
/* Sends or holds the frame. -EAGAIN without room, -EMSGSIZE when it is no frame; a lost connection shows in the event
 * loop only. */
int link_send(struct link *l, const struct frame *f) _warn_unused_;
