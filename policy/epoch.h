/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Who signs a ledger's head for a time. An epoch's key is made when the epoch begins and erased when the next one does,
 * so that whoever takes a host over later can sign for what is yet to come, and not again for what is there: the key of
 * each epoch signs the whole tree before its successor, and the successor's key. Only the first epoch after a boot (or
 * after the key was lost) has nobody before it: that one the host's key signs, and it says so. Pure.
 *
 * What is signed, each line with its newline:
 *
 *   freezed epoch v1
 *   ORIGIN                  note_origin() of the host
 *   NUMBER WHY
 *   PUBLIC                  hex: the key of this epoch
 *   SIZE ROOT               of the tree over all records before this one; hex */

#include <stdbool.h>
#include <stdint.h>

#include "policy/note.h"

/* X(NAME, "id", the host's key signs it and not that of the epoch before) */
#define EPOCH_WHY_TABLE(X)                                                          \
        X(FIRST, "first", true)        /* of this ledger */                         \
        X(BOOT, "boot", true)          /* the machine was started: keys are gone */ \
        X(LOST, "lost", true)          /* the key is gone in the same boot */       \
        X(HOUR, "hour", false)         /* heartbeat */                              \
        X(EVIDENCE, "evidence", false) /* what was just sealed is signed for good */

enum epoch_why {
#define X(name, id, host) EPOCH_##name,
        EPOCH_WHY_TABLE(X)
#undef X
                _EPOCH_WHY_MAX,
};

struct epoch {
        uint64_t number; /* from 1 */
        enum epoch_why why;
        uint8_t pub[32];
        uint64_t size;
        uint8_t root[MERKLE_HASH_SIZE];
        uint8_t sig[64];
};

#define EPOCH_MESSAGE_SIZE 512

const char *epoch_why_id(enum epoch_why w);
/* True when no epoch before vouches for it. */
bool epoch_is_by_host(enum epoch_why w);
/* The bytes that are signed; returns how many. */
size_t epoch_message(const struct epoch *e, const char *origin, char ret[static EPOCH_MESSAGE_SIZE]);
/* True when sig is by that key, over this epoch of that ledger. */
bool epoch_is_signed(const struct epoch *e, const char *origin, const uint8_t pub[static 32]);

/* The members of its record: epoch, why, public, size, root, sig. New reference, NULL when out of memory. */
json_t *epoch_to_json(const struct epoch *e);
/* From a record. -EBADMSG when a member is absent or not what it should be; *ret untouched. Whether it is signed is not
 * looked at. */
int epoch_from_json(const json_t *body, struct epoch *ret) _warn_unused_;
