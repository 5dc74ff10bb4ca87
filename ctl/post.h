/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One POST over HTTP or HTTPS, by libcurl, which is loaded when the first one is made and not before: with all that it
 * brings it would cost every other verb 20 ms, and an order to stop something is one of them. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/why.h"

#define POST_TIMEOUT_MS 10000L

struct post_answer {
        long status;
        char *body; /* owned by the caller, who gives the room: max bytes and one for the NUL */
        size_t n, max;
};

/* An answer with more than max bytes is no answer. timeout_ms 0: POST_TIMEOUT_MS. Blocks that long. Returns 0,
 * CTL_SILENT or CTL_MACHINE. May be called from any thread, but not from two at once. */
int post_send(const char *url, const char *type, const char *body, size_t n, int64_t timeout_ms,
              struct post_answer *ret, struct why *w) _warn_unused_;
