/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/shelf.h"

#include <string.h>

#define ITEMS_START 16U

void shelf_done(struct shelf *s) {
        free(s->items);
        free(s->bonds);
        free(s->unanswered);
        *s = (struct shelf) { 0 };
}

/* Where the item is, or where it would stand. */
static size_t place(const struct shelf *s, const struct command_id *id, bool *ret_there) {
        size_t from = 0, to = s->n;

        while (from < to) {
                const size_t middle = from + (to - from) / 2;
                const int order = memcmp(s->items[middle].id.b, id->b, sizeof(id->b));

                if (order == 0) {
                        *ret_there = true;
                        return middle;
                }
                if (order < 0)
                        from = middle + 1;
                else
                        to = middle;
        }
        *ret_there = false;
        return from;
}

/* Room for one more of `one` bytes. */
static int reserve(void **array, size_t n, size_t *size, size_t one) {
        const size_t more = *size ? *size * 2 : ITEMS_START;
        void *p;

        if (n < *size)
                return 0;
        p = reallocarray(*array, more, one);
        if (!p)
                return -ENOMEM;
        *array = p;
        *size = more;
        return 0;
}

static uint32_t count_bonds(const struct shelf *s, const struct command_id *item) {
        uint32_t n = 0;

        for (size_t i = 0; i < s->n_bonds; i++)
                n += command_id_equal(&s->bonds[i].item, item);
        return n;
}

/* The item of that id, made when it is not there. */
static int provide(struct shelf *s, const struct command_id *id, struct shelf_item **ret, bool *ret_made) {
        void *items = s->items;
        bool there;
        size_t at = place(s, id, &there);

        if (!there) {
                int r = reserve(&items, s->n, &s->size, sizeof(*s->items));

                if (r < 0)
                        return r;
                s->items = items;
                memmove(s->items + at + 1, s->items + at, (s->n - at) * sizeof(*s->items));
                s->items[at] = (struct shelf_item) { .id = *id, .holds = count_bonds(s, id) };
                s->n++;
        }
        *ret = &s->items[at];
        *ret_made = !there;
        return 0;
}

int shelf_put(struct shelf *s, const struct shelf_item *item) {
        struct shelf_item *is;
        bool made;
        int r = provide(s, &item->id, &is, &made);

        if (r < 0)
                return r;
        if (made) {
                const uint32_t holds = is->holds;

                *is = *item;
                is->holds = holds;
                return 0;
        }
        is->bytes += item->bytes;
        if (item->sealed_ms == 0)
                return 0;
        if (is->sealed_ms == 0)
                is->keep_ms = item->keep_ms;
        else
                is->keep_ms = is->keep_ms == 0 || item->keep_ms == 0 ? 0 : MAX(is->keep_ms, item->keep_ms);
        is->sealed_ms = MAX(is->sealed_ms, item->sealed_ms);
        is->passed_ms = MAX(is->passed_ms, item->passed_ms);
        return 0;
}

/* An order's bonds stand one behind the other, so that only those are looked at: a start reads all of them again. */
static bool is_bound(const struct shelf *s, const struct command_id *hold, const struct command_id *item) {
        for (size_t i = s->n_bonds; i > 0 && command_id_equal(&s->bonds[i - 1].hold, hold); i--)
                if (command_id_equal(&s->bonds[i - 1].item, item))
                        return true;
        return false;
}

static struct shelf_item *item_of(struct shelf *s, const struct command_id *id) {
        bool there;
        const size_t at = place(s, id, &there);

        return there ? &s->items[at] : NULL;
}

void shelf_begin(struct shelf *s, const struct command_id *item, int64_t floor_ms, int64_t passed_ms) {
        struct shelf_item *is = item_of(s, item);

        if (!is || is->sealed_ms == 0)
                return;
        is->sealed_ms = MAX(is->sealed_ms, floor_ms);
        is->passed_ms = MAX(is->passed_ms, passed_ms);
}

