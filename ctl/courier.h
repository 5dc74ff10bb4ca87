/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The fleet's brokers for somebody who must not wait for them: a process of its own keeps one connection (carrier.h),
 * makes it anew for as long as it takes, and says what becomes of what it is given. It keeps nothing: after COURIER_UP
 * whatever is not answered yet has to be given to it again. It has no key that signs if it is started before one is
 * read, and ends with the process that started it. What comes from it is not believed either. */

#include <stddef.h>

#include "policy/broker.h"
#include "policy/cleanup.h"
#include "policy/subject.h"

/* answers to so many orders are listened for on one connection; then there is another one */
#define COURIER_HEARD_MAX 256U

enum courier_kind {
        COURIER_UP,     /* it is connected */
        COURIER_DOWN,   /* it is not, and tries again: text says why */
        COURIER_SENT,   /* the broker has the order that subject names, and has denied nothing of it */
        COURIER_ANSWER, /* under subject, which is a SUBJECT_RSP */
        COURIER_DENIED, /* the broker does not permit something: text says what. Once for each order that is given */
        COURIER_LOST,   /* answers came faster than they were taken. Once for each order that is given */
        _COURIER_KIND_MAX,
};

struct courier_event {
        enum courier_kind kind;
        struct subject subject; /* of SENT and ANSWER */
        size_t n;
        char text[]; /* n bytes and a NUL */
};

struct courier;

/* b is copied. -errno. Does not wait for a connection. */
int courier_start(const struct broker *b, const char *fleet, struct courier **ret) _warn_unused_;
void courier_freep(struct courier **c);
/* To poll for input. */
int courier_fd(const struct courier *c);

/* An order and its subject. Never waits: -EAGAIN when too much of it waits already, -EPIPE when the process is gone.
 * That it was taken does not mean that it is sent. */
int courier_give(struct courier *c, const char *subject, const char *text, size_t n) _warn_unused_;
/* The next event, free() it; 0 with NULL: there is none. -EPIPE when the process is gone, -ENOMEM. */
int courier_take(struct courier *c, struct courier_event **ret) _warn_unused_;
