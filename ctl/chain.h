/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A host's ledger, read by one who did not write it: nothing of the writer's code is used, and each thing that is said
 * of it is worked out here from the records, the checkpoint and what witnesses signed.
 *
 *   every record --hash, number, predecessor--> the next
 *   every epoch --signature by the one before, or by the host--> the tree over all records before it
 *   checkpoint --host's key and the epoch's--> the tree
 *   cosigned.XXXXXXXX --host's key and a witness's, at a time--> the tree as it was then */

#include "ctl/why.h"
#include "policy/epoch.h"
#include "policy/sshkey.h"
#include "policy/tlog.h"

/* As in bag.h. X(NAME, "id", severity, "sentence") */
#define CHAIN_FINDING_TABLE(X)                                                                                         \
        X(RECORD, "bad-record", BAD, "a record of the ledger is not what was written, or not where it was")            \
        X(EPOCH, "bad-epoch", BAD, "an epoch of the ledger is not signed by the one before it")                        \
        X(CHECKPOINT, "bad-checkpoint", BAD, "the checkpoint is not by this host, or was changed")                     \
        X(ROLLED_BACK, "rolled-back", BAD, "the host has signed more records than its ledger has, or others")          \
        X(BAD_WITNESS, "bad-witness", BAD, "what is kept as a witness's is not by it and this host")                   \
        X(WITNESS_OTHER, "witness-saw-other", BAD, "a witness saw more records than the ledger has, or others")        \
        X(REPLACED, "replaced", BAD, "the ledger has another statement of this very folder")                           \
        X(HISTORY, "other-history", BAD, "the statement was made in another history of the ledger than this one")      \
        X(NO_CHECKPOINT, "no-checkpoint", SHORT, "the host has signed no head of its ledger")                          \
        X(NO_EPOCH, "no-epoch", SHORT, "the checkpoint is by the host's key alone, and by no epoch's")                 \
        X(CUT_OFF, "cut-off", SHORT, "the last record of the ledger is not whole: it is being written, or a crash")    \
        X(NOT_ORDERED, "not-ordered", BAD,                                                                             \
          "the ledger has no order for it: no agent made it, or the order's receipt has the flag ledger-failed")       \
        X(STATEMENT_GONE, "statement-gone", BAD,                                                                       \
          "the ledger has a signed statement of this folder, and it is not here")                                      \
        X(FOREIGN, "foreign", BAD, "it lies among this host's evidence, and another key signed it: it was put there")  \
        X(UNREADABLE, "unreadable", BAD,                                                                               \
          "the ledger, a head or proof of it, or the trust root that is here, cannot be read")                         \
        X(NO_KEY, "no-key", BAD, "the host's public key is not beside its ledger, or is none")                         \
        X(LEDGER_GONE, "ledger-gone", BAD, "there are a host's key, heads or evidence, and no ledger beside them")     \
        X(NOT_DELETED, "not-deleted", BAD,                                                                             \
          "there is a tombstone, and the ledger has no deletion of this folder, or another tombstone")                 \
        X(DELETING, "deleting", SHORT,                                                                                 \
          "there is a tombstone, and the ledger has only what was to be deleted: it is being done, or the agent died") \
        X(NOT_RECORDED, "not-recorded", SHORT,                                                                         \
          "the ledger has the order and no record of what came of it: the agent died, or the disk was full")           \
        X(OTHER_PROOF, "other-proof", SHORT, "the proof in the folder is of another record")                           \
        X(UNSEALED, "unsealed", SHORT, "its record came after the last checkpoint")                                    \
        X(UNWITNESSED, "unwitnessed", DOUBT, "no witness of the trust root has seen its record yet")                   \
        X(FUTURE, "future", DOUBT, "a witness saw its record before the time at which the host says that it began")    \
        X(NO_LEDGER, "no-ledger", DOUBT, "neither the host's ledger nor a proof out of it is here")

enum chain_finding {
#define X(name, ...) CHAIN_##name,
        CHAIN_FINDING_TABLE(X)
#undef X
                _CHAIN_FINDING_MAX,
};

