/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/elfcore.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <elf.h>
#include <link.h>

#include "agent/collect/elfcore.h"
#include "lib/scratch.h"

static struct mapping map(uint64_t first, uint64_t pages, const char *perms) {
        return (struct mapping) { .start = first * RUNS_PAGE,
                                  .end = (first + pages) * RUNS_PAGE,
                                  .path = "",
                                  .read = perms[0] == 'r',
                                  .write = perms[1] == 'w',
                                  .exec = perms[2] == 'x' };
}

static struct run run(uint64_t first, uint64_t pages, uint32_t of) {
        return (struct run) { first * RUNS_PAGE, (first + pages) * RUNS_PAGE, of };
}

struct head {
        uint8_t *bytes;
        size_t n;
        const ElfW(Ehdr) * e;
        const ElfW(Phdr) * p;
        size_t n_p;
};

static void head_done(struct head *h) {
        free(h->bytes);
}

#define _cleanup_head_ _cleanup_(head_done)

static struct head head_of(const struct mapping *maps, size_t n_maps, struct run *runs, size_t n_runs) {
        struct notes notes = { .bytes = NULL };
        const struct runs r = { .v = runs, .n = n_runs };
        struct head h = { .bytes = NULL };

        assert_int_equal(notes_add(&notes, "CORE", 42, "12345", 5), 0);
        assert_int_equal(elfcore_head(maps, n_maps, &r, &notes, &h.bytes, &h.n), 0);
        notes_done(&notes);
        h.e = (const ElfW(Ehdr) *) h.bytes;
        h.p = (const ElfW(Phdr) *) (h.bytes + h.e->e_phoff);
        h.n_p = h.e->e_phnum;
        if (h.n_p == PN_XNUM)
                h.n_p = ((const ElfW(Shdr) *) (h.bytes + h.e->e_shoff))->sh_info;
        assert_int_equal(h.n % RUNS_PAGE, 0);
        return h;
}

static void assert_load(const struct head *h, size_t i, uint64_t first, uint64_t pages, uint64_t kept, uint64_t at) {
        assert_true(i < h->n_p);
        assert_int_equal(h->p[i].p_type, PT_LOAD);
        assert_int_equal(h->p[i].p_vaddr, first * RUNS_PAGE);
        assert_int_equal(h->p[i].p_memsz, pages * RUNS_PAGE);
        assert_int_equal(h->p[i].p_filesz, kept * RUNS_PAGE);
        if (kept > 0)
                assert_int_equal(h->p[i].p_offset, h->n + at * RUNS_PAGE);
}

static void each_page_has_one_place_and_those_that_are_not_there_none(void **state) {
        const struct mapping maps[] = { map(16, 10, "rw-"), map(32, 4, "---"), map(40, 2, "r-x") };
        struct run runs[] = { run(18, 2, 0), run(22, 1, 0), run(40, 2, 2) };
        _cleanup_head_ struct head h = head_of(maps, 3, runs, 3);

        (void) state;
        assert_int_equal(h.n_p, 6);
        assert_int_equal(h.p[0].p_type, PT_NOTE);
        assert_load(&h, 1, 16, 2, 0, 0); /* not there */
        assert_load(&h, 2, 18, 4, 2, 0); /* and two pages behind it that are not */
        assert_load(&h, 3, 22, 4, 1, 2);
        assert_load(&h, 4, 32, 4, 0, 0);
        assert_load(&h, 5, 40, 2, 2, 3);
        assert_int_equal(h.p[1].p_flags, PF_R | PF_W);
        assert_int_equal(h.p[4].p_flags, 0);
        assert_int_equal(h.p[5].p_flags, PF_R | PF_X);
        assert_int_equal(h.e->e_shnum, 0);
}

/* What the head says of a core with that many runs of one page each, spread over mappings of two pages. */
static void assert_all_there(size_t n) {
        _cleanup_free_ struct mapping *maps = calloc(n, sizeof(*maps));
        _cleanup_free_ struct run *runs = calloc(n, sizeof(*runs));

        assert_non_null(maps);
        assert_non_null(runs);
        for (size_t i = 0; i < n; i++) {
                maps[i] = map(16 + 4 * i, 2, "rw-");
                runs[i] = run(17 + 4 * i, 1, (uint32_t) i);
        }
        _cleanup_head_ struct head h = head_of(maps, n, runs, n);
        uint64_t at = h.n;
        size_t k = 0;

        for (size_t i = 1; i < h.n_p; i++) {
                if (h.p[i].p_filesz == 0)
                        continue;
                assert_int_equal(h.p[i].p_vaddr, runs[k].start);
                assert_int_equal(h.p[i].p_offset, at);
                at += h.p[i].p_filesz;
                k++;
        }
        assert_int_equal(k, n);
        assert_int_equal(h.e->e_phnum == PN_XNUM, 1 + n >= PN_XNUM);
        assert_true((const uint8_t *) &h.p[h.n_p] <= h.bytes + h.p[0].p_offset);
}

