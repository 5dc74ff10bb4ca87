/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bag of evidence made ready to leave: a BagIt bag around it (outbox.h), a directory or a tar archive.
 *
 *   README.txt                 what is what, and the commands that verify and open it
 *   data/evidence/             what the host signed; as it is sealed also with every sealed file
 *   data/custody.dsse.json     the host's word for the record that was made of this, where it made one
 *   data/ledger.jsonl          the records about the hold, as the ledger of the host has them (extract.h)
 *   data/timeline.*, data/bodyfile.txt   see caseevents.h
 * and opened with a secret key:
 *   data/index.jsonl           what each object is and where it came from, and every hole
 *   data/objects/NNNNNN-KIND   the objects, but for
 *   data/cores/NNNNNN-PID.core, data/journal/NNNNNN-KIND.export and .journal, which systemd's own tool made of it
 *
 * Sealed, it can be sent by any way: what was collected is for the recipients only. In the clear it says what was
 * ordered, by whom, what came of it, and what the service tried while it was held. Opened, it is as secret as what was
 * collected, and its files are for their owner only. */

#include "ctl/anchor.h"
#include "ctl/bag.h"
#include "ctl/custody_tell.h"
#include "ctl/opened.h"
#include "ctl/render.h"

struct exported {
        uint64_t files, bytes; /* of the payload */
        uint64_t events, bad;  /* lines of the timeline; what could not be read for it */
        uint64_t cores, journals, rebuilt;
        uint64_t records, bad_records; /* of the ledger, about it; places where that is not as it should be */
        bool is_open;
        struct opened opened;
};

/* b was verified, and held against the ledger. with: NULL to leave it sealed. Returns 0 or an exit code; out is there
 * only with 0. */
int export_make(const struct bag *b, const struct anchor *anchor, const struct identities *with,
                const struct custody_told *told, const char *out, struct exported *ret, struct why *w) _warn_unused_;

void export_render(const struct page *p, const char *out, const struct exported *e, int code);
/* New reference, NULL when out of memory. */
json_t *export_to_json(const struct exported *e);
