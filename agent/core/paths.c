/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/paths.h"

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

json_t *paths_to_json(const struct paths *p) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < p->n; i++)
                (void) json_array_append_new(array, json_string(p->v[i]));
        if (array && p->more > 0)
                (void) json_array_append_new(array, json_sprintf("and %zu more", p->more));
        return array;
}
