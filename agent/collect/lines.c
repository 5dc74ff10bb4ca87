/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/lines.h"

#include <string.h>

#define SIZE_FIRST (64U * 1024)

void lines_done(struct lines *l) {
        free(l->bytes);
        *l = (struct lines) { .bytes = NULL };
}

int lines_add(struct lines *l, const char *bytes, size_t n) {
        size_t size = MAX(l->size, (size_t) SIZE_FIRST);
        char *bigger;

        while (size - l->n < n)
                size *= 2;
        if (size > l->size) {
                bigger = realloc(l->bytes, size);
                if (!bigger)
                        return -ENOMEM;
                l->bytes = bigger;
                l->size = size;
        }
        memcpy(l->bytes + l->n, bytes, n);
        l->n += n;
        return 0;
}

void lines_drop(struct lines *l, size_t n) {
        memmove(l->bytes, l->bytes + n, l->n - n);
        l->n -= n;
}
