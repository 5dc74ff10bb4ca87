/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/seenset.h"

_Static_assert(sizeof(((struct seenset *) NULL)->key) == crypto_shorthash_KEYBYTES, "the hash's key");

void seenset_done(struct seenset *s) {
        free(s->v);
        *s = SEENSET_NULL;
}

/* Its place, or the free one where it belongs. There is always a free one. */
static uint64_t *place(uint64_t *v, size_t size, uint64_t h) {
        size_t i = (size_t) h & (size - 1);

        while (v[i] != 0 && v[i] != h)
                i = (i + 1) & (size - 1);
        return &v[i];
}

static int grow(struct seenset *s) {
        const size_t size = MAX(2 * s->size, (size_t) 1024);
        uint64_t *v = calloc(size, sizeof(*v));

        if (!v)
                return -ENOMEM;
        if (!s->v)
                crypto_shorthash_keygen(s->key);
        for (size_t i = 0; i < s->size; i++)
                if (s->v[i] != 0)
                        *place(v, size, s->v[i]) = s->v[i];
        free(s->v);
        s->v = v;
        s->size = size;
        return 0;
}

static uint64_t hash(const struct seenset *s, const void *bytes, size_t n) {
        uint8_t out[crypto_shorthash_BYTES];
        uint64_t h;

        (void) crypto_shorthash(out, bytes, n, s->key);
        memcpy(&h, out, sizeof(h));
        return h + (h == 0);
}

bool seenset_has(const struct seenset *s, const void *bytes, size_t n) {
        return s->v && *place(s->v, s->size, hash(s, bytes, n)) != 0;
}

int seenset_add(struct seenset *s, const void *bytes, size_t n) {
        uint64_t h, *at;

        if (2 * s->n >= s->size && grow(s) < 0)
                return -ENOMEM;
        h = hash(s, bytes, n);
        at = place(s->v, s->size, h);
        if (*at == h)
                return 0;
        *at = h;
        s->n++;
        return 1;
}
