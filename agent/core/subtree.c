/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/subtree.h"

#include <fcntl.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/container.h"

struct look {
        int fd;
        struct subtree *found;
        char *inside; /* the last unit or container, as long as what is visited lies in it */
};

static bool is_unit(const char *name) {
        static const char *const suffixes[] = { ".service", ".scope", ".socket", ".mount", ".swap" };
        const char *dot = strrchr(name, '.');

        for (size_t i = 0; dot && i < ELEMENTSOF(suffixes); i++)
                if (strcmp(dot, suffixes[i]) == 0)
                        return true;
        return false;
}

static bool lies_in(const char *path, const char *above) {
        const size_t n = above ? strlen(above) : 0;

        return above && strncmp(path, above, n) == 0 && path[n] == '/';
}

/* A name that is given inside a unit or a container says nothing. */
static int note_name(struct look *l, const char *path) {
        const char *name = strrchr(path, '/') + 1;
        const bool container = container_has_id(name);
        int r = 0;

        if (lies_in(path, l->inside) || (!container && !is_unit(name)))
                return 0;
        free(l->inside);
        l->inside = strdup(path);
        if (!l->inside)
                return -ENOMEM;
        if (is_unit(name))
                r = paths_add(&l->found->units, name);
        return r == 0 && container ? paths_add(&l->found->containers, name) : r;
}

static int visit(const char *path, void *userdata) {
        struct look *l = userdata;
        _cleanup_close_ int fd = openat(l->fd, path + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct cgroup_freezer state;
        int r;

        if (fd < 0 || cgroup_freezer_read(fd, &state) < 0)
                return 0; /* removed meanwhile: nobody is in it */
        l->found->cgroups++;
        r = note_name(l, path);
        return r == 0 && state.populated && !state.frozen ? paths_add(&l->found->thawed, path) : r;
}

int subtree_look(int fd, struct subtree *ret) {
        _cleanup_(subtree_done) struct subtree found = { .cgroups = 1 };
        struct look l = { .fd = fd, .found = &found };
        int r = cgroup_each_path(fd, visit, &l);

        free(l.inside);
        if (r < 0)
                return r;
        *ret = found;
        found = (struct subtree) { 0 };
        return 0;
}

void subtree_done(struct subtree *s) {
        paths_done(&s->units);
        paths_done(&s->containers);
        paths_done(&s->thawed);
        *s = (struct subtree) { 0 };
}
