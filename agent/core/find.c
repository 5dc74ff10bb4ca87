/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/find.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/container.h"

/* Less is better, from left to right. */
struct merit {
        bool empty;
        int owner;
        bool begins;
        int depth;
        size_t owned; /* the part of the path that leads to the outermost owner but the host */
};

enum {
        OWNER_HOST, /* made by whoever is root on the host, or by what it trusts */
        OWNER_USER, /* below a user's own service manager: a rootless container is there, and all of it is the user's */
        OWNER_OTHER,
};

struct search {
        const char *root, *wanted, *was;
        find_fn fits;
        struct merit before, best;
        struct paths *found;
};

static bool ends_with(const char *s, const char *suffix) {
        const size_t n = strlen(s), m = strlen(suffix);

        return n > m && strcmp(s + n - m, suffix) == 0;
}

/* What is below such a cgroup was named by whoever is in it. */
static bool gives_names(const char *name) {
        return ends_with(name, ".service") || ends_with(name, ".scope") || container_has_id(name);
}

static bool is_user_manager(const char *name) {
        return strncmp(name, "user@", strlen("user@")) == 0 && ends_with(name, ".service");
}

/* Looks at what the path leads through, not at its end. */
static void judge_place(const char *path, struct merit *m) {
        const char *p = path;
        char name[NAME_MAX + 1];
        size_t n;

        m->owner = OWNER_HOST;
        m->owned = 0;
        for (m->depth = 0;; m->depth++) {
                p += strspn(p, "/");
                n = strcspn(p, "/");
                if (p[n] == 0 || n >= sizeof(name))
                        return;
                memcpy(name, p, n);
                name[n] = 0;
                p += n;
                if (!gives_names(name))
                        continue;
                m->owned = m->owned ? m->owned : (size_t) (p - path);
                m->owner = m->owner == OWNER_HOST && is_user_manager(name) ? OWNER_USER : OWNER_OTHER;
        }
}

/* Below the same outermost owner, and not where fewer rights are enough to make it. */
static bool may_be_the_same(const struct search *s, const char *path, const struct merit *m) {
        return !s->was || (m->owner <= s->before.owner && m->owned == s->before.owned &&
                           strncmp(path, s->was, m->owned) == 0);
}

static bool is_empty(const char *root, const char *path) {
        struct cgroup_freezer state;
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        return cgroup_open(root, path, &fd, &id) < 0 || cgroup_freezer_read(fd, &state) < 0 || !state.populated;
}

static int compare(const struct merit *a, const struct merit *b) {
        const int keys[][2] = {
                { a->empty, b->empty },
                { a->owner, b->owner },
                { a->begins, b->begins },
                /* nobody but root names what lies outside: there, depth says nothing */
                { a->owner == OWNER_HOST ? 0 : a->depth, b->owner == OWNER_HOST ? 0 : b->depth },
        };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (keys[i][0] != keys[i][1])
                        return keys[i][0] - keys[i][1];
        return 0;
}

static int visit(const char *path, void *userdata) {
        struct search *s = userdata;
        const enum find_fit fit = s->fits(strrchr(path, '/') + 1, s->wanted);
        struct merit m = { .begins = fit == FIND_BEGINS };
        int order;

        if (fit == FIND_NOT)
                return 0;
        judge_place(path, &m);
        if (!may_be_the_same(s, path, &m))
                return 0;
        m.empty = is_empty(s->root, path);
        order = s->found->n == 0 ? -1 : compare(&m, &s->best);
        if (order > 0)
                return 0;
        if (order < 0) {
                paths_done(s->found);
                s->best = m;
        }
        return paths_add(s->found, path);
}

int find_cgroup(const char *root, find_fn fits, const char *wanted, const char *was, char **ret,
                struct paths *ret_several) {
        _cleanup_close_ int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(paths_done) struct paths found = { 0 };
        struct search s = { .root = root, .wanted = wanted, .was = was, .fits = fits, .found = &found };
        int r;

        if (dir < 0)
                return -errno;
        if (was)
                judge_place(was, &s.before);
        r = cgroup_each_path(dir, visit, &s);
        if (r < 0)
                return r;
        if (found.n == 1) {
                *ret = TAKE_PTR(found.v[0]);
                found.n = 0;
                return 0;
        }
        if (found.n == 0)
                return -ENOENT;
        *ret_several = found;
        found = (struct paths) { 0 };
        return -ENOTUNIQ;
}
