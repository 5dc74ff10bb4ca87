/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/sparse.h"

#include <fcntl.h>
#include <string.h>

#define CHUNK_SIZE (256U * 1024)
/* More runs than that are not told apart: the gaps between them are kept as zeros. */
#define RUNS_MAX 4096U

static int copy_run(struct store *s, int fd, off_t from, off_t to) {
        /* one thread copies; memory of its own for each of thousands of small files would cost more than they do */
        static uint8_t chunk[CHUNK_SIZE];

        while (from < to) {
                ssize_t got = pread(fd, chunk, (size_t) MIN(to - from, (off_t) CHUNK_SIZE), from);
                int r;

                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -ENODATA;
                r = store_over(s) ? -ETIME : store_write(s, chunk, (size_t) got);
                if (r < 0)
                        return r;
                from += got;
        }
        return 0;
}

/* The next run of data at or after `from`; at the end both are the end. */
static void next_run(int fd, off_t from, off_t end, bool whole, off_t *ret_from, off_t *ret_to) {
        off_t data = whole ? from : lseek(fd, from, SEEK_DATA);
        off_t hole;

        /* ENXIO: nothing but a gap. Another error: a file system that cannot tell */
        if (data < 0)
                data = errno == ENXIO ? end : from;
        hole = whole || data >= end ? end : lseek(fd, data, SEEK_HOLE);
        *ret_from = MIN(data, end);
        *ret_to = hole < 0 ? end : MIN(hole, end);
}

static void note_sparse(struct store *s, const struct index_item *item, json_t *runs, off_t size) {
        json_t *o = json_pack("{s:s, s:i, s:I, s:O}", "note", "sparse", "pid", (int) item->pid, "size",
                              (json_int_t) size, "runs", runs);

        if (o && index_set_bytes(o, "source", item->source, strlen(item->source)) < 0)
                json_object_clear(o);
        store_note(s, o);
}

static bool differs(const struct stat *a, const struct stat *b) {
        return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
               a->st_mtim.tv_nsec != b->st_mtim.tv_nsec || a->st_ctim.tv_sec != b->st_ctim.tv_sec ||
               a->st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

void sparse_copy(struct store *s, const struct index_item *item, int fd, const struct stat *before, off_t from) {
        _cleanup_json_ json_t *runs = json_array();
        const bool cut = from > 0;
        struct stat after;
        off_t to = from, data = 0;
        int r = store_begin(s, item);

        if (r == 0 && !runs)
                r = -ENOMEM;
        if (r == 0)
                store_stat(s, fd);
        for (; r == 0 && to < before->st_size; data += to - from) {
                next_run(fd, to, before->st_size, json_array_size(runs) >= RUNS_MAX, &from, &to);
                if (from < to) {
                        (void) json_array_append_new(runs,
                                                     json_pack("[I, I]", (json_int_t) from, (json_int_t) (to - from)));
                        r = copy_run(s, fd, from, to);
                }
        }
        bool changed = fstat(fd, &after) < 0 || differs(before, &after);

        if (r == 0 && cut)
                r = -EFBIG;
        store_end(s, r, cut ? before->st_size : data, changed);
        if (data < before->st_size)
                note_sparse(s, item, runs, before->st_size);
}
