/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Heads: what a herald of the fleet says, every few seconds, is being ordered. A host that hears one knows what it
 * should have heard, and one that hears none knows that it may be kept in the dark. Nothing is ever done, refused or
 * let go because of a head, whoever made it. (The head of the ledger is another thing.) The payload of type HEAD, with
 * exactly these members:
 *   v              1
 *   fleet          name
 *   n              from 1, higher from head to head
 *   iat, exp       ms since 1970; exp is after iat, by HERALD_LIFE_MS at most
 *   trust_version  from 1: of the trust root that the herald knows
 *   orders         at most HERALD_ORDERS_MAX of {id, digest, to, exp}, no digest twice: those that are active, or as
 *                  many of them as fit, others in the next head. digest is the beginning of the SHA-256 of the order's
 *                  payload, all else is as in it: an id may be that of several orders, and is all that somebody needs
 *                  who wants another one taken for it */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/address.h"
#include "policy/command.h"
#include "policy/reason.h"

#define HERALD_ORDERS_MAX 512U
#define HERALD_LIFE_MS    (5LL * 60 * 1000)
/* an order that a head lists is withheld when it has not come for so long */
#define HERALD_PATIENCE_MS (60LL * 1000)

struct trust;

/* Who wants to have another order taken for somebody's has to find a second one of that digest, and not two that are
 * alike: half of it will do, and leaves more room for orders. */
#define HERALD_DIGEST_SIZE 16U

struct herald_order {
        struct command_id id;
        struct address to; /* hosts are owned */
        int64_t exp_ms;
        uint8_t digest[HERALD_DIGEST_SIZE];
};

struct herald_head {
        char fleet[COMMAND_FLEET_MAX + 1];
        int64_t n, iat_ms, exp_ms, trust_version;
        struct herald_order *orders; /* owned */
        size_t n_orders;
};

/* Orders of this class are listed, and no others. */
bool herald_lists(enum verb_class cls);

void herald_free(struct herald_head *h);
void herald_freep(struct herald_head **h);
#define _cleanup_herald_ _cleanup_(herald_freep)

/* The payload. Returns 0 and a reason as command_parse does; *ret is owned by the caller. */
int herald_parse(const uint8_t *payload, size_t n, struct herald_head **ret, enum reason *ret_reason) _warn_unused_;
/* For signing; herald_parse reads the same back. *ret is malloc'ed. -ENOMEM, or -EINVAL when it would not, as when
 * there are more orders than a payload has room for. */
int herald_to_json(const struct herald_head *h, char **ret) _warn_unused_;

/* Signed by a herald of t (reasons of verify_by_role), for t's fleet (FLEET), and as above. */
int herald_verify(const struct trust *t, const struct dsse *d, struct herald_head **ret,
                  enum reason *ret_reason) _warn_unused_;

struct herald_clock {
        int64_t wall_ms, floor_ms;
        bool synced;
};

/* For how long it may be believed from now on, by a clock that is right about spans; above 0 and at most exp - iat. Now
 * is what it is for a stop order (decide.h). EXPIRED when it is over. With a synchronised clock never beyond exp, and
 * NOT_YET when it is dated further ahead than a signer's clock may be: one that was made for next year could be played
 * again all the year. */
enum reason herald_life(const struct herald_head *h, const struct herald_clock *c, int64_t *ret_ms);
