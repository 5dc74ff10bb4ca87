/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/seen.h"

#include <string.h>

#define FIRST_SIZE 256U

_Static_assert(SEEN_MAX <= UINT16_MAX + 1U, "the number of a slot has to fit into order");

void seen_done(struct seen_set *s) {
        free(s->all);
        free(s->order);
        *s = (struct seen_set) {};
}

bool seen_outdated(int64_t exp_ms, int64_t floor_ms) {
        return floor_ms - SEEN_GRACE_MS >= exp_ms;
}

bool seen_is_tombstone(const struct seen *e) {
        static const uint8_t none[sizeof(e->digest)];

        return memcmp(e->digest, none, sizeof(none)) == 0;
}

/* The place in order where the id is or would be. Sorted, not hashed: whoever signs chooses the ids, and binary search
 * has no bad input. */
static size_t place(const struct seen_set *s, const struct command_id *id, bool *ret_found) {
        size_t lo = 0, hi = s->n;

        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = memcmp(s->all[s->order[mid]].id.b, id->b, sizeof(id->b));

                if (c == 0) {
                        *ret_found = true;
                        return mid;
                }
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }

        *ret_found = false;
        return lo;
}

struct seen *seen_find(const struct seen_set *s, const struct command_id *id) {
        bool found;
        size_t at = place(s, id, &found);

        return found ? &s->all[s->order[at]] : NULL;
}

const struct seen *seen_at(const struct seen_set *s, size_t i) {
        return i < s->n ? &s->all[s->order[i]] : NULL;
}

static int grow(struct seen_set *s) {
        size_t size = MIN(MAX(s->size * 2, FIRST_SIZE), SEEN_MAX);

        if (s->size >= SEEN_MAX)
                return -ENOSPC;

        struct seen *all = reallocarray(s->all, size, sizeof(*all));
        if (!all)
                return -ENOMEM;
        s->all = all;

        uint16_t *order = reallocarray(s->order, size, sizeof(*order));
        if (!order)
                return -ENOMEM;
        s->order = order;

        for (size_t i = s->size; i < size; i++)
                order[i] = i;
        s->size = size;
        return 0;
}

int seen_add(struct seen_set *s, const struct seen *e) {
        bool found;

        if (s->n >= s->size) {
                int r = grow(s);
                if (r < 0)
                        return r;
        }

        size_t at = place(s, &e->id, &found);
        uint16_t slot = s->order[s->n];

        memmove(&s->order[at + 1], &s->order[at], (s->n - at) * sizeof(*s->order));
        s->order[at] = slot;
        s->all[slot] = *e;
        s->n++;
        return 0;
}

void seen_forget(struct seen_set *s, int64_t floor_ms,
                 bool (*needed)(const struct command_id *id, const void *userdata), const void *userdata) {
        size_t kept = 0;

        if (s->n <= SEEN_KEPT)
                return;

        for (size_t i = 0; i < s->n; i++) {
                uint16_t slot = s->order[i];
                const struct seen *e = &s->all[slot];

                if (seen_outdated(e->exp_ms, floor_ms) && !needed(&e->id, userdata)) {
                        s->forgotten_ms = MAX(s->forgotten_ms, e->exp_ms);
                        continue;
                }

                /* Everything from kept to i is to go, so the swap keeps what stays in order. */
                s->order[i] = s->order[kept];
                s->order[kept++] = slot;
        }
        s->n = kept;
}