static void no_page_is_lost_when_there_are_more_than_an_elf_header_can_count(void **state) {
        static const size_t counts[] = { PN_XNUM / 2, PN_XNUM - 2, PN_XNUM - 1, PN_XNUM, 2 * PN_XNUM };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(counts); i++)
                assert_all_there(counts[i]);
}

static void stock_tools_count_the_headers_of_such_a_core(void **state) {
        const size_t n = PN_XNUM + 10;
        _cleanup_free_ struct mapping *maps = calloc(n, sizeof(*maps));
        _cleanup_free_ struct run *runs = calloc(n, sizeof(*runs));
        _cleanup_scratch_ struct scratch s;
        char command[256];

        (void) state;
        for (size_t i = 0; i < n; i++) {
                maps[i] = map(16 + 2 * i, 1, "rw-");
                runs[i] = run(16 + 2 * i, 1, (uint32_t) i);
        }
        _cleanup_head_ struct head h = head_of(maps, n, runs, n);

        scratch_make(&s);
        scratch_write(scratch_path(&s, "core"), h.bytes, h.n);
        (void) snprintf(command, sizeof(command),
                        "cd %s && LC_ALL=C readelf -lW core 2>/dev/null >out; test $(grep -c LOAD out) = %zu", s.path,
                        n);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
}

static void a_note_is_padded_and_the_next_one_follows(void **state) {
        struct notes b = { .bytes = NULL };
        static const uint8_t first[] = { 5,   0,   0,   0,   3, 0, 0, 0, 1,   0,   0,   0,
                                         'C', 'O', 'R', 'E', 0, 0, 0, 0, 'a', 'b', 'c', 0 };

        (void) state;
        assert_int_equal(notes_add(&b, "CORE", 1, "abc", 3), 0);
        assert_int_equal(b.n, sizeof(first));
        assert_memory_equal(b.bytes, first, sizeof(first));
        assert_int_equal(notes_add(&b, "LINUX", 2, "", 0), 0);
        assert_int_equal(b.n, sizeof(first) + 12 + 8);
        for (size_t i = 0; i < 3000; i++)
                assert_int_equal(notes_add(&b, "CORE", 1, "abc", 3), 0);
        assert_memory_equal(b.bytes, first, sizeof(first));
        assert_memory_equal(b.bytes + b.n - sizeof(first), first, sizeof(first));
        notes_done(&b);
}

static void files_are_listed_with_their_names_as_the_kernel_wrote_them(void **state) {
        static const char names[] = "/a\\012b\0/c (deleted)";
        struct mapping maps[] = { map(16, 1, "r--"), map(17, 1, "r--"), map(20, 3, "rw-") };
        struct notes b = { .bytes = NULL };
        uint64_t numbers[8];

        (void) state;
        maps[0].path = "/a\\012b and what is behind it";
        maps[0].path_n = 7;
        maps[0].inode = 5;
        maps[1].path = "[heap]";
        maps[1].path_n = 6;
        maps[2].path = "/c (deleted)";
        maps[2].path_n = 12;
        maps[2].inode = 6;
        maps[2].offset = 9 * RUNS_PAGE;
        assert_int_equal(notes_add_files(&b, maps, 3), 0);
        memcpy(numbers, b.bytes + 20, sizeof(numbers));
        assert_int_equal(numbers[0], 2);
        assert_int_equal(numbers[1], RUNS_PAGE);
        assert_int_equal(numbers[2], maps[0].start);
        assert_int_equal(numbers[5], maps[2].start);
        assert_int_equal(numbers[6], maps[2].end);
        assert_int_equal(numbers[7], 9);
        assert_memory_equal(b.bytes + 20 + sizeof(numbers), names, sizeof(names));
        notes_done(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(each_page_has_one_place_and_those_that_are_not_there_none),
                cmocka_unit_test(no_page_is_lost_when_there_are_more_than_an_elf_header_can_count),
                cmocka_unit_test(stock_tools_count_the_headers_of_such_a_core),
                cmocka_unit_test(a_note_is_padded_and_the_next_one_follows),
                cmocka_unit_test(files_are_listed_with_their_names_as_the_kernel_wrote_them),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
