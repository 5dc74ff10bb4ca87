/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An order that people sign one after the other, as it comes from whoever carries it. Nothing that carries it is
 * believed: what is left of it is the payload that somebody signed who may order such a thing, and those signatures
 * that match it, each by itself; so nobody can fill it up, spoil it with a false one, or show one thing and have
 * another signed. Pure but for the allocation. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/trustfile.h"

struct quorum {
        struct signed_file file; /* an order; owned */
        struct signatures s;     /* by the trust root that it was read with */
        size_t dropped;          /* signatures that are nobody's */
};

#define QUORUM_NULL ((struct quorum) { .file = SIGNED_FILE_NULL })
void quorum_done(struct quorum *q);

/* id: of the order that was asked for, or NULL. 0 with NONE; 0 with why there is nothing to sign, *ret untouched:
 * UNTRUSTED when nobody of t signed it, ROLE when who did may not order it, ID_REUSED for another order than that,
 * FLEET, EXPIRED, TYPE, those of dsse.h and command.h; -ENOMEM. */
int quorum_read(const struct trust *t, const struct command_id *id, const char *text, size_t n, int64_t now_ms,
                struct quorum *ret, enum reason *ret_reason) _warn_unused_;
/* Adds the signatures of other, which was read with the same t; true when there is one more now. Of another payload
 * nothing is taken. */
int quorum_merge(struct quorum *q, const struct trust *t, const struct quorum *other, bool *ret_more) _warn_unused_;
/* Who could sign next, as bits of t's people; how many are still missing. */
uint64_t quorum_may_sign(const struct quorum *q, const struct trust *t);
unsigned quorum_missing(const struct quorum *q);
