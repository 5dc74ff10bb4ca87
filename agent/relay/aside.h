/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Orders that the stream had, until all that was asked of it came: the release of one may lie behind it, under the
 * subject of another address, and goes to the gate before it. In the order in which they came; bounded. */

#include <stdbool.h>
#include <stddef.h>

#include "agent/relay/inbox.h"

#define ASIDE_ITEMS_MAX 512U
#define ASIDE_BYTES_MAX (4U * 1024 * 1024)

struct aside {
        struct inbox_item *first, *last;
        size_t n_items, n_bytes;
};

/* Takes the item, or frees one that it has already: a message of a stream is known by its number. False when there is
 * no room: it is the caller's then. */
bool aside_put(struct aside *a, struct inbox_item *i) _warn_unused_;
/* The oldest; free() it. NULL when there is none. */
struct inbox_item *aside_take(struct aside *a) _warn_unused_;
/* Forgets all: they are of a connection that is over, or for another host. */
void aside_clear(struct aside *a);
