/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* All hosts of a fleet are asked how they are, and who answered: one question is one round, with a nonce of its own.
 * Whatever is not a health report that a host of the inventory signed in answer to that nonce changes nothing and is
 * counted; so whoever carries the answers can keep them back, and no more. Answers under the name of a host that the
 * inventory does not have are counted apart: nobody here can say whose they are. What a host said in an earlier round
 * is kept, and is never taken for an answer to this one. Pure but for the allocation. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/inventory.h"
#include "ctl/receipt.h"

/* of those that are told by name */
#define MUSTER_STRANGERS_MAX 64U

struct muster_entry {
        const struct inventory_host *host; /* the inventory's */
        json_t *report;                    /* the last one; owned, NULL: it has never answered */
        int64_t at_ms;                     /* when that came, by whoever called */
        unsigned round;                    /* in which; 0: never */
};

struct muster {
        struct muster_entry *v; /* owned, by fingerprint */
        size_t n;
        unsigned round; /* from 1; 0: nobody was asked yet */
        char nonce[33];
        size_t answered;                             /* in this round */
        size_t strays;                               /* in this round: messages that prove nothing */
        char stray[RECEIPT_TEXT_MAX];                /* what is wrong with the last one, cleaned */
        uint8_t strangers[MUSTER_STRANGERS_MAX][32]; /* the first of them, in this round */
        size_t n_strangers;                          /* messages, of however many */
};

#define MUSTER_NULL ((struct muster) { .v = NULL })

/* The hosts are the inventory's, which has to outlive it. -ENOMEM. */
int muster_init(struct muster *ret, const struct inventory *i) _warn_unused_;
void muster_done(struct muster *m);

/* The next question. */
void muster_begin(struct muster *m, const char nonce[static 33]);
/* One message. from: the host that it is said to be from, which only says whose key to try. 0 or -ENOMEM. */
int muster_add(struct muster *m, const uint8_t from[static 32], const char *msg, size_t n, int64_t at_ms) _warn_unused_;
bool muster_has_answered(const struct muster *m, const struct muster_entry *e);
bool muster_is_over(const struct muster *m);

/* What a host is, in one word: the first that fits. X(NAME, "word", exit code) */
#define MUSTER_STATE_TABLE(X)                                                             \
        X(SILENT, "silent", CTL_SILENT)      /* it has not answered this question */      \
        X(LEDGER, "no-ledger", CTL_MACHINE)  /* it cannot record */                       \
        X(TRUST, "no-trust", CTL_MACHINE)    /* it has nobody to obey, or not any more */ \
        X(POLICY, "no-policy", CTL_MACHINE)  /* it could not read its policy */           \
        X(WITHHELD, "withheld", CTL_PARTIAL) /* an order for it has not come */           \
        X(PARTIAL, "partial", CTL_PARTIAL)   /* it holds less than it was told to */      \
        X(DEAF, "deaf", CTL_PARTIAL)         /* it hears no head */                       \
        X(HOLDING, "holding", CTL_OK)                                                     \
        X(READY, "ready", CTL_OK)

enum muster_state {
#define X(name, ...) MUSTER_##name,
        MUSTER_STATE_TABLE(X)
#undef X
                _MUSTER_STATE_MAX,
};

const char *muster_state_str(enum muster_state s);
/* What freezectl would exit with if it was the only host. */
int muster_state_exit(enum muster_state s);
/* Of a health report. Never SILENT. */
enum muster_state muster_judge(const json_t *report);
enum muster_state muster_state(const struct muster *m, const struct muster_entry *e);
/* What all hosts have in common, else CTL_PARTIAL. */
int muster_exit(const struct muster *m);
/* How many layers its kernel does not give. */
size_t muster_gaps(const json_t *report);
