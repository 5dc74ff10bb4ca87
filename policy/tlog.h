/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a log and its witness say to each other, and what is left for a court. Formats of C2SP: the request of
 * tlog-witness, and tlog-proof. Pure.
 *
 *   old 400                          c2sp.org/tlog-proof@v1
 *   BASE64                           extra BASE64
 *   BASE64                           index 406
 *                                    BASE64
 *   checkpoint, a signed note
 *                                    checkpoint, a signed note */

#include "policy/note.h"

#define TLOG_REQUEST_MAX (NOTE_MAX + 4096U)
/* a record of any size, in base64 */
#define TLOG_EXTRA_MAX (256U * 1024)
#define TLOG_PROOF_MAX (NOTE_MAX + 4096U + 2U * TLOG_EXTRA_MAX)

struct tlog_request {
        uint64_t old;
        struct merkle_proof proof; /* that the tree of so many records is the beginning of the note's */
        const char *note;          /* borrowed; not looked at */
        size_t n_note;
};

/* -EBADMSG; *ret untouched. */
int tlog_request_parse(const char *bytes, size_t n, struct tlog_request *ret) _warn_unused_;
/* *ret is malloc'ed. -ENOMEM. */
int tlog_request_to_str(const struct tlog_request *q, char **ret, size_t *ret_n) _warn_unused_;

struct tlog_proof {
        uint8_t *extra; /* owned; nobody signed it: here, the record whose hash is the leaf. With a NUL */
        size_t n_extra;
        uint64_t index;            /* of the leaf, from 0 */
        struct merkle_proof proof; /* that it is in the note's tree */
        const char *note;          /* borrowed from what was parsed; not looked at */
        size_t n_note;
};

void tlog_proof_done(struct tlog_proof *p);
/* -EBADMSG, -ENOMEM; *ret untouched. */
int tlog_proof_parse(const char *bytes, size_t n, struct tlog_proof *ret) _warn_unused_;
int tlog_proof_to_str(const struct tlog_proof *p, char **ret, size_t *ret_n) _warn_unused_;
