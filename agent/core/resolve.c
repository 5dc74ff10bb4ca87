/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/resolve.h"

#include <string.h>

#include "agent/core/branch_path.h"
#include "agent/core/cgroup.h"
#include "agent/core/container.h"
#include "agent/core/find.h"
#include "agent/core/resolve_pid.h"
#include "agent/core/hostparts.h"
#include "agent/core/slices.h"
#include "agent/core/user.h"
#include "agent/util/alive.h"

#define PASSWD "/etc/passwd"
/* what was found there before: only what the host's own root names */
#define HOST_ROOTS "/"

/* True when b is a or lies below a. */
static bool contains(const char *a, const char *b) {
        size_t n = strlen(a);

        while (n > 0 && a[n - 1] == '/') /* the root lies above all */
                n--;
        return strncmp(a, b, n) == 0 && (b[n] == '/' || b[n] == 0);
}

static bool holds_process(const char *path, pid_t pid) {
        _cleanup_free_ char *its = NULL;

        /* FAIL-CLOSED: a process that cannot be placed may be inside */
        return cgroup_of_pid(pid, &its) < 0 || contains(path, its);
}

static bool ends_with(const char *s, const char *suffix) {
        const size_t n = strlen(s), m = strlen(suffix);

        return n > m && strcmp(s + n - m, suffix) == 0;
}

/* True when the path is a protected unit or lies in one: dbus.service/worker is dbus. A slice counts only as itself,
 * because everything lies in system.slice. What anything else has below itself is its own affair: a container has a
 * dbus.service too, and whoever may make a cgroup in his own could by a name have it spared. */
bool resolve_is_protected_path(const struct local *l, const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        char *state = NULL, *next, *part = copy ? strtok_r(copy, "/", &state) : NULL;
        bool slice;

        for (; part; part = next) {
                next = strtok_r(NULL, "/", &state);
                /* systemd puts a "_" before a name that the kernel could take for one of its own files */
                part += *part == '_';
                slice = ends_with(part, ".slice");
                if ((!next || !slice) && local_protects(l, part))
                        return true;
                if (!slice)
                        return false;
        }
        return !copy;
}

struct inside {
        const struct local *local;
        const char *path; /* of where the walk began */
};

static int visit_protected(const char *path, void *userdata) {
        const struct inside *i = userdata;
        _cleanup_free_ char *full = NULL;

        if (asprintf(&full, "%s%s", strcmp(i->path, "/") == 0 ? "" : i->path, path) < 0)
                return -ENOMEM;
        return resolve_is_protected_path(i->local, full);
}

/* What must never stop: PID 1, ourselves, and what the policy names; being it, holding it or being part of it. */
bool resolve_is_protected(const struct local *l, const char *path, int fd) {
        struct inside i = { .local = l, .path = path };

        return resolve_is_protected_path(l, path) || holds_process(path, 1) || holds_process(path, getpid()) ||
               cgroup_each_path(fd, visit_protected, &i) != 0;
}

/* FAIL-OPEN: what is frozen while it is being started at boot is waited for by all that comes after it, and with that
 * by the way in. It is isolated as soon as anything is, and frozen when it has been started. */
static bool boot_waits_for(const struct resolver *r, const char *name) {
        return ends_with(name, ".service") && systemd_is_booting(r->systemd) &&
               systemd_unit_is_starting(r->systemd, *name == '_' ? name + 1 : name);
}

/* Root can make a cgroup of any name: what has a unit's is the unit's when PID 1 says that it is there. FAIL-OPEN: what
 * no unit can be called is believed, and so is all while PID 1 does not answer: the way in is not to be frozen. */
static bool is_units(const struct resolver *r, const char *path) {
        _cleanup_free_ char *copy = strdup(path);
        char *name = copy, *end;

        if (!copy)
                return true;
        do {
                name++;
                end = strchrnul(name, '/');
        } while (*end && end - name > 6 && strncmp(end - 6, ".slice", 6) == 0 && (name = end));
        *end = 0;
        name += *name == '_';
        return systemd_unit_may_be_at(r->systemd, name, copy);
}

