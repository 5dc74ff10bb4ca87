/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/aside.h"

static bool has(const struct aside *a, int64_t sequence) {
        for (const struct inbox_item *i = a->first; i; i = i->next)
                if (i->sequence == sequence)
                        return true;
        return false;
}

bool aside_put(struct aside *a, struct inbox_item *i) {
        if (has(a, i->sequence)) {
                free(i);
                return true;
        }
        if (a->n_items == ASIDE_ITEMS_MAX || a->n_bytes + i->n > ASIDE_BYTES_MAX)
                return false;
        i->next = NULL;
        if (a->last)
                a->last->next = i;
        else
                a->first = i;
        a->last = i;
        a->n_items++;
        a->n_bytes += i->n;
        return true;
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
