/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <openssl/evp.h>

#include "agent/collect/manifest.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"

/* What one disk write takes at least; also what a source that faults while it is copied can tear at most. */
#define BUFFER_SIZE (64U * 1024)
/* Reserved past the end of the index before anything is read: some 1,500 lines. */
#define INDEX_RESERVE (256U * 1024)
/* Of the free space and inodes, what a snapshot may take: the host has to go on running beside it, and the core to seal
 * it. */
#define SPACE_SHARE 2U

struct store {
        int folder, data, index;
        uint64_t left; /* bytes of the budget */
        int left_err;  /* what its end is called: -EFBIG the given maximum, -ENOSPC the disk's share */
        uint64_t keep;
        uint64_t max_objects;
        int max_objects_err;
        int64_t deadline_us;
        struct collect_result result;
        uint64_t index_bytes;
        uint64_t listed_holes;
        int broken; /* -errno of the index; nothing may be kept that cannot be listed */
        struct manifest *manifest;

        /* the object being written */
        struct index_item item;
        struct index_object object;
        char name[sizeof(COLLECT_DATA "/000000-") + INDEX_KIND_MAX];
        int fd;
        int err; /* sticky: of begin or of the first write that failed */
        EVP_MD *sha256;
        EVP_MD_CTX *hash, *index_hash;
        size_t buffered;
        uint8_t buffer[BUFFER_SIZE];
};

void store_free(struct store *s) {
        if (!s)
                return;
        closep(&s->data);
        closep(&s->index);
        closep(&s->fd);
        EVP_MD_CTX_free(s->hash);
        EVP_MD_CTX_free(s->index_hash);
        EVP_MD_free(s->sha256);
        manifest_free(s->manifest);
        free(s);
}

void store_freep(struct store **s) {
        store_free(*s);
}

