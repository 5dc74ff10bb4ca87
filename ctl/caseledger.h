/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What an exported bag has of the host's ledger: data/ledger.jsonl, the records about the hold, and their events. On
 * the host they come from its ledger (extract.h); elsewhere from the bag that the folder lies in, where an earlier
 * export put them, with the host's word of custody for that one as data/custody-before.dsse.json. */

#include "ctl/bag.h"
#include "ctl/caseevents.h"
#include "ctl/outbox.h"

/* *ret_records counts the records, *ret_bad the places that are not as they should be. Neither a ledger nor an earlier
 * export is none of it. Returns 0 or an exit code. */
int caseledger_take(const struct bag *b, struct outbox *box, struct caseevents *events, uint64_t *ret_records,
                    uint64_t *ret_bad, struct why *w) _warn_unused_;
