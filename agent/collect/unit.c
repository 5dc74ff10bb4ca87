/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/collect/source.h"

/* systemd.unit(5), "System Unit Search Path", highest priority first. On a merged-/usr system the last two are one. */
static const char *const search_path[] = {
        "etc/systemd/system.control",   "run/systemd/system.control",  "run/systemd/transient",
        "run/systemd/generator.early",  "etc/systemd/system",          "etc/systemd/system.attached",
        "run/systemd/system",           "run/systemd/system.attached", "run/systemd/generator",
        "usr/local/lib/systemd/system", "usr/lib/systemd/system",      "lib/systemd/system",
        "run/systemd/generator.late",
};

#define DIRS_MAX ELEMENTSOF(search_path)

struct search {
        struct store *store;
        int dir;
        const char *dir_path;
        bool found;
        struct {
                dev_t dev;
                ino_t ino;
        } seen[DIRS_MAX];
        size_t n_seen;
};

bool unit_name_ok(const char *unit) {
        size_t n = strlen(unit);
        const char *dot = strrchr(unit, '.');

        return n > 0 && n <= UNIT_NAME_MAX && unit[0] != '.' && !strchr(unit, '/') && dot && dot[1] != '\0';
}

bool unit_template(const char *unit, char ret[static UNIT_NAME_MAX + 1]) {
        const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');

        if (!at || !dot || dot <= at + 1)
                return false;
        (void) snprintf(ret, UNIT_NAME_MAX + 1, "%.*s%s", (int) (at - unit + 1), unit, dot);
        return true;
}

/* A prefix that ends in a dash, with and without the instance of the unit. */
static void prefix_names(const char *unit, size_t prefix, void (*found)(const char *name, void *userdata),
                         void *userdata) {
        const char *dot = strrchr(unit, '.'), *at = strchr(unit, '@');
        char name[2 * UNIT_NAME_MAX], template[UNIT_NAME_MAX + 1];

        (void) snprintf(name, sizeof(name), "%.*s%s", (int) prefix, unit, dot);
        found(name, userdata);
        if (!at || at > dot)
                return;
        (void) snprintf(name, sizeof(name), "%.*s%s", (int) prefix, unit, at);
        found(name, userdata);
        if (unit_template(name, template))
                found(template, userdata);
}

void unit_dropin_names(const char *unit, void (*found)(const char *name, void *userdata), void *userdata) {
        const char *dot = strrchr(unit, '.'), *at = strchr(unit, '@');
        char template[UNIT_NAME_MAX + 1];

        found(unit, userdata);
        if (!dot)
                return;
        if (unit_template(unit, template))
                found(template, userdata);
        size_t end = (size_t) ((at && at < dot ? at : dot) - unit);

        /* A dash at the very end would name the unit itself again. */
        for (size_t i = end > 0 ? end - 1 : 0; i > 0; i--)
                if (unit[i - 1] == '-')
                        prefix_names(unit, i, found, userdata);
        found(dot + 1, userdata);
}

static void copy_link(struct search *x, const char *name, const char *source) {
        const struct index_item item = { .kind = "unit-link", .source = source };
        char target[PATH_MAX];
        ssize_t n = source_link(x->dir, name, target, sizeof(target));

        if (n < 0)
                store_hole(x->store, &item, (int) n, -1);
        else
                source_put(x->store, &item, target, (size_t) n);
}

/* A masked unit is a link to /dev/null: the link says so, and there is no file to read. */
static bool leads_to_file(int dir, const char *name) {
        struct stat st;
        return fstatat(dir, name, &st, 0) < 0 || S_ISREG(st.st_mode);
}

static void copy_file(struct search *x, const char *kind, const char *name) {
        char source[PATH_MAX];
        const struct index_item item = { .kind = kind, .source = source };
        struct stat st;

        if (fstatat(x->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT) {
                        (void) snprintf(source, sizeof(source), "%s/%s", x->dir_path, name);
                        store_hole(x->store, &item, -errno, -1);
                }
                return;
        }
        x->found = true;
        (void) snprintf(source, sizeof(source), "%s/%s", x->dir_path, name);
        if (S_ISLNK(st.st_mode)) {
                copy_link(x, name, source);
                if (!leads_to_file(x->dir, name))
                        return;
        }
        source_copy(x->store, &item, x->dir, name, SOURCE_FOLLOW);
}

static int is_conf(const struct dirent *e) {
        size_t n = strlen(e->d_name);
        return n > 5 && e->d_name[0] != '.' && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static void copy_dropins(const char *name, void *userdata) {
        const struct search *in = userdata;
        char path[UNIT_NAME_MAX + 3], source[PATH_MAX];
        const struct index_item item = { .kind = "unit-dropin", .source = source };
        _cleanup_close_ int dir = -EBADF;
        struct dirent **entries = NULL;

        (void) snprintf(path, sizeof(path), "%s.d", name);
        (void) snprintf(source, sizeof(source), "%s/%s", in->dir_path, path);
        dir = openat(in->dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 && errno == ENOENT)
                return;
        int n = dir < 0 ? -1 : scandirat(dir, ".", &entries, is_conf, alphasort);

        if (n < 0) {
                store_hole(in->store, &item, -errno, -1);
                return;
        }
        struct search below = { .store = in->store, .dir = dir, .dir_path = source };

        for (int i = 0; i < n; i++) {
                if (i < (int) UNIT_DROPINS_MAX)
                        copy_file(&below, "unit-dropin", entries[i]->d_name);
                free(entries[i]);
        }
        free(entries);
        if (n > (int) UNIT_DROPINS_MAX)
                store_hole(in->store, &item, -EOVERFLOW, n);
}

/* /lib is a link to /usr/lib on most hosts: the same files would be kept twice. */
static bool is_known(struct search *x) {
        struct stat st;

        if (fstat(x->dir, &st) < 0)
                return false;
        for (size_t i = 0; i < x->n_seen; i++)
                if (x->seen[i].dev == st.st_dev && x->seen[i].ino == st.st_ino)
                        return true;
        x->seen[x->n_seen].dev = st.st_dev;
        x->seen[x->n_seen++].ino = st.st_ino;
        return false;
}

static void look_in(struct search *x, const char *unit) {
        char template[UNIT_NAME_MAX + 1];

        copy_file(x, "unit-file", unit);
        if (unit_template(unit, template))
                copy_file(x, "unit-file", template);
        unit_dropin_names(unit, copy_dropins, x);
}

static bool needs_file(const char *unit) {
        const char *type = strrchr(unit, '.');
        return strcmp(type, ".slice") != 0 && strcmp(type, ".scope") != 0;
}

void unit_collect(struct store *s, int root, const char *unit) {
        const struct index_item item = { .kind = "unit-file", .source = unit };
        struct search x = { .store = s };

        if (!unit_name_ok(unit)) {
                store_hole(s, &item, -EINVAL, -1);
                return;
        }
        for (size_t i = 0; i < ELEMENTSOF(search_path); i++) {
                _cleanup_close_ int dir = openat(root, search_path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                char path[64];

                int err = dir < 0 ? -errno : 0;

                (void) snprintf(path, sizeof(path), "/%s", search_path[i]);
                x.dir = dir;
                x.dir_path = path;
                if (err < 0 && err != -ENOENT)
                        store_hole(s, &(struct index_item) { .kind = "unit-file", .source = path }, err, -1);
                else if (dir >= 0 && !is_known(&x))
                        look_in(&x, unit);
        }
        if (!x.found && needs_file(unit))
                store_hole(s, &item, -ENOENT, -1);
}
