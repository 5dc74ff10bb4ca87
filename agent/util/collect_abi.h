/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What freezed and freezed-collect say to each other. The collector reads what an attacker wrote, so the core believes
 * it as little as possible: one fixed struct of byte arrays on a pipe, each number big-endian, and nothing else. The
 * core takes no name, text or length from it; the manifest's digest is only compared with what the core hashes
 * itself. */

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* where the collector finds its two descriptors */
#define COLLECT_FOLDER_FD 3
#define COLLECT_RESULT_FD 4

#define COLLECT_TARGETS_MAX 256U
#define COLLECT_LOGS_MAX    64U
#define COLLECT_OBJECTS_MAX 32768U
/* lines of the hole ledger; more are counted but not listed */
#define COLLECT_HOLES_MAX 8192U
/* of all parts of the sealed index together, opened */
#define COLLECT_INDEX_MAX (16U * 1024 * 1024)
/* more than a line for every file that there can be */
#define COLLECT_PUBLIC_MAX   (16U * 1024 * 1024)
#define COLLECT_MANIFEST_MAX (4U * 1024 * 1024)

#define COLLECT_DATA     "data"
#define COLLECT_PUBLIC   "public.jsonl"
#define COLLECT_MANIFEST "manifest-sha256.txt"

/* The collector's exit codes. Anything else, a signal included, is a crash. */
#define COLLECT_EXIT_DONE    0 /* a result was written; there may be holes */
#define COLLECT_EXIT_FAILED  1 /* the folder could not be filled */
#define COLLECT_EXIT_USAGE   2
#define COLLECT_EXIT_SANDBOX 3 /* nothing was read, because the sandbox could not be entered */

/* X(NAME, bit, "id in the signed statement") */
#define COLLECT_FLAG_TABLE(X)                                                                           \
        X(CUT_TIME, 0, "cut-time")       /* the deadline came first */                                  \
        X(CUT_BYTES, 1, "cut-bytes")     /* the byte budget was used up */                              \
        X(CUT_SPACE, 2, "cut-space")     /* the disk or its share for this snapshot was full */         \
        X(CUT_COUNT, 3, "cut-count")     /* more objects, holes, processes or cgroups than are taken */ \
        X(NO_LANDLOCK, 4, "no-landlock") /* ran without Landlock: the kernel has none or refused it */  \
        X(NO_MOUNTS, 5, "no-mounts")     /* ran without its read-only mount namespace */                \
        X(UNSYNCED, 6, "unsynced")       /* not all of it is known to be durable */                     \
        X(CUT_ERROR, 7, "cut-error")     /* what was read could not be kept: the disk, memory, descriptors */

enum collect_flag {
#define X(name, bit, id) COLLECT_##name = 1 << (bit),
        COLLECT_FLAG_TABLE(X)
#undef X
};

/* with one of these a snapshot is not complete */
#define COLLECT_CUT                                                                                 \
        ((uint32_t) (COLLECT_CUT_TIME | COLLECT_CUT_BYTES | COLLECT_CUT_SPACE | COLLECT_CUT_COUNT | \
                     COLLECT_CUT_ERROR | COLLECT_UNSYNCED))

#define COLLECT_MAGIC   "FZCOLLCT"
#define COLLECT_VERSION 2U

struct collect_wire {
        uint8_t magic[8];
        uint8_t version[4];
        uint8_t flags[4];
        uint8_t objects[8];
        uint8_t holes[8];
        uint8_t bytes[8];
        uint8_t sealed[8];
        uint8_t manifest_sha256[32];
};

_Static_assert(sizeof(struct collect_wire) == 80, "the result has no padding");

struct collect_result {
        uint32_t flags;
        uint64_t objects;
        uint64_t holes;
        uint64_t bytes;  /* of the objects as they were read */
        uint64_t sealed; /* of the files that they are in */
        uint8_t manifest_sha256[32];
};

static inline void collect_put(uint8_t *p, size_t n, uint64_t v) {
        for (size_t i = n; i > 0; i--, v >>= 8)
                p[i - 1] = (uint8_t) v;
}

static inline uint64_t collect_get(const uint8_t *p, size_t n) {
        uint64_t v = 0;
        for (size_t i = 0; i < n; i++)
                v = v << 8 | p[i];
        return v;
}

static inline void collect_pack(const struct collect_result *r, struct collect_wire *ret) {
        memcpy(ret->magic, COLLECT_MAGIC, sizeof(ret->magic));
        collect_put(ret->version, sizeof(ret->version), COLLECT_VERSION);
        collect_put(ret->flags, sizeof(ret->flags), r->flags);
        collect_put(ret->objects, sizeof(ret->objects), r->objects);
        collect_put(ret->holes, sizeof(ret->holes), r->holes);
        collect_put(ret->bytes, sizeof(ret->bytes), r->bytes);
        collect_put(ret->sealed, sizeof(ret->sealed), r->sealed);
        memcpy(ret->manifest_sha256, r->manifest_sha256, sizeof(ret->manifest_sha256));
}

/* False, *ret untouched, unless magic and version match and the counts can be true: more objects than
 * COLLECT_OBJECTS_MAX or numbers that JSON cannot carry are a lie. */
static inline bool collect_unpack(const struct collect_wire *w, struct collect_result *ret) {
        struct collect_result r = {
                .flags = (uint32_t) collect_get(w->flags, sizeof(w->flags)),
                .objects = collect_get(w->objects, sizeof(w->objects)),
                .holes = collect_get(w->holes, sizeof(w->holes)),
                .bytes = collect_get(w->bytes, sizeof(w->bytes)),
                .sealed = collect_get(w->sealed, sizeof(w->sealed)),
        };
        const uint64_t json_max = (UINT64_C(1) << 53) - 1;

        if (memcmp(w->magic, COLLECT_MAGIC, sizeof(w->magic)) != 0 ||
            collect_get(w->version, sizeof(w->version)) != COLLECT_VERSION)
                return false;
        if (r.objects > COLLECT_OBJECTS_MAX || r.holes > json_max || r.bytes > json_max || r.sealed > json_max)
                return false;
        memcpy(r.manifest_sha256, w->manifest_sha256, sizeof(r.manifest_sha256));
        *ret = r;
        return true;
}
