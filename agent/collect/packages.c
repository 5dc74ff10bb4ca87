/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/packages.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/collect/source.h"
#include "agent/collect/sparse.h"

#define DPKG_STATUS "/var/lib/dpkg/status"
#define DPKG_INFO   "/var/lib/dpkg/info"
#define LIST        ".list"
#define STATUS_MAX  (12U * 1024 * 1024)
#define LIST_MAX    (4U * 1024 * 1024)
#define LISTS_MAX   16384U
/* Of all databases together, what is read; a host's lists have some 10 MiB. */
#define READ_MAX (256ULL * 1024 * 1024)
/* A larger one is none. */
#define DATABASE_MAX (64U * 1024 * 1024)

/* Whatever of it is there. OPTIONAL: a symbolic link on the way is no reason to wonder, /lib is one on most hosts. */
static const struct source databases[] = {
        { "os-release", "/usr/lib/os-release", 0 },
        { "dpkg-status", DPKG_STATUS, 0 },
        { "apk-installed", "/lib/apk/db/installed", SOURCE_OPTIONAL },
        { "apk-installed", "/usr/lib/apk/db/installed", 0 },
        { "rpm-db", "/var/lib/rpm/rpmdb.sqlite", 0 },
        { "rpm-db", "/usr/lib/sysimage/rpm/rpmdb.sqlite", 0 },
};

/* A path of the root's that a package may list, and whose it is. */
struct wanted {
        const char *path;
        struct binary *binary;
};

struct file_id {
        dev_t dev;
        ino_t ino;
};

struct search {
        struct store *store;
        const struct roots *roots;
        const struct root *root;
        struct binaries *binaries;
        struct file_id info[ROOTS_MAX]; /* dpkg's directory in each root; ino 0: none */
        struct file_id seen[ROOTS_MAX * ELEMENTSOF(databases)];
        size_t n_seen;
        struct wanted *v; /* sorted */
        size_t n;
        uint64_t read; /* bytes of lists */
};

static bool is_same(const struct file_id *a, const struct file_id *b) {
        return a->dev == b->dev && a->ino == b->ino;
}

/* True the first time: many roots are the host's, seen through other mounts. */
static bool is_new(struct search *x, const struct stat *st) {
        const struct file_id id = { st->st_dev, st->st_ino };

        for (size_t i = 0; i < x->n_seen; i++)
                if (is_same(&x->seen[i], &id))
                        return false;
        if (x->n_seen < ELEMENTSOF(x->seen))
                x->seen[x->n_seen++] = id;
        return true;
}

static void copy(struct search *x, const char *kind, const char *path, unsigned flags) {
        char source[PATH_MAX + 64];
        const struct index_item item = { .kind = kind, .source = source, .pid = x->root->pid };
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        int r = store_over(x->store) ? -ETIME : root_open(x->root, path, &fd);

        if (r == -ENOENT || r == -ENOTDIR || (r == -ELOOP && (flags & SOURCE_OPTIONAL)))
                return;
        root_source(x->root, path, source, sizeof(source));
        if (r == 0 && fstat(fd, &st) < 0)
                r = -errno;
        if (r == 0 && st.st_size > DATABASE_MAX)
                r = -EFBIG;
        if (r < 0)
                store_hole(x->store, &item, r, -1);
        else if (is_new(x, &st))
                sparse_copy(x->store, &item, fd, &st, 0);
}

/* NULL, and nobody is told, when there is none that can be read whole: the copy of it tells. */
static char *read_file(int fd, size_t max, size_t *ret_n) {
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t n = 0;

        if (fstat(fd, &st) < 0 || st.st_size < 0 || (uint64_t) st.st_size > max)
                return NULL;
        text = malloc((size_t) st.st_size + 1);
        while (text && n < (size_t) st.st_size) {
                ssize_t got = read(fd, text + n, (size_t) st.st_size - n);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return NULL;
                n += (size_t) got;
        }
        *ret_n = n;
        return TAKE_PTR(text);
}

static int compare(const void *a, const void *b) {
        const struct wanted *x = a, *y = b;
        return strcmp(x->path, y->path);
}

/* Its root has the same database as the root at hand. */
static bool is_ours(const struct search *x, const struct binary *b) {
        return b->root && is_same(&x->info[b->root - x->roots->v], &x->info[x->root - x->roots->v]);
}

/* Where /lib and /bin are links to /usr, packages still list the path without it. */
static void want(struct search *x) {
        x->n = 0;
        for (size_t i = 0; i < x->binaries->n; i++) {
                struct binary *b = &x->binaries->v[i];

                if (!is_ours(x, b))
                        continue;
                x->v[x->n++] = (struct wanted) { b->path, b };
                if (strncmp(b->path, "/usr/", 5) == 0)
                        x->v[x->n++] = (struct wanted) { b->path + 4, b };
        }
        qsort(x->v, x->n, sizeof(*x->v), compare);
}

static void match(struct search *x, char *list, size_t n, const char *package) {
        for (char *line = list, *end; line < list + n; line = end + 1) {
                end = memchr(line, '\n', (size_t) (list + n - line));
                if (!end)
                        return;
                *end = '\0';
                const struct wanted key = { .path = line };
                const struct wanted *w = bsearch(&key, x->v, x->n, sizeof(*x->v), compare);

                for (; w && w > x->v && strcmp(w[-1].path, line) == 0; w--)
                        ;
                for (; w && w < x->v + x->n && strcmp(w->path, line) == 0; w++)
                        if (!w->binary->package)
                                w->binary->package = strdup(package);
        }
}