#define CHAIN_WITNESSES_MAX 8U

struct chain_witness {
        char name[NOTE_NAME_MAX + 1]; /* "": it has signed nothing that is here */
        uint64_t n, time;             /* records, seconds since 1970 */
        char *note;                   /* owned: the head that it signed */
        size_t n_note;
};

/* What one of its records is about. */
struct chain_want {
        uint8_t statement_sha256[32];
        bool no_statement;  /* there is none: is there to be one? */
        const char *folder; /* the last part of its path, or NULL */
        const char *hold;   /* 32 hex digits: of the order that it was taken for, or NULL */
};

/* INCIDENT/HOLD.N */
#define CHAIN_FOLDER_MAX 127U

/* A folder that evidence was sealed in, as the last record of that has it. */
struct chain_folder {
        char path[CHAIN_FOLDER_MAX + 1]; /* below the evidence */
        char statement[65];              /* hex: SHA-256 of what was signed; "": nothing was */
        bool deleted;                    /* and a record says so */
        int64_t sealed_ms;               /* wall clock */
        uint64_t objects, holes, sealed; /* bytes of its files */
};

struct chain {
        uint64_t n; /* records that hang together */
        uint8_t (*leaves)[MERKLE_HASH_SIZE];
        size_t n_room;
        struct merkle tree;
        struct epoch epoch;       /* the last one that is in the checkpoint */
        uint64_t epochs, by_host; /* in all; of these, how many no epoch before vouches for */
        uint64_t lost;            /* of those, for no reboot */
        int64_t heartbeat_ms;     /* wall clock of the last epoch; 0: none */
        bool has_head;
        struct checkpoint head;
        char *note; /* of the checkpoint, owned */
        size_t n_note;
        struct chain_witness witnesses[CHAIN_WITNESSES_MAX]; /* as the keys that were given */
        uint64_t found; /* number of the record that was wanted; 0: there is none */
        char *body;     /* of that record, owned */
        size_t n_body;
        struct chain_folder *folders; /* owned; by when they were first sealed */
        size_t n_folders;
        json_t *tombstones; /* owned: hex digests by folder, as the records of deletions have them */
        json_t *condemned;  /* owned: the holds whose evidence an order, or time, says is to be deleted */
        bool other;         /* there is another record of that folder */
        bool ordered;       /* there is an order of that hold, or what became of one */
        uint32_t findings;  /* bit per enum chain_finding */
};

/* Reads and verifies the ledger in dir, that of the host with this key; heads is the directory of what witnesses
 * signed, which need not be there. want may be NULL. 0, also with findings, or an exit code when it cannot be read. */
int chain_read(const char *dir, const char *heads, const struct sshkey *host, const struct note_key *witnesses,
               size_t n_witnesses, const struct chain_want *want, struct chain *ret, struct why *w) _warn_unused_;
/* The same of a proof alone: n, epochs and tree stay 0. */
int chain_read_proof(const char *text, size_t n, const struct sshkey *host, const struct note_key *witnesses,
                     size_t n_witnesses, const struct chain_want *want, struct chain *ret, struct why *w) _warn_unused_;
void chain_done(struct chain *c);

/* A proof of the record that was found, in the checkpoint: for who has no ledger. *ret is malloc'ed. -ENOENT when there
 * is no such record in it, -ENOMEM. */
int chain_proof(const struct chain *c, char **ret, size_t *ret_n) _warn_unused_;
/* A witness that has seen the record, the earliest of them; NULL: none has. */
const struct chain_witness *chain_witness_of(const struct chain *c);

/* The folder of that path below the evidence; NULL: no record is about it. */
const struct chain_folder *chain_find_folder(const struct chain *c, const char *path);
/* What the ledger has against a tombstone in that folder with this SHA-256: a finding's bit, or 0. */
uint32_t chain_look_at_tombstone(const struct chain *c, const char *path, const uint8_t sha256[static 32]);

const char *chain_finding_id(enum chain_finding f);
const char *chain_finding_text(enum chain_finding f);
