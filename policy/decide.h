/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Third stage: verify -> AUTHORISE -> record. Pure: the same inputs give the same answer on the host, in freezectl and
 * in a test. A struct authorised exists only if every rule said yes.
 *
 * Time. The floor is a time that is certainly past: the newest of what the trust root, the ledger and signed messages
 * proved, carried on by CLOCK_BOOTTIME. What the ledger keeps for it is the floor, never the wall clock, or one day
 * with a wrong clock would be for ever. A stop verb is judged by the clock when the clock is synchronised and by the
 * floor when not, so a wrong clock cannot disarm it; and it is dead in any case when its id may have been forgotten.
 * Observing, extending and keeping follow the stop verbs. What lets go, of a hold or of evidence, is judged by the
 * later of clock and floor, and not at all while the clock is provably behind: behind the floor, or, where nothing
 * disciplines it, behind what the trust root says of when it was made. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/command.h"
#include "policy/hold.h"
#include "policy/local.h"
#include "policy/reason.h"
#include "policy/shelf.h"
#include "policy/trust.h"
#include "policy/verify.h"

/* the clock may be this much behind the floor, and a signer's clock this much ahead of ours */
#define DECIDE_BEHIND_MS (5LL * 60 * 1000)
#define DECIDE_AHEAD_MS  (10LL * 60 * 1000)
/* one message can raise the floor by this much at most, so that no stolen key can push a host into the future */
#define DECIDE_FLOOR_STEP_MS (5LL * 60 * 1000)

struct facts {
        uint8_t host[32]; /* fingerprint of this host's key */
        int64_t wall_ms;
        int64_t floor_ms;
        bool clock_synced;
        bool ledger_ok;
        const struct hold_set *holds;
        const struct shelf *shelf;           /* NULL: no evidence is here */
        const struct attributes *attributes; /* NULL: nothing certifies of which groups this host is */
};

enum decision_kind {
        DECISION_REFUSED,
        DECISION_DUPLICATE, /* this very command was acted on: answer with its stored receipt */
        DECISION_GO,
};

struct decision {
        enum decision_kind kind;
        enum reason reason;  /* of a refusal */
        unsigned have, need; /* for THRESHOLD: people who signed and count, people needed */
        bool allowed;        /* its signers may order it; whether it is done is another question */
        bool for_others;     /* of HOST: its part alone leaves this host out, and its signers may order it */
        reason_set flags;    /* FLAG and NOTE reasons; of a refusal, those that were found before it */
};

struct authorised;

/* Order of judgement: schema (also of an id of zeros, which stands for none), fleet, host, replay, role and threshold,
 * trust root, time, ledger, room, holds and evidence, local policy.
 *
 * Role and threshold: any rule of the verb that is satisfied in full is enough; of several, one without a compulsory
 * lease is taken. When none is, the reason is that of the rule that came closest: ROLE, THRESHOLD, SEVERITY,
 * TARGET_CLASS, LEASE_REQUIRED or LEASE_LONG, TOO_BROAD. Automation is whoever is allowed only by a rule with a
 * compulsory lease. Then FOREIGN_ID, unless the id is of a key that signed, of whichever role.
 *
 * Returns 0 and fills *ret; *ret_authorised is set and owned by the caller only for DECISION_GO, else untouched.
 * -ENOMEM. *ret_command, when not NULL, gets the parsed command in every case in which it parsed (owned by the caller),
 * for the answer to name it. */
int decide(const struct verified *v, const struct trust *t, const struct local *l, const struct facts *f,
           struct decision *ret, struct authorised **ret_authorised, struct command **ret_command) _warn_unused_;
void authorised_free(struct authorised *a);
void authorised_freep(struct authorised **a);

/* Borrowed. */
const struct command *authorised_command(const struct authorised *a);
const uint8_t *authorised_digest(const struct authorised *a);
reason_set authorised_flags(const struct authorised *a);
/* The role whose rule allowed it, and whether that rule demands a lease. */
const char *authorised_role(const struct authorised *a);
bool authorised_automation(const struct authorised *a);
/* The fingerprint of the key that it counts as an order of: the one that its id is of, or where that is of nobody of the
 * role, of their keys that signed the one that the trust root names first. */
const uint8_t *authorised_key(const struct authorised *a);
/* People whose signatures were valid, as bits of the trust root's people. */
uint64_t authorised_people(const struct authorised *a);
/* The ids that an EXTEND, a RELEASE, or what is about evidence names; those of a release, and some of those to keep,
 * may be unknown here. *ret_n of them. */
const struct command_id *authorised_holds(const struct authorised *a, size_t *ret_n);

/* The floor after a message issued at iat_ms was accepted. For releases and trust roots, which a quorum signed: anyone
 * who can stop things alone could otherwise date orders ahead until the clock seems provably behind, and so keep
 * anything from being released. */
int64_t decide_raise_floor(int64_t floor_ms, int64_t iat_ms);
