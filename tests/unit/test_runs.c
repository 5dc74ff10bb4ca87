/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/runs.c agent/collect/maps.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "agent/collect/runs.h"
#include "lib/scratch.h"

#define PRESENT (UINT64_C(1) << 63)
#define SWAPPED (UINT64_C(1) << 62)
#define FILE_OR (UINT64_C(1) << 61)
/* only against one that never ends */
#define ENDS_S 60U

/* A pagemap of these words from the page of start on, as an older kernel has it: one that knows no PAGEMAP_SCAN. */
static int words_file(const struct scratch *s, uint64_t start, const uint64_t *words, size_t n) {
        int fd = open(scratch_path(s, "pagemap"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, words, n * sizeof(*words), (off_t) (start / RUNS_PAGE * sizeof(*words))),
                         n * sizeof(*words));
        return fd;
}

static struct mapping anonymous(uint64_t start, uint64_t pages) {
        return (struct mapping) { .start = start, .end = start + pages * RUNS_PAGE, .read = true, .path = "" };
}

static struct mapping private_file(uint64_t start, uint64_t pages, uint64_t offset) {
        struct mapping m = anonymous(start, pages);

        m.inode = 1;
        m.offset = offset;
        m.path = "/x";
        m.path_n = 2;
        return m;
}

static void assert_run(const struct runs *r, size_t i, const struct mapping *m, uint64_t from, uint64_t to) {
        assert_true(i < r->n);
        assert_int_equal(r->v[i].start, m->start + from * RUNS_PAGE);
        assert_int_equal(r->v[i].end, m->start + to * RUNS_PAGE);
}

static bool never(void *userdata) {
        (void) userdata;
        return false;
}

/* The same pages looked for in the real pagemap, and in a copy of its words, which an older kernel would give. */
static void pages_that_are_there_are_found_and_no_other_whatever_the_kernel(void **state) {
        const size_t pages = 64;
        uint8_t *p = mmap(NULL, pages * RUNS_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const struct mapping m = anonymous((uintptr_t) p, pages);
        _cleanup_close_ int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        _cleanup_scratch_ struct scratch s;
        uint64_t words[64];

        (void) state;
        assert_true(p != MAP_FAILED);
        assert_int_equal(madvise(p, pages * RUNS_PAGE, MADV_NOHUGEPAGE), 0);
        scratch_make(&s);
        p[3 * RUNS_PAGE] = p[4 * RUNS_PAGE + 7] = p[63 * RUNS_PAGE] = 1;
        assert_int_equal(pread(pagemap, words, sizeof(words), (off_t) (m.start / RUNS_PAGE * 8)), sizeof(words));
        _cleanup_close_ int copy = words_file(&s, m.start, words, pages);

        for (size_t i = 0; i < 2; i++) {
                _cleanup_(runs_done) struct runs r = { .v = NULL };

                assert_int_equal(runs_find(i == 0 ? pagemap : copy, &m, 1, never, NULL, &r), 0);
                assert_int_equal(r.n, 2);
                assert_run(&r, 0, &m, 3, 5);
                assert_run(&r, 1, &m, 63, 64);
                assert_int_equal(r.bytes, 3 * RUNS_PAGE);
                assert_int_equal(r.gap, 0);
        }
        /* looking has made none of them */
        assert_int_equal(pread(pagemap, words, sizeof(words), (off_t) (m.start / RUNS_PAGE * 8)), sizeof(words));
        for (size_t i = 0; i < pages; i++)
                assert_int_equal(words[i] >> 63, i == 3 || i == 4 || i == 63);
        (void) munmap(p, pages * RUNS_PAGE);
}

static void of_a_file_only_pages_that_were_written_to_are_read_and_its_first(void **state) {
        static const uint64_t words[] = {
                PRESENT | FILE_OR, PRESENT | FILE_OR, PRESENT, SWAPPED | FILE_OR, 0, PRESENT
        };
        const struct mapping maps[] = { private_file(0x10000, 6, 0), private_file(0x16000, 6, RUNS_PAGE) };
        _cleanup_(runs_done) struct runs r = { .v = NULL };
        _cleanup_scratch_ struct scratch s;
        uint64_t both[12];

        (void) state;
        memcpy(both, words, sizeof(words));
        memcpy(both + 6, words, sizeof(words));
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, 0x10000, both, ELEMENTSOF(both));

        assert_int_equal(runs_find(fd, maps, 2, never, NULL, &r), 0);
        assert_int_equal(r.n, 5);
        assert_run(&r, 0, &maps[0], 0, 1);
        assert_run(&r, 1, &maps[0], 2, 4);
        assert_run(&r, 2, &maps[0], 5, 6);
        assert_run(&r, 3, &maps[1], 2, 4);
        assert_run(&r, 4, &maps[1], 5, 6);
        assert_int_equal(r.v[4].map, 1);
}

