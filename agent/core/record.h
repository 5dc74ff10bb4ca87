/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Fourth stage: authorise -> RECORD -> enforce. The order is on disk before anything is done about it. A struct
 * recorded exists only for an order that was recorded by this call or was found in the ledger at start; FAIL-OPEN for
 * all verbs but release: they go on with the flag LEDGER when the ledger cannot take the record.
 *
 * What has no room is the ledger's as soon as there is some: orders and outcomes wait in memory, and are recorded in
 * their order and with their own times. Nothing else is recorded before an order that waits.
 *
 * This is also the only place that knows the kinds of records, writing and replaying them:
 *   start     the agent came up
 *   order     a command was authorised: its envelope, who signed, under which role, the key of automation
 *             that is charged, and the sites it means
 *   outcome   what became of an order, a lapse or a snapshot: state, reasons, and the receipt as it was sent
 *   lapse     a lease ended
 *   sites     the targets of a hold were found in other cgroups than before
 *   attempts  what the processes of a hold tried while they were held
 *   refusal   a command with a valid signature was refused
 *   custody   somebody is about to read evidence
 *   attributes  a registrar certified what this host is
 *   trust     a trust root came as an order, and was accepted
 *   head      this host hears its fleet, or does not any more
 *   evidence  a snapshot was sealed, or what there is of it
 *   expiry    the time of evidence is over; nothing has been deleted yet
 *   deleted   evidence is gone, by an order or an expiry that is recorded before */

#include "agent/core/agent.h"
#include "agent/core/preserved.h"
#include "policy/decide.h"

/* Phases of an order, in the order in which they happen; each in microseconds. */
#define PHASE_TABLE(X)                \
        X(VERIFY, "verify")           \
        X(AUTHORISE, "authorise")     \
        X(RESOLVE, "resolve")         \
        X(RECORD, "record")           \
        X(ENTER, "enter")             \
        X(CALLS, "refuse-calls")      \
        X(DESTROY, "destroy-sockets") \
        X(PACKETS, "drop-packets")    \
        X(FREEZE, "freeze")           \
        X(PROVE, "prove")             \
        X(UNDO, "undo")

enum phase {
#define X(name, id) PHASE_##name,
        PHASE_TABLE(X)
#undef X
                _PHASE_MAX,
};

struct phases {
        int64_t us[_PHASE_MAX];
        int64_t mark; /* CLOCK_MONOTONIC of the last stamp */
        int64_t start;
};

void phases_begin(struct phases *p);
/* The time since the last stamp is added to this phase. */
void phases_stamp(struct phases *p, enum phase which);
const char *phase_id(enum phase p);

struct recorded;

/* Records an order; takes a and sites over in any case. d is the envelope as it came. 0, -ENOMEM, or for a release
 * -errno of the ledger, in which case nothing may be done: no later start finds it, but for -ENOTRECOVERABLE, where
 * nobody can say. Also folds it into the holds. */
int record_order(struct agent *agent, struct authorised *a, const struct dsse *d, struct sites *sites,
                 const struct phases *phases, struct recorded **ret) _warn_unused_;
/* The order of a hold that is active since before this start, from memory as the ledger rebuilt it. -ENOENT, -ENOMEM.
 */
int record_recall(struct agent *agent, const struct command_id *hold, struct recorded **ret) _warn_unused_;
void recorded_free(struct recorded *r);
void recorded_freep(struct recorded **r);

/* Borrowed. NULL command for a recalled hold, whose description is the hold itself. */
const struct command *recorded_command(const struct recorded *r);
const struct command_id *recorded_id(const struct recorded *r);
const uint8_t *recorded_digest(const struct recorded *r);
enum verb recorded_verb(const struct recorded *r);
reason_set recorded_flags(const struct recorded *r);
void recorded_add_flags(struct recorded *r, reason_set flags);
struct phases *recorded_phases(struct recorded *r);
/* The sites of the hold that it made; NULL for other verbs. */
struct sites *recorded_sites(struct agent *agent, const struct recorded *r);

