/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "ctl/file.h"
#include "ctl/member.h"
#include "ctl/opened.h"
#include "ctl/text.h"
#include "ctl/unpack.h"

#define SUFFIX       ".zst.age"
#define INDEX_SUFFIX "-index.jsonl" SUFFIX
#define PACK_SUFFIX  "-pack.tar" SUFFIX
#define PACK_MAX     (16U * 1024 * 1024)
/* of what is free on the operator's disk, stays free */
#define SHARE_KEPT 8U

/* An object as the index has it. */
struct listed {
        char name[SUMS_NAME_MAX + 1]; /* NNNNNN-KIND */
        uint64_t bytes;
        uint8_t sha256[32];
        bool seen;
};

struct work {
        const struct bag *bag;
        const struct identities *with;
        int out, objects, index;
        struct listed *listed; /* owned; by name once the index is read. As many as there is index for */
        size_t n_listed;
        size_t n_index; /* bytes of all its parts */
        size_t n_made;  /* objects */
        uint64_t left;  /* bytes that may be written yet */
        int left_err;   /* what it is when there are more */
        struct opened *done;
};

/* What comes out of one file, in memory or on disk. */
struct sink {
        uint8_t *bytes; /* owned */
        size_t n, size;
        int fd; /* else here */
        EVP_MD_CTX *hash;
        uint64_t total;
};

static void sink_done(struct sink *s) {
        free(s->bytes);
        closep(&s->fd);
        EVP_MD_CTX_free(s->hash);
}

static int to_memory(const uint8_t *bytes, size_t n, void *userdata) {
        struct sink *s = userdata;

        if (s->size - s->n < n) {
                size_t size = MAX(2 * s->size, s->n + n);
                uint8_t *bigger = realloc(s->bytes, size);

                if (!bigger)
                        return -ENOMEM;
                s->bytes = bigger;
                s->size = size;
        }
        memcpy(s->bytes + s->n, bytes, n);
        s->n += n;
        return 0;
}

static int to_file(const uint8_t *bytes, size_t n, void *userdata) {
        struct sink *s = userdata;

        s->total += n;
        return EVP_DigestUpdate(s->hash, bytes, n) == 1 ? file_write_all(s->fd, bytes, n) : -EIO;
}

static bool ends_with(const char *s, const char *end) {
        const size_t n = strlen(s), k = strlen(end);
        return n >= k && strcmp(s + n - k, end) == 0;
}

