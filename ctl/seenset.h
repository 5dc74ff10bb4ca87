/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which strings of bytes were there before. 64 bits of each are kept, under a key that nobody outside can know: that
 * one is taken for another is as likely as a collision of those by chance. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

struct seenset {
        uint64_t *v; /* owned; 0: free */
        size_t n, size;
        uint8_t key[16];
};

#define SEENSET_NULL ((struct seenset) { .v = NULL })

void seenset_done(struct seenset *s);
bool seenset_has(const struct seenset *s, const void *bytes, size_t n);
/* 1 the first time, 0 any other, -ENOMEM. */
int seenset_add(struct seenset *s, const void *bytes, size_t n) _warn_unused_;
