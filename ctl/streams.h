/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The streams of a fleet, in which its brokers keep what a host may have missed (PROTOCOL.md, section 18): what they
 * have to be, and how one that is there is another. What a broker says of them is told and compared, and nobody relies
 * on it: a broker can always keep less than it says. Pure but for the allocation. */

#include <stddef.h>

#include "policy/cleanup.h"
#include "policy/schema.h"
#include "policy/subject.h"

enum streams_which {
        STREAMS_CMD, /* orders, heads, trust roots, what lacks signatures */
        STREAMS_RSP, /* answers that came while nobody listened */
        _STREAMS_MAX,
};

enum streams_said {
        STREAMS_IS,    /* there is one */
        STREAMS_NONE,  /* there is none of that name */
        STREAMS_OFF,   /* there is no JetStream */
        STREAMS_ERROR, /* anything else; text says what */
};

struct streams_answer {
        enum streams_said said;
        json_t *config; /* of IS, an object; owned */
        char text[256]; /* of OFF and ERROR, as it came */
};

#define STREAMS_ANSWER_NULL ((struct streams_answer) { .said = STREAMS_ERROR })

/* The name. -EINVAL when the fleet's is none. */
int streams_name(enum streams_which which, const char *fleet, char ret[static SUBJECT_SIZE]) _warn_unused_;
/* What it has to be, with null for what it may not have: new reference. NULL when out of memory, or the fleet's name is
 * none. */
json_t *streams_wanted(enum streams_which which, const char *fleet) _warn_unused_;
/* What JetStream answered about one stream, and with which status. *ret is filled in any case and has to be done. */
void streams_read(const char *text, size_t n, int status, struct streams_answer *ret);
void streams_answer_done(struct streams_answer *a);

/* Members that differ: a list of {"member","is","wanted"}; members that do not matter here are whatever they are. NULL
 * when out of memory. */
json_t *streams_differences(const json_t *wanted, const json_t *is) _warn_unused_;
/* The request that makes it, or that brings one in line, which keeps what does not matter here; is may be NULL.
 * malloc'ed; NULL when out of memory. */
char *streams_request(const json_t *wanted, const json_t *is) _warn_unused_;
