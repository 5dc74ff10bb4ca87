/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS): what `journalctl -o export` writes and
 * systemd-journal-remote reads back.
 *
 *   NAME=text\n                                      when the value is printable UTF-8 in one line
 *   NAME\n | u64 little-endian length | value | \n    for anything else
 *   \n                                               ends the entry
 *
 * An entry is built whole in memory, so that one which cannot be finished leaves nothing half-written. Pure: no I/O. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* Larger fields and entries are cut and become holes: the collector's memory is bounded. */
#define EXPORT_FIELD_MAX (8U * 1024 * 1024)
#define EXPORT_ENTRY_MAX (16U * 1024 * 1024)

struct export {
        char *bytes; /* owned */
        size_t n, size;
};

void export_done(struct export *e);
/* Starts the next entry in the same memory. */
void export_reset(struct export *e);
/* One line of text of our own making. -ENOMEM. */
int export_text(struct export *e, const char *fmt, ...) _printf_(2, 3) _warn_unused_;
/* field is "NAME=value", n bytes. -EBADMSG when there is no name before '=' or it has other characters than A-Z, 0-9
 * and _; -E2BIG when the entry would exceed EXPORT_ENTRY_MAX; -ENOMEM. The entry is as before then. */
int export_field(struct export *e, const void *field, size_t n) _warn_unused_;
/* True for one line of printable UTF-8; tabs are printable. */
bool export_is_text(const uint8_t *p, size_t n);
