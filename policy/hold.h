/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What this host is holding, and which command ids it has ever acted on. Both are a fold over the ledger: the same
 * calls rebuild them at start as changed them when it happened, so there is no second copy of the truth on disk.
 *
 *            begin               settle                    end
 *   (none) ---------> pending ----------> held | partial | failed ----------> releasing ---------> released | lapsed
 *      |                                     ^        |
 *      | bury                                +--------+ settle again (re-enforced, or found weaker),
 *      v                                     |        | also by way of
 *   released (tombstone: the order, if it     +- thawing <- a release that stops between
 *             still comes, is superseded)
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/account.h"
#include "policy/cleanup.h"
#include "policy/command.h"
#include "policy/reason.h"
#include "policy/seen.h"

#define HOLD_ACTIVE_MAX 256U
/* Of these the last ones are kept for the stop orders of people: a stolen automation key must not be able to use up
 * what they need. */
#define HOLD_AUTOMATION_MAX 192U
/* So are the last ids that can be remembered, for stop orders of people and releases. No one key may use up all of
 * those either: the last are for stop orders of two people and releases, the very last for releases. And what is dated
 * ahead, whose id is forgotten late or never, leaves a quarter, so that a host is not full for ever. */
#define HOLD_SEEN_AHEAD   (SEEN_MAX / 4)
#define HOLD_SEEN_RESERVE 4096U
#define HOLD_SEEN_JOINT   2048U
#define HOLD_SEEN_RELEASE 1024U

/* X(NAME, "id", states that may follow) */
#define HOLD_STATE_TABLE(X)                                                            \
        X(PENDING, "pending", HOLD_TO_SETTLED | HOLD_TO(THAWING) | HOLD_TO(RELEASING)) \
        X(HELD, "contained", HOLD_TO_SETTLED | HOLD_TO(THAWING) | HOLD_TO(RELEASING))  \
        X(PARTIAL, "partial", HOLD_TO_SETTLED | HOLD_TO(THAWING) | HOLD_TO(RELEASING)) \
        X(FAILED, "failed", HOLD_TO_SETTLED | HOLD_TO(THAWING) | HOLD_TO(RELEASING))   \
        X(THAWING, "thawing", HOLD_TO_SETTLED | HOLD_TO(RELEASING))                    \
        X(RELEASING, "releasing", HOLD_TO(RELEASED) | HOLD_TO(LAPSED))                 \
        X(RELEASED, "released", 0)                                                     \
        X(LAPSED, "lapsed", 0)

enum hold_state {
#define X(name, ...) HOLD_##name,
        HOLD_STATE_TABLE(X)
#undef X
                _HOLD_STATE_MAX,
};

struct hold {
        struct command_id id;
        enum verb verb; /* what is to be in force: of the order, or ISOLATE once a release stopped between */
        enum verb undo; /* what a release has to undo: verb, but while THAWING, and if that is overtaken, the order's */
        enum hold_state state;
        reason_set reasons;     /* of the last settle */
        struct target *targets; /* owned */
        size_t n_targets;
        struct permit *permits; /* owned; the command's own */
        size_t n_permits;
        char incident[COMMAND_INCIDENT_MAX + 1];
        enum severity severity;
        bool automation;            /* ordered under a rule that demands a lease */
        bool lapsing;               /* RELEASING because its lease ended */
        int64_t made_ms;            /* wall clock */
        int64_t held_ms;            /* time that passed while it was held, by CLOCK_BOOTTIME */
        int64_t lease_left_ms;      /* INT64_MAX: no lease */
        int64_t lease_total_ms;     /* all it was ever granted; 0: no lease */
        struct command_id releaser; /* the last release of it, also one that stopped between; all zero: none was, or it
                                       is lapsing */
};

struct hold_set;

struct hold_set *hold_set_new(void); /* NULL when out of memory */
void hold_set_free(struct hold_set *s);
void hold_set_freep(struct hold_set **s);

/* Time passes: every lease and every held_ms advances by what CLOCK_BOOTTIME advanced since the last call with the same
 * boot id. After a reboot only the time since boot counts: how long the host was off is not known, and an unknown time
 * must not end a hold. The first call only sets the clock, so it comes before the first hold. */
void hold_set_advance(struct hold_set *s, const uint8_t boot_id[static 16], int64_t boot_ms);
/* How much has passed in all since the first call, in ms. */
int64_t hold_set_passed(const struct hold_set *s);

/* A stop order was recorded: the hold is pending, and its lease is charged to automation, NULL for an order of people.
 * -EEXIST for an active or buried hold, -EINVAL for a verb that makes none or automation without a lease, -ENOSPC,
 * -ENOMEM; nothing changed then. */
