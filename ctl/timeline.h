/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What happened, for the tools that draw it. Whatever text comes from outside is escaped first (text_escape), so that
 * it is one line of printable characters; then it is quoted as each format asks.
 *
 *   Timesketch   JSONL, ASCII: message, datetime, timestamp (microseconds), timestamp_desc, and members that each have
 *                one type in every line
 *   DFIR-IRIS    CSV with its ten columns, each quoted; a cell that a spreadsheet would calculate begins with '
 *   bodyfile     mactime's, of what the file system said of a file; the MD5 is 0, since none was made
 *
 * Pure but for the streams that it writes to. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "ctl/indexline.h"
#include "policy/cleanup.h"

/* Longer text is cut: Timesketch loses the keyword of a longer field. */
#define TIMELINE_TEXT_MAX 8000U

/* Where a line is about; borrowed. */
struct timeline_case {
        const char *host, *hold, *incident;
};

struct timeline_text {
        const void *bytes;
        size_t n;
};
#define TIMELINE_TEXT(s) ((struct timeline_text) { (s), strlen(s) })

struct timeline_event {
        int64_t us;       /* wall clock */
        const char *desc; /* what the time is the time of; ours */
        const char *tag;  /* one word; ours */
        struct timeline_text message;
        struct timeline_text origin, unit; /* n 0: none */
        const char *file;                  /* of this bag; NULL: none */
        int64_t pid;                       /* 0: none */
};

/* Each gives 0, -ENOMEM, or -EIO of the stream. */
int timeline_sketch_line(FILE *f, const struct timeline_case *c, const struct timeline_event *e) _warn_unused_;
int timeline_iris_head(FILE *f) _warn_unused_;
int timeline_iris_line(FILE *f, const struct timeline_case *c, const struct timeline_event *e) _warn_unused_;
/* Nothing for an object without a stat. */
int timeline_bodyfile_line(FILE *f, const struct indexline *l) _warn_unused_;
