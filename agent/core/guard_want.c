/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/guard_want.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/core/agent.h"

void guard_want_done(struct guard_want *w) {
        free(w->holds);
        free(w->paths);
        *w = (struct guard_want) { 0 };
}

uint32_t guard_want_flags(const struct guard_want *w, uint64_t id) {
        for (size_t i = 0; i < w->n_holds; i++)
                if (w->holds[i].id == id)
                        return w->holds[i].flags;
        return 0;
}

bool guard_want_path(const struct guard_want *w, const struct guard_path *path) {
        for (size_t i = 0; i < w->n_paths; i++)
                if (memcmp(&w->paths[i].path, path, sizeof(*path)) == 0)
                        return true;
        return false;
}

static int want_id(struct guard_want *w, uint64_t id, uint32_t flags) {
        void *more;

        for (size_t i = 0; i < w->n_holds; i++)
                if (w->holds[i].id == id) {
                        w->holds[i].flags |= flags;
                        return 0;
                }
        more = reallocarray(w->holds, w->n_holds + 1, sizeof(*w->holds));
        if (!more)
                return -ENOMEM;
        w->holds = more;
        w->holds[w->n_holds].id = id;
        w->holds[w->n_holds++].flags = flags;
        return 0;
}

static int want_path(struct guard_want *w, const char *path, uint32_t flags) {
        struct guard_path key = { 0 };
        void *more;

        if (strlen(path) >= sizeof(key.text))
                return 0; /* made again at such a path, it is found by the watch instead */
        memcpy(key.text, path, strlen(path));
        for (size_t i = 0; i < w->n_paths; i++)
                if (memcmp(&w->paths[i].path, &key, sizeof(key)) == 0) {
                        w->paths[i].flags |= flags;
                        return 0;
                }
        more = reallocarray(w->paths, w->n_paths + 1, sizeof(*w->paths));
        if (!more)
                return -ENOMEM;
        w->paths = more;
        w->paths[w->n_paths].path = key;
        w->paths[w->n_paths++].flags = flags;
        return 0;
}

static int level_of(const char *path) {
        int n = 0;

        for (; *path; path++)
                n += *path == '/' && path[1] != 0;
        return n;
}

bool guard_want_reaches(const struct site *s) {
        return !s->path || level_of(s->path) < GUARD_DEPTH_MAX;
}

static uint64_t id_of(const char *root, const char *path, size_t n) {
        char full[PATH_MAX];
        struct stat st;

        if (snprintf(full, sizeof(full), "%s%.*s", root, (int) n, path) >= (int) sizeof(full) || stat(full, &st) < 0)
                return 0;
        return st.st_ino;
}

/* A site: its cgroup, whatever is at its path now, and what it lies in. */
static int want_site(const struct agent *a, const struct site *s, uint32_t flags, struct guard_want *w) {
        const int level = level_of(s->path);
        uint64_t now;
        int r;

        if (level < 1 || !guard_want_reaches(s))
                return 0;
        w->levels |= 1U << level;
        /* none: that cgroup is gone, and known to have been another boot's */
        r = s->cgroup_id != 0 ? want_id(w, s->cgroup_id, flags) : 0;
        if (r == 0)
                r = want_path(w, s->path, flags);
        now = id_of(a->cgroup_root, s->path, strlen(s->path));
        if (r == 0 && now != 0 && now != s->cgroup_id)
                r = want_id(w, now, flags | GUARD_INHERITED);
        for (const char *end = strchr(s->path + 1, '/'); r == 0 && end && flags & GUARD_FROZEN;
             end = strchr(end + 1, '/')) {
                const uint64_t id = id_of(a->cgroup_root, s->path, (size_t) (end - s->path));

                if (id != 0)
                        r = want_id(w, id, GUARD_ABOVE);
        }
        return r;
}

struct orphans {
        struct agent *a;
        const struct command_id *thawed;
        struct guard_want *want;
};

/* A hold that the ledger does not know: what it held is told by its pins, and lifted by name like any other. */
static int want_orphan(const struct command_id *hold, void *userdata) {
        struct orphans *o = userdata;
        uint64_t ids[COMMAND_TARGETS_MAX];
        size_t n;
        int r = 0;

        if (hold_set_find(o->a->holds, hold))
                return 0;
        n = isolate_cgroups(o->a->isolate, hold, ids, ELEMENTSOF(ids));
        for (size_t i = 0; i < n && r == 0; i++) {
                struct isolate_link links[_ISOLATE_HOOK_MAX];
                const bool is_thawed = o->thawed && command_id_equal(hold, o->thawed);
                uint32_t flags = !is_thawed && isolate_marked(o->a->isolate, hold, ids[i]) ? GUARD_FROZEN : 0;

                isolate_read(o->a->isolate, hold, ids[i], links);
                for (size_t k = 0; k < _ISOLATE_HOOK_MAX; k++)
                        flags |= links[k].link_id ? GUARD_ISOLATED : 0;
                if (flags)
                        r = want_id(o->want, ids[i], flags);
        }
        /* at which level they are is not written down */
        if (n > 0)
                o->want->levels |= GUARD_LEVELS_ALL;
        return r;
}

