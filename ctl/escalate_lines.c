/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/escalate_lines.h"

#define FIRST_SIZE 4096U

void escalate_lines_done(struct escalate_lines *l) {
        free(l->text);
        *l = ESCALATE_LINES_NULL;
}

/* Doubles, so that a line is not copied once for each of its bytes. */
static int reserve(struct escalate_lines *l, size_t n) {
        size_t size = MAX(l->size, FIRST_SIZE);

        while (size < n)
                size *= 2;
        if (size == l->size)
                return 0;
        char *text = realloc(l->text, size);
        if (!text)
                return -ENOMEM;
        l->text = text;
        l->size = size;
        return 0;
}

static int end(struct escalate_lines *l) {
        l->ended = true;
        return l->n > ESCALATE_LINE_MAX ? ESCALATE_LINES_LONG : ESCALATE_LINES_LINE;
}

int escalate_lines_feed(struct escalate_lines *l, const char *bytes, size_t n, size_t *ret_taken) {
        const char *newline = memchr(bytes, '\n', n);
        const size_t k = newline ? (size_t) (newline - bytes) : n;

        if (l->ended) {
                l->ended = false;
                l->n = 0;
        }
        if (l->n + k <= ESCALATE_LINE_MAX) {
                if (reserve(l, l->n + k) < 0)
                        return -ENOMEM;
                memcpy(l->text + l->n, bytes, k);
        }
        l->n += k;
        *ret_taken = k + (newline != NULL);
        return newline ? end(l) : ESCALATE_LINES_MORE;
}

int escalate_lines_finish(struct escalate_lines *l) {
        if (l->ended || l->n == 0)
                return ESCALATE_LINES_MORE;
        return end(l);
}
