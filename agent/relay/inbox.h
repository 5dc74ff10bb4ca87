/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the client library's threads hand to the event loop: copies of bytes, in a queue with two bounds. Nothing else
 * of theirs is believed to end, so nothing else is shared with them. What does not fit is dropped and counted; what is
 * told of the connection itself always gets through. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/subject.h"

#define INBOX_ITEMS_MAX 512U
#define INBOX_BYTES_MAX (4U * 1024 * 1024)
/* beyond that, for what is for this host alone */
#define INBOX_OWN_ITEMS 64U
#define INBOX_OWN_BYTES (512U * 1024)
/* refused subjects that are remembered between two looks */
#define INBOX_DENIED_MAX 8U

struct inbox_item {
        struct inbox_item *next;
        char subject[SUBJECT_SIZE]; /* that it came under */
        int status;                 /* of an answer by JetStream: 0, or 404 and the like */
        int64_t sequence;           /* of a message of a stream, else 0 */
        struct command_id id;       /* of an order that waits aside: what it says that it is of (aside.h) */
        int64_t since_us;           /* since when it does */
        size_t n;
        char text[]; /* n bytes and a NUL */
};

struct inbox_news {
        bool closed;                                 /* the connection is no more */
        char denied[INBOX_DENIED_MAX][SUBJECT_SIZE]; /* what the server said in refusing them */
        size_t n_denied;
        uint64_t lost; /* messages since the last time */
};

struct inbox;

int inbox_new(struct inbox **ret) _warn_unused_;
void inbox_free(struct inbox *i);
void inbox_freep(struct inbox **i);

/* From any thread. text may be of any length: of what is longer than an envelope there is nothing but that it came. */
void inbox_put(struct inbox *i, const char *subject, int status, int64_t sequence, const char *text, size_t n);
/* One was lost before it got here. */
void inbox_missed(struct inbox *i);
void inbox_closed(struct inbox *i);
void inbox_denied(struct inbox *i, const char *text);

/* Readable when there may be something. */
int inbox_fd(const struct inbox *i);
/* Makes it unreadable until something comes. */
void inbox_quiet(struct inbox *i);
/* The oldest; free() it. NULL when there is none. */
struct inbox_item *inbox_take(struct inbox *i) _warn_unused_;
/* What was told since the last time. */
void inbox_news(struct inbox *i, struct inbox_news *ret);
/* Forgets all messages: they are of a connection that is over. */
void inbox_clear(struct inbox *i);