static int open_files(struct store *s) {
        if (mkdirat(s->folder, COLLECT_DATA, 0700) < 0)
                return -errno;
        s->data = openat(s->folder, COLLECT_DATA, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (s->data < 0)
                return -errno;
        s->index =
                openat(s->folder, COLLECT_INDEX, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (s->index < 0)
                return -errno;
        /* Best effort: where the file system cannot do it, a full disk may cost hole lines, and the count of holes
         * still tells. */
        (void) fallocate(s->index, FALLOC_FL_KEEP_SIZE, 0, INDEX_RESERVE);
        return 0;
}

static int open_hash(struct store *s) {
        /* Fetched once: each implicit fetch of OpenSSL 3 costs more than hashing a small file. */
        s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        s->hash = EVP_MD_CTX_new();
        s->index_hash = EVP_MD_CTX_new();
        if (!s->sha256 || !s->hash || !s->index_hash || EVP_DigestInit_ex(s->index_hash, s->sha256, NULL) != 1)
                return -ENOMEM;
        return 0;
}

static int find_budget(struct store *s, uint64_t max_bytes) {
        struct statvfs fs;

        if (fstatvfs(s->folder, &fs) < 0)
                return -errno;
        uint64_t share = (uint64_t) fs.f_bavail * fs.f_frsize / SPACE_SHARE;
        /* Some file systems have no fixed number of inodes and report none at all. */
        uint64_t files = fs.f_files > 0 ? (uint64_t) fs.f_favail / SPACE_SHARE : COLLECT_OBJECTS_MAX;

        s->left = MIN(max_bytes, share);
        s->left_err = share < max_bytes ? -ENOSPC : -EFBIG;
        s->max_objects = MIN(files, (uint64_t) COLLECT_OBJECTS_MAX);
        s->max_objects_err = files < COLLECT_OBJECTS_MAX ? -ENOSPC : -EOVERFLOW;
        return 0;
}

int store_open(int folder, const struct store_limits *limits, struct store **ret) {
        _cleanup_(store_freep) struct store *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->folder = folder;
        s->data = s->index = s->fd = -EBADF;
        s->deadline_us = limits->deadline_us;
        r = find_budget(s, limits->max_bytes);
        if (r == 0)
                r = open_hash(s);
        if (r == 0)
                r = open_files(s);
        if (r == 0)
                r = manifest_new(folder, &s->manifest);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

bool store_over(struct store *s) {
        if (clock_mono_us() >= s->deadline_us)
                s->result.flags |= COLLECT_CUT_TIME;
        return s->broken || (s->result.flags & COLLECT_CUT_TIME);
}

void store_keep(struct store *s, uint64_t bytes) {
        s->keep = bytes;
}

void store_flag(struct store *s, enum collect_flag flag) {
        s->result.flags |= flag;
}

/* Lines are written at once and whole: what a kill leaves behind is read by lines. */
static int append_line(struct store *s, const char *line) {
        size_t n = strlen(line);
        int r;

        if (s->broken)
                return s->broken;
        if (s->index_bytes + n > COLLECT_INDEX_MAX) {
                s->result.flags |= COLLECT_CUT_COUNT;
                return -EFBIG;
        }
        r = io_write_all(s->index, line, n);
        if (r < 0) {
                s->broken = r;
                if (ftruncate(s->index, (off_t) s->index_bytes) < 0)
                        s->result.flags |= COLLECT_UNSYNCED;
                return r;
        }
        s->index_bytes += n;
        return EVP_DigestUpdate(s->index_hash, line, n) == 1 ? 0 : (s->broken = -EIO);
}

void store_note(struct store *s, json_t *object) {
        _cleanup_json_ json_t *o = object;
        _cleanup_free_ char *line = NULL;

        if (!o || index_json_line(o, &line) < 0 || append_line(s, line) < 0)
                s->result.flags |= COLLECT_CUT_COUNT;
}

/* The reason of a cut decides what the whole snapshot is called. */
static void flag_error(struct store *s, int err) {
        static const struct {
                int err;
                uint32_t flag;
        } flags[] = {
                { -ETIME, COLLECT_CUT_TIME },   { -EFBIG, COLLECT_CUT_BYTES },     { -ENOSPC, COLLECT_CUT_SPACE },
                { -EDQUOT, COLLECT_CUT_SPACE }, { -EOVERFLOW, COLLECT_CUT_COUNT },
        };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (flags[i].err == err)
                        s->result.flags |= flags[i].flag;
}

static void list_hole(struct store *s, const struct index_item *item, const struct index_hole *h) {
        _cleanup_free_ char *line = NULL;

        s->result.holes++;
        flag_error(s, -h->err);
        if (s->listed_holes >= COLLECT_HOLES_MAX) {
                s->result.flags |= COLLECT_CUT_COUNT;
                return;
        }
        if (index_hole_line(item, h, &line) == 0 && append_line(s, line) == 0)
                s->listed_holes++;
}

void store_hole(struct store *s, const struct index_item *item, int err, int64_t expected) {
        list_hole(s, item, &(struct index_hole) { .err = -err, .expected = expected });
}

int store_begin(struct store *s, const struct index_item *item) {
        s->item = *item;
        s->object = (struct index_object) { .started_ms = clock_wall_ms() };
        s->buffered = 0;
        s->err = 0;
        if (!index_kind_ok(item->kind))
                s->err = -EINVAL;
        else if (store_over(s))
                s->err = s->broken ? s->broken : -ETIME;
        else if (s->result.objects >= s->max_objects)
                s->err = s->max_objects_err;
        else if (EVP_DigestInit_ex(s->hash, s->sha256, NULL) != 1)
                s->err = -EIO;
        if (s->err < 0)
                return s->err;
        s->fd = openat(s->data, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0400);
        if (s->fd < 0)
                s->err = -errno;
        return s->err;
}

/* Whole buffers or nothing: what was hashed is exactly what is in the file, so a buffer that the disk took in part is
 * taken back. */
static int flush(struct store *s) {
        int r = io_write_all(s->fd, s->buffer, s->buffered);

        if (r == 0 && EVP_DigestUpdate(s->hash, s->buffer, s->buffered) != 1)
                r = -EIO;
        if (r < 0)
                return ftruncate(s->fd, (off_t) s->object.bytes) < 0 ? -errno : r;
        s->object.bytes += s->buffered;
        s->left -= MIN(s->left, s->buffered);
        s->buffered = 0;
        return 0;
}

static uint64_t room(const struct store *s) {
        uint64_t taken = s->buffered + s->keep;
        return s->left > taken ? s->left - taken : 0;
}

int store_write(struct store *s, const void *bytes, size_t n) {
        const uint8_t *p = bytes;

        while (s->err == 0 && n > 0) {
                size_t part = MIN(MIN(n, BUFFER_SIZE - s->buffered), room(s));

                if (part == 0) {
                        s->err = s->left_err;
                        break;
                }
                memcpy(s->buffer + s->buffered, p, part);
                s->buffered += part;
                p += part;
                n -= part;
                if (s->buffered == BUFFER_SIZE)
                        s->err = flush(s);
        }
        return s->err;
}

static int keep_object(struct store *s) {
        _cleanup_free_ char *line = NULL;
        const char *name;
        int r;

        (void) snprintf(s->name, sizeof(s->name), "%s/%06u-%s", COLLECT_DATA, (unsigned) s->result.objects + 1,
                        s->item.kind);
        name = s->name + sizeof(COLLECT_DATA);
        if (EVP_DigestFinal_ex(s->hash, s->object.sha256, NULL) != 1)
                return -EIO;
        s->object.file = s->name;
        s->object.ended_ms = clock_wall_ms();
        r = index_object_line(&s->item, &s->object, &line);
        if (r < 0)
                return r;
        if (linkat(s->fd, "", s->data, name, AT_EMPTY_PATH) < 0)
                return -errno;
        s->result.objects++;
        s->result.bytes += s->object.bytes;
        r = manifest_add(s->manifest, s->name, s->object.sha256);
        if (r < 0)
                return s->broken = r;
        /* Without its line the object is still in the manifest; the failed index marks the snapshot. */
        (void) append_line(s, line);
        return 0;
}

void store_end(struct store *s, int err, int64_t expected, bool changed) {
        bool kept = false;

        if (s->fd >= 0 && s->buffered > 0) {
                int r = flush(s);
                if (s->err == 0)
                        s->err = r;
        }
        if (s->err == 0)
                s->err = err;
        if (s->fd >= 0 && (s->object.bytes > 0 || s->err == 0)) {
                int r = keep_object(s);
                kept = r == 0;
                if (s->err == 0)
                        s->err = r;
        }
        closep(&s->fd);
        s->fd = -EBADF;
        if (s->err < 0 || changed)
                list_hole(s, &s->item,
                          &(struct index_hole) {
                                  .file = kept ? s->name : NULL,
                                  .err = -s->err,
                                  .expected = expected,
                                  .got = kept ? s->object.bytes : 0,
                                  .changed = changed,
                          });
}

/* The last line: an index without it was not finished. */
static void note_end(struct store *s) {
        static const struct {
                uint32_t flag;
                const char *id;
        } flags[] = {
#define X(name, bit, id) { COLLECT_##name, id },
                COLLECT_FLAG_TABLE(X)
#undef X
        };
        json_t *ids = json_array();

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (s->result.flags & flags[i].flag)
                        (void) json_array_append_new(ids, json_string(flags[i].id));
        store_note(s, json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "note", "end", "flags", ids, "objects",
                                (json_int_t) s->result.objects, "holes", (json_int_t) s->result.holes, "bytes",
                                (json_int_t) s->result.bytes, "ended_ms", (json_int_t) clock_wall_ms()));
}

int store_finish(struct store *s, struct collect_result *ret) {
        uint8_t digest[32];
        int r;

        note_end(s);
        if (EVP_DigestFinal_ex(s->index_hash, digest, NULL) != 1)
                return -EIO;
        r = manifest_add(s->manifest, COLLECT_INDEX, digest);
        if (r < 0)
                return r;
        /* One call for all: 1,400 small files took 15 ms this way and 2.6 s with an fdatasync each (ext4, 6.18). It
         * also waits for what others wrote to that file system, which the caller's deadline bounds. */
        if (syncfs(s->index) < 0)
                s->result.flags |= COLLECT_UNSYNCED;
        r = manifest_write(s->manifest, s->sha256, s->result.manifest_sha256);
        if (r < 0)
                return r;
        *ret = s->result;
        return 0;
}
