/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What became of a snapshot: made by the stage preserve, told in the signed statement and in the receipt. */

#include <stdbool.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* X(NAME, "id") */
#define PRESERVE_STATE_TABLE(X)                                                                          \
        X(COMPLETE, "complete")   /* all that was asked for, holes for what the kernel would not give */ \
        X(CUT_SHORT, "cut-short") /* time, bytes, space or the collector's life ended first */           \
        X(FAILED, "failed")       /* nothing that could be used, or it could not be sealed */

enum preserve_state {
#define X(name, id) PRESERVE_##name,
        PRESERVE_STATE_TABLE(X)
#undef X
                _PRESERVE_STATE_MAX,
};

/* Where the ledger was when the snapshot began: it is no older than that. */
struct seal_position {
        uint64_t n, epoch;
        uint8_t root[32];
};

struct preserved {
        enum preserve_state state;
        const char *folder;             /* absolute path, borrowed */
        bool counted;                   /* the collector lived to say the four numbers; 0 otherwise */
        uint64_t objects, holes, bytes; /* bytes as they were read */
        uint64_t sealed;                /* bytes of the files that they are in */
        uint32_t flags;                 /* enum collect_flag */
        bool has_manifest;
        uint8_t manifest_sha256[32]; /* as the core hashed it */
        uint8_t tagmanifest_sha256[32];
        bool has_statement;
        uint8_t statement_sha256[32]; /* of the file as it was written */
        int64_t took_us;              /* from the call of preserve_start to the seal */
        int err;                      /* negative errno when it could not be sealed */
};

const char *preserved_state_id(enum preserve_state s);
/* The ids of enum collect_flag that are set, in table order. New reference, NULL when out of memory. */
json_t *preserved_flags_to_json(uint32_t flags);
