/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What is left of evidence that was deleted: the folder without data/. Its manifests, its digests, the order that it
 * was taken for and the signatures over them stay as they were, and with them
 *
 *   tombstone.dsse.json   in-toto Statement v1 by the host about what stays: what was deleted, by whose order or
 * because its time was over, and when deletion.dsse.json    that order, as it was signed
 *
 * The tombstone is on the disk before the first byte of data is given up, so that nothing is ever missing without
 * somebody having signed for it. */

#include "agent/core/folder.h"
#include "agent/core/hostkey.h"

struct tombstone {
        const struct hostkey *key;
        const char *fleet;
        uint8_t boot_id[16];
        int64_t floor_ms;
        uint64_t ledger; /* number of the last record when it was made: the deletion's is that or one before */
        int64_t sealed_ms, keep_ms;
        const char *order;          /* the envelope; NULL: its time was over */
        const json_t *people;       /* who signed it, and under which role; borrowed; NULL as above */
        const char *role;           /* NULL as above */
        struct command_id by;       /* its id */
        const char *why;            /* its reason for people */
        uint8_t command_sha256[32]; /* of its payload */
};

/* One step: makes the tombstone durable, or deletes some files. 1 when there is more to do, 0 when it is all done and
 * durable, -errno. Begun anew at any point it goes on where it was. Blocks for some files at most. */
int tombstone_step(const struct folder *f, const struct tombstone *t) _warn_unused_;
/* SHA-256 of a tombstone. -errno. */
int tombstone_digest(const struct folder *f, uint8_t ret[static 32]) _warn_unused_;
