/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An order from words to answer: build, sign, then write out or send, show, and keep the signed file when it is still
 * good for something. */

#include "ctl/ctl.h"
#include "ctl/hosts.h"
#include "ctl/trustfile.h"

struct order {
        struct signed_file file;
        char *text; /* the envelope as it is sent; owned */
        size_t n;
        const char *path; /* where it lies already; NULL: nowhere */
};

#define ORDER_NULL ((struct order) { .file = SIGNED_FILE_NULL })

void order_done(struct order *o);

/* The whole way for a verb and its targets, by the options of c. Returns an exit code; everything is told. */
int order_run(struct ctl *c, enum verb verb, bool plan, char *const *targets, size_t n) _warn_unused_;
/* The second half for an order that exists: sends it, shows the answer, keeps the file. t may be NULL. */
int order_deliver(struct ctl *c, struct order *o, const struct hosts *known, const struct trust *t) _warn_unused_;

/* A hold's id, with or without "hold:" before it, as a target. Returns 0 or CTL_USAGE. ret holds TARGET_STR_SIZE. */
int order_hold_target(const char *word, char *ret, struct why *w) _warn_unused_;
int64_t order_now_ms(void);
