/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Messages that are carried to the gate, and the answers back. Each has a connection of its own, because the gate reads
 * one message of a client at a time and the answer to an order can take as long as a snapshot. Bounded: so many at
 * once, so many in all, and whoever waits longest for a second answer gives way to what has none yet; it is asked again
 * later, which is answered by what the core stored. A gate that is away, or busy, is tried again with the same bytes:
 * they act once. So is what was refused for what may pass, each time after twice as long, until the core says that it
 * is over. Never blocks. */

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-event.h>

#include "policy/cleanup.h"

/* below what the gate gives one uid */
#define ERRANDS_OPEN_MAX 12U
#define ERRANDS_MAX      64U
/* what waits for its last answer without a connection, of copies one: of more the oldest is given up, as it may never
 * have one */
#define ERRANDS_LATER_MAX 16U
/* what was refused for what may pass, likewise; of more the oldest that does not stop is given up, then the oldest */
#define ERRANDS_REFUSED_MAX 16U
/* questions anybody may ask: so many wait, one is with the gate */
#define ERRANDS_QUERIES_MAX 8U

enum errand {
        ERRAND_ENVELOPE, /* it may be one that stops */
        ERRAND_OTHER,    /* an envelope that does not */
        ERRAND_FIRST,    /* the same, whose answer others wait for */
        ERRAND_QUERY,
        ERRAND_OWN, /* a question of the relay */
};

enum errand_verdict {
        ERRAND_DONE,
        ERRAND_MORE,  /* another answer follows */
        ERRAND_LATER, /* the same, to who brings it again after a while */
        ERRAND_AGAIN, /* was not taken: the same bytes once more, later */
        ERRAND_BARE,  /* was not read: once more without what it is carried in; done when it is in nothing */
        ERRAND_WAIT,  /* was refused for what may pass: once more, each time later */
};

/* What an errand was answered before. */
enum errand_heard {
        ERRAND_NOTHING,
        ERRAND_REFUSED, /* for what may pass, and no more than that */
        ERRAND_ANSWERED,
};

struct errands;

/* One answer; text is n bytes. */
typedef enum errand_verdict (*errands_answer)(void *userdata, enum errand what, enum errand_heard before,
                                              const char *text, size_t n);
/* There is room again, or one was answered for the first time. */
typedef void (*errands_room)(void *userdata);

/* event and socket, the gate's, are borrowed. -ENOMEM. */
int errands_new(sd_event *event, const char *socket, errands_answer answer, errands_room room, void *userdata,
                struct errands **ret) _warn_unused_;
void errands_free(struct errands *e);
void errands_freep(struct errands **e);

bool errands_has_room(const struct errands *e);
/* Nobody of that kind waits for a first answer. */
bool errands_are_answered(const struct errands *e, enum errand what);
/* Copies the text. -EAGAIN when there is no room, for a query also when too many wait; -ENOMEM. */
int errands_send(struct errands *e, enum errand what, const char *text, size_t n) _warn_unused_;
/* How many envelopes, and how many questions, were given up: nobody answered for too long. */
unsigned long errands_lost(const struct errands *e);
unsigned long errands_lost_questions(const struct errands *e);
