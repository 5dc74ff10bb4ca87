/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The clients' connections: who is read when, and which answer goes to whom. Memory is fixed: a client has at most one
 * message with the core or put off, and what it sent behind that stays in its socket. Never blocks on a client: one
 * that does not read its answers is dropped.
 *
 * Served in this order, one message a turn: uids that have not failed of late and new connections in turn, then uids
 * that have. A uid that spent its budget (limit.h) is not read at all until it has some again. In a full house a
 * newcomer displaces who failed, or who does nothing and whose uid has more connections. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "policy/cleanup.h"
#include "policy/reason.h"

struct clients;

/* a message that is longer cannot be put off */
#define CLIENT_LATER_MAX 128U

struct verdict {
        enum reason reason;      /* NONE: the message is with the core, or put off */
        bool later;              /* put off: judged again at clients_resume */
        unsigned int n_verified; /* signature checks made */
};

/* Judges one message of n bytes, and unless it refuses it sends it to the core under that number. is_whole: false when
 * there were more bytes than text holds. */
typedef struct verdict (*client_judge)(void *userdata, const char *text, size_t n, bool is_whole, uint32_t number);

/* Takes over the listening fd. Accepts and reads nobody before clients_open. -errno. */
int clients_new(sd_event *event, int listen_fd, client_judge judge, void *userdata, struct clients **ret) _warn_unused_;
void clients_free(struct clients *cs);
void clients_freep(struct clients **cs);

/* Whether anybody is accepted and read. */
void clients_open(struct clients *cs, bool open);
/* Judges again what was put off, in turn, until something is put off again. */
void clients_resume(struct clients *cs);

/* An answer to the message with that number; without more it was the last one. Nobody waits for it any more: nothing
 * happens. */
void clients_answer(struct clients *cs, uint32_t number, const void *text, size_t n, bool more);
/* The same for a refusal, which is always the last answer. */
void clients_refuse(struct clients *cs, uint32_t number, enum reason reason);
