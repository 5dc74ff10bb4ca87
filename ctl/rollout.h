/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* An order to hosts elsewhere, over the fleet's brokers: who is expected to answer is known from the inventory before
 * anything is sent, each wave is an order of its own, and what came of it is told of every host. Its signed orders are
 * on the disk before the first byte is sent, so that it can be gone on with whatever ends this program. */

#include <limits.h>

#include "ctl/bundle.h"
#include "ctl/carrier.h"
#include "ctl/ctl.h"
#include "ctl/inventory.h"
#include "ctl/rollcall.h"
#include "ctl/trustfile.h"
#include "ctl/waves.h"
#include "policy/command.h"
#include "policy/trust.h"

/* What a host was found to do with the hold of its wave before the next one went out. X(NAME, "word") */
#define ROLLOUT_LOOK_TABLE(X)   \
        X(SILENT, "silent")     \
        X(NOT_HELD, "not-held") \
        X(HELD, "held")

enum rollout_look {
#define X(name, ...) ROLLOUT_LOOK_##name,
        ROLLOUT_LOOK_TABLE(X)
#undef X
                _ROLLOUT_LOOK_MAX,
};

struct rollout_wave {
        struct waves_part part;
        struct rollcall calls;
        struct command_id id;
        char *text; /* the envelope; owned */
        bool sent;
        enum rollout_look *looks;  /* as calls.v; owned, NULL: it was not looked */
        enum rollcall_class *told; /* as calls.v, the last of each that was shown as progress; owned, may be NULL */
};

struct rollout {
        struct ctl *c;
        const struct trust *trust;
        struct command *cmd;      /* without id and address; of one that is gone on with, its first order */
        const struct signed_file *root; /* a trust root instead of an order; cmd is NULL then */
        const char *lines;              /* or attributes, what the inventory is parsed from: to each host its own */
        struct bundle bundle;     /* of one that is gone on with */
        struct broker broker;
        struct inventory inventory;
        struct expected to;
        struct rollout_wave waves[WAVES_MAX];
        size_t n_waves;
        struct carrier *carrier;
        char to_text[128];   /* whom it is for, in words */
        char kept[PATH_MAX]; /* where the signed orders are; "" nowhere */
        bool stopped;        /* by the person in front of it */
        bool outlived;       /* by an order that the release names, as far as is known, unless it takes its place */
        bool placed;         /* the release is said in the places of the orders that it names */
        size_t lost;         /* how often answers came faster than they were taken */
        int64_t drawn_ms;    /* when progress was shown last; mono_ms */
};

/* The whole way for an order that has all but its id and its address. t may be NULL. Returns an exit code; everything
 * is told. */
int rollout_run(struct ctl *c, struct command *cmd, const struct trust *t) _warn_unused_;
/* Sends what somebody has signed, or what is kept of a rollout that was not over: word is a file, or the id of a kept
 * one. Hosts that had it answer with the receipt that they stored. Returns an exit code; everything is told. */
int rollout_resume(struct ctl *c, const char *word) _warn_unused_;

/* Is there enough on it, as far as is known here? The host is the judge, with its own trust root; what is certain to be
 * refused is not sent to a whole fleet. Returns 0, reason_exit(REASON_THRESHOLD) with *ret_lacks set when people are
 * missing, or another exit code. */
int rollout_judge(struct rollout *r, const struct bundle_order *o, bool *ret_lacks) _warn_unused_;
/* For an order that lacks signatures: keeps it for the next person, and tells. Returns an exit code. */
int rollout_pend(struct rollout *r, const struct bundle_order *o) _warn_unused_;
/* Sends a trust root to all hosts of the inventory; t: what is in force here, or NULL. Returns an exit code; everything
 * is told. */
int rollout_root(struct ctl *c, const struct signed_file *f, const struct trust *t) _warn_unused_;

/* Is the file one of attributes, an envelope a line? By the first line that is an envelope. */
bool rollout_certifies(const char *text, size_t n);
/* Sends each host the line that counts of it. Path names the file. Returns an exit code; everything is told. */
int rollout_certify(struct ctl *c, const char *path, const char *text, size_t n) _warn_unused_;
/* -errno of the carrier. */
int rollout_certify_say(const struct rollout *r) _warn_unused_;

/* What all begin with: --nats, the trust root, and --inventory unless the file is one. Returns 0 or an exit code. */
int rollout_open(struct rollout *r) _warn_unused_;
/* Only the number of hosts itself is a yes: who types it has read it. Returns 0 or an exit code. */
int rollout_confirm(const struct rollout *r) _warn_unused_;
/* Whom wave w waits for; its part and id are set. 0 or an exit code. */
int rollout_expect(struct rollout *r, struct rollout_wave *w, const uint8_t digest[static 32]) _warn_unused_;
/* Of a release, before anything is sent: an order that it names and that the stream has under another address outlives
 * it there, which is said. What the stream does not answer, in some seconds, is said, and in nobody's way. 0, or an
 * exit code when there is no broker. */
int rollout_apart(struct rollout *r) _warn_unused_;
/* Is nobody left out whom the release is addressed to, when its last wave has gone? Only then is it said in the places
 * of the orders that it names, once it is taken. */
bool rollout_takes_places(const struct rollout *r);
/* Has a host let go by it, and does none doubt who signed it? What is known here of the trust root may be old. */
bool rollout_is_taken(const struct rollout *r);
/* That it has taken no order's place, and why, where it was to and one is that outlives it: whatever ended it. */
void rollout_tell_stays(const struct rollout *r);
/* Sends wave by wave, and tells. Returns the exit code. */
int rollout_go(struct rollout *r) _warn_unused_;
void rollout_done(struct rollout *r);

/* From here on to be told to end is to stop waiting, and to say what stands; the second time it is to end. */
void rollout_catch(void);
bool rollout_is_stopped(void);
/* Sends one wave and waits for its hosts. 0 when it was sent, whatever came of it. */
int rollout_send(struct rollout *r, struct rollout_wave *w) _warn_unused_;

/* of somebody who has not answered at all, unless --timeout says */
#define ROLLOUT_TIMEOUT_MS 30000
/* While answers to a wave come: on a terminal a bar of the hosts that are verified and the four classes, with --json a
 * line for each host whose class is another. Ten times a second and no more, but for the last time, so that it takes
 * nothing from verifying. */
void rollout_progress(struct rollout *r, struct rollout_wave *w, bool last);
/* Hears a subject, before anything is said that is answered there. 0, or an exit code when that is not permitted. */
int rollout_hear(struct rollout *r, const char *subject) _warn_unused_;
/* The next message, free() it, or NULL: it waits no longer than a second, so that a person can end it. An exit code
 * when there will be none, or something is not permitted. */
int rollout_next(struct rollout *r, int64_t left_ms, struct carrier_event **ret) _warn_unused_;

/* Whom it is for, before anything is sent; and that the same was ordered before and is not over. */
void rollout_announce(const struct rollout *r);
/* Which ids go out now, and how to go on with it when this program ends. */
void rollout_tell_ids(const struct rollout *r);
/* What came of it: a page, or a line of JSON for each host and a summary. */
void rollout_tell(const struct rollout *r, int code);
