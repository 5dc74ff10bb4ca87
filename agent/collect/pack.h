/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Many small objects as one file, because a sealed file for each costs a recipient's stanza, a frame and a sync: a
 * POSIX ustar archive in memory, which any tar opens. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "policy/cleanup.h"

/* What is larger is a file of its own. */
#define PACK_MEMBER_MAX (64U * 1024)
#define PACK_NAME_MAX   99U
#define PACK_SIZE       (4U * 1024 * 1024)

struct pack {
        uint8_t *bytes; /* owned, PACK_SIZE */
        size_t n;
        size_t members;
};

/* -ENOMEM. */
int pack_init(struct pack *p) _warn_unused_;
void pack_done(struct pack *p);

/* What a member of n bytes takes. */
size_t pack_cost(size_t n);
/* A member of n bytes fits, and the archive's end after it. */
bool pack_has_room(const struct pack *p, size_t n);
/* Appends a member; there has to be room. The name is ours: it fits, and nothing in it has to be escaped. */
void pack_add(struct pack *p, const char *name, const void *bytes, size_t n, time_t mtime);
/* Writes the archive's end after the members: p->bytes to p->n is the whole archive then. */
void pack_end(struct pack *p);
/* As after pack_init. */
void pack_reset(struct pack *p);
