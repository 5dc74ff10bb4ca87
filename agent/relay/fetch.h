/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a host missed, asked of the stream message by message (JetStream's direct get): the server keeps nothing of a
 * host, and one question is under way at a time, so that what comes is never more than the host can take. What is
 * asked: everything under a pattern in its order, or the last message under one subject; a head that names an order
 * asks for that first.
 *
 * Pure: no I/O, no clock. Whoever drives it sends the question, and says what came back. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/relay/answer.h"
#include "policy/cleanup.h"
#include "policy/subject.h"

/* orders that are asked for, under each subject that they can be at */
#define FETCH_ORDERS_MAX   1024U
#define FETCH_SUBJECT_SIZE (2U * SUBJECT_SIZE + 32U)
#define FETCH_BODY_SIZE    (SUBJECT_SIZE + 64U)

/* of what came: no such message; or nobody was asked, since the broker forbids it */
#define FETCH_NONE   404
#define FETCH_DENIED (-1)

struct fetch;

int fetch_new(struct fetch **ret) _warn_unused_;
void fetch_free(struct fetch *f);
void fetch_freep(struct fetch **f);

/* Forgets what was to be asked: of another host, or of a connection that is over. */
void fetch_clear(struct fetch *f);
/* All that a host of this identity may have missed: trust roots, as they say who may let go, and orders, its own first.
 * -EINVAL for an identity without fleet. */
int fetch_all(struct fetch *f, const struct who *w) _warn_unused_;
/* One order, whatever it is addressed to, before all else. False when there is no room for all that it may be at: it is
 * left to the next head. */
bool fetch_order(struct fetch *f, const struct who *w, const struct command_id *id);

/* The question to send now: to this subject, with this body. False when nothing is to be asked, or one is under way. */
bool fetch_next(struct fetch *f, const struct who *w, char ret_subject[static FETCH_SUBJECT_SIZE],
                char ret_body[static FETCH_BODY_SIZE]);
/* What came: a message (status 0) with its number in the stream, or none. Any other status says that nobody could
 * answer, and nothing is asked until fetch_again() or a head. Where a message has no number that can be, it is gone
 * past; a broker that goes round in a circle is left. True: it is to be handed on. Nobody asked: ignored. */
bool fetch_came(struct fetch *f, int status, int64_t sequence);
/* Nothing came in time, or nobody could answer, a while ago: the same is asked again; when nobody has answered many
 * times in a row not yet, and this has to be called again after the same while. */
void fetch_again(struct fetch *f);
bool fetch_is_waiting(const struct fetch *f);
/* Nothing is left to ask. */
bool fetch_is_over(const struct fetch *f);
