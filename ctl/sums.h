/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A manifest of a bag (RFC 8493): "<64 hex digits>  <name>" a line, as `sha256sum -c` reads it too. Taken are only
 * names that a host of ours gives: no other bag is verified here, and none of them leads out of the bag. Pure. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

#define SUMS_NAME_MAX 63U
/* of one manifest */
#define SUMS_MAX 65536U

struct sum {
        char name[SUMS_NAME_MAX + 1];
        uint8_t sha256[32];
        int64_t bytes; /* how long the file is; negative: a manifest does not say */
};

struct sums {
        struct sum *v; /* owned; in strictly ascending byte order of the names */
        size_t n;
};

void sums_done(struct sums *s);
/* -EBADMSG for anything but such lines, sorted, no name twice; -E2BIG over SUMS_MAX; -ENOMEM. */
int sums_parse(const char *text, size_t n, struct sums *ret) _warn_unused_;
/* One line more, from what it is made of: -EBADMSG when that is no digest or no such name; -E2BIG, -ENOMEM. Then
 * sums_sort, once: -EBADMSG when a name is there twice. */
int sums_add(struct sums *s, const char *name, const char *hex) _warn_unused_;
int sums_sort(struct sums *s) _warn_unused_;
/* public.jsonl: a line for each file, of which name, digest and size are of interest here; in any order, no name twice.
 * A line without its end is not one: its writer died. -EBADMSG, -E2BIG, -ENOMEM. */
int sums_from_public(const char *text, size_t n, struct sums *ret) _warn_unused_;
/* NULL when it is not listed. */
const struct sum *sums_find(const struct sums *s, const char *name);
/* True for a name that can be listed: a-z, 0-9, dot, dash, underscore, in at most two parts, none of which begins with
 * a dot. */
bool sums_name_ok(const char *name);
