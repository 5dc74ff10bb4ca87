/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Answers that wait for a broker. Bounded in bytes and in time: what could not be said within OUTBOX_LIFE_US is dropped
 * rather than told as if it were new. The core has it, and says it again when the order comes again. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/subject.h"

#define OUTBOX_BYTES_MAX (4U * 1024 * 1024)
#define OUTBOX_ITEMS_MAX 256U
#define OUTBOX_LIFE_US   (30LL * 1000 * 1000)

struct outbox_item {
        struct outbox_item *next;
        char subject[SUBJECT_SIZE];
        int64_t at_us;
        size_t n;
        char text[];
};

struct outbox {
        struct outbox_item *first, *last;
        size_t n_items, n_bytes;
        unsigned long dropped;
};

void outbox_done(struct outbox *o);
/* Copies; drops the oldest for it when it must. A text that is larger than all there is room for is dropped itself. */
void outbox_put(struct outbox *o, const char *subject, const char *text, size_t n, int64_t now_us);
/* The oldest that is still worth saying, or NULL. It stays. */
const struct outbox_item *outbox_peek(struct outbox *o, int64_t now_us);
/* Removes the oldest: it was said. */
void outbox_pop(struct outbox *o);
