/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/hostparts.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/cgroup.h"
#include "agent/core/slices.h"
#include "agent/util/alive.h"
#include "policy/schema.h"

/* Whoever is logged in stays so: nobody else could get in any more. */
#define SESSIONS "/user.slice"
/* slices within slices; deeper than anyone's, and by names that are longer than anyone's */
#define DEPTH_MAX  16
#define LENGTH_MAX 2048U

struct walk {
        const struct resolver *r;
        const struct sites *held;
        struct sites *sites;
        reason_set *notes;
};

static bool ends_with(const char *s, const char *suffix) {
        const size_t n = strlen(s), m = strlen(suffix);

        return n > m && strcmp(s + n - m, suffix) == 0;
}

/* Root can make a cgroup of any name: what the service manager does not know as its unit's it starts nothing in. */
static bool is_units(const struct resolver *r, const char *name, const char *path) {
        _cleanup_free_ char *cgroup = NULL;

        if (systemd_unit_cgroup_written(r->cgroup_root, name, &cgroup) == 0)
                return strcmp(cgroup, path) == 0;
        return systemd_unit_may_be_at(r->systemd, name, path);
}

/* As a unit it is known to the service manager too; TARGET_CGROUP when it has no unit's name. */
static struct target as_unit(const char *path) {
        const char *name = strrchr(path, '/') + 1;
        struct target t;

        if (!strchr(name, ':') && target_from_str(name, &t) == 0 && (t.cls == TARGET_UNIT || t.cls == TARGET_SLICE))
                return t;
        return (struct target) { .cls = TARGET_CGROUP };
}

static struct target as_cgroup(const char *path, uint64_t id) {
        struct target t = { .cls = TARGET_CGROUP };

        /* one with a name that no target has is held all the same */
        if (schema_is_text(path, sizeof(t.name)))
                (void) snprintf(t.name, sizeof(t.name), "%s", path);
        else
                (void) snprintf(t.name, sizeof(t.name), "/cgroup-%" PRIu64, id);
        return t;
}

/* Takes fd. */
static int make_site(const char *path, int fd, uint64_t id, struct site *ret) {
        *ret = (struct site) { .path = strdup(path), .fd = fd, .cgroup_id = id, .only_freeze = true };
        if (!ret->path) {
                site_done(ret);
                return -ENOMEM;
        }
        ret->target = as_unit(path);
        if (ret->target.cls == TARGET_CGROUP)
                ret->target = as_cgroup(path, id);
        return 0;
}

static int add(struct walk *w, const char *path) {
        struct site s = SITE_NULL, *more;
        struct cgroup_freezer state;
        uint64_t id;
        int fd;

        if (cgroup_open(w->r->cgroup_root, path, &fd, &id) < 0)
                return 0;
        more = make_site(path, fd, id, &s) == 0 ? realloc(w->sites->v, (w->sites->n + 1) * sizeof(*more)) : NULL;
        if (!more) {
                site_done(&s);
                return -ENOMEM;
        }
        w->sites->v = more;
        if (cgroup_freezer_read(s.fd, &state) < 0 || !state.populated) {
                site_done(&s); /* nobody is in there */
                return 0;
        }
        if (s.target.cls != TARGET_CGROUP && !is_units(w->r, s.target.name, path))
                s.target = as_cgroup(path, id);
        s.was_frozen = state.asked;
        w->sites->v[w->sites->n++] = s;
        return 0;
}

static void drop_since(struct sites *s, size_t n) {
        while (s->n > n)
                site_done(&s->v[--s->n]);
}

static int visit(struct walk *w, const char *path, int depth, bool *ret_spared);

/* The cgroups in one that cannot be frozen as a whole, unless it turns out that it can. */
static int visit_children(struct walk *w, const char *path, int depth, bool *ret_spared) {
        _cleanup_free_ char *full = NULL;
        struct dirent *e;
        DIR *d;
        int r = 0;

        if (asprintf(&full, "%s%s", w->r->cgroup_root, path) < 0)
                return -ENOMEM;
        d = opendir(full);
        if (!d)
                return errno == ENOENT ? 0 : -errno;
        while (r == 0 && (e = readdir(d))) {
                _cleanup_free_ char *child = NULL;

                if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (asprintf(&child, "%s/%s", strcmp(path, "/") == 0 ? "" : path, e->d_name) < 0)
                        r = -ENOMEM;
                else
                        r = visit(w, child, depth + 1, ret_spared);
        }
        (void) closedir(d);
        return r;
}

static bool is_populated(const struct walk *w, const char *path) {
        _cleanup_close_ int fd = -EBADF;
        struct cgroup_freezer state;
        uint64_t id;

        return cgroup_open(w->r->cgroup_root, path, &fd, &id) == 0 && cgroup_freezer_read(fd, &state) == 0 &&
               state.populated;
}

/* Before PID 1 is asked about it. */
static bool is_held(const struct walk *w, const char *path) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        return w->held && cgroup_open(w->r->cgroup_root, path, &fd, &id) == 0 && sites_have(w->held, id);
}

static int visit(struct walk *w, const char *path, int depth, bool *ret_spared) {
        const size_t before = w->sites->n;
        bool spared = false;
        int r;

        alive();
        if (is_held(w, path))
                return 0;
        if (strcmp(path, SESSIONS) == 0) {
                *w->notes |= is_populated(w, path) ? reason_bit(REASON_SESSIONS) : 0;
                *ret_spared = true;
                return 0;
        }
        if (!ends_with(path, ".slice") || depth >= DEPTH_MAX || strlen(path) >= LENGTH_MAX) {
                if (!resolve_spares(w->r, path))
                        return add(w, path);
                *ret_spared = true;
                return 0;
        }
        r = visit_children(w, path, depth, &spared);
        /* a slice that the policy names is left to whoever comes to be in it */
        if (r < 0 || spared || resolve_spares(w->r, path)) {
                *ret_spared = true;
                return r;
        }
        drop_since(w->sites, before);
        return add(w, path);
}

int hostparts_add(const struct resolver *r, const struct sites *held, struct sites *s, reason_set *ret_notes) {
        struct walk w = { .r = r, .held = held, .sites = s, .notes = ret_notes };
        bool spared;

        return visit_children(&w, "/", 0, &spared);
}

int hostparts_made(const struct resolver *r, const char *path, int fd, uint64_t id, struct site *ret) {
        int own;

        /* what lies in anything but slices is frozen with that, or spared */
        if (ends_with(path, ".slice") || !slices_unit(path) || strncmp(path, SESSIONS "/", sizeof(SESSIONS)) == 0 ||
            resolve_spares(r, path))
                return 0;
        own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0)
                return -errno;
        return make_site(path, own, id, ret) < 0 ? -ENOMEM : 1;
}
