/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/outbox.h"

#include <string.h>

void outbox_pop(struct outbox *o) {
        struct outbox_item *i = o->first;

        if (!i)
                return;
        o->first = i->next;
        o->last = o->first ? o->last : NULL;
        o->n_items--;
        o->n_bytes -= i->n;
        free(i);
}

void outbox_done(struct outbox *o) {
        while (o->first)
                outbox_pop(o);
}

static void drop(struct outbox *o) {
        o->dropped++;
        outbox_pop(o);
}

void outbox_put(struct outbox *o, const char *subject, const char *text, size_t n, int64_t now_us) {
        struct outbox_item *i = n > OUTBOX_BYTES_MAX ? NULL : malloc(sizeof(*i) + n + 1);

        if (!i) {
                o->dropped++;
                return;
        }
        while (o->n_items == OUTBOX_ITEMS_MAX || o->n_bytes + n > OUTBOX_BYTES_MAX)
                drop(o);
        *i = (struct outbox_item) { .at_us = now_us, .n = n };
        (void) snprintf(i->subject, sizeof(i->subject), "%s", subject);
        if (n > 0)
                memcpy(i->text, text, n);
        i->text[n] = '\0';
        if (o->last)
                o->last->next = i;
        else
                o->first = i;
        o->last = i;
        o->n_items++;
        o->n_bytes += n;
}

const struct outbox_item *outbox_peek(struct outbox *o, int64_t now_us) {
        while (o->first && now_us - o->first->at_us > OUTBOX_LIFE_US)
                drop(o);
        return o->first;
}
