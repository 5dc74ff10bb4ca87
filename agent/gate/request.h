/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a client may say: one JSON text in one message, which is a DSSE envelope of a command, or one of
 *   {"query":"status","nonce":"<32 hex>"}   {"query":"status","nonce":"<32 hex>","hold":"<32 hex>"}
 *   {"query":"health","nonce":"<32 hex>"}
 * or an envelope of attributes, of a head or of a trust root; any envelope also as policy/carried.h says, which is how
 * one comes that somebody brings for others. A query is strict and short. Nothing here looks at a signature or at what
 * was signed. */

#include <stddef.h>
#include <stdint.h>

#include "policy/carried.h"
#include "policy/cleanup.h"
#include "policy/dsse.h"
#include "policy/frame.h"
#include "policy/reason.h"

/* Anything longer is taken for an envelope, so that an envelope's JSON is read once. The longest query takes 102 bytes;
 * the rest is for the blanks of a tidy writer. */
#define REQUEST_QUERY_MAX 128U
/* the longest message that there is any use for */
#define REQUEST_MAX (DSSE_ENVELOPE_MAX + CARRIED_EXTRA)
/* what a refusal takes as JSON, NUL included */
#define REQUEST_REFUSAL_SIZE 256U

struct request {
        enum frame_kind kind; /* COMMAND, STATUS or HEALTH */
        struct dsse envelope; /* for COMMAND; owned */
        bool carried;         /* for COMMAND */
        uint8_t question[32]; /* for a query: the nonce, and behind it the hold that is asked for */
        size_t n_question;
};

#define REQUEST_NULL ((struct request) { .kind = _FRAME_KIND_MAX, .envelope = DSSE_NULL })

/* Frees what r owns. Accepts REQUEST_NULL. */
void request_done(struct request *r);

/* Parses one message. Returns 0 with *ret_reason REASON_NONE and *ret filled, 0 with OVERSIZE, MALFORMED, ENCODING or
 * TYPE and *ret untouched, or -ENOMEM. */
int request_parse(const char *text, size_t n, struct request *ret, enum reason *ret_reason) _warn_unused_;

/* The frame that asks the core for it; borrows from r. */
void request_to_frame(const struct request *r, uint32_t number, struct frame *ret);

/* {"refused":"<id>","text":"..."}; returns its length. */
size_t request_refusal(enum reason reason, char ret[static REQUEST_REFUSAL_SIZE]);