bool resolve_spares(const struct resolver *r, const char *path) {
        const char *name = strrchr(path, '/') + 1;

        if (holds_process(path, 1) || holds_process(path, getpid()) || boot_waits_for(r, name))
                return true;
        return (resolve_is_protected_path(r->local, path) || local_answers(r->local, name) || local_configures(name)) &&
               is_units(r, path);
}

struct lookup {
        const struct resolver *resolver;
        const char *was; /* where it was found before; NULL: it is looked for everywhere */
        reason_set *notes;
};

/* Each tells the unified path that a target of one class means. Returns a reason, or negative when the machine failed.
 */
typedef int (*path_fn)(const struct lookup *l, struct site *s);

static int path_of_cgroup(const struct lookup *l, struct site *s) {
        (void) l;
        s->path = strdup(s->target.name);
        return s->path ? REASON_NONE : -ENOMEM;
}

static int look_for(const struct lookup *l, struct site *s, find_fn fits, const char *was) {
        const int e = find_cgroup(l->resolver->cgroup_root, fits, s->target.name, was, &s->path, &s->several);

        return e == -ENOMEM ? e : e == -ENOTUNIQ ? REASON_AMBIGUOUS : e < 0 ? REASON_NO_TARGET : REASON_NONE;
}

static enum find_fit is_name(const char *name, const char *wanted) {
        return strcmp(name, wanted) == 0 ? FIND_IS : FIND_NOT;
}

/* Where the service manager puts its units, and nobody else can put anything. */
static int look_for_unit(const struct lookup *l, struct site *s) {
        const int e = look_for(l, s, is_name, HOST_ROOTS);

        if (e != REASON_NONE || slices_unit(s->path))
                return e;
        free(TAKE_PTR(s->path));
        return REASON_NO_TARGET;
}

static int path_of_unit(const struct lookup *l, struct site *s) {
        const struct resolver *r = l->resolver;
        _cleanup_free_ char *cgroup = NULL;
        int e;

        if (systemd_unit_cgroup_written(r->cgroup_root, s->target.name, &s->path) == 0)
                return REASON_NONE;
        e = systemd_unit_cgroup(r->systemd, s->target.name, &cgroup);
        if (e == -ENOENT)
                return REASON_NO_TARGET;
        if (e < 0) {
                const bool silent = e != -EOPNOTSUPP;

                *l->notes |= reason_bit(REASON_NO_SYSTEMD);
                e = look_for_unit(l, s);
                /* a manager that does not answer may know the unit: all that is known is that nobody is there */
                return silent && e == REASON_NO_TARGET ? REASON_NOT_RUNNING : e;
        }
        if (cgroup[0] == 0)
                return REASON_NOT_RUNNING;
        s->path = TAKE_PTR(cgroup);
        return REASON_NONE;
}

static int path_of_container(const struct lookup *l, struct site *s) {
        return look_for(l, s, container_fits, l->was);
}

static int path_of_user(const struct lookup *l, struct site *s) {
        uint32_t uid;

        if (user_uid(PASSWD, &s->target, &uid) < 0)
                return REASON_NO_TARGET;
        if (user_cgroup(uid, &s->path) < 0)
                return -ENOMEM;
        /* also while he has no session: he may have one when he is needed */
        return resolve_is_protected_path(l->resolver->local, s->path) ? REASON_PROTECTED : REASON_NONE;
}

static int path_of_host(const struct lookup *l, struct site *s) {
        (void) l;
        s->path = strdup("/");
        return s->path ? REASON_NONE : -ENOMEM;
}

