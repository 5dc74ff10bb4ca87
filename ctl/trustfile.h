/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Trust roots as files, and who has signed what. freezectl reads a trust root to name people and to fill in the fleet;
 * it decides nothing with it: the host does, with its own. */

#include <stddef.h>

#include "ctl/option.h"
#include "ctl/why.h"
#include "policy/command.h"
#include "policy/dsse.h"
#include "policy/herald.h"
#include "policy/trust.h"

#define TRUSTFILE_PATH "/etc/freezed/trust.json"

/* The machine's trust root, or that of --trust. A missing default file is NULL and no error; one that is not signed as
 * it should be is. Returns 0 or an exit code; *ret is owned by the caller. */
int trustfile_load(const struct options *o, struct trust **ret, struct why *w) _warn_unused_;
/* One that has to be there and to be signed by its own root threshold; prev: and to be the successor of that one, or
 * NULL. ret_text, malloc'ed, is the file as it is; may be NULL. Returns 0 or an exit code. */
int trustfile_read(const char *path, const struct trust *prev, struct trust **ret, char **ret_text,
                   struct why *w) _warn_unused_;

/* One signed file, order or trust root: the envelope, and the payload parsed as what it says it is. */
struct signed_file {
        struct dsse env;
        struct command *command;       /* of a COMMAND, when this version can read it */
        struct trust *trust;           /* of a TRUST */
        struct attributes *attributes; /* of ATTRIBUTES */
        struct herald_head *head;      /* of a HEAD */
        enum reason reason;            /* why neither is there */
};

#define SIGNED_FILE_NULL ((struct signed_file) { .env = DSSE_NULL })

/* Reads the file; nothing about its signatures is checked. An order or trust root without envelope is wrapped as an
 * unsigned one. Returns 0, or an exit code and *w. *ret_text, malloc'ed, is the file as it is; may be NULL. */
int signed_file_load(const char *path, struct signed_file *ret, char **ret_text, size_t *ret_n,
                     struct why *w) _warn_unused_;
void signed_file_done(struct signed_file *f);
/* Writes the envelope, atomically. Returns 0 or an exit code. */
int signed_file_save(const char *path, const struct dsse *env, struct why *w) _warn_unused_;

/* Who signed, by one trust root. */
struct tally {
        enum reason reason; /* NONE, UNTRUSTED (nobody it names), or SIGNATURE: a false signature, and nothing counts */
        uint64_t people;    /* bits of the trust root's people */
        unsigned have, need; /* people that count; need 0: no rule allows it to anybody who signed */
        const char *role;    /* that have and need are about; borrowed from t */
        bool automation;     /* and no rule of people would do as well */
        int key;             /* of an order: which of those that signed its id is of; -ENOENT */
};

/* By the rules for an order. */
int tally_command(const struct trust *t, const struct dsse *d, const struct command *c,
                  struct tally *ret) _warn_unused_;
/* By the one person that it takes of that role. */
int tally_role(const struct trust *t, const struct dsse *d, const char *role, struct tally *ret) _warn_unused_;
/* By the root threshold of t, which is that of the file itself or of the one before. */
int tally_root(const struct trust *t, const struct dsse *d, struct tally *ret) _warn_unused_;

/* What a file still needs: an order the people of a rule, a trust root its own root people and, when t is the version
 * before it, t's too. */
struct signatures {
        const struct trust *by; /* who names the people: t for an order, itself for a trust root; NULL: nobody can */
        struct tally now;       /* when by */
        const struct trust *before; /* the version before, or NULL */
        struct tally then;          /* when before */
        bool enough;                /* as far as is known here; the host decides */
};

/* t may be NULL. 0 or -ENOMEM. */
int signed_file_count(const struct signed_file *f, const struct trust *t, struct signatures *ret) _warn_unused_;
