/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One line of log with structured fields: to the journal when stderr is connected to it, else to stderr.
 *
 * Nothing here ever blocks, waits or fails: a stuck or flooded journal must not stop a containment. A message that the
 * journal does not take at once is dropped and counted, and the next one that gets through carries the count in
 * LOG_LOST=. Values may come from an attacker: every byte that is not printable ASCII is written as \xNN, so no value
 * can add a field, a line or a terminal command, and each is cut at a fixed length. */

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h>

#include "policy/cleanup.h"

#define LOG_MESSAGE_MAX 1024U
#define LOG_VALUE_MAX   160U

/* Journal fields of the same names in capitals. NULL: the line has no such field. */
struct log_fields {
        const char *command_id;
        const char *stage;
        const char *reason;
        const char *key_id;
        const char *hold;
        const char *target;
};

#define LOG_FIELDS(...) (&(const struct log_fields) { __VA_ARGS__ })

/* What one class of messages may write in a second. Define one, static, for each kind of message that a peer can
 * cause. */
struct log_limit {
        unsigned per_second;
        unsigned used;
        int64_t second;
        uint64_t dropped;
};

#define LOG_LIMIT(n) ((struct log_limit) { .per_second = (n) })

/* Connects to the journal when JOURNAL_STREAM says that stderr is its stream. Call it before a sandbox closes the way;
 * without it, and when the journal cannot be reached, lines go to stderr. */
void log_open(void);

/* priority: LOG_ERR and so on. message_id: 32 hex digits, or NULL. fields: LOG_FIELDS(.stage = "verify") or NULL. */
void log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...)
        _printf_(4, 5);
/* The same for messages that a peer can cause: beyond the limit they are dropped, and the first one of a later second
 * says how many were. */
void log_lossy(struct log_limit *limit, int priority, const char *message_id, const struct log_fields *fields,
               const char *fmt, ...) _printf_(5, 6);
