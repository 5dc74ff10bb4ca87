/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/binaries.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "agent/collect/maps.h"

#define CHUNK_SIZE (256U * 1024)
/* Of all paths together. */
#define PATHS_MAX (4U * 1024 * 1024)
/* Of all files together: somebody may map terabytes of nothing. */
#define READ_MAX (8ULL * 1024 * 1024 * 1024)

struct search {
        struct store *store;
        const struct process *process;
        const struct root *root;
        const struct mounts *mounts; /* the root's, */
        struct mounts own;           /* or, where that is not opened, the process's */
        struct binaries *found;
        uint64_t read;
        size_t paths; /* bytes */
        EVP_MD_CTX *md;
        uint8_t chunk[CHUNK_SIZE];
};

static void miss(struct search *x, const char *path, int err, int64_t expected) {
        const struct index_item item = { .kind = "binary", .source = path, .pid = x->process->pid };
        store_hole(x->store, &item, err, expected);
}

static int digest(struct search *x, int fd, uint64_t size, uint8_t ret[static 32]) {
        uint64_t n = 0;

        if (EVP_DigestInit_ex(x->md, EVP_sha256(), NULL) != 1)
                return -EIO;
        while (n < size) {
                ssize_t got = read(fd, x->chunk, (size_t) MIN((uint64_t) CHUNK_SIZE, size - n));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -ENODATA;
                if (store_over(x->store))
                        return -ETIME;
                if (EVP_DigestUpdate(x->md, x->chunk, (size_t) got) != 1)
                        return -EIO;
                n += (uint64_t) got;
        }
        return EVP_DigestFinal_ex(x->md, ret, NULL) == 1 ? 0 : -EIO;
}

static bool is_known(const struct binaries *b, const struct statx *st) {
        for (size_t i = 0; i < b->n; i++)
                if (b->v[i].stat.stx_ino == st->stx_ino && b->v[i].stat.stx_dev_minor == st->stx_dev_minor &&
                    b->v[i].stat.stx_dev_major == st->stx_dev_major)
                        return true;
        return false;
}

static int look_at(struct search *x, const struct mapping *m, struct binary *b) {
        _cleanup_close_ int look = -EBADF, fd = -EBADF;
        char path[96];
        int r;

        (void) snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
        look = openat(x->process->dir, path, O_PATH | O_CLOEXEC);
        if (look < 0)
                return -errno;
        r = mounts_look(x->mounts, look, &b->stat);
        if (r < 0)
                return r;
        if (is_known(x->found, &b->stat))
                return -EEXIST;
        if (!S_ISREG(b->stat.stx_mode))
                return -EOPNOTSUPP;
        if (b->stat.stx_size > READ_MAX - x->read)
                return -EFBIG;
        r = root_reopen(look, &fd);
        if (r == 0)
                x->read += b->stat.stx_size;
        return r < 0 ? r : digest(x, fd, b->stat.stx_size, b->sha256);
}

/* One that could not be opened is told by what its mapping says, or each mapping of it would be another hole. Of one
 * that could, its path would say nothing: something else can be mounted over that. */
static bool is_missed(const struct search *x, const struct binary *b, const char *path) {
        for (size_t i = 0; i < x->found->n; i++) {
                const struct binary *k = &x->found->v[i];

                if (k->err < 0 && k->inode == b->inode && k->dev == b->dev && k->root == b->root &&
                    strcmp(k->path, path) == 0)
                        return true;
        }
        return false;
}

static int add(struct search *x, const struct mapping *m) {
        struct binary b = { .dev = m->dev, .inode = m->inode, .root = x->root, .pid = x->process->pid };
        _cleanup_free_ char *path = strndup(m->path, m->path_n);

        if (!path)
                return -ENOMEM;
        if (is_missed(x, &b, path))
                return 0;
        if (x->found->n == BINARIES_MAX || m->path_n > PATHS_MAX - x->paths)
                return -EOVERFLOW;
        b.err = look_at(x, m, &b);
        if (b.err == -EEXIST)
                return 0;
        if (b.err < 0)
                miss(x, path, b.err, b.stat.stx_mask ? (int64_t) b.stat.stx_size : -1);
        x->paths += m->path_n;
        b.path = TAKE_PTR(path);
        x->found->v[x->found->n++] = b;
        return 0;
}