static void look_at(struct search *x, int dir, const char *name) {
        _cleanup_close_ int look = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC), fd = -EBADF;
        const size_t k = strlen(name) - strlen(LIST);
        _cleanup_free_ char *list = NULL;
        char package[NAME_MAX + 1];
        struct statx st;
        size_t n = 0;

        if (look < 0 || mounts_look(&x->root->mounts, look, &st) < 0 || !S_ISREG(st.stx_mode) ||
            root_reopen(look, &fd) < 0)
                return;
        list = read_file(fd, (size_t) MIN((uint64_t) LIST_MAX, READ_MAX - x->read), &n);
        x->read += n;
        (void) snprintf(package, sizeof(package), "%.*s", (int) k, name);
        if (list)
                match(x, list, n, package);
}

static bool is_list(const char *name) {
        size_t n = strlen(name), k = strlen(LIST);
        return n > k && name[0] != '.' && strcmp(name + n - k, LIST) == 0;
}

static void find_owners(struct search *x) {
        int fd = -EBADF;
        DIR *d = root_open_dir(x->root, DPKG_INFO, &fd) < 0 ? NULL : fdopendir(fd);
        size_t n = 0;

        if (!d) {
                closep(&fd);
                return;
        }
        for (const struct dirent *e; n < LISTS_MAX && !store_over(x->store) && (e = readdir(d));)
                if (is_list(e->d_name) && ++n)
                        look_at(x, dirfd(d), e->d_name);
        (void) closedir(d);
}

/* "Version: 2.36-9": the value, when the line is that field. */
static const char *field(const char *line, size_t n, const char *name, size_t *ret_n) {
        size_t k = strlen(name);

        if (n < k + 2 || memcmp(line, name, k) != 0 || line[k] != ':' || line[k + 1] != ' ')
                return NULL;
        *ret_n = n - k - 2;
        return line + k + 2;
}

static bool is_value(const char *value, size_t n, const char *s, size_t k) {
        return value && n == k && memcmp(value, s, n) == 0;
}

char *packages_version(const char *status, size_t n, const char *name) {
        const char *colon = strchr(name, ':'), *arch = colon ? colon + 1 : NULL, *version = NULL;
        const size_t n_name = colon ? (size_t) (colon - name) : strlen(name);
        bool named = false, fits = !arch;
        size_t n_version = 0;

        for (const char *line = status, *end; line < status + n; line = end + 1) {
                const char *v;
                size_t k;

                end = memchr(line, '\n', (size_t) (status + n - line));
                if (!end)
                        end = status + n;
                if (end == line) {
                        if (named && fits && version)
                                break;
                        named = false;
                        fits = !arch;
                        version = NULL;
                } else if ((v = field(line, (size_t) (end - line), "Package", &k)))
                        named = is_value(v, k, name, n_name);
                else if (arch && (v = field(line, (size_t) (end - line), "Architecture", &k)))
                        fits = is_value(v, k, arch, strlen(arch));
                else if ((v = field(line, (size_t) (end - line), "Version", &k))) {
                        version = v;
                        n_version = k;
                }
        }
        return named && fits && version ? strndup(version, n_version) : NULL;
}

static bool is_first(const struct search *x, size_t i) {
        const struct binaries *b = x->binaries;

        for (size_t k = 0; k < i; k++)
                if (is_ours(x, &b->v[k]) && b->v[k].package && strcmp(b->v[k].package, b->v[i].package) == 0)
                        return false;
        return true;
}

static void find_versions(struct search *x) {
        _cleanup_free_ char *status = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t n = 0;

        if (root_open(x->root, DPKG_STATUS, &fd) == 0)
                status = read_file(fd, STATUS_MAX, &n);
        for (size_t i = 0; i < x->binaries->n && !store_over(x->store); i++) {
                struct binary *b = &x->binaries->v[i];
                char path[NAME_MAX + 64];

                if (!b->package || !is_ours(x, b))
                        continue;
                if (status)
                        b->version = packages_version(status, n, b->package);
                if (!is_first(x, i))
                        continue;
                (void) snprintf(path, sizeof(path), DPKG_INFO "/%s.md5sums", b->package);
                copy(x, "dpkg-md5sums", path, 0);
        }
}

static void find_info(struct search *x) {
        for (size_t i = 0; i < x->roots->n; i++) {
                _cleanup_close_ int fd = -EBADF;
                struct stat st;

                if (root_open_dir(&x->roots->v[i], DPKG_INFO, &fd) == 0 && fstat(fd, &st) == 0)
                        x->info[i] = (struct file_id) { st.st_dev, st.st_ino };
        }
}

/* A database that an earlier root has too was asked for both. */
static bool is_asked(const struct search *x, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (is_same(&x->info[k], &x->info[i]))
                        return true;
        return x->info[i].ino == 0;
}

void packages_collect(struct store *s, const struct roots *roots, struct binaries *b) {
        _cleanup_free_ struct wanted *wanted = calloc(2 * b->n + 1, sizeof(*wanted));
        _cleanup_free_ struct search *x = calloc(1, sizeof(*x));

        if (!wanted || !x) {
                store_hole(s, &(struct index_item) { .kind = "dpkg-status", .source = "packages" }, -ENOMEM, -1);
                return;
        }
        *x = (struct search) { .store = s, .roots = roots, .binaries = b, .v = wanted };
        find_info(x);
        for (size_t i = 0; i < roots->n; i++) {
                x->root = &roots->v[i];
                for (size_t k = 0; x->root->dir >= 0 && k < ELEMENTSOF(databases); k++)
                        copy(x, databases[k].kind, databases[k].path, databases[k].flags);
                if (is_asked(x, i))
                        continue;
                want(x);
                if (x->n == 0)
                        continue;
                find_owners(x);
                find_versions(x);
        }
}
