/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What goes between carrier.h and its child: frames, over a socket that keeps their bounds. What comes back was written
 * by whoever broke the library, if anybody did: it is read here, and nowhere else. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/carrier.h"
#include "policy/dsse.h"

enum carrier_wish {
        CARRIER_HEAR,
        CARRIER_SAY,
        CARRIER_SETTLE,
};

/* Then the subject, the reply subject and the text, without anything between them. */
struct carrier_frame {
        uint32_t kind; /* enum carrier_wish there, enum carrier_kind back */
        int32_t status;
        int64_t sequence;
        uint32_t n_subject, n_reply;
};

#define CARRIER_TEXT_MAX  DSSE_HOST_ENVELOPE_MAX
#define CARRIER_FRAME_MAX (sizeof(struct carrier_frame) + 2U * CARRIER_SUBJECT_SIZE + CARRIER_TEXT_MAX)

/* 0 or -errno: -EMSGSIZE when it does not fit, -EAGAIN when fd does not block and is full. From any thread. */
int carrier_frame_send(int fd, const struct carrier_frame *f, const char *subject, const char *reply, const char *text,
                       size_t n) _warn_unused_;

/* A frame that is taken apart; all but head is borrowed from its bytes and ends where its length says. */
struct carrier_parts {
        struct carrier_frame head;
        const char *subject, *reply, *text;
        size_t n; /* of text */
};

/* -EBADMSG: these bytes are no frame; *ret untouched. What its kind is, is for whoever knows from where it came. */
int carrier_frame_read(const char *bytes, size_t n, struct carrier_parts *ret) _warn_unused_;
