/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/sequence.h"

#include <string.h>

#include "agent/collect/index.h"

#define HEX "0123456789abcdef"

/* "s=32 hex digits;i=hex;...": the only place where systemd before 254 tells the number. */
static int parse(const char *cursor, char id[static 33], uint64_t *ret) {
        uint64_t number = 0;
        size_t n;

        if (strncmp(cursor, "s=", 2) != 0 || strspn(cursor + 2, HEX) != 32 || strncmp(cursor + 34, ";i=", 3) != 0)
                return -EBADMSG;
        n = strspn(cursor + 37, HEX);
        if (n == 0 || n > 16 || cursor[37 + n] != ';')
                return -EBADMSG;
        for (size_t i = 0; i < n; i++)
                number = number << 4 | (uint64_t) (strchr(HEX, cursor[37 + i]) - HEX);
        memcpy(id, cursor + 2, 32);
        id[32] = '\0';
        *ret = number;
        return 0;
}

static struct sequence *find(struct sequences *all, const char *id) {
        for (size_t i = all->n; i > 0; i--)
                if (strcmp(all->v[i - 1].id, id) == 0)
                        return &all->v[i - 1];
        if (all->n == SEQUENCE_IDS_MAX)
                return NULL;
        struct sequence *s = &all->v[all->n++];

        *s = (struct sequence) { .ranges = NULL };
        memcpy(s->id, id, sizeof(s->id));
        return s;
}

static int add_range(struct sequence *s, uint64_t number) {
        if (s->n == s->size) {
                size_t size = s->size ? 2 * s->size : 4;
                struct sequence_range *more =
                        s->n == SEQUENCE_RANGES_MAX ? NULL : reallocarray(s->ranges, size, sizeof(*more));

                if (!more)
                        return s->n == SEQUENCE_RANGES_MAX ? -E2BIG : -ENOMEM;
                s->ranges = more;
                s->size = size;
        }
        s->ranges[s->n++] = (struct sequence_range) { number, number };
        return 0;
}

/* Entries come in order but where clocks were set or files overlap, so the latest range is the one, as a rule. */
static int add_number(struct sequence *s, uint64_t number, bool *ret_new) {
        *ret_new = true;
        for (size_t i = s->n; i > 0; i--) {
                struct sequence_range *r = &s->ranges[i - 1];

                if (number >= r->first && number <= r->last) {
                        *ret_new = false;
                        return 0;
                }
                if (number == r->last + 1) {
                        r->last = number;
                        return 0;
                }
                if (number + 1 == r->first) {
                        r->first = number;
                        return 0;
                }
        }
        return add_range(s, number);
}

int sequence_add(struct sequences *all, const char *cursor, uint64_t realtime_us) {
        struct sequence *s;
        uint64_t number;
        char id[33];
        bool is_new;
        int r = parse(cursor, id, &number);

        if (r < 0)
                return r;
        s = find(all, id);
        if (!s)
                return -E2BIG;
        r = add_number(s, number, &is_new);
        if (r < 0)
                return r;
        if (s->entries == 0 || realtime_us < s->first_us)
                s->first_us = realtime_us;
        s->last_us = MAX(s->last_us, realtime_us);
        s->entries += is_new;
        return 0;
}

static int compare(const void *a, const void *b) {
        const struct sequence_range *x = a, *y = b;
        return x->first < y->first ? -1 : x->first > y->first;
}

static void sort(struct sequence *s) {
        size_t n = 0;

        if (s->n == 0)
                return;
        qsort(s->ranges, s->n, sizeof(*s->ranges), compare);
        for (size_t i = 1; i < s->n; i++)
                if (s->ranges[i].first <= s->ranges[n].last || s->ranges[i].first - s->ranges[n].last == 1)
                        s->ranges[n].last = MAX(s->ranges[n].last, s->ranges[i].last);
                else
                        s->ranges[++n] = s->ranges[i];
        s->n = n + 1;
}

void sequence_sort(struct sequences *all) {
        for (size_t i = 0; i < all->n; i++)
                sort(&all->v[i]);
}

/* Numbers as text where JSON's readers may not keep them exact. */
static json_t *number_to_json(uint64_t v) {
        char text[24];

        if (v <= UINT64_C(1) << 53)
                return json_integer((json_int_t) v);
        (void) snprintf(text, sizeof(text), "%llu", (unsigned long long) v);
        return json_string(text);
}

int sequence_line(const struct sequence *s, char **ret) {
        _cleanup_json_ json_t *o = NULL, *gaps = json_array();
        int r = gaps ? 0 : -1;

        if (s->n == 0)
                return -ENOMEM;
        for (size_t i = 1; i < s->n; i++)
                r |= json_array_append_new(gaps, json_pack("[o, o]", number_to_json(s->ranges[i - 1].last + 1),
                                                           number_to_json(s->ranges[i].first - 1)));
        o = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:O}", "seqnum_id", s->id, "first",
                      number_to_json(s->ranges[0].first), "last", number_to_json(s->ranges[s->n - 1].last), "entries",
                      number_to_json(s->entries), "first_us", number_to_json(s->first_us), "last_us",
                      number_to_json(s->last_us), "gaps", gaps);
        return r < 0 || !o ? -ENOMEM : index_json_line(o, ret);
}

void sequences_done(struct sequences *all) {
        for (size_t i = 0; i < all->n; i++)
                free(all->v[i].ranges);
        all->n = 0;
}