int hold_set_begin(struct hold_set *s, const struct command *c, const struct account_charge *automation,
                   int64_t wall_ms) _warn_unused_;
/* The outcome was recorded: HELD, PARTIAL or FAILED. -ENOENT; -EPROTO when the table does not allow the change, or for
 * HELD with a reason of kind GAP: nothing changed then. */
int hold_set_settle(struct hold_set *s, const struct command_id *id, enum hold_state state,
                    reason_set reasons) _warn_unused_;
/* A release (releaser given) or the end of a lease (NULL) was recorded: RELEASING. -ENOENT; -EPROTO when it is
 * releasing already, or has no lease that could have ended. */
int hold_set_release(struct hold_set *s, const struct command_id *id, const struct command_id *releaser) _warn_unused_;
/* A release that stops between was recorded: the hold isolates from now on, and is THAWING until it is settled.
 * -ENOENT; -EPROTO when it is THAWING or RELEASING; -EINVAL for one that does not isolate. */
int hold_set_thaw(struct hold_set *s, const struct command_id *id, const struct command_id *releaser) _warn_unused_;
/* A release of it was recorded, and it is not its lease that ends it: releaser is that order's id. */
bool hold_was_let_go(const struct hold *h);
/* The hold is over: RELEASED or, when lapsing, LAPSED; it leaves the active ones. -ENOENT; -EPROTO unless it is
 * RELEASING. */
int hold_set_end(struct hold_set *s, const struct command_id *id) _warn_unused_;
/* A release that expires at exp_ms named a hold that is not known: its order will find the tombstone. Nothing changes
 * for an id that was acted on. -ENOSPC, -ENOMEM. */
int hold_set_bury(struct hold_set *s, const struct command_id *id, int64_t exp_ms) _warn_unused_;
/* The lease becomes lease_ms from now if that is later than its end. What it gains is charged to automation, NULL for
 * an order of people. -ENOENT, -EINVAL unless lease_ms is above 0, -EPROTO while releasing, -ENOMEM. */
int hold_set_extend(struct hold_set *s, const struct command_id *id, int64_t lease_ms,
                    const struct account_charge *automation) _warn_unused_;
/* What hold_set_extend would add; 0 for a hold without lease. */
int64_t hold_lease_gain(const struct hold *h, int64_t lease_ms);

/* A command id was acted on. Replaces an entry that was a tombstone; no change when it is there with the same digest.
 * -EEXIST when it is there with another, -ENOSPC, -ENOMEM. */
int hold_set_see(struct hold_set *s, const struct command_id *id, const uint8_t digest[static 32],
                 int64_t exp_ms) _warn_unused_;
/* The order is record n of the ledger. -ENOENT. */
int hold_set_order(struct hold_set *s, const struct command_id *id, uint64_t n) _warn_unused_;
/* Its receipt is record n of the ledger, 0: could not be recorded, and the one before stays. more: it promises another
 * one. -ENOENT. */
int hold_set_receipt(struct hold_set *s, const struct command_id *id, uint64_t n, bool more) _warn_unused_;
/* Forgets ids as seen.h says, but for those that an active hold needs. */
void hold_set_forget(struct hold_set *s, int64_t floor_ms);

/* Borrowed, valid until the next change; NULL when there is none. hold_set_find gives active holds only. */
const struct hold *hold_set_find(const struct hold_set *s, const struct command_id *id);
const struct hold *hold_set_at(const struct hold_set *s, size_t i);
size_t hold_set_count(const struct hold_set *s);
/* Of these, the ones of automation. */
size_t hold_set_count_automation(const struct hold_set *s);
const struct seen *hold_set_seen(const struct hold_set *s, const struct command_id *id);
/* The i-th id that is remembered; NULL beyond the last. */
const struct seen *hold_set_seen_at(const struct hold_set *s, size_t i);
/* How many more ids can be remembered. */
size_t hold_set_seen_room(const struct hold_set *s);
/* A command that expires at this time or earlier, and is not known, may be one whose id was forgotten. */
int64_t hold_set_forgotten(const struct hold_set *s);
/* A buried id: its order was cancelled before it came. */
bool hold_set_buried(const struct hold_set *s, const struct command_id *id);
/* What automation was granted, borrowed. */
const struct account_set *hold_set_accounts(const struct hold_set *s);
/* The least lease_left_ms of all active, not releasing holds; INT64_MAX when none has a lease. */
int64_t hold_set_next_lapse(const struct hold_set *s);

/* A release or lapse of it is being carried out: THAWING or RELEASING. */
bool hold_is_ending(const struct hold *h);
const char *hold_state_id(enum hold_state s);
bool hold_state_from_id(const char *id, enum hold_state *ret);
bool hold_state_may_follow(enum hold_state from, enum hold_state to);
