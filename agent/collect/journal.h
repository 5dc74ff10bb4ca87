/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Entries of a window of time in export format (see export.h), each as `journalctl --output=export` gives it, in the
 * same order, from every journal of this machine, namespaces included.
 *
 * Each call makes one object; what could not be read becomes holes: an absent journal ENOENT, a field too large E2BIG,
 * a corrupt part EBADMSG, a journal that was truncated under our eyes EFAULT. */

#include <stdint.h>

#include "agent/collect/store.h"

struct journal_window {
        int64_t since_ms, until_ms; /* wall clock, both included */
};

/* `journal`: what `journalctl --unit=UNIT` shows, and what journal_match.h adds to that. */
void journal_collect(struct store *s, const char *unit, const struct journal_window *window);
/* `journal-kernel`: what the kernel and its audit said. */
void journal_collect_kernel(struct store *s, const struct journal_window *window);
/* `journal-host`: everything of everybody. */
void journal_collect_host(struct store *s, const struct journal_window *window);
/* `journal-sequence`: that no entry of the window is missing, whoever wrote it, or which are (sequence.h): a hole
 * ENODATA for each gap, and a line for each count. */
void journal_collect_sequence(struct store *s, const struct journal_window *window);
