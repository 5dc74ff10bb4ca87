/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an answer is worth. Only a receipt or report that the key of a known host signed, that names that host, and that
 * is about the very bytes that were sent, is an answer; everything else is shown as what it is and never as success.
 * Pure but for the allocation. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/hosts.h"
#include "ctl/why.h"
#include "policy/dsse.h"
#include "policy/reason.h"
#include "policy/verb.h"

#define RECEIPT_TEXT_MAX 256U

enum receipt_kind {
        RECEIPT_SIGNED,     /* by a known host, about what was asked */
        RECEIPT_GATE,       /* the gate would not pass the question on; unsigned, so it can only ever say no */
        RECEIPT_UNVERIFIED, /* anything else */
};

/* X(NAME, "id", "verdict", exit code) */
#define RECEIPT_STATE_TABLE(X)                                  \
        X(CONTAINED, "contained", "CONTAINED", CTL_OK)          \
        X(PARTIAL, "partial", "PARTIAL", CTL_PARTIAL)           \
        X(FAILED, "failed", "FAILED", CTL_MACHINE)              \
        X(REFUSED, "refused", "REFUSED", CTL_REFUSED)           \
        X(RELEASED, "released", "RELEASED", CTL_OK)             \
        X(LAPSED, "lapsed", "LAPSED", CTL_OK)                   \
        X(THAWED, "thawed", "THAWED", CTL_OK)                   \
        X(DUPLICATE, "duplicate", "DUPLICATE", CTL_PARTIAL)     \
        X(SNAPSHOT, "snapshot", "SNAPSHOT TAKEN", CTL_OK)       \
        X(EXTENDED, "extended", "EXTENDED", CTL_OK)             \
        X(KEPT, "kept", "UNDER LEGAL HOLD", CTL_OK)             \
        X(LIFTED, "lifted", "LEGAL HOLD LIFTED", CTL_OK)        \
        X(DELETED, "deleted", "DELETED", CTL_OK)                \
        X(CERTIFIED, "certified", "CERTIFIED", CTL_OK)          \
        X(TRUSTED, "trusted", "TRUST ROOT IN FORCE", CTL_OK)    \
        X(PLANNED, "planned", "PLAN", CTL_OK)                   \
        X(PENDING, "pending", "NOT FINISHED", CTL_PARTIAL)      \
        X(THAWING, "thawing", "THAW NOT FINISHED", CTL_PARTIAL) \
        X(RELEASING, "releasing", "RELEASE NOT FINISHED", CTL_PARTIAL)

enum receipt_state {
#define X(name, ...) RECEIPT_STATE_##name,
        RECEIPT_STATE_TABLE(X)
#undef X
                _RECEIPT_STATE_MAX, /* a word that this version does not know */
};

struct receipt {
        enum receipt_kind kind;
        const struct host *host;     /* SIGNED: by whom; borrowed from the known hosts */
        json_t *payload;             /* SIGNED: what was signed; owned */
        char *signed_text;           /* SIGNED: the bytes of it, and a NUL; owned */
        enum reason reason;          /* GATE: why not */
        char text[RECEIPT_TEXT_MAX]; /* GATE: its sentence. UNVERIFIED: what is wrong. Cleaned */
};

#define RECEIPT_NULL ((struct receipt) { .kind = RECEIPT_UNVERIFIED })

/* What was asked. */
struct receipt_want {
        enum dsse_type type;   /* RECEIPT or REPORT */
        const char *report;    /* REPORT: "status" or "health" */
        const char *nonce;     /* REPORT: of the question; a report with another one is an old one, played again */
        const char *hold;      /* REPORT: the one that was asked about; NULL: all */
        const char *id;        /* RECEIPT: of the command, or NULL when the file's payload could not be read here */
        const uint8_t *digest; /* RECEIPT: of the payload that was sent */
        const uint8_t (*hosts)[32]; /* RECEIPT: whom it was for */
        size_t n_hosts;             /* 0: anybody */
};

/* Judges one message. *ret has to be RECEIPT_NULL or done. 0 or -ENOMEM. */
int receipt_read(const char *msg, size_t n, const struct hosts *known, const struct receipt_want *want,
                 struct receipt *ret) _warn_unused_;
void receipt_done(struct receipt *r);
/* True when nothing follows it. A duplicate is as final as the receipt that it carries; while the order is being carried
 * out it is not, and asks to be asked again: what follows goes to whoever sent the order first. With the flag
 * ledger-failed nothing follows either: the last receipt could not be recorded. */
bool receipt_is_final(const struct receipt *r);

/* The state of a payload. */
enum receipt_state receipt_state(const json_t *payload);
const char *receipt_verdict(enum receipt_state s);
/* The payload that tells what happened: of a duplicate the stored one that it carries, else itself. Borrowed. */
const json_t *receipt_told(const json_t *payload);
/* Why a payload is a refusal: the first of its reasons, NONE when it is none, _REASON_MAX when this version does not
 * know one of them. */
enum reason receipt_refusal(const json_t *payload);
/* True when a payload that says `contained` has figures that say otherwise: something not frozen, a gap, a leak. */
bool receipt_contradicts_itself(const json_t *payload);
/* What to exit with: by state, reasons and contradictions of the payload, by kind for the rest. CTL_OK only for a
 * signed answer. */
int receipt_exit(const struct receipt *r);
