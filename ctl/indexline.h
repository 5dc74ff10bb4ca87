/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One line of the sealed index (agent/collect/index.h), read by one who makes lists for others of it. A line comes from
 * a host that may have been taken over before it wrote it: what is not as it should be is no line, and text in it is
 * never more than text. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ctl/sums.h"
#include "policy/cleanup.h"

#define INDEXLINE_KIND_MAX 24U

enum indexline_what {
        INDEXLINE_OBJECT, /* kept */
        INDEXLINE_HOLE,   /* not kept, or not all of it */
        INDEXLINE_NOTE,   /* what the collector says of itself */
};

struct indexline_stat {
        int64_t inode, mode, uid, gid, size;            /* negative: not known */
        int64_t atime_us, mtime_us, ctime_us, btime_us; /* INT64_MIN: not known */
};

struct indexline {
        enum indexline_what what;
        char name[SUMS_NAME_MAX + 1]; /* of the object, as it is called once it is opened: NNNNNN-KIND; "" for none */
        char kind[INDEXLINE_KIND_MAX + 1];
        uint8_t *source; /* owned; any bytes, n_source of them */
        size_t n_source;
        int64_t pid; /* 0: of no process */
        bool not_frozen, changed;
        int64_t bytes, started_ms, ended_ms; /* of an object */
        char hole[32];                       /* why: the name of an errno, or "changed" */
        int64_t expected, got;               /* of a hole; expected is negative when that is not known */
        bool has_stat;
        struct indexline_stat stat;
};

/* 0; -EBADMSG, *ret untouched; -ENOMEM. */
int indexline_parse(const char *line, size_t n, struct indexline *ret) _warn_unused_;
void indexline_done(struct indexline *l);
