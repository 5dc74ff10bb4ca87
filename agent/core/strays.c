/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/strays.h"

#include <string.h>
#include <sys/stat.h>

#include "agent/core/cgroup.h"
#include "agent/util/io.h"

static bool lies_within(const char *path, const char *in) {
        const size_t n = strlen(in);

        return strncmp(path, in, n) == 0 && (path[n] == '/' || path[n] == 0);
}

bool strays_is_outside(pid_t pid, const char *path) {
        _cleanup_free_ char *its = NULL;

        /* one that ended meanwhile is nowhere */
        return cgroup_of_pid(pid, &its) == 0 && !lies_within(its, path);
}

static int write_pid(int cgroup, pid_t pid) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        return io_write_string(cgroup, "cgroup.procs", text);
}

struct put_back {
        const char *root, *path;
        pid_t pid;
};

static int try_below(const char *path, void *userdata) {
        const struct put_back *p = userdata;
        _cleanup_free_ char *full = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        if (asprintf(&full, "%s%s", p->path, path) < 0)
                return -ENOMEM;
        return cgroup_open(p->root, full, &fd, &id) == 0 && write_pid(fd, p->pid) == 0;
}

int strays_put_back(const char *root, const char *path, int fd, pid_t pid) {
        struct put_back p = { .root = root, .path = path, .pid = pid };
        int r = write_pid(fd, pid);

        /* one with controllers for its children takes no processes of its own; its children do */
        if (r == -EBUSY || r == -EOPNOTSUPP) {
                r = cgroup_each_path(fd, try_below, &p);
                r = r == 0 ? -EBUSY : MIN(r, 0);
        }
        return r;
}

int strays_make_again(const char *root, const char *path, int *ret_fd, uint64_t *ret_id) {
        _cleanup_free_ char *full = NULL;

        if (asprintf(&full, "%s%s", root, path) < 0)
                return -ENOMEM;
        if (mkdir(full, 0755) < 0 && errno != EEXIST)
                return -errno;
        return cgroup_open(root, path, ret_fd, ret_id);
}

struct retag {
        uint64_t from, to;
};

static bool retag_one(pid_t pid, uint64_t *cgroup_id, void *userdata) {
        const struct retag *t = userdata;

        (void) pid;
        if (*cgroup_id == t->from)
                *cgroup_id = t->to;
        return true;
}

void strays_retag(struct cgroup_events *e, uint64_t from, uint64_t to) {
        struct retag t = { .from = from, .to = to };

        if (e && from != 0 && from != to)
                cgroup_events_each_held(e, retag_one, &t);
}

struct search {
        const struct site *site;
        const char *root;
};

static bool bring_back(pid_t pid, uint64_t *cgroup_id, void *userdata) {
        const struct search *x = userdata;

        if (*cgroup_id == x->site->cgroup_id && strays_is_outside(pid, x->site->path))
                (void) !strays_put_back(x->root, x->site->path, x->site->fd, pid);
        return true;
}

struct finding {
        const struct site *v;
        size_t n;
        bool *any;
};

static bool find_one(pid_t pid, uint64_t *cgroup_id, void *userdata) {
        const struct finding *f = userdata;

        for (size_t i = 0; i < f->n; i++) {
                const struct site *s = &f->v[i];

                if (!f->any[i] && s->path && s->cgroup_id == *cgroup_id)
                        f->any[i] = strays_is_outside(pid, s->path);
        }
        return true;
}

void strays_find(struct cgroup_events *e, const struct site *v, size_t n, bool *ret) {
        struct finding f = { .v = v, .n = n, .any = ret };

        if (e)
                cgroup_events_each_held(e, find_one, &f);
}

bool strays_any(struct cgroup_events *e, const struct site *s) {
        bool any = false;

        strays_find(e, s, 1, &any);
        return any;
}

bool strays_bring_back(struct cgroup_events *e, const char *root, struct site *s) {
        struct search x = { .site = s, .root = root };
        uint64_t id;
        int fd;

        if (!strays_any(e, s) || strays_make_again(root, s->path, &fd, &id) < 0)
                return false;
        strays_retag(e, s->cgroup_id, id);
        closep(&s->fd);
        s->fd = fd;
        s->cgroup_id = id;
        s->missing = REASON_NONE;
        s->was_frozen = false;
        cgroup_events_each_held(e, bring_back, &x);
        return true;
}