/* Its memory may be served by a file system of the frozen service's own, which never answers. */
static void a_first_page_that_is_not_there_is_not_asked_for(void **state) {
        static const uint64_t words[] = { 0, PRESENT };
        const struct mapping m = private_file(0x10000, 2, 0);
        _cleanup_(runs_done) struct runs r = { .v = NULL };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, m.start, words, ELEMENTSOF(words));

        assert_int_equal(runs_find(fd, &m, 1, never, NULL, &r), 0);
        assert_int_equal(r.n, 1);
        assert_run(&r, 0, &m, 1, 2);
}

/* Every second page, and two that lie further from the others. */
static void too_many_runs_become_fewer_where_the_gaps_are_smallest_and_none_is_lost(void **state) {
        const size_t pages = 2 * (RUNS_MAX + 1000);
        const struct mapping m = anonymous(0x100000, pages + 100);
        _cleanup_free_ uint64_t *words = calloc(pages + 100, sizeof(*words));
        _cleanup_(runs_done) struct runs r = { .v = NULL };
        _cleanup_scratch_ struct scratch s;
        uint64_t bytes = 0;

        (void) state;
        assert_non_null(words);
        for (size_t i = 0; i < pages; i += 2)
                words[i] = PRESENT;
        words[pages + 99] = PRESENT;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, m.start, words, pages + 100);

        assert_int_equal(runs_find(fd, &m, 1, never, NULL, &r), 0);
        assert_int_equal(r.n, 2);
        assert_run(&r, 0, &m, 0, pages - 1);
        assert_run(&r, 1, &m, pages + 99, pages + 100);
        for (size_t i = 0; i < r.n; i++)
                bytes += r.v[i].end - r.v[i].start;
        assert_int_equal(bytes, r.bytes + r.gap);
        assert_int_equal(r.bytes, (pages / 2 + 1) * RUNS_PAGE);
}

/* vm.max_map_count lets a process have more mappings than RUNS_MAX: runs of two mappings never become one. */
static void more_mappings_with_pages_than_runs_come_to_an_end(void **state) {
        const size_t n = RUNS_MAX + 5000;
        _cleanup_free_ struct mapping *maps = calloc(n, sizeof(*maps));
        _cleanup_free_ uint64_t *words = calloc(n * 3, sizeof(*words));
        _cleanup_(runs_done) struct runs r = { .v = NULL };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        assert_non_null(maps);
        assert_non_null(words);
        for (size_t i = 0; i < n; i++) {
                maps[i] = anonymous(0x100000 + i * 3 * RUNS_PAGE, 3);
                words[3 * i] = words[3 * i + 2] = PRESENT;
        }
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, 0x100000, words, n * 3);

        (void) alarm(ENDS_S);
        assert_int_equal(runs_find(fd, maps, n, never, NULL, &r), 0);
        (void) alarm(0);
        assert_int_equal(r.n, n);
        assert_int_equal(r.bytes, 2 * n * RUNS_PAGE);
        assert_int_equal(r.gap, n * RUNS_PAGE);
}

static void a_mapping_too_large_for_an_old_kernel_is_skipped_and_counted(void **state) {
        static const uint64_t words[] = { PRESENT };
        const struct mapping maps[] = { anonymous(0x10000, 1), anonymous(0x20000, RUNS_LOOK_MAX / RUNS_PAGE + 1) };
        _cleanup_(runs_done) struct runs r = { .v = NULL };
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, 0x10000, words, 1);

        assert_int_equal(runs_find(fd, maps, 2, never, NULL, &r), 0);
        assert_int_equal(r.n, 1);
        assert_int_equal(r.skipped, RUNS_LOOK_MAX + RUNS_PAGE);
}

