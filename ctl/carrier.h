/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes to and from the brokers of a fleet, carried by a child process: the client library (libnats, loaded there and
 * nowhere else) may spin, grow or block for ever when a broker goes silent (nats.c issue 706), and what parses a
 * broker's bytes should not be where orders are signed. A child that does not do what it is told in time is killed. It
 * never reconnects by itself; open another one. Nothing that comes from it is believed: it is bytes and a subject. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/why.h"
#include "policy/broker.h"
#include "policy/cleanup.h"
#include "policy/subject.h"

/* room for a question to JetStream about any subject */
#define CARRIER_SUBJECT_SIZE (2U * SUBJECT_SIZE + 32U)

enum carrier_kind {
        CARRIER_OPEN,    /* it is connected; only inside */
        CARRIER_SETTLED, /* the broker has seen all that was said before; only inside */
        CARRIER_MESSAGE,
        CARRIER_DENIED, /* the broker does not permit a subject: text says which */
        CARRIER_LOST,   /* messages came faster than they were taken */
        CARRIER_CLOSED, /* the last event; text says why */
        _CARRIER_KIND_MAX,
};

struct carrier_event {
        struct carrier_event *next;
        enum carrier_kind kind;
        char subject[CARRIER_SUBJECT_SIZE]; /* of MESSAGE */
        int status;                         /* of an answer by JetStream: 0, or 404 and the like */
        int64_t sequence;                   /* of a message of a stream, else 0 */
        size_t n;
        char text[]; /* n bytes and a NUL */
};

struct carrier;

/* Connects to one of the servers, each tried once, the first one at random. The secret of b->nkey is read here. Open it
 * before keys that sign are read: the child has a copy of what is in memory. Returns 0 or an exit code. Blocks for some
 * seconds a server. */
int carrier_open(const struct broker *b, struct carrier **ret, struct why *w) _warn_unused_;
/* The same for who has little memory to live in: so many bytes may wait here, and there of each subscription; of more,
 * some is lost, which is told. A broker that makes the child grow well beyond that ends it, and nothing else. */
int carrier_open_small(const struct broker *b, size_t room, struct carrier **ret, struct why *w) _warn_unused_;
void carrier_free(struct carrier *c);
void carrier_freep(struct carrier **c);

/* Subscribes; whether that is permitted is known when it is settled. -EPIPE when the child is gone, -EMSGSIZE. */
int carrier_hear(struct carrier *c, const char *subject) _warn_unused_;
/* Publishes. reply: where an answer is to go, or NULL; the subject has to be heard. The same answers. */
int carrier_say(struct carrier *c, const char *subject, const char *reply, const char *text, size_t n) _warn_unused_;
/* Waits until the broker has seen all of that: what it denied is among the events then. -EPIPE, or -ETIMEDOUT when the
 * child was killed because it did not do it in time. Blocks for some seconds. */
int carrier_settle(struct carrier *c) _warn_unused_;
/* The same before anything is said that is answered: what has come until then is dropped, and what the broker does not
 * permit is an exit code, told in w. Returns 0 or that. */
int carrier_permitted(struct carrier *c, struct why *w) _warn_unused_;
/* Is something among the events that the broker denied? */
bool carrier_is_denied(const struct carrier *c);

/* The next event, free() it; waits so long for it. 0 with NULL: nothing came. -EPIPE after CLOSED, -ENOMEM. */
int carrier_next(struct carrier *c, int timeout_ms, struct carrier_event **ret) _warn_unused_;
/* To poll for input, once carrier_next with a timeout of 0 has given NULL; -EBADF when the child is gone. */
int carrier_fd(const struct carrier *c);

/* Publishes and waits for the one answer to it, as JetStream gives: an event, free() it, whose status is 503 where
 * nobody answers. What else comes meanwhile is there for carrier_next. Returns 0, or an exit code when it is not
 * permitted, when nothing came in time, or when the child is gone. Blocks for some seconds. */
int carrier_ask(struct carrier *c, const char *subject, const char *text, size_t n, struct carrier_event **ret,
                struct why *w) _warn_unused_;
/* What to say when one of the above failed with r: the child's last words, when it has some. Returns an exit code. */
int carrier_failed(struct carrier *c, int r, struct why *w);
