/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/paths.h"

#include <stdbool.h>
#include <string.h>

int paths_add(struct paths *p, const char *path) {
        for (size_t i = 0; i < p->n; i++)
                if (strcmp(p->v[i], path) == 0)
                        return 0;
        if (p->n == PATHS_MAX) {
                p->more++;
                return 0;
        }
        p->v[p->n] = strdup(path);
        if (!p->v[p->n])
                return -ENOMEM;
        p->n++;
        return 0;
}

void paths_done(struct paths *p) {
        for (size_t i = 0; i < p->n; i++)
                free(p->v[i]);
        *p = (struct paths) { 0 };
}

char *paths_to_text(const char *path) {
        _cleanup_json_ json_t *same = path ? json_string(path) : NULL;
        char *text, *at;

        if (!path || same)
                return path ? strdup(path) : NULL;
        text = at = malloc(4 * strlen(path) + 2);
        if (!text)
                return NULL;
        *at++ = '\\';
        for (; *path; path++) {
                const unsigned char c = (unsigned char) *path;

                if (c < 0x80 && c != '\\')
                        *at++ = *path;
                else
                        at += snprintf(at, 5, "\\x%02x", c);
        }
        *at = 0;
        return text;
}

int paths_from_text(const char *text, char **ret) {
        const bool escaped = text[0] == '\\';
        _cleanup_free_ char *path = strdup(text + escaped);
        char *to = path;
        unsigned int c;
        int n;

        if (!path)
                return -ENOMEM;
        for (const char *from = path; escaped && *from; from += n) {
                n = 1;
                if (*from != '\\')
                        c = (unsigned char) *from;
                else if (sscanf(from, "\\x%2x%n", &c, &n) != 1 || n != 4)
                        return -EBADMSG;
                *to++ = (char) c;
        }
        if (escaped)
                *to = 0;
        *ret = TAKE_PTR(path);
        return 0;
}

json_t *paths_to_json(const struct paths *p) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < p->n; i++) {
                _cleanup_free_ char *text = paths_to_text(p->v[i]);

                (void) json_array_append_new(array, text ? json_string(text) : NULL);
        }
        if (array && p->more > 0)
                (void) json_array_append_new(array, json_sprintf("and %zu more", p->more));
        return array;
}
