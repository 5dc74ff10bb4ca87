/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/resolve.h"

#include <string.h>

#include "agent/core/cgroup.h"

static int visit_protected(const char *name, void *userdata) {
        const struct local *l = userdata;

        return local_protects(l, name) ? 1 : 0;
}

/* True when b is a or lies below a. */
static bool contains(const char *a, const char *b) {
        const size_t n = strlen(a);

        return strncmp(a, b, n) == 0 && (b[n] == '/' || b[n] == 0);
}

static bool holds_process(const char *path, pid_t pid) {
        _cleanup_free_ char *its = NULL;

        /* FAIL-CLOSED: a process that cannot be placed may be inside */
        return cgroup_of_pid(pid, &its) < 0 || contains(path, its);
}

/* A protected unit further up: dbus.service/worker is dbus. Slices are skipped: everything lies in system.slice. */
static bool inside_protected(const struct local *l, const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        char *state = NULL;

        for (char *part = copy ? strtok_r(copy, "/", &state) : NULL; part; part = strtok_r(NULL, "/", &state)) {
                const size_t n = strlen(part);
                const bool slice = n > 6 && strcmp(part + n - 6, ".slice") == 0;

                if (!slice && local_protects(l, part))
                        return true;
        }
        return !copy;
}

/* What must never stop: PID 1, ourselves, and what the policy names; being it, holding it or being part of it. */
static bool is_protected(const struct local *l, const struct site *s) {
        const char *name = strrchr(s->path, '/');

        return local_protects(l, name ? name + 1 : s->path) || inside_protected(l, s->path) || holds_process(s->path, 1) ||
               holds_process(s->path, getpid()) || cgroup_each_name(s->fd, visit_protected, (void *) l) != 0;
}

/* Tells the unified path that the target means. Returns a reason, or negative when the machine failed. */
static int find_path(const struct resolver *r, struct site *s, reason_set *notes) {
        _cleanup_free_ char *cgroup = NULL;
        int e;

        if (s->target.cls == TARGET_CGROUP) {
                s->path = strdup(s->target.name);
                return s->path ? REASON_NONE : -ENOMEM;
        }
        if (systemd_unit_cgroup_written(r->cgroup_root, s->target.name, &s->path) == 0)
                return REASON_NONE;
        e = systemd_unit_cgroup(r->systemd, s->target.name, &cgroup);
        if (e == -ENOENT)
                return REASON_NO_TARGET;
        if (e < 0) {
                *notes |= reason_bit(REASON_NO_SYSTEMD);
                e = cgroup_find(r->cgroup_root, s->target.name, &s->path);
                return e == -ENOMEM ? e : e < 0 ? REASON_NO_TARGET : REASON_NONE;
        }
        if (cgroup[0] == 0)
                return REASON_NOT_RUNNING;
        s->path = TAKE_PTR(cgroup);
        return REASON_NONE;
}

static int find_site(const struct resolver *r, struct site *s, reason_set *notes) {
        struct cgroup_freezer state;
        int e;

        if (!r->cgroup_root)
                return REASON_NO_CGROUP2;
        e = find_path(r, s, notes);
        if (e != REASON_NONE)
                return e;
        if (cgroup_open(r->cgroup_root, s->path, &s->fd, &s->cgroup_id) < 0)
                return s->target.cls == TARGET_CGROUP ? REASON_NO_TARGET : REASON_NOT_RUNNING;
        if (is_protected(r->local, s))
                return REASON_PROTECTED;
        if (cgroup_freezer_read(s->fd, &state) < 0 || !state.populated)
                return REASON_NOT_RUNNING;
        s->was_frozen = state.asked;
        return REASON_NONE;
}

int resolve_again(const struct resolver *r, struct site *s, reason_set *ret_notes) {
        struct site found = SITE_NULL;
        int e;

        found.target = s->target;
        e = find_site(r, &found, ret_notes);
        if (e < 0) {
                site_done(&found);
                return e;
        }
        found.missing = (enum reason) e;
        if (found.missing != REASON_NONE) {
                free(found.path);
                found.path = NULL;
                closep(&found.fd);
                found.fd = -EBADF;
        }
        site_done(s);
        *s = found;
        return 0;
}

int resolve_targets(const struct resolver *r, const struct target *targets, size_t n, struct sites *ret, reason_set *ret_notes) {
        _cleanup_(sites_done) struct sites s = { 0 };

        s.v = calloc(n, sizeof(*s.v));
        if (!s.v)
                return -ENOMEM;
        for (; s.n < n; s.n++) {
                int e;

                s.v[s.n] = SITE_NULL;
                s.v[s.n].target = targets[s.n];
                e = resolve_again(r, &s.v[s.n], ret_notes);
                if (e < 0)
                        return e;
        }
        *ret = s;
        s = (struct sites){ 0 };
        return 0;
}