/* What became of something. The memory follows even when the ledger does not take it, since the kernel already did. */
struct outcome {
        const struct command_id *id; /* of the command whose receipt this is; of the hold, when it lapsed */
        const char *of;              /* "order", "recovery", "lapse" or "evidence" */
        bool settle;                 /* the hold `id` is now in `state`, for `reasons` */
        enum hold_state state;
        reason_set reasons;
        const struct command_id *ended; /* holds that are over */
        size_t n_ended;
        const char *receipt; /* the signed envelope */
        bool more;           /* which promises another one */
};

/* Records what waits for room. 0, or the ledger's -errno: some of it still does. */
int record_late(struct agent *agent);
/* Each returns 0 or the ledger's -errno. */
int record_outcome(struct agent *agent, const struct outcome *o) _warn_unused_;
/* It was not taken, and the receipt that is sent says so: that one waits. */
void record_resealed(struct agent *agent, const struct outcome *o);
int record_lapse(struct agent *agent, const struct command_id *hold) _warn_unused_;
/* Where an active hold's targets are now. Before anything is done there: whoever finds a cgroup frozen later has to
 * know whether it was by us. */
int record_sites(struct agent *agent, const struct command_id *hold) _warn_unused_;
/* o: what tried_to_json says; taken over in every case, NULL included. */
int record_attempts(struct agent *agent, const struct command_id *hold, json_t *o) _warn_unused_;
int record_refusal(struct agent *agent, const struct command_id *id, const uint8_t digest[static 32],
                   enum reason reason) _warn_unused_;
int record_start(struct agent *agent) _warn_unused_;
/* d: the envelope as it came. */
int record_attributes(struct agent *agent, const struct attributes *attributes, const struct dsse *d) _warn_unused_;
/* A successor of the trust root that is in force. */
int record_trust(struct agent *agent, int64_t version, const char *envelope) _warn_unused_;
/* state: "fresh" or "stale"; n: of the last head that was believed. */
int record_hearing(struct agent *agent, const char *state, int64_t n) _warn_unused_;
/* o: what epoch_to_json says; taken over in every case, NULL included. */
int record_epoch(struct agent *agent, json_t *o) _warn_unused_;
/* o: what is about to be done with evidence and by whom; taken over in every case. *ret_n is the record's number. */
int record_custody(struct agent *agent, json_t *o, uint64_t *ret_n) _warn_unused_;

/* keep_ms: how long it is kept, 0: until an order. */
int record_evidence(struct agent *agent, const struct command_id *id, const struct preserved *p,
                    int64_t keep_ms) _warn_unused_;
/* FAIL-CLOSED: nothing is deleted that this could not record. */
int record_expiry(struct agent *agent, const struct command_id *id) _warn_unused_;
/* tombstones: object of their digests by folder; taken over in every case, NULL included. The memory follows only when
 * the ledger took it: else it is looked after again at the next start. */
int record_deleted(struct agent *agent, const struct command_id *id, json_t *tombstones) _warn_unused_;

/* The record of an order: who signed it and under which role beside its envelope. New reference or NULL. */
json_t *record_order_of(struct agent *agent, const struct command_id *id);
/* The command in such a record, NULL when there is none; ret_digest, when not NULL, gets its payload's SHA-256. */
struct command *record_order_command(const json_t *order, uint8_t *ret_digest);
/* The signed order of a command id, as it is in the ledger; NULL when it is not, or out of memory. malloc'ed. */
char *record_envelope(struct agent *agent, const struct command_id *id);
/* 0 or -ENOMEM. */
int record_list_add(struct record_list *l, uint64_t n) _warn_unused_;
/* The envelope in record n, of trust roots and attributes; *ret: malloc'ed, with NUL. -ENOENT: n is 0, or there is no
 * ledger; -EBADMSG: that record has none; else as ledger_read. */
int record_read_envelope(struct agent *agent, uint64_t n, char **ret) _warn_unused_;
/* The same of a trust root; -ESTALE: it was the successor of another one than is in force. */
int record_read_trust(struct agent *agent, uint64_t n, char **ret) _warn_unused_;
/* The stored receipt's payload of a command id; NULL when there is none. New reference. */
json_t *record_receipt(struct agent *agent, const struct command_id *id);
