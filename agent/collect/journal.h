/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A unit's journal for a window of time, in export format (see export.h): the same entries in the same order as
 * `journalctl --unit=UNIT --since --until --output=export` gives, from every journal of this machine, namespaces
 * included. */

#include <stdint.h>

#include "agent/collect/store.h"

struct journal_window {
        int64_t since_ms, until_ms; /* wall clock, both included */
};

/* One object; what could not be read becomes holes: an absent journal ENOENT, a field too large E2BIG, a corrupt part
 * EBADMSG, a journal that was truncated under our eyes EFAULT. */
void journal_collect(struct store *s, const char *unit, const struct journal_window *window);
