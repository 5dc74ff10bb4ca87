/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The three lists of an exported bag, from all that tells when something was:
 *
 *   timeline.timesketch.jsonl   everything
 *   timeline.iris.csv           what people did and what came of it: not each object, not each line of a log
 *   bodyfile.txt                times of the files that were copied
 *
 * What cannot be read on the way is left out, and counted: a timeline is a view, and the evidence is not in it. */

#include <stdint.h>
#include <stdio.h>

#include "ctl/bag.h"
#include "ctl/custody_tell.h"
#include "ctl/timeline.h"

struct caseevents;

#define CASEEVENTS_SKETCH "timeline.timesketch.jsonl"
#define CASEEVENTS_IRIS   "timeline.iris.csv"
#define CASEEVENTS_BODY   "bodyfile.txt"

/* Makes the three files in dir. b is borrowed. -errno. */
int caseevents_new(const char *dir, const struct bag *b, struct caseevents **ret) _warn_unused_;
void caseevents_free(struct caseevents *e);
void caseevents_freep(struct caseevents **e);

/* Each returns 0, -ENOMEM, or -errno of writing. The order, the snapshot and each sealed file, from what was signed. */
int caseevents_bag(struct caseevents *e) _warn_unused_;
/* A record of the host's ledger. */
int caseevents_record(struct caseevents *e, const json_t *o) _warn_unused_;
/* That it was exported now. */
int caseevents_export(struct caseevents *e, const struct custody_told *told, bool opened) _warn_unused_;
/* Each object and hole. */
int caseevents_index(struct caseevents *e, FILE *index) _warn_unused_;
/* Each entry that was not in a journal before; name is that of the file in the bag. */
int caseevents_journal(struct caseevents *e, FILE *journal, const char *name) _warn_unused_;
/* Writes out what is left. *ret_events counts the lines of the first list, *ret_bad what could not be read. */
int caseevents_finish(struct caseevents *e, uint64_t *ret_events, uint64_t *ret_bad) _warn_unused_;
