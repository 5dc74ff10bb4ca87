/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the gate answers, as far as the relay has to know it: under which subject it goes out, and whether more follows.
 * It is read from what the host signed and never from the question, so that whoever asked cannot say where the answer
 * goes. No signature is checked: it comes from the host's own socket, and whoever gets it checks. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/relay/errands.h"
#include "policy/cleanup.h"
#include "policy/subject.h"

enum answer_kind {
        ANSWER_REFUSAL, /* unsigned */
        ANSWER_RECEIPT, /* has id, or is about attributes */
        ANSWER_REPORT,  /* has id: the nonce */
        ANSWER_HEAD,    /* a report about a head; missing */
};

/* as many as a host remembers */
#define ANSWER_MISSING_MAX 256U
#define WHO_GROUPS_MAX     32U

struct answer {
        enum answer_kind kind;
        bool final;      /* no other follows */
        bool later;      /* of an order that was brought before: its last receipt is still to come, to who asks later */
        bool refused;    /* of a receipt: it says so */
        bool may_pass;   /* of a refusal, and of a receipt that is one: it is for what may pass */
        bool busy;       /* of a refusal: the gate limits who asks, which passes soon */
        bool malformed;  /* of a refusal: that is how the gate of an older agent takes what is carried */
        bool for_others; /* of a refusal: it is for other hosts than this one */
        struct command_id id;
        bool attributes; /* instead of an id */
        int64_t root;    /* of a receipt for a trust root, or a health report: the version that is in force; else 0 */
        struct command_id missing[ANSWER_MISSING_MAX];
        size_t n_missing;
        json_t *payload; /* owned; of what is signed */
};

#define ANSWER_NULL ((struct answer) { .payload = NULL })
void answer_done(struct answer *a);

/* -EBADMSG for what no host says, -ENOMEM; *ret untouched. */
int answer_parse(const char *text, size_t n, struct answer *ret) _warn_unused_;

/* What becomes of the errand that it answers. */
enum errand_verdict answer_verdict(const struct answer *a, enum errand what, enum errand_heard before);
/* Is it worth telling? However often it is asked what came of an order: that it is under way, or was refused for what
 * may pass, is told once, and of one that the host took no refusal. */
bool answer_is_new(const struct answer *a, enum errand_heard before);

/* Whose host it is, as a health report says. */
struct who {
        uint8_t host[32];
        char fleet[COMMAND_FLEET_MAX + 1]; /* "": of none yet */
        char groups[WHO_GROUPS_MAX][COMMAND_FLEET_MAX + 1];
        size_t n_groups;
        bool carried; /* its agent takes what says that it is carried (policy/carried.h) */
};

/* -EBADMSG when it is no health report. Equal facts are equal bytes. Groups beyond the last that fits are left out. */
int answer_who(const struct answer *a, struct who *ret) _warn_unused_;
