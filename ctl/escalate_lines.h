/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Bytes into lines, of which none takes more memory than ESCALATE_LINE_MAX: of a longer one only its length is kept.
 * Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/cleanup.h"

/* Falco and Tetragon write a few KiB; what they watch can make it more */
#define ESCALATE_LINE_MAX (1024U * 1024)

enum escalate_lines_end {
        ESCALATE_LINES_MORE, /* all was taken, and there is no end of a line yet */
        ESCALATE_LINES_LINE, /* text and n are a line, without its end, until the next call */
        ESCALATE_LINES_LONG, /* a line of n bytes is over, and its text is gone */
};

struct escalate_lines {
        char *text; /* owned */
        size_t n, size;
        bool ended; /* what was there was given out */
};

#define ESCALATE_LINES_NULL ((struct escalate_lines) { .text = NULL })

void escalate_lines_done(struct escalate_lines *l);
/* Takes bytes up to the end of a line; *ret_taken is how many. An enum escalate_lines_end, or -ENOMEM. */
int escalate_lines_feed(struct escalate_lines *l, const char *bytes, size_t n, size_t *ret_taken) _warn_unused_;
/* No more will come: what is left is a line, if there is anything. MORE: nothing. */
int escalate_lines_finish(struct escalate_lines *l) _warn_unused_;
