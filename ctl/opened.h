/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A bag that was verified, opened with a secret key into a directory of the operator's own:
 *
 *   OUT/index.jsonl          the sealed index: what each object is and where it came from, and every hole
 *   OUT/objects/NNNNNN-KIND  the objects; the names are the host's, never of what was collected
 *
 * Each object is compared with what the index says of it. Everything is the operator's alone (0600, 0700). What comes
 * out is no more than the statement and the index say, and leaves the disk some room. */

#include "ctl/bag.h"
#include "ctl/unseal.h"

/* of one bag: no collector makes more objects, or more bytes of index, all its parts together */
#define OPENED_OBJECTS_MAX 32768U
#define OPENED_INDEX_MAX   (16U * 1024 * 1024)

struct opened {
        uint64_t objects, bytes; /* that are what the index says */
        uint64_t holes;          /* lines of the index */
        uint64_t wrong;          /* objects that are not, and files that do not open */
        uint64_t missing;        /* in the index and nowhere else */
        uint64_t unlisted;       /* opened, and in no part of the index: the collector died before it was sealed */
        int err;                 /* negative errno of the first that was wrong */
        bool ended;              /* the index has its last line */
        char first[SUMS_NAME_MAX + 1]; /* of what was wrong or missing */
};

/* out must not be there. Returns 0, or an exit code when nothing could be opened at all: CTL_REFUSED when the bag is
 * sealed to others. */
int opened_make(const struct bag *b, const struct identities *with, const char *out, struct opened *ret,
                struct why *w) _warn_unused_;