static const struct {
        path_fn path;
        enum reason absent; /* what it means that there is no cgroup at that path */
} classes[_TARGET_MAX] = {
        [TARGET_UNIT] = { path_of_unit, REASON_NOT_RUNNING },
        [TARGET_SLICE] = { path_of_unit, REASON_NOT_RUNNING },
        [TARGET_CGROUP] = { path_of_cgroup, REASON_NO_TARGET },
        [TARGET_HOST] = { path_of_host, REASON_NO_CGROUP2 },
        [TARGET_CONTAINER] = { path_of_container, REASON_NOT_RUNNING },
        [TARGET_USER] = { path_of_user, REASON_NOT_RUNNING },
};

static int find_site(const struct lookup *l, struct site *s) {
        const struct resolver *r = l->resolver;
        struct cgroup_freezer state;
        int e;

        if (!r->cgroup_root)
                return REASON_NO_CGROUP2;
        if (s->target.cls == TARGET_PID)
                return resolve_pid(r, s);
        if (!classes[s->target.cls].path)
                return REASON_NO_TARGET;
        e = classes[s->target.cls].path(l, s);
        if (e != REASON_NONE)
                return e;
        if (cgroup_open(r->cgroup_root, s->path, &s->fd, &s->cgroup_id) < 0)
                return classes[s->target.cls].absent;
        /* it is all that is protected and more; what is spared of it is for the hold to know */
        if (site_is_host(s))
                return REASON_NONE;
        if (resolve_is_protected(r->local, s->path, s->fd))
                return REASON_PROTECTED;
        if (cgroup_freezer_read(s->fd, &state) < 0 || !state.populated)
                return REASON_NOT_RUNNING;
        s->was_frozen = state.asked;
        return REASON_NONE;
}

/* What only another order can ask for: a thing that an order was refused for safety, and a process of which nobody
 * knows when it began, so that its number may be anybody's by now. */
static bool is_final(const struct site *s) {
        return (s->missing == REASON_PROTECTED && !s->path) ||
               (s->missing != REASON_NONE && s->target.cls == TARGET_PID && s->born.ticks == 0);
}

int resolve_again(const struct resolver *r, struct site *s, reason_set *ret_notes) {
        /* what never was anywhere can be anyone's by now */
        const char *was = s->path || r->orders ? s->path : HOST_ROOTS;
        struct site found = SITE_NULL;
        int e;

        if (is_final(s))
                return 0;
        found.target = s->target;
        found.born = s->born;
        found.was_frozen = s->was_frozen;
        if (s->target.cls == TARGET_PID && s->path && branch_path_is(s->path) && !(found.path = strdup(s->path)))
                return -ENOMEM;
        e = find_site(&(struct lookup) { .resolver = r, .was = was, .notes = ret_notes }, &found);
        if (e < 0) {
                site_done(&found);
                return e;
        }
        found.missing = (enum reason) e;
        if (found.missing != REASON_NONE) {
                free(found.path);
                found.path = TAKE_PTR(s->path);
                found.cgroup_id = 0;
                closep(&found.fd);
                found.fd = -EBADF;
        }
        site_done(s);
        *s = found;
        return 0;
}

int resolve_targets(const struct resolver *r, const struct target *targets, size_t n, struct sites *ret,
                    reason_set *ret_notes) {
        _cleanup_(sites_done) struct sites s = { 0 };
        struct resolver first = *r;
        bool has_host = false;

        s.v = calloc(n, sizeof(*s.v));
        if (!s.v)
                return -ENOMEM;
        first.orders = true;
        for (; s.n < n; s.n++) {
                int e;

                s.v[s.n] = SITE_NULL;
                s.v[s.n].target = targets[s.n];
                e = resolve_again(&first, &s.v[s.n], ret_notes);
                if (e < 0)
                        return e;
                has_host |= site_is_host(&s.v[s.n]) && s.v[s.n].missing == REASON_NONE;
                alive();
        }
        if (has_host && r->freezes) {
                int e = hostparts_add(r, NULL, &s, ret_notes);

                if (e < 0)
                        return e;
        }
        *ret = s;
        s = (struct sites) { 0 };
        return 0;
}