static int add_mapping(const struct mapping *m, void *userdata) {
        struct search *x = userdata;

        if (!m->exec || m->inode == 0 || m->path_n == 0 || m->path[0] != '/')
                return 0;
        return store_over(x->store) ? -ETIME : add(x, m);
}

static void find_in(struct search *x) {
        const int r = maps_each(x->process->dir, add_mapping, x);

        /* a process that is over */
        if (r < 0 && r != -ENOENT && r != -ESRCH)
                miss(x, "more programs and libraries", r, -1);
}

/* The list of mounts of one that is not opened cannot be read by everybody either: then each file is a hole. */
static void choose_root(struct search *x, const struct roots *roots) {
        x->root = roots_of(roots, x->process);
        x->mounts = x->root ? &x->root->mounts : &x->own;
        if (x->root)
                return;
        mounts_done(&x->own);
        (void) !mounts_read(x->process->dir, &x->own);
}

void binaries_find(const struct target_set *t, const struct roots *roots, struct store *s, struct binaries *ret) {
        _cleanup_free_ struct search *x = calloc(1, sizeof(*x));

        *ret = (struct binaries) { .v = calloc(BINARIES_MAX, sizeof(*ret->v)) };
        if (!x || !ret->v) {
                store_hole(s, &(struct index_item) { .kind = "binary", .source = "programs and libraries" }, -ENOMEM,
                           -1);
                return;
        }
        x->store = s;
        x->found = ret;
        x->md = EVP_MD_CTX_new();
        for (size_t i = 0; x->md && i < t->n_processes && !store_over(s); i++) {
                x->process = &t->processes[i];
                choose_root(x, roots);
                find_in(x);
        }
        mounts_done(&x->own);
        EVP_MD_CTX_free(x->md);
}

static json_t *binary_to_json(const struct binary *b) {
        _cleanup_json_ json_t *o = json_pack("{s:i}", "pid", (int) b->pid);
        char dev[32], hex[65];
        int r = o ? index_set_bytes(o, "path", b->path, strlen(b->path)) : -ENOMEM;

        if (r == 0 && b->stat.stx_mask) {
                (void) snprintf(dev, sizeof(dev), "%u:%u", b->stat.stx_dev_major, b->stat.stx_dev_minor);
                r |= json_object_set_new(o, "dev", json_string(dev));
                r |= json_object_set_new(o, "inode", json_integer((json_int_t) b->stat.stx_ino));
                r |= json_object_set_new(o, "size", json_integer((json_int_t) b->stat.stx_size));
                r |= json_object_set_new(
                        o, "mtime_us",
                        json_integer(b->stat.stx_mtime.tv_sec * INT64_C(1000000) + b->stat.stx_mtime.tv_nsec / 1000));
        }
        if (r == 0 && b->err == 0)
                r |= json_object_set_new(o, "sha256", json_string(sodium_bin2hex(hex, sizeof(hex), b->sha256, 32)));
        if (r == 0 && b->package)
                r |= index_set_bytes(o, "package", b->package, strlen(b->package));
        if (r == 0 && b->version)
                r |= index_set_bytes(o, "version", b->version, strlen(b->version));
        return r == 0 ? TAKE_PTR(o) : NULL;
}

void binaries_put(struct store *s, const struct binaries *b) {
        const struct index_item item = { .kind = "binaries", .source = "programs and libraries that are mapped" };
        int r = b->n > 0 ? store_begin(s, &item) : 0;

        for (size_t i = 0; r == 0 && i < b->n; i++) {
                _cleanup_json_ json_t *o = binary_to_json(&b->v[i]);
                _cleanup_free_ char *line = NULL;

                r = o ? index_json_line(o, &line) : -ENOMEM;
                if (r == 0)
                        r = store_write(s, line, strlen(line));
        }
        if (b->n > 0)
                store_end(s, r, -1, false);
}

void binaries_done(struct binaries *b) {
        for (size_t i = 0; i < b->n; i++) {
                free(b->v[i].path);
                free(b->v[i].package);
                free(b->v[i].version);
        }
        free(b->v);
        *b = (struct binaries) { .v = NULL };
}