int guard_want_holds(struct agent *a, const struct command_id *thawed, struct guard_want *ret) {
        struct guard_want w = { 0 };
        int r = 0;

        for (size_t i = 0; a->cgroup_root && i < hold_set_count(a->holds) && r == 0; i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                const struct sites *sites = held_find(&a->held, &h->id);
                const struct verb_info *v = verb_info(h->verb);
                const bool is_thawed = h->state == HOLD_RELEASING || (thawed && command_id_equal(&h->id, thawed));
                const uint32_t flags =
                        (v->isolates ? GUARD_ISOLATED : 0) | (v->freezes && !is_thawed ? GUARD_FROZEN : 0);

                /* of a whole host, management and whoever configures its network must go on: only what is
                 * frozen of it is guarded */
                for (size_t k = 0; flags && sites && k < sites->n && r == 0; k++)
                        if (sites->v[k].missing == REASON_NONE && !site_is_host(&sites->v[k]))
                                r = want_site(a, &sites->v[k], flags, &w);
        }
        if (r == 0 && a->isolate)
                r = isolate_each(a->isolate, want_orphan, &(struct orphans) { .a = a, .thawed = thawed, .want = &w });
        if (r < 0)
                guard_want_done(&w);
        else
                *ret = w;
        return r;
}

static bool lies_in(const char *path, const char *point) {
        const size_t n = strlen(point);

        return strcmp(point, "/") == 0 || (strncmp(path, point, n) == 0 && (path[n] == '/' || path[n] == 0));
}

static int add(struct guard_owned *ret, size_t *n, size_t max, struct guard_own key, uint32_t flags) {
        if (*n >= max)
                return -ENOSPC;
        ret[(*n)++] = (struct guard_owned) { .key = key, .flags = flags };
        return 0;
}

/* Every mount that the path leads through. Those that are hidden below another at the same place as well: who takes the
 * upper one away shows them, and not ours. */
static int want_mounts(const char *table, const char *path, struct guard_owned *ret, size_t *n, size_t max) {
        FILE *f = fopen(table, "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        int r = 0;

        if (!f)
                return -errno;
        while (r == 0 && getline(&line, &size, f) > 0) {
                char point[PATH_MAX];
                uint32_t id;

                if (sscanf(line, "%" SCNu32 " %*d %*s %*s %4095s", &id, point) == 2 && strcmp(point, "/") != 0 &&
                    lies_in(path, point))
                        r = add(ret, n, max, (struct guard_own) { .id = id, .kind = GUARD_OWN_MOUNT }, GUARD_TREE);
        }
        (void) fclose(f);
        return r;
}

/* The directory itself, then each that it lies in but for the root. */
static int want_inodes(const char *path, struct guard_owned *ret, size_t *n, size_t max, uint32_t *ret_dev) {
        char dir[PATH_MAX];
        int r = 0;

        (void) snprintf(dir, sizeof(dir), "%s", path);
        for (char *end = dir + strlen(dir); r == 0 && end && end != dir; end = strrchr(dir, '/')) {
                struct stat st;
                uint32_t dev;

                *end = 0;
                if (stat(dir, &st) < 0)
                        return -errno;
                dev = (uint32_t) (major(st.st_dev) << 20 | minor(st.st_dev));
                if (*n == 0)
                        *ret_dev = dev;
                r = add(ret, n, max, (struct guard_own) { .id = st.st_ino, .dev = dev, .kind = GUARD_OWN_INODE },
                        *n == 0 ? GUARD_TREE : GUARD_ABOVE);
        }
        return r;
}

int guard_want_own(const char *path, struct guard_owned *ret, size_t max, uint32_t *ret_dev) {
        _cleanup_free_ char *real = realpath(path, NULL);
        size_t n = 0;
        int r;

        if (!real)
                return -errno;
        r = want_inodes(real, ret, &n, max, ret_dev);
        if (r == 0)
                r = want_mounts("/proc/1/mountinfo", real, ret, &n, max);
        if (r == 0)
                r = want_mounts("/proc/self/mountinfo", real, ret, &n, max);
        return r < 0 ? r : (int) n;
}
