/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/runs.h"

#include <string.h>

#include "agent/collect/pagemap_abi.h"

/* Documentation/admin-guide/mm/pagemap.rst */
#define PRESENT        (UINT64_C(1) << 63)
#define SWAPPED        (UINT64_C(1) << 62)
#define FILE_OR_SHARED (UINT64_C(1) << 61)

#define ENTRIES 4096U
#define REGIONS 512U

void runs_done(struct runs *r) {
        free(r->v);
        *r = (struct runs) { .v = NULL };
}

static bool wants(bool present, bool swapped, bool file, enum maps_content content) {
        return (present || swapped) && (content == MAPS_ANONYMOUS || swapped || !file);
}

/* -ENOTTY: this kernel does not know it. */
static int scan(int pagemap, enum maps_content content, uint64_t start, uint64_t end, runs_fn found, void *userdata) {
        struct pagemap_region regions[REGIONS];
        struct pagemap_scan s = {
                .size = sizeof(s),
                .start = start,
                .end = end,
                .vec = (uint64_t) (uintptr_t) regions,
                .vec_len = REGIONS,
                .category_anyof_mask = PAGEMAP_IS_PRESENT | PAGEMAP_IS_SWAPPED,
                .return_mask = PAGEMAP_IS_PRESENT | PAGEMAP_IS_SWAPPED | PAGEMAP_IS_FILE | PAGEMAP_IS_ZERO,
        };

        while (s.start < end) {
                int n = ioctl(pagemap, PAGEMAP_SCAN, &s), r = 0;

                if (n < 0)
                        return -errno;
                for (int i = 0; r >= 0 && i < n; i++) {
                        const uint64_t c = regions[i].categories;

                        if (!(c & PAGEMAP_IS_ZERO) &&
                            wants(c & PAGEMAP_IS_PRESENT, c & PAGEMAP_IS_SWAPPED, c & PAGEMAP_IS_FILE, content))
                                r = found(regions[i].start, regions[i].end, userdata);
                }
                if (r < 0)
                        return r;
                if (s.walk_end <= s.start)
                        return -EIO;
                s.start = s.walk_end;
        }
        return 0;
}

static int read_entries(int pagemap, enum maps_content content, uint64_t start, uint64_t end, runs_fn found,
                        void *userdata) {
        uint64_t entries[ENTRIES];

        if (end - start > RUNS_LOOK_MAX)
                return -EFBIG;
        for (uint64_t at = start; at < end;) {
                const size_t want = (size_t) MIN((end - at) / RUNS_PAGE, (uint64_t) ENTRIES);
                ssize_t got = pread(pagemap, entries, want * sizeof(entries[0]),
                                    (off_t) (at / RUNS_PAGE * sizeof(entries[0])));
                int r = 0;

                if (got <= 0)
                        return got < 0 ? -errno : -EIO;
                const size_t n = (size_t) got / sizeof(entries[0]);

                for (size_t i = 0; r >= 0 && i < n; i++)
                        if (wants(entries[i] & PRESENT, entries[i] & SWAPPED, entries[i] & FILE_OR_SHARED, content))
                                r = found(at + i * RUNS_PAGE, at + (i + 1) * RUNS_PAGE, userdata);
                if (r < 0)
                        return r;
                at += n * RUNS_PAGE;
        }
        return 0;
}

int runs_swapped(int pagemap, uint64_t start, size_t pages, uint64_t *ret) {
        uint64_t entries[64], swapped = 0;
        const size_t n = MIN(pages, ELEMENTSOF(entries)) * sizeof(entries[0]);
        const ssize_t got = pread(pagemap, entries, n, (off_t) (start / RUNS_PAGE * sizeof(entries[0])));

        if (got != (ssize_t) n)
                return got < 0 ? -errno : -EIO;
        for (size_t i = 0; i < n / sizeof(entries[0]); i++)
                swapped |= (uint64_t) ((entries[i] & SWAPPED) != 0) << i;
        *ret = swapped;
        return 0;
}

int runs_each(int pagemap, enum maps_content content, uint64_t start, uint64_t end, runs_fn found, void *userdata) {
        int r = scan(pagemap, content, start, end, found, userdata);

        return r == -ENOTTY ? read_entries(pagemap, content, start, end, found, userdata) : r;
}

struct finder {
        uint32_t map;
        uint64_t merge; /* runs that are no further apart become one */
        size_t max;     /* runs; at least one for each mapping, because runs of two mappings never become one */
        uint64_t from;  /* what lies before is a run already */
        struct runs *runs;
};

static int add(uint64_t start, uint64_t end, void *userdata) {
        struct finder *f = userdata;
        struct runs *r = f->runs;
        struct run *last = r->n > 0 ? &r->v[r->n - 1] : NULL;

        start = MAX(start, f->from);
        if (start >= end)
                return 0;
        if (last && last->map == f->map && start - last->end <= f->merge) {
                r->gap += start - last->end;
                r->bytes += end - start;
                last->end = end;
                return 0;
        }
        if (r->n == f->max)
                return -E2BIG;
        if (r->n == r->size) {
                size_t size = r->size ? r->size * 2 : 64;
                struct run *bigger = reallocarray(r->v, size, sizeof(*bigger));

                if (!bigger)
                        return -ENOMEM;
                r->v = bigger;
                r->size = size;
        }
        r->v[r->n++] = (struct run) { start, end, f->map };
        r->bytes += end - start;
        return 0;
}

/* The first page of a file says what it is, and by its build id which. It is in the file as well, so one that is not
 * there is not fetched: the file can lie on a file system of the frozen service's own, which would never answer. */
static int find_first(int pagemap, const struct mapping *m, struct finder *f) {
        int r = runs_each(pagemap, MAPS_ANONYMOUS, m->start, m->start + RUNS_PAGE, add, f);

        f->from = m->start + RUNS_PAGE;
        return r;
}

static int find_in(int pagemap, const struct mapping *m, struct finder *f) {
        const enum maps_content content = maps_content(m);
        int r = 0;

        f->from = m->start;
        if (content == MAPS_NOTHING)
                return 0;
        if (content == MAPS_PRIVATE && m->offset == 0 && m->read)
                r = find_first(pagemap, m, f);
        if (r == 0)
                r = runs_each(pagemap, content, m->start, m->end, add, f);
        if (r == -EFBIG) {
                f->runs->skipped += m->end - m->start;
                return 0;
        }
        return r;
}

static int find_all(int pagemap, const struct mapping *maps, size_t n, runs_over_fn over, void *userdata,
                    struct finder *f) {
        int r = 0;

        f->runs->n = 0;
        f->runs->bytes = f->runs->gap = f->runs->skipped = 0;
        for (f->map = 0; r == 0 && f->map < n; f->map++)
                r = over(userdata) ? -ETIME : find_in(pagemap, &maps[f->map], f);
        return r;
}

int runs_find(int pagemap, const struct mapping *maps, size_t n, runs_over_fn over, void *userdata, struct runs *ret) {
        struct runs runs = { .v = NULL };
        struct finder f = { .runs = &runs, .max = MAX((size_t) RUNS_MAX, n) };
        int r = -E2BIG;

        for (; r == -E2BIG; f.merge = f.merge ? f.merge * 4 : RUNS_PAGE)
                r = find_all(pagemap, maps, n, over, userdata, &f);
        if (r < 0)
                runs_done(&runs);
        else
                *ret = runs;
        return r;
}