static void a_pagemap_that_ends_too_soon_is_an_error_and_leaves_nothing(void **state) {
        static const uint64_t words[] = { PRESENT, PRESENT };
        const struct mapping m = anonymous(0x10000, 3);
        _cleanup_scratch_ struct scratch s;
        struct runs r = { .n = 7 };

        (void) state;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, m.start, words, 2);

        assert_int_equal(runs_find(fd, &m, 1, never, NULL, &r), -EIO);
        assert_int_equal(r.n, 7);
        assert_null(r.v);
}

static bool after_two(void *userdata) {
        return ++*(int *) userdata > 2;
}

static void who_has_no_more_time_waits_for_no_further_mapping(void **state) {
        static const uint64_t words[] = { PRESENT, PRESENT, PRESENT };
        const struct mapping maps[] = { anonymous(0x10000, 1), anonymous(0x11000, 1), anonymous(0x12000, 1) };
        _cleanup_scratch_ struct scratch s;
        struct runs r = { .n = 7 };
        int asked = 0;

        (void) state;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, 0x10000, words, 3);

        assert_int_equal(runs_find(fd, maps, 3, after_two, &asked, &r), -ETIME);
        assert_int_equal(asked, 3);
        assert_null(r.v);
}

static void what_is_swapped_out_is_told_page_by_page(void **state) {
        uint64_t words[65] = { PRESENT, SWAPPED, 0, SWAPPED | FILE_OR, PRESENT | FILE_OR }, swapped = 0;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        words[63] = words[64] = SWAPPED;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, 0x10000, words, ELEMENTSOF(words));

        assert_int_equal(runs_swapped(fd, 0x10000, 5, &swapped), 0);
        assert_int_equal(swapped, 0xa);
        assert_int_equal(runs_swapped(fd, 0x10000, 64, &swapped), 0);
        assert_true(swapped == (UINT64_C(1) << 63 | 0xa));
        assert_int_equal(runs_swapped(fd, 0x10000 + 64 * RUNS_PAGE, 1, &swapped), 0);
        assert_int_equal(swapped, 1);
        assert_int_equal(runs_swapped(fd, 0x10000 + 64 * RUNS_PAGE, 2, &swapped), -EIO);
}

static int stop(uint64_t start, uint64_t end, void *userdata) {
        (void) start, (void) end;
        return ++*(int *) userdata == 2 ? -ECANCELED : 0;
}

static void who_is_told_of_runs_can_stop(void **state) {
        static const uint64_t words[] = { PRESENT, 0, PRESENT, 0, PRESENT };
        _cleanup_scratch_ struct scratch s;
        int calls = 0;

        (void) state;
        scratch_make(&s);
        _cleanup_close_ int fd = words_file(&s, 0x10000, words, 5);

        assert_int_equal(runs_each(fd, MAPS_ANONYMOUS, 0x10000, 0x15000, stop, &calls), -ECANCELED);
        assert_int_equal(calls, 2);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(pages_that_are_there_are_found_and_no_other_whatever_the_kernel),
                cmocka_unit_test(of_a_file_only_pages_that_were_written_to_are_read_and_its_first),
                cmocka_unit_test(a_first_page_that_is_not_there_is_not_asked_for),
                cmocka_unit_test(too_many_runs_become_fewer_where_the_gaps_are_smallest_and_none_is_lost),
                cmocka_unit_test(more_mappings_with_pages_than_runs_come_to_an_end),
                cmocka_unit_test(a_mapping_too_large_for_an_old_kernel_is_skipped_and_counted),
                cmocka_unit_test(a_pagemap_that_ends_too_soon_is_an_error_and_leaves_nothing),
                cmocka_unit_test(who_has_no_more_time_waits_for_no_further_mapping),
                cmocka_unit_test(what_is_swapped_out_is_told_page_by_page),
                cmocka_unit_test(who_is_told_of_runs_can_stop),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