static int open_sealed(const struct work *w, const char *file, uint64_t max, unseal_fn fn, struct sink *s) {
        _cleanup_close_ int fd = openat(w->bag->dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : unseal(fd, w->with, max, fn, s);
}

static void wrong(struct work *w, const char *name, int err) {
        if (w->done->first[0] == '\0')
                (void) text_clean(name, w->done->first, sizeof(w->done->first));
        if (w->done->err == 0)
                w->done->err = err;
        w->done->wrong++;
}

static int list(struct work *w, const json_t *o) {
        const char *file = member_str(o, "file"), *member = member_str(o, "member"), *slash = strchr(file, '/');
        const char *name = *member ? member : slash ? slash + 1 : "";
        const char *digest = member_str(o, "sha256");
        struct listed l = { .bytes = (uint64_t) MAX(member_int(o, "bytes", 0), (int64_t) 0) };
        const size_t n = !*member && ends_with(name, SUFFIX) ? strlen(name) - strlen(SUFFIX) : strlen(name);
        struct listed *more;
        size_t got;

        if (n == 0 || n > SUMS_NAME_MAX ||
            sodium_hex2bin(l.sha256, sizeof(l.sha256), digest, strlen(digest), NULL, &got, NULL) != 0 ||
            got != sizeof(l.sha256))
                return -EBADMSG;
        (void) snprintf(l.name, sizeof(l.name), "%.*s", (int) n, name);
        if (!sums_name_ok(l.name) || strchr(l.name, '/'))
                return -EBADMSG;
        more = reallocarray(w->listed, w->n_listed + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        w->listed = more;
        w->listed[w->n_listed++] = l;
        return 0;
}

static int read_line(struct work *w, const char *line, size_t n) {
        _cleanup_json_ json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);

        if (!json_is_object(o))
                return -EBADMSG;
        w->done->holes += json_object_get(o, "hole") != NULL;
        w->done->ended |= strcmp(member_str(o, "note"), "end") == 0;
        return json_object_get(o, "sha256") ? list(w, o) : 0;
}

static int read_index_part(struct work *w, const char *file) {
        _cleanup_(sink_done) struct sink s = { .fd = -EBADF };
        int r = open_sealed(w, file, OPENED_INDEX_MAX - w->n_index, to_memory, &s);

        w->n_index += s.n;
        for (size_t at = 0; r == 0 && at < s.n;) {
                const uint8_t *end = memchr(s.bytes + at, '\n', s.n - at);

                r = end ? read_line(w, (const char *) s.bytes + at, (size_t) (end - s.bytes) - at) : -EBADMSG;
                at = end ? (size_t) (end - s.bytes) + 1 : s.n;
        }
        return r < 0 ? r : file_write_all(w->index, s.bytes, s.n);
}

static int compare_listed(const void *a, const void *b) {
        return strcmp(((const struct listed *) a)->name, ((const struct listed *) b)->name);
}

static struct listed *find(struct work *w, const char *name) {
        struct listed key = { .bytes = 0 };

        (void) snprintf(key.name, sizeof(key.name), "%s", name);
        return w->n_listed > 0 ? bsearch(&key, w->listed, w->n_listed, sizeof(key), compare_listed) : NULL;
}

static int create(struct work *w, const char *name) {
        int fd;

        if (w->n_made == OPENED_OBJECTS_MAX)
                return -E2BIG;
        fd = openat(w->objects, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        w->n_made++;
        return fd;
}

/* What was opened under that name is compared with what the index says of it. */
static void judge(struct work *w, const char *name, uint64_t bytes, const uint8_t sha256[static 32]) {
        struct listed *l = find(w, name);

        if (!l) {
                w->done->unlisted++;
                return;
        }
        l->seen = true;
        if (l->bytes != bytes || memcmp(l->sha256, sha256, sizeof(l->sha256)) != 0) {
                wrong(w, name, -EBADMSG);
                return;
        }
        w->done->objects++;
        w->done->bytes += bytes;
}

static int put_member(const char *name, const uint8_t *bytes, size_t n, void *userdata) {
        struct work *w = userdata;
        _cleanup_close_ int fd = n > w->left ? w->left_err : create(w, name);
        uint8_t digest[32];
        int r = fd < 0 ? fd : file_write_all(fd, bytes, n);

        w->left -= fd < 0 ? 0 : n;
        if (r == 0 && EVP_Digest(bytes, n, digest, NULL, EVP_sha256(), NULL) != 1)
                r = -EIO;
        if (r == 0)
                judge(w, name, n, digest);
        return r;
}

static int open_pack(struct work *w, const char *file) {
        _cleanup_(sink_done) struct sink s = { .fd = -EBADF };
        int r = open_sealed(w, file, PACK_MAX, to_memory, &s);

        return r < 0 ? r : unpack(s.bytes, s.n, put_member, w);
}

static int open_object(struct work *w, const char *file, const char *name) {
        const struct listed *l = find(w, name);
        const uint64_t max = l ? MIN(l->bytes, w->left) : w->left;
        _cleanup_(sink_done) struct sink s = { .fd = create(w, name), .hash = EVP_MD_CTX_new() };
        uint8_t digest[32];
        int r = s.fd < 0 ? s.fd : 0;

        if (r == 0 && (!s.hash || EVP_DigestInit_ex(s.hash, EVP_sha256(), NULL) != 1))
                r = -ENOMEM;
        if (r == 0)
                r = open_sealed(w, file, max, to_file, &s);
        if (r == -EFBIG && max == w->left)
                r = w->left_err;
        w->left -= s.total;
        if (r == 0 && EVP_DigestFinal_ex(s.hash, digest, NULL) != 1)
                r = -EIO;
        if (r == 0)
                judge(w, name, s.total, digest);
        return r;
}

static int open_one(struct work *w, const char *file) {
        const char *slash = strchr(file, '/');
        char name[SUMS_NAME_MAX + 1];

        if (ends_with(file, PACK_SUFFIX))
                return open_pack(w, file);
        if (!slash || !ends_with(file, SUFFIX))
                return -EBADMSG;
        (void) snprintf(name, sizeof(name), "%.*s", (int) (strlen(slash + 1) - strlen(SUFFIX)), slash + 1);
        return open_object(w, file, name);
}

static void open_all(struct work *w) {
        const struct sums *data = &w->bag->data;

        for (size_t i = 0; i < data->n; i++)
                if (ends_with(data->v[i].name, INDEX_SUFFIX)) {
                        int r = read_index_part(w, data->v[i].name);
                        if (r < 0)
                                wrong(w, data->v[i].name, r);
                }
        if (w->n_listed > 0)
                qsort(w->listed, w->n_listed, sizeof(*w->listed), compare_listed);
        for (size_t i = 0; i < data->n; i++)
                if (!ends_with(data->v[i].name, INDEX_SUFFIX)) {
                        int r = open_one(w, data->v[i].name);
                        if (r < 0)
                                wrong(w, data->v[i].name, r);
                }
        for (size_t i = 0; i < w->n_listed; i++)
                if (!w->listed[i].seen) {
                        w->done->missing++;
                        if (w->done->first[0] == '\0')
                                (void) text_clean(w->listed[i].name, w->done->first, sizeof(w->done->first));
                }
}

/* A host that was taken over signs what it likes, and what is sealed can become a million times as much: no more comes
 * out than the statement says, and never so much that the disk is full. */
static int find_room(struct work *w) {
        const int64_t said = member_int(w->bag->predicate, "bytes", -1);
        struct statvfs fs;

        if (fstatvfs(w->out, &fs) < 0)
                return -errno;
        const uint64_t free = (uint64_t) fs.f_bavail * fs.f_frsize, room = free - free / SHARE_KEPT;

        w->left = said < 0 ? room : MIN((uint64_t) said, room);
        w->left_err = said < 0 || (uint64_t) said > room ? -ENOSPC : -EFBIG;
        return 0;
}

static int make_out(struct work *w, const char *out) {
        if (mkdir(out, 0700) < 0)
                return -errno;
        w->out = open(out, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (w->out < 0 || mkdirat(w->out, "objects", 0700) < 0)
                return -errno;
        w->objects = openat(w->out, "objects", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        w->index = openat(w->out, "index.jsonl", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return w->objects < 0 || w->index < 0 ? -errno : 0;
}

int opened_make(const struct bag *b, const struct identities *with, const char *out, struct opened *ret,
                struct why *w) {
        struct work work = { .bag = b, .with = with, .out = -EBADF, .objects = -EBADF, .index = -EBADF, .done = ret };
        int r;

        *ret = (struct opened) { 0 };
        r = make_out(&work, out);
        if (r == 0)
                r = find_room(&work);
        if (r == 0)
                open_all(&work);
        closep(&work.index);
        closep(&work.objects);
        closep(&work.out);
        free(work.listed);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(out));
        if (ret->objects == 0 && ret->err == -EKEYREJECTED)
                return why_set(w, CTL_REFUSED,
                               "none of the keys opens it; to whom it is sealed, `freezectl evidence "
                               "show` says");
        return 0;
}
