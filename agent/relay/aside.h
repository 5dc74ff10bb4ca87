/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Orders that the stream had, until all that was asked of it came: the release of one may lie behind it, under the
 * subject of another address, and goes to the gate before it. In the order in which they came.
 *
 * FAIL-OPEN: a host that does not stop is worse than one that holds what was let go until it has the release. None
 * waits for longer than wait_us, whatever is still to come by then; and of more than there is room for the oldest goes
 * at once.
 *
 * Pure: no I/O, no clock. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/relay/inbox.h"

#define ASIDE_ITEMS_MAX 512U
#define ASIDE_BYTES_MAX (4U * 1024 * 1024)
#define ASIDE_WAIT_US   (30 * 1000 * 1000LL)

struct aside {
        int64_t wait_us;
        struct inbox_item *first, *last;
        size_t n_items, n_bytes;
};

/* Takes the item, or frees one that it has already: the same bytes under the same number of a stream. The caller takes
 * what is due before it puts another. */
void aside_put(struct aside *a, struct inbox_item *i, const struct command_id *id, int64_t now_us);
/* In how long the oldest goes, whatever it waits for: 0 now, below 0 when there is none. */
int64_t aside_due_us(const struct aside *a, int64_t now_us);
/* One says that it is this order. */
bool aside_has(const struct aside *a, const struct command_id *id);
/* The oldest; free() it. NULL when there is none. */
struct inbox_item *aside_take(struct aside *a) _warn_unused_;
/* Forgets all: they are for another host. */
void aside_clear(struct aside *a);
