/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/units.h"

#include <string.h>

#define NAME_CHARS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ:-_.\\@"

struct search {
        struct units *units;
        bool left_out;
};

/* Those that have a cgroup. */
static const char *const types[] = { ".service", ".scope", ".slice", ".socket", ".mount", ".swap" };

/* Where a target's path begins. */
static const char *const mounts[] = { "/sys/fs/cgroup/unified/", "/sys/fs/cgroup/" };

bool units_name_ok(const char *name) {
        const char *dot = strrchr(name, '.');

        if (!unit_name_ok(name) || strspn(name, NAME_CHARS) != strlen(name))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(types); i++)
                if (strcmp(dot, types[i]) == 0)
                        return true;
        return false;
}

static void add(struct search *x, const char *name, bool given) {
        struct units *u = x->units;

        for (size_t i = 0; i < u->n; i++)
                if (strcmp(u->v[i].name, name) == 0)
                        return;
        if (u->n == UNITS_MAX) {
                x->left_out = true;
                return;
        }
        (void) snprintf(u->v[u->n].name, sizeof(u->v[u->n].name), "%s", name);
        u->v[u->n++].given = given;
}

static void found(const char *path, void *userdata) {
        const char *name = strrchr(path, '/'), *manager = strstr(path, "/user@");

        if (name && units_name_ok(name + 1) && (!manager || manager == name))
                add(userdata, name + 1, false);
}

/* The unit that a cgroup or a process which is a target lies in: the first that is no slice, of which a user's manager
 * is one; a slice where the target is that. What lies in anything but slices is no unit of this host, whatever it is
 * called: a container can have a system.slice of its own. */
static void add_around(struct search *x, const char *path) {
        char name[UNIT_NAME_MAX + 1];
        size_t n;

        for (size_t i = 0; i < ELEMENTSOF(mounts); i++)
                if (strncmp(path, mounts[i], strlen(mounts[i])) == 0) {
                        path += strlen(mounts[i]);
                        break;
                }
        do {
                path += strspn(path, "/");
                n = strcspn(path, "/");
                if (n > UNIT_NAME_MAX)
                        return;
                (void) snprintf(name, sizeof(name), "%.*s", (int) n, path);
                path += n;
        } while (*path && n > strlen(".slice") && strcmp(name + n - strlen(".slice"), ".slice") == 0);
        if (units_name_ok(name))
                add(x, name, true);
}

struct units *units_find(struct target_set *t, struct store *s) {
        struct units *u = calloc(1, sizeof(*u));
        struct search x = { .units = u };

        if (!u)
                return NULL;
        for (size_t i = 0; i < t->n_targets; i++)
                if (strcmp(t->targets[i].unit, "-") != 0)
                        add(&x, t->targets[i].unit, true);
                else
                        add_around(&x, t->targets[i].path);
        target_each_cgroup(t, found, &x);
        if (x.left_out)
                store_hole(s, &(struct index_item) { .kind = "unit-file", .source = "more units" }, -EOVERFLOW, -1);
        return u;
}
