/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/find.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/container.h"

/* Less is better, from left to right. */
struct merit {
        int owner;
        bool bare; /* below a name that tells nothing: a folder that somebody chose for containers, or a container */
        bool begins;
        int depth;
        size_t owned; /* the part of the path that leads to the outermost owner but the host */
        int owners;   /* how many are on the path */
};

enum {
        OWNER_HOST, /* made by whoever is root on the host, or by what it trusts */
        OWNER_USER, /* below a user's own service manager: a rootless container is there, and all of it is the user's */
        OWNER_OTHER,
};

/* The best of those that were looked at. */
struct candidates {
        struct merit merit;
        struct paths paths;
};

struct search {
        const char *root, *wanted, *was;
        find_fn fits;
        struct merit before;
        struct candidates alive, empty;
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

/* Goes through one cgroup. False when what is below it is still named by whom it is named by itself. */
static bool pass(const struct search *s, struct merit *m, const char *name, bool *in_pods) {
        const bool folder = container_is_folder(name, in_pods);

        /* what is looked for may have one in itself that is called like it */
        if (gives_names(name) || s->fits(name, s->wanted) == FIND_IS)
                m->owner = m->owner == OWNER_HOST && !m->bare && is_user_manager(name) ? OWNER_USER : OWNER_OTHER;
        else if (folder || ends_with(name, ".slice"))
                return false;
        else
                m->bare = true;
        return true;
}

/* Looks at what the path leads through, not at its end. */
static void judge_place(const struct search *s, const char *path, struct merit *m) {
        const char *p = path;
        bool in_pods = false;
        char name[NAME_MAX + 1];
        size_t n;

        for (m->depth = 0;; m->depth++) {
                p += strspn(p, "/");
                n = strcspn(p, "/");
                if (p[n] == 0 || n >= sizeof(name))
                        return;
                memcpy(name, p, n);
                name[n] = 0;
                p += n;
                if (!pass(s, m, name, &in_pods))
                        continue;
                m->owned = m->owned ? m->owned : (size_t) (p - path);
                m->owners++;
        }
}

/* Below the same outermost owner, and not where fewer rights are enough to make it, nor inside of one more. */
static bool may_be_the_same(const struct search *s, const char *path, const struct merit *m) {
        return !s->was || (m->owner <= s->before.owner && m->owners <= s->before.owners &&
                           m->owned == s->before.owned && strncmp(path, s->was, m->owned) == 0);
}

static bool is_empty(const char *root, const char *path) {
        struct cgroup_freezer state;
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        return cgroup_open(root, path, &fd, &id) < 0 || cgroup_freezer_read(fd, &state) < 0 || !state.populated;
}

/* By whom they were named, and no more. */
static int compare_owners(const struct merit *a, const struct merit *b) {
        return a->owner != b->owner ? a->owner - b->owner : a->owner == OWNER_HOST ? a->bare - b->bare : 0;
}

static int compare(const struct merit *a, const struct merit *b) {
        const int keys[][2] = {
                { compare_owners(a, b), 0 },
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
        struct candidates *c;
        int order;

        if (fit == FIND_NOT)
                return 0;
        judge_place(s, path, &m);
        if (!may_be_the_same(s, path, &m))
                return 0;
        c = is_empty(s->root, path) ? &s->empty : &s->alive;
        order = c->paths.n == 0 ? -1 : compare(&m, &c->merit);
        if (order > 0)
                return 0;
        if (order < 0) {
                paths_done(&c->paths);
                c->merit = m;
        }
        return paths_add(&c->paths, path);
}

/* Where an empty one was named by who stands above whoever named those that are not, any of them may be meant: it can
 * be between two starts. */
static int choose(struct search *s, struct paths *ret) {
        const bool doubt =
                s->alive.paths.n > 0 && s->empty.paths.n > 0 && compare_owners(&s->empty.merit, &s->alive.merit) < 0;
        struct candidates *c = s->alive.paths.n > 0 ? &s->alive : &s->empty;
        int r = 0;

        *ret = c->paths;
        c->paths = (struct paths) { 0 };
        for (size_t i = 0; doubt && r == 0 && i < s->empty.paths.n; i++)
                r = paths_add(ret, s->empty.paths.v[i]);
        return r;
}

int find_cgroup(const char *root, find_fn fits, const char *wanted, const char *was, char **ret,
                struct paths *ret_several) {
        _cleanup_close_ int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(paths_done) struct paths found = { 0 };
        struct search s = { .root = root, .wanted = wanted, .was = was, .fits = fits };
        int r;

        if (dir < 0)
                return -errno;
        if (was)
                judge_place(&s, was, &s.before);
        r = cgroup_each_path(dir, visit, &s);
        if (r == 0)
                r = choose(&s, &found);
        paths_done(&s.alive.paths);
        paths_done(&s.empty.paths);
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
