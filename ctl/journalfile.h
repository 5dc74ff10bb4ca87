/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS), read entry by entry. Whoever logged wrote what is in it:
 * fields may be binary, be there several times, or be of any size; what is not of interest is skipped, and nothing is
 * kept whole that is larger than JOURNALFILE_VALUE_MAX. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "policy/cleanup.h"

#define JOURNALFILE_VALUE_MAX 32768U

/* X(NAME, "field") */
#define JOURNALFILE_FIELD_TABLE(X)          \
        X(REALTIME, "__REALTIME_TIMESTAMP") \
        X(MESSAGE, "MESSAGE")               \
        X(UNIT, "_SYSTEMD_UNIT")            \
        X(IDENTIFIER, "SYSLOG_IDENTIFIER")  \
        X(COMM, "_COMM")                    \
        X(PID, "_PID")                      \
        X(UID, "_UID")                      \
        X(PRIORITY, "PRIORITY")             \
        X(TRANSPORT, "_TRANSPORT")          \
        X(CURSOR, "__CURSOR")

enum journalfile_field {
#define X(name, text) JOURNALFILE_##name,
        JOURNALFILE_FIELD_TABLE(X)
#undef X
                _JOURNALFILE_FIELD_MAX,
};

/* The first of each that the entry has; the beginning of it when it is larger. */
struct journalfile_value {
        uint8_t *bytes; /* owned; NULL: there is none */
        size_t n;
};

struct journalfile_entry {
        struct journalfile_value v[_JOURNALFILE_FIELD_MAX];
};

/* Reads the next entry. 1; 0 at the end; -EBADMSG for what is no such file, or ends in the middle; -ENOMEM, -EIO. *ret
 * is filled and owned by the caller in every case; it has to be JOURNALFILE_ENTRY_NULL or done before. */
#define JOURNALFILE_ENTRY_NULL ((struct journalfile_entry) { .v = { { .n = 0 } } })
int journalfile_next(FILE *f, struct journalfile_entry *ret) _warn_unused_;
void journalfile_entry_done(struct journalfile_entry *e);
/* A field as a number; -1 when it is none. */
int64_t journalfile_number(const struct journalfile_entry *e, enum journalfile_field which);
