/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/logs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/collect/sparse.h"
#include "agent/util/collect_abi.h"
#include "policy/wildcard.h"

/* Twice as many as there can be, so that a free place is never far. */
#define SEEN_SIZE (2U * COLLECT_OBJECTS_MAX)

struct file_id {
        uint32_t major, minor;
        uint64_t ino; /* 0: a free place */
};

struct search {
        struct store *store;
        const struct root *root;
        struct file_id *seen; /* SEEN_SIZE of them */
        size_t n_seen;
        size_t n_names;
        bool found; /* the pattern, in this root */
};

/* One directory of the walk, open for looking only. */
struct place {
        int dir;
        const char *path; /* within the root; "" is the root itself */
        unsigned depth;
};

static void miss(struct search *x, const char *path, int err) {
        char source[PATH_MAX + 64];

        root_source(x->root, path, source, sizeof(source));
        store_hole(x->store, &(struct index_item) { .kind = "log", .source = source, .pid = x->root->pid }, err, -1);
}

/* True the first time. */
static bool is_new(struct search *x, const struct statx *st) {
        const struct file_id id = { st->stx_dev_major, st->stx_dev_minor, st->stx_ino };
        size_t i = (size_t) ((id.ino ^ (uint64_t) id.minor << 20) * UINT64_C(0x9e3779b97f4a7c15) >> 40);

        for (i %= SEEN_SIZE; x->seen[i].ino != 0; i = (i + 1) % SEEN_SIZE)
                if (x->seen[i].ino == id.ino && x->seen[i].minor == id.minor && x->seen[i].major == id.major)
                        return false;
        if (x->n_seen < COLLECT_OBJECTS_MAX) {
                x->n_seen++;
                x->seen[i] = id;
        }
        return true;
}

static void take_file(struct search *x, int look, const char *path) {
        char source[PATH_MAX + 64];
        const struct index_item item = { .kind = "log", .source = source, .pid = x->root->pid };
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r;

        r = store_over(x->store) ? -ETIME : root_reopen(look, &fd);
        if (r == 0 && fstat(fd, &st) < 0)
                r = -errno;
        if (r < 0) {
                miss(x, path, r);
                return;
        }
        root_source(x->root, path, source, sizeof(source));
        sparse_copy(x->store, &item, fd, &st, MAX(st.st_size - (off_t) LOGS_FILE_MAX, (off_t) 0));
}

static void look_at(struct search *x, const struct place *p, const char *name, const char *rest);

static void each_name(struct search *x, const struct place *p, const char *pattern, const char *rest) {
        _cleanup_close_ int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        const struct dirent *e;

        if (!d) {
                miss(x, p->path, -errno);
                return;
        }
        (void) TAKE_FD(fd);
        while ((e = readdir(d)) && !store_over(x->store)) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (++x->n_names > LOGS_NAMES_MAX)
                        break;
                if (wildcard_matches(pattern, e->d_name))
                        look_at(x, p, e->d_name, rest);
        }
        if (e)
                miss(x, p->path, store_over(x->store) ? -ETIME : -EOVERFLOW);
        (void) closedir(d);
}

/* The next name of the pattern, or, behind its end, everything below. */
static void walk(struct search *x, const struct place *p, const char *rest) {
        size_t n = strcspn(rest, "/");
        char name[NAME_MAX + 1];

        if (p->depth > LOGS_DEPTH_MAX || n > NAME_MAX) {
                miss(x, p->path, -EOVERFLOW);
                return;
        }
        if (n == 0) {
                each_name(x, p, "*", "");
                return;
        }
        (void) snprintf(name, sizeof(name), "%.*s", (int) n, rest);
        rest += n + (rest[n] == '/');
        if (strpbrk(name, "*?"))
                each_name(x, p, name, rest);
        else
                look_at(x, p, name, rest);
}

static void look_at(struct search *x, const struct place *p, const char *name, const char *rest) {
        _cleanup_close_ int fd = openat(p->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        int r = fd < 0 ? -errno : 0;
        char path[PATH_MAX];
        struct statx st;

        /* whether that is a hole is known once every root was looked into */
        if (r == -ENOENT)
                return;
        if (snprintf(path, sizeof(path), "%s/%s", p->path, name) >= (int) sizeof(path)) {
                miss(x, p->path, -ENAMETOOLONG);
                return;
        }
        if (r == 0)
                r = mounts_look(&x->root->mounts, fd, &st);
        x->found = x->found || *rest == '\0' || r < 0 || S_ISLNK(st.stx_mode);
        if (r < 0)
                miss(x, path, r);
        else if (S_ISDIR(st.stx_mode))
                walk(x, &(struct place) { .dir = fd, .path = path, .depth = p->depth + 1 }, rest);
        else if ((*rest != '\0' && !S_ISLNK(st.stx_mode)) || !is_new(x, &st))
                return;
        else if (S_ISREG(st.stx_mode))
                take_file(x, fd, path);
        else
                miss(x, path, S_ISLNK(st.stx_mode) ? -ELOOP : -EOPNOTSUPP);
}

/* Everything of one root before the next: what a container has, however much, comes after what the host has. */
static void look_in(struct search *x, const char *const *patterns, size_t n, bool *found) {
        const struct place top = { .dir = x->root->dir, .path = "" };

        x->n_names = 0;
        for (size_t i = 0; i < n; i++) {
                x->found = false;
                walk(x, &top, patterns[i] + 1);
                found[i] = found[i] || x->found;
        }
}

void logs_collect(struct store *s, const struct roots *roots, const char *const *patterns, size_t n) {
        _cleanup_free_ struct file_id *seen = calloc(SEEN_SIZE, sizeof(*seen));
        struct search x = { .store = s, .seen = seen };
        bool found[COLLECT_LOGS_MAX] = { false };

        if (!seen || n > COLLECT_LOGS_MAX) {
                store_hole(s, &(struct index_item) { .kind = "log", .source = "log files" }, seen ? -E2BIG : -ENOMEM,
                           -1);
                return;
        }
        for (size_t i = 0; i < roots->n; i++) {
                x.root = &roots->v[i];
                if (x.root->dir >= 0)
                        look_in(&x, patterns, n, found);
        }
        for (size_t i = 0; i < n; i++)
                if (!found[i] && !strpbrk(patterns[i], "*?"))
                        store_hole(s, &(struct index_item) { .kind = "log", .source = patterns[i] }, -ENOENT, -1);
}
