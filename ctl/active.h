/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is being ordered in a fleet, as far as whoever makes its heads has heard: orders that stop, until a release that
 * reaches all whom they were for, and orders that release. Each counts by the signatures of those who may give it and
 * by nothing else: it does not matter who brought it, and one more can only make a host ask for what it does not have.
 * Pure but for the allocation. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/seenset.h"
#include "policy/address.h"
#include "policy/command.h"
#include "policy/herald.h"
#include "policy/reason.h"
#include "policy/trust.h"

/* as many as a fleet of ten thousand takes that is ordered host by host, and some more */
#define ACTIVE_MAX 65536U
/* The rest is kept for the orders of people, and so is most of a head: a stolen automation key must not be able to have
 * them withheld with nobody the wiser. Nor those of another: each key has as many of these, and its turn in each head.
 */
#define ACTIVE_AUTOMATION_MAX (ACTIVE_MAX / 4 * 3)

struct active_order {
        uint8_t digest[32]; /* of the payload: two orders may have one id, and both are listed */
        struct command_id id;
        struct address to;         /* hosts are owned */
        struct command_id *lifted; /* of a release: the holds that it ends; owned */
        size_t n_lifted;
        int64_t iat_ms, exp_ms;
        bool released;
};

/* By whose rule it counts, as on a host: people's, or automation's, and then that of the key (of the trust root) that
 * its id is of. */
#define ACTIVE_BY_PEOPLE   0U
#define ACTIVE_BY_KEY(key) (1U + (key))
#define _ACTIVE_BY_MAX     ACTIVE_BY_KEY(TRUST_KEYS_MAX)

struct active_share {
        struct active_order *v; /* owned */
        size_t n;
        size_t next;          /* with which its part of the next head begins */
        size_t left;          /* of a head that is being made: how many it has still to look at */
        struct seenset known; /* digests of all of them */
};

struct active {
        struct active_share by[_ACTIVE_BY_MAX];
        size_t turn;            /* which key of automation has the first one in the next head */
        struct seenset in_time; /* digests of releases that were there before all was forgotten */
};

#define ACTIVE_NULL ((struct active) { 0 })

void active_done(struct active *a);

/* Takes one envelope. *ret_reason: NONE when it is among them, also if it was before; what is neither a stop order nor
 * a release is TYPE, what is over when it is heard of first EXPIRED, and a release ROOT_EXPIRED when the trust root is
 * over: no host may have taken it, and then the order that it names is still one. What people signed is theirs, whoever
 * brought it first with the signature of automation alone. 0, -ENOSPC when there are too many, or -ENOMEM. */
int active_add(struct active *a, const struct trust *t, const char *text, size_t n, int64_t now_ms,
               enum reason *ret_reason) _warn_unused_;
/* Forgets all, for another trust root to judge it. A release that was there in time is not too late when it is heard
 * again. */
void active_anew(struct active *a);
/* Forgets what can act no more. -ENOMEM: it is done, and what is left may be taken in a second time. */
int active_forget(struct active *a, int64_t now_ms) _warn_unused_;
/* How many a head could list now. */
size_t active_count(const struct active *a, int64_t now_ms);
/* Puts as many into the head as it has room for, of people's and of each key's those first that the one before had none
 * for. Keys of automation take turns: one that has no room for its next order waits for itself alone. -ENOMEM. */
int active_list(struct active *a, int64_t now_ms, struct herald_head *h) _warn_unused_;