int shelf_hold(struct shelf *s, const struct command_id *hold, const struct command_id *item,
               const uint8_t key[static 32]) {
        struct shelf_item *is = item_of(s, item);
        void *bonds = s->bonds;
        int r;

        if (is_bound(s, hold, item))
                return 0;
        if (s->n_bonds == SHELF_BONDS_MAX)
                return -ENOSPC;
        r = reserve(&bonds, s->n_bonds, &s->bonds_size, sizeof(*s->bonds));
        if (r < 0)
                return r;
        s->bonds = bonds;
        s->bonds[s->n_bonds] = (struct shelf_bond) { .hold = *hold, .item = *item };
        memcpy(s->bonds[s->n_bonds++].key, key, sizeof(s->bonds->key));
        if (is)
                is->holds++;
        return 0;
}

void shelf_lift(struct shelf *s, const struct command_id *hold) {
        size_t kept = 0;

        for (size_t i = 0; i < s->n_bonds; i++) {
                struct shelf_item *is = item_of(s, &s->bonds[i].item);

                if (!command_id_equal(&s->bonds[i].hold, hold))
                        s->bonds[kept++] = s->bonds[i];
                else if (is)
                        is->holds--;
        }
        s->n_bonds = kept;
}

int shelf_expect(struct shelf *s, const struct command_id *order) {
        struct command_id *orders;

        for (size_t i = 0; i < s->n_unanswered; i++)
                if (command_id_equal(&s->unanswered[i], order))
                        return 0;
        orders = reallocarray(s->unanswered, s->n_unanswered + 1, sizeof(*orders));
        if (!orders)
                return -ENOMEM;
        s->unanswered = orders;
        s->unanswered[s->n_unanswered++] = *order;
        return 0;
}

int shelf_condemn(struct shelf *s, const struct command_id *item, const struct command_id *by) {
        struct shelf_item *is;
        bool made;
        int r = provide(s, item, &is, &made);

        if (r < 0)
                return r;
        if (is->condemned)
                return 0;
        is->condemned = true;
        if (by)
                is->by = *by;
        return 0;
}

void shelf_remove(struct shelf *s, const struct command_id *item) {
        bool there;
        const size_t at = place(s, item, &there);

        if (!there)
                return;
        s->n--;
        memmove(s->items + at, s->items + at + 1, (s->n - at) * sizeof(*s->items));
}

void shelf_answered(struct shelf *s, const struct command_id *order) {
        size_t kept = 0;

        for (size_t i = 0; i < s->n_unanswered; i++)
                if (!command_id_equal(&s->unanswered[i], order))
                        s->unanswered[kept++] = s->unanswered[i];
        s->n_unanswered = kept;
}

const struct shelf_item *shelf_find(const struct shelf *s, const struct command_id *item) {
        bool there = false;
        const size_t at = s ? place(s, item, &there) : 0;

        return there ? &s->items[at] : NULL;
}

size_t shelf_count_holds(const struct shelf *s, const struct command_id *item) {
        const struct shelf_item *is = shelf_find(s, item);

        return is ? is->holds : s ? count_bonds(s, item) : 0;
}

bool shelf_is_hold(const struct shelf *s, const struct command_id *hold) {
        for (size_t i = 0; s && i < s->n_bonds; i++)
                if (command_id_equal(&s->bonds[i].hold, hold))
                        return true;
        return false;
}

/* How many more it takes until the key has as many as are left. */
static size_t room(const struct shelf *s, const uint8_t key[static 32], bool absent, size_t places) {
        size_t own = 0;

        for (size_t i = 0; i < s->n_bonds; i++)
                if (!absent || !shelf_find(s, &s->bonds[i].item)) {
                        places -= places > 0;
                        own += memcmp(s->bonds[i].key, key, sizeof(s->bonds->key)) == 0;
                }
        return places > own ? (places - own + 1) / 2 : 0;
}

size_t shelf_room(const struct shelf *s, const uint8_t key[static 32]) {
        return s ? room(s, key, false, SHELF_BONDS_MAX) : 0;
}

size_t shelf_room_absent(const struct shelf *s, const uint8_t key[static 32]) {
        return s ? room(s, key, true, SHELF_ABSENT_MAX) : 0;
}

int64_t shelf_left(const struct shelf_item *item, int64_t floor_ms, int64_t passed_ms) {
        if (item->condemned || item->keep_ms == 0 || item->holds > 0)
                return INT64_MAX;
        return item->keep_ms - MIN(floor_ms - item->sealed_ms, passed_ms - item->passed_ms);
}

uint64_t shelf_bytes(const struct shelf *s) {
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n; i++)
                sum += s->items[i].bytes;
        return sum;
}
