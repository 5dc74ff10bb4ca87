/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Has the head of a ledger signed by a witness, over HTTP (c2sp.org/tlog-witness). Nothing that it answers is believed
 * but a signature by a key that is known already; what it can do is to refuse. */

#include "ctl/chain.h"

struct witnessed {
        const struct note_key *key; /* borrowed: whose it is */
        uint64_t n, time;
        char *note; /* owned: the head, with its line */
        size_t n_note;
};

/* c was read from the ledger and has a head; pub: the key of its host. keys: of the trust root. Blocks for timeout_ms
 * at most for each of a few requests. Returns 0 or an exit code: CTL_SILENT when nobody answers there, CTL_REFUSED when
 * the witness does not sign or is none that is known. */
int witness_ask(const char *url, const struct chain *c, const uint8_t pub[static 32], const struct note_key *keys,
                size_t n_keys, int64_t timeout_ms, struct witnessed *ret, struct why *w) _warn_unused_;
void witnessed_done(struct witnessed *v);
