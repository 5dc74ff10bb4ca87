/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Text to and from people. Nothing that came from elsewhere reaches a terminal but through text_clean. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define TEXT_CLEAN_MAX  600U
#define TEXT_SPAN_SIZE  32U
#define TEXT_TIME_SIZE  48U
#define TEXT_HEX32_SIZE 65U
/* the longest duration that anyone can mean */
#define TEXT_SPAN_MAX_MS (3650LL * 24 * 3600 * 1000)

/* Copies s, cut off with "..." where it does not fit into n bytes (at least 8). Bytes that are not UTF-8, control
 * characters, and the characters that reorder or hide text become '?', so that no sender can move the cursor, colour a
 * verdict or reverse a name. NULL counts as empty. Returns ret. */
const char *text_clean(const char *s, char *ret, size_t n);
/* For use inside one statement or block. */
#define CLEAN(s) text_clean((s), (char[TEXT_CLEAN_MAX]) { 0 }, TEXT_CLEAN_MAX)

/* The same for files that others read: nothing is lost, as each such byte becomes \xNN and a backslash \\. What is
 * longer than max bytes (at least 8) is cut off with "...". malloc'ed, NULL when out of memory. */
char *text_escape(const void *bytes, size_t n, size_t max);

/* "500ms", "10s", "15m", "2h", "365d"; the unit is compulsory because people differ on what a bare 15 means. More than
 * 0 and at most TEXT_SPAN_MAX_MS. -EINVAL, *ret untouched. */
int text_span_from_str(const char *s, int64_t *ret_ms) _warn_unused_;
/* "340 ms", "12.3 s", "15 min", "2 h 5 min", "3 d 4 h". Returns ret. */
const char *text_span(int64_t ms, char ret[static TEXT_SPAN_SIZE]);
#define SPAN(ms) text_span((ms), (char[TEXT_SPAN_SIZE]) { 0 })
/* Local time with its zone, as in "2026-11-20 03:12:05 CET". Returns ret. */
const char *text_time(int64_t wall_ms, char ret[static TEXT_TIME_SIZE]);
#define TIME(ms) text_time((ms), (char[TEXT_TIME_SIZE]) { 0 })
/* Lower-case hex of a SHA-256. Returns ret. */
const char *text_hex32(const uint8_t b[static 32], char ret[static TEXT_HEX32_SIZE]);
