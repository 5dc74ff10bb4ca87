/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One order to many hosts: who was asked, and what each of them provably answered. There are four classes, which are
 * never merged. Whatever is not a receipt that a host which was asked signed about the very bytes that were sent
 * (receipt.h) changes nothing and is counted as a stray; so whoever carries the answers can keep them back, and no
 * more. Of several answers of one host a final one counts before one that is not, and then the one that its ledger is
 * furthest at: an old one, played again, takes nothing back. Pure but for the allocation, and threads that are gone
 * when a call returns. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/inventory.h"
#include "ctl/receipt.h"

/* X(NAME, "name") */
#define ROLLCALL_CLASS_TABLE(X)                                                                     \
        X(VERIFIED, "verified") /* its final receipt says, without a gap, that the order is done */ \
        X(ACCEPTED, "accepted") /* it took the order; it is not done yet, or not whole */           \
        X(REFUSED, "refused")                                                                       \
        X(SILENT, "silent")

enum rollcall_class {
#define X(name, str) ROLLCALL_##name,
        ROLLCALL_CLASS_TABLE(X)
#undef X
                _ROLLCALL_CLASS_MAX,
};

struct rollcall_entry {
        const struct host *host; /* the inventory's */
        const uint8_t *digest;   /* of what it alone was sent, the inventory's; NULL: as all */
        enum rollcall_class class;
        enum receipt_state state; /* but of SILENT */
        enum reason reason;       /* of REFUSED, _REASON_MAX when this version does not know it; else NONE */
        int code;                 /* what freezectl would exit with if it was the only host */
        bool final;
        int64_t ledger; /* how far its ledger was; -1 when it did not say */
        int64_t at_ms;  /* when that came, by whoever called */
        char *payload;  /* what it signed; owned, NULL of SILENT */
};

struct rollcall {
        struct rollcall_entry *v; /* owned, by fingerprint */
        size_t n;
        char id[33];
        uint8_t digest[32];
        size_t counts[_ROLLCALL_CLASS_MAX];
        size_t finals;                /* hosts of which nothing more is to come */
        size_t strays;                /* messages that change nothing */
        char stray[RECEIPT_TEXT_MAX]; /* what is wrong with the last one, cleaned */
};

#define ROLLCALL_NULL ((struct rollcall) { 0 })

const char *rollcall_class_str(enum rollcall_class c);

/* id and digest are those of the order; without digest each host was sent its own line of the inventory. The hosts are
 * borrowed, none twice. -ENOMEM. */
int rollcall_init(struct rollcall *ret, const struct inventory_host *const *hosts, size_t n, const char *id,
                  const uint8_t *digest) _warn_unused_;
void rollcall_done(struct rollcall *r);

/* The entry of that host, or NULL when it is not asked. Borrowed. */
struct rollcall_entry *rollcall_find(const struct rollcall *r, const uint8_t host[static 32]);

/* An answer as it came. */
struct rollcall_message {
        uint8_t from[32]; /* the host that it is said to be from, which only says whose key to try */
        const char *text;
        size_t n;
        int64_t at_ms;
};

/* Verifies n of them, on all processors, and counts them in their order. ret_changed: for each the entry that is
 * another now by it, or NULL. 0, or -ENOMEM when one of them could not be looked at; the others count. */
int rollcall_add(struct rollcall *r, const struct rollcall_message *v, size_t n,
                 const struct rollcall_entry **ret_changed) _warn_unused_;

/* Nothing more is to come. */
bool rollcall_is_over(const struct rollcall *r);
/* Was this one refused for what may pass? */
bool rollcall_may_pass(const struct rollcall_entry *e);
/* It is over, and if it was sent again all would say the same. */
bool rollcall_stands(const struct rollcall *r);
/* By the contract of why.h: what all hosts have in common, else CTL_PARTIAL. */
int rollcall_exit(const struct rollcall *r);
