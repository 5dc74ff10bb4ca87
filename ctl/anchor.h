/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bag that was verified, held against the ledger of its host: is its statement a record of it, since when, and who
 * outside the host has seen that? The host's key alone proves none of it, for whoever takes the host over has that.
 *
 * On the host itself the ledger is three directories above the folder, beside the host's key, and also tells of folders
 * that nobody signed; elsewhere a proof out of it is in the folder, as `evidence export` puts it there. */

#include "ctl/bag.h"
#include "ctl/chain.h"
#include "ctl/render.h"

#define ANCHOR_PROOF "evidence.tlog-proof"
/* Behind the name of the state directory: where the heads are that witnesses signed. Beside it and not in it, because
 * what is in it nobody but the agent may write while something is held, and then they are wanted most. */
#define ANCHOR_HEADS "-witness"

struct anchor {
        struct chain chain;
        struct sshkey host;                             /* whose ledger it is */
        struct note_key witnesses[CHAIN_WITNESSES_MAX]; /* of the trust root that is here */
        size_t n_witnesses;
        bool known;   /* by whom the bag is signed */
        bool is_file; /* a proof, not the ledger */
        char *proof;  /* owned: of its record, for who has no ledger; NULL: there is none */
        size_t n_proof;
        enum bag_severity worst;
};

#define ANCHOR_NULL ((struct anchor) { .known = false })

/* path: the folder of b. Raises b->worst to what was found here. What cannot be read is a finding too, and why in w:
 * whoever can spoil a ledger must not keep evidence closed by that. */
void anchor_check(const struct options *o, const char *path, struct bag *b, struct anchor *ret, struct why *w);
/* The ledger in a host's state directory, for all of its evidence at once. */
void anchor_read(const struct options *o, const char *state, struct anchor *ret, struct why *w);
void anchor_done(struct anchor *a);

/* What the ledger that was read says of the folder, INCIDENT/HOLD, as it is now: a finding's bit, or 0. */
uint32_t anchor_look(const struct anchor *a, const char *folder, const struct bag *b);

/* What is proven, and what is not; or only the latter. */
void anchor_render(const struct page *p, const struct anchor *a);
void anchor_render_findings(const struct page *p, const struct anchor *a);
/* New reference, NULL when out of memory. */
json_t *anchor_to_json(const struct anchor *a);

/* The severities of a chain's findings, the worst of them. */
enum bag_severity anchor_severity(uint32_t findings);
