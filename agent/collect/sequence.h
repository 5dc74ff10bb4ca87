/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which numbers the entries of a journal have. journald counts what it writes, over all of its files, so a number that
 * is missing between two others is an entry that was written and is gone: deleted, vacuumed, or lost with a file. That
 * nothing was taken off the end does not follow. Pure: no I/O. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define SEQUENCE_IDS_MAX    64U
#define SEQUENCE_RANGES_MAX 4096U /* of one id; beyond it the journal is in pieces and the rest is not counted */

struct sequence_range {
        uint64_t first, last;
};

/* One journald's count, until it starts anew. */
struct sequence {
        char id[33];
        struct sequence_range *ranges; /* owned; in order and apart after sequence_sort() */
        size_t n, size;
        uint64_t entries;
        uint64_t first_us, last_us; /* wall clock of the earliest and the latest */
};

struct sequences {
        struct sequence v[SEQUENCE_IDS_MAX];
        size_t n;
};

/* The cursor is what sd_journal_get_cursor(3) gives. -EBADMSG: it is none; -E2BIG: too many ids or ranges; -ENOMEM. */
int sequence_add(struct sequences *all, const char *cursor, uint64_t realtime_us) _warn_unused_;
/* After the last one. */
void sequence_sort(struct sequences *all);
/* What is known of one as a line, {"seqnum_id":...,"first":...,"last":...,"entries":...,"gaps":[[from,to],...]}.
 * Malloc'ed, -ENOMEM. */
int sequence_line(const struct sequence *s, char **ret) _warn_unused_;
void sequences_done(struct sequences *all);
