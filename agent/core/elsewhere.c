/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/elsewhere.h"

#include <string.h>

#include "agent/core/cgroup.h"
#include "agent/core/process.h"
#include "agent/core/user.h"

#define PASSWD "/etc/passwd"

struct look {
        const struct site *site;
        const struct sites *held;
        struct elsewhere *found;
        bool (*belongs)(const struct look *l, pid_t pid);
        uint32_t uid;
        pid_t first;
};

static bool is_of_user(const struct look *l, pid_t pid) {
        return process_has_uid(pid, l->uid);
}

static bool is_of_process(const struct look *l, pid_t pid) {
        return process_descends(pid, l->first);
}

static bool begin_user(struct look *l) {
        l->belongs = is_of_user;
        return user_uid(PASSWD, &l->site->target, &l->uid) == 0;
}

/* Another process that was given the number meanwhile has nothing to do with it. */
static bool begin_process(struct look *l) {
        struct process p;

        l->belongs = is_of_process;
        l->first = (pid_t) strtol(l->site->target.name, NULL, 10);
        return process_read(l->first, &p) == 0 && p.start == l->site->born.ticks;
}

static bool (*const begins[_TARGET_MAX])(struct look *l) = {
        [TARGET_USER] = begin_user,
        [TARGET_PID] = begin_process,
};

static bool is_held(const struct look *l, const char *cgroup) {
        for (size_t i = 0; i < l->held->n; i++) {
                const struct site *s = &l->held->v[i];
                const char *path = s->missing == REASON_NONE ? s->path : NULL;
                const size_t n = path ? strlen(path) : 0;

                if (n > 0 && strncmp(cgroup, path, n) == 0 && (cgroup[n] == '/' || cgroup[n] == 0))
                        return true;
        }
        return false;
}

static int visit(pid_t pid, void *userdata) {
        struct look *l = userdata;
        _cleanup_free_ char *cgroup = NULL;
        struct process p;

        if (process_read(pid, &p) < 0 || p.dead || p.kernel || cgroup_of_pid(pid, &cgroup) < 0 || is_held(l, cgroup) ||
            !l->belongs(l, pid))
                return 0;
        l->found->processes++;
        return paths_add(&l->found->cgroups, cgroup);
}

int elsewhere_look(const struct site *s, const struct sites *held, struct elsewhere *ret) {
        _cleanup_(elsewhere_done) struct elsewhere found = { 0 };
        struct look l = { .site = s, .held = held, .found = &found };
        int r = 0;

        if (begins[s->target.cls] && begins[s->target.cls](&l))
                r = process_each(visit, &l);
        if (r < 0)
                return r;
        *ret = found;
        found = (struct elsewhere) { 0 };
        return 0;
}

void elsewhere_done(struct elsewhere *e) {
        paths_done(&e->cgroups);
        *e = (struct elsewhere) { 0 };
}

json_t *elsewhere_to_json(const struct elsewhere *e) {
        json_t *o = json_pack("{sI}", "processes", (json_int_t) e->processes);

        if (o && json_object_set_new(o, "cgroups", paths_to_json(&e->cgroups)) < 0) {
                json_decref(o);
                return NULL;
        }
        return o;
}
