/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/radius.h"

#include <pwd.h>
#include <string.h>

#include "agent/core/process.h"

#define USERS_MAX 16U

struct users {
        uint32_t uids[USERS_MAX];
        size_t n;
};

static void add_user(struct users *u, pid_t pid) {
        uint32_t uid;

        if (u->n == USERS_MAX || process_uid(pid, &uid) < 0)
                return;
        for (size_t i = 0; i < u->n; i++)
                if (u->uids[i] == uid)
                        return;
        u->uids[u->n++] = uid;
}

/* By name where the host's own file has one. */
static json_t *users_json(const struct users *u) {
        json_t *array = json_array(), *names = json_object();
        _cleanup_fclose_ FILE *f = fopen("/etc/passwd", "re");
        const struct passwd *p;

        while (f && (p = fgetpwent(f)))
                for (size_t i = 0; i < u->n; i++)
                        if (p->pw_uid == u->uids[i]) {
                                char key[16];

                                (void) snprintf(key, sizeof(key), "%u", u->uids[i]);
                                (void) json_object_set_new(names, key, json_string(p->pw_name));
                        }
        for (size_t i = 0; i < u->n; i++) {
                char key[16];
                json_t *name;

                (void) snprintf(key, sizeof(key), "%u", u->uids[i]);
                name = json_object_get(names, key);
                (void) json_array_append_new(array, name ? json_incref(name) : json_string(key));
        }
        json_decref(names);
        return array;
}

static json_t *ports_json(const struct sockets_result *s) {
        json_t *array = json_array();

        for (size_t i = 0; i < s->n_ports; i++)
                (void) json_array_append_new(array, json_integer(s->ports[i]));
        return array;
}

static void put_paths(json_t *o, const char *name, const struct paths *p) {
        if (p->n > 0)
                (void) json_object_set_new(o, name, paths_to_json(p));
}

void radius_add(struct agent *a, json_t *o, const struct site *s, const struct subtree *t, const pid_t *pids, size_t n,
                const struct sockets_result *sockets, bool ask) {
        _cleanup_(paths_done) struct paths dependents = { 0 };
        const char *unit = site_unit(s);
        struct users users = { 0 };

        (void) json_object_set_new(o, "cgroups", json_integer((json_int_t) t->cgroups));
        put_paths(o, "units", &t->units);
        put_paths(o, "containers", &t->containers);
        for (size_t i = 0; i < n; i++)
                add_user(&users, pids[i]);
        (void) json_object_set_new(o, "users", users_json(&users));
        if (sockets->n_ports > 0)
                (void) json_object_set_new(o, "ports", ports_json(sockets));
        if (ask && unit && systemd_unit_dependents(a->systemd, unit, &dependents) == 0)
                put_paths(o, "dependents", &dependents);
}
