/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/bag.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "agent/collect/index.h"
#include "agent/collect/manifest.h"
#include "agent/util/clock.h"
#include "agent/util/collect_abi.h"
#include "agent/util/io.h"

/* Some 500 lines. */
#define PUBLIC_RESERVE (128U * 1024)
/* An index of some megabytes, sealed. */
#define RESERVE (512U * 1024)

struct bag {
        int folder, data, public, reserve;
        unsigned last;
        uint64_t public_bytes, public_room; /* what is in it, and what the disk has set aside for it */
        int broken;
        struct sealer *sealer;
        struct manifest *manifest;
};

static int open_files(struct bag *b) {
        if (mkdirat(b->folder, COLLECT_DATA, 0700) < 0)
                return -errno;
        b->data = openat(b->folder, COLLECT_DATA, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (b->data < 0)
                return -errno;
        b->public = openat(b->folder, COLLECT_PUBLIC, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC,
                           0600);
        if (b->public < 0)
                return -errno;
        b->reserve = openat(b->data, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0400);
        if (b->reserve < 0)
                return -errno;
        /* Best effort: where the file system cannot do it, a full disk may cost lines, and the counts still tell. */
        if (fallocate(b->public, FALLOC_FL_KEEP_SIZE, 0, PUBLIC_RESERVE) == 0)
                b->public_room = PUBLIC_RESERVE;
        (void) fallocate(b->reserve, FALLOC_FL_KEEP_SIZE, 0, RESERVE);
        return 0;
}

int bag_open(int folder, const struct age_recipient *to, size_t n_to, struct bag **ret) {
        _cleanup_(bag_freep) struct bag *b = calloc(1, sizeof(*b));
        int r;

        if (!b)
                return -ENOMEM;
        b->folder = folder;
        b->data = b->public = b->reserve = -EBADF;
        r = open_files(b);
        if (r == 0)
                r = manifest_new(folder, &b->manifest);
        if (r == 0)
                r = sealer_new(b->data, to, n_to, &b->sealer);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(b);
        return 0;
}

void bag_free(struct bag *b) {
        if (!b)
                return;
        sealer_free(b->sealer);
        manifest_free(b->manifest);
        closep(&b->reserve);
        closep(&b->public);
        closep(&b->data);
        free(b);
}

void bag_freep(struct bag **b) {
        bag_free(*b);
}

struct sealer *bag_sealer(struct bag *b) {
        return b->sealer;
}

unsigned bag_number(struct bag *b) {
        return ++b->last;
}

void bag_name(const struct bag_file *f, char ret[static BAG_NAME_MAX]) {
        (void) snprintf(ret, BAG_NAME_MAX, COLLECT_DATA "/%06u-%s%s" BAG_SUFFIX, f->number, f->kind, f->inner);
}

_Static_assert(sizeof(COLLECT_DATA "/000000-.jsonl" BAG_SUFFIX) + INDEX_KIND_MAX <= BAG_NAME_MAX &&
                       BAG_NAME_MAX <= MANIFEST_NAME_MAX + 1,
               "every name fits");

/* Lines are written at once and whole: what a kill leaves behind is read by lines. */
static int append_line(struct bag *b, const char *line) {
        size_t n = strlen(line);
        int r = io_write_all(b->public, line, n);

        if (r == 0)
                b->public_bytes += n;
        else if (ftruncate(b->public, (off_t) b->public_bytes) < 0)
                return -errno;
        return r;
}

static int make_line(const struct bag_file *f, const char *name, const struct sealed *s, char **ret) {
        _cleanup_json_ json_t *o = NULL;
        char hex[65];

        sodium_bin2hex(hex, sizeof(hex), s->sha256, sizeof(s->sha256));
        o = json_pack("{s:s, s:s, s:I, s:s, s:I, s:I}", "file", name, "kind", f->kind, "bytes", (json_int_t) s->bytes,
                      "sha256", hex, "started_ms", (json_int_t) f->started_ms, "ended_ms",
                      (json_int_t) clock_wall_ms());
        if (!o || ((f->cut || s->err < 0) && json_object_set_new(o, "cut", json_true()) < 0))
                return -ENOMEM;
        return index_json_line(o, ret);
}

/* Where the file system cannot do it, the line is written without. */
static int make_room(struct bag *b, size_t n) {
        if (b->public_bytes + n <= b->public_room)
                return 0;
        if (fallocate(b->public, FALLOC_FL_KEEP_SIZE, (off_t) b->public_bytes, (off_t) n) == 0) {
                b->public_room = b->public_bytes + n;
                return 0;
        }
        return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
}

/* The sealer's file. A name cannot be taken back, because the sandbox lets nobody do that: so what a full disk or no
 * memory could refuse comes before it. */
static int name_file(struct bag *b, const char *name, const char *line, const struct sealed *s) {
        int r = make_room(b, strlen(line));

        if (r == 0)
                r = manifest_add(b->manifest, name, s->sha256);
        if (r < 0)
                return r;
        r = sealer_link(b->sealer, name + sizeof(COLLECT_DATA));
        if (r < 0)
                manifest_drop(b->manifest);
        return r;
}

int bag_add(struct bag *b, const struct bag_file *f, struct sealed *ret) {
        _cleanup_free_ char *line = NULL;
        char name[BAG_NAME_MAX];
        int r = b->broken < 0 ? b->broken : sealer_end(b->sealer, ret);

        bag_name(f, name);
        if (r == 0 && ret->plain_bytes < f->need)
                r = ret->err < 0 ? ret->err : -ENODATA;
        if (r == 0)
                r = make_line(f, name, ret, &line);
        if (r == 0)
                r = name_file(b, name, line, ret);
        sealer_close(b->sealer);
        if (r == 0)
                b->broken = append_line(b, line);
        return r;
}

int bag_broken(const struct bag *b) {
        return b->broken;
}

void bag_use_reserve(struct bag *b) {
        closep(&b->reserve);
        b->reserve = -EBADF;
}

int bag_finish(struct bag *b, bool *ret_unsynced, uint8_t ret[static 32]) {
        /* One call for all: 1,400 small files took 15 ms this way and 2.6 s with an fdatasync each (ext4, 6.18). It
         * also waits for what others wrote to that file system, which the caller's deadline bounds. */
        *ret_unsynced = syncfs(b->public) < 0;
        return manifest_write(b->manifest, ret);
}
