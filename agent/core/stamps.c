/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/stamps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/fencefile.h"

static struct stamp *find(const struct stamps *s, const char *unit) {
        for (size_t i = 0; i < s->n; i++)
                if (strcmp(s->v[i].unit, unit) == 0)
                        return &s->v[i];
        return NULL;
}

static struct stamp *find_or_add(struct stamps *s, const char *unit) {
        struct stamp *have = find(s, unit), *more;
        char *name;

        if (have)
                return have;
        name = strdup(unit);
        more = name ? reallocarray(s->v, s->n + 1, sizeof(*more)) : NULL;
        if (!more) {
                free(name);
                return NULL;
        }
        s->v = more;
        s->v[s->n] = (struct stamp) { .unit = name };
        return &s->v[s->n++];
}

void stamps_done(struct stamps *s) {
        for (size_t i = 0; i < s->n; i++)
                free(s->v[i].unit);
        free(s->v);
        *s = (struct stamps) { 0 };
}

void stamps_note(struct stamps *s, const char *dir, const char *unit) {
        struct stamp *x = find_or_add(s, unit);
        struct stat st;

        if (x && fencefile_stat(dir, unit, &st) == 0) {
                x->ino = st.st_ino;
                x->ctime = st.st_ctim;
        }
}

void stamps_forget(struct stamps *s, const char *unit) {
        struct stamp *x = find(s, unit);

        if (!x)
                return;
        free(x->unit);
        *x = s->v[--s->n];
}

bool stamps_hold(const struct stamps *s, const char *const *dirs, size_t n_dirs, const char *unit) {
        const struct stamp *x = find(s, unit);
        struct stat st;

        for (size_t k = 0; x && k < n_dirs; k++)
                if (fencefile_stat(dirs[k], unit, &st) == 0)
                        return st.st_ino == x->ino && st.st_ctim.tv_sec == x->ctime.tv_sec &&
                               st.st_ctim.tv_nsec == x->ctime.tv_nsec;
        return false;
}
