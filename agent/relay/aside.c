/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/aside.h"

#include <string.h>

/* A number alone is not a message: another server's stream counts for itself. */
static bool is_same(const struct inbox_item *a, const struct inbox_item *b) {
        return a->sequence == b->sequence && a->n == b->n && memcmp(a->text, b->text, a->n) == 0;
}

void aside_put(struct aside *a, struct inbox_item *i, const struct command_id *id, int64_t now_us) {
        for (const struct inbox_item *other = a->first; other; other = other->next)
                if (is_same(other, i)) {
                        free(i);
                        return;
                }
        i->id = *id;
        i->since_us = now_us;
        i->next = NULL;
        if (a->last)
                a->last->next = i;
        else
                a->first = i;
        a->last = i;
        a->n_items++;
        a->n_bytes += i->n;
}

int64_t aside_due_us(const struct aside *a, int64_t now_us) {
        if (!a->first)
                return -1;
        if (a->n_items > ASIDE_ITEMS_MAX || a->n_bytes > ASIDE_BYTES_MAX)
                return 0;
        return MAX(a->first->since_us + a->wait_us - now_us, 0);
}

bool aside_has(const struct aside *a, const struct command_id *id) {
        for (const struct inbox_item *i = a->first; i; i = i->next)
                if (command_id_equal(&i->id, id))
                        return true;
        return false;
}

struct inbox_item *aside_take(struct aside *a) {
        struct inbox_item *i = a->first;

        if (!i)
                return NULL;
        a->first = i->next;
        a->last = a->first ? a->last : NULL;
        a->n_items--;
        a->n_bytes -= i->n;
        return i;
}

void aside_clear(struct aside *a) {
        struct inbox_item *i;

        while ((i = aside_take(a)))
                free(i);
}
