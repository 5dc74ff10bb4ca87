/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/maps.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "agent/collect/maps.h"
#include "agent/util/io.h"

#define PAGE 4096U
#define LINE "7f0000001000-7f0000003000 r-xp 00002000 fe:01 1234                       /usr/lib/x.so\n"

static const struct mapping *find(const struct mapping *maps, size_t n, const void *at) {
        for (size_t i = 0; i < n; i++)
                if (maps[i].start <= (uintptr_t) at && (uintptr_t) at < maps[i].end)
                        return &maps[i];
        return NULL;
}

static int parse(const char *text, struct mapping **ret, size_t *ret_n) {
        return maps_parse(text, strlen(text), ret, ret_n);
}

static void a_real_process_is_read_as_it_is(void **state) {
        uint8_t *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _cleanup_close_ int fd = memfd_create("a b\n(deleted)", MFD_CLOEXEC);
        _cleanup_free_ struct mapping *maps = NULL;
        _cleanup_free_ char *text = NULL;
        size_t n = 0, n_maps = 0;

        (void) state;
        assert_true(p != MAP_FAILED);
        assert_int_equal(mprotect(p + PAGE, PAGE, PROT_NONE), 0);
        assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
        const uint8_t *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE);

        assert_true(shared != MAP_FAILED);
        assert_int_equal(io_read_file(AT_FDCWD, "/proc/self/maps", 1U << 20, &text, &n), 0);
        assert_int_equal(maps_parse(text, n, &maps, &n_maps), 0);
        const struct mapping *none = find(maps, n_maps, p + PAGE), *named = find(maps, n_maps, shared);

        assert_non_null(none);
        assert_false(none->read || none->write || none->exec || none->shared);
        assert_int_equal(none->end - none->start, PAGE);
        assert_int_equal(none->inode, 0);
        assert_int_equal(maps_content(none), MAPS_ANONYMOUS);
        assert_non_null(named);
        assert_true(named->read && named->shared && !named->write && named->inode != 0);
        assert_int_equal(named->offset, 4 * PAGE);
        assert_memory_equal(named->path, "/memfd:a b\\012(deleted) (deleted)", named->path_n);
        assert_int_equal(maps_content(named), MAPS_ANONYMOUS);
        assert_int_equal(maps_content(find(maps, n_maps, (const void *) (uintptr_t) parse)), MAPS_PRIVATE);
        (void) munmap(p, 3 * PAGE);
        (void) munmap((void *) (uintptr_t) shared, PAGE);
}

static void what_no_kernel_writes_is_refused(void **state) {
        static const char *const texts[] = {
                "\n",
                "7f0000001000-7f0000003000 r-xp 00002000 fe:01 1234", /* no newline: cut short */
                "7f0000001000-7f0000003000\n",
                "7f0000001000 7f0000003000 r-xp 00002000 fe:01 1234\n",
                "7f0000001000-7f0000003000 r-x\n",
                "7f0000001000-7f0000003000 r-xp 00002000 fe01 1234\n",
                "7f0000001000-7f0000003000 r-xp 00002000 fe:01 \n",
                "7f0000001000-7f0000003000 r-xp 00002000 fe:01 x\n",
                "7F0000001000-7F0000003000 r-xp 00002000 fe:01 1\n",
                "-7f0000003000 r-xp 00002000 fe:01 1\n",
                "7f0000001000- r-xp 00002000 fe:01 1\n",
                "7f0000001001-7f0000003000 r-xp 00002000 fe:01 1\n", /* no page */
                "7f0000001000-7f0000003001 r-xp 00002000 fe:01 1\n",
                "7f0000003000-7f0000003000 r-xp 00002000 fe:01 1\n", /* nothing */
                "7f0000003000-7f0000001000 r-xp 00002000 fe:01 1\n",
                "10000000000001000-10000000000002000 r-xp 0 0:0 0\n", /* more than 64 bits */
                "1000-2000 r-xp 0 0:0 99999999999999999999\n",
                LINE LINE,                                                   /* twice */
                LINE "7f0000002000-7f0000004000 r-xp 00002000 fe:01 1234\n", /* overlapping */
                LINE "7e0000001000-7e0000003000 r-xp 00002000 fe:01 1234\n", /* backwards */
                LINE "\n",
        };
        struct mapping *maps = NULL;
        size_t n = 42;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                assert_int_equal(parse(texts[i], &maps, &n), -EBADMSG);
                assert_null(maps);
                assert_int_equal(n, 42);
        }
}

static void a_text_that_is_cut_anywhere_is_refused_or_ends_with_a_line(void **state) {
        static const char text[] = LINE "7f0000003000-7f0000004000 rw-p 00000000 00:00 0 \n"
                                        "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                  [stack]\n";
        (void) state;
        for (size_t cut = 0; cut <= sizeof(text) - 1; cut++) {
                _cleanup_free_ struct mapping *maps = NULL;
                size_t n = 0;
                const bool whole = cut == 0 || text[cut - 1] == '\n';

                assert_int_equal(maps_parse(text, cut, &maps, &n), whole ? 0 : -EBADMSG);
        }
}

static void more_mappings_than_there_can_be_are_refused_before_memory_is_taken_for_them(void **state) {
        const size_t n_text = MAPS_MAX + 1;
        _cleanup_free_ char *text = malloc(n_text);
        struct mapping *maps = NULL;
        size_t n = 0;

        (void) state;
        assert_non_null(text);
        memset(text, '\n', n_text);
        assert_int_equal(maps_parse(text, n_text, &maps, &n), -E2BIG);
        assert_null(maps);
}

static void what_has_to_be_read_is_told_from_what_lies_in_a_file_and_what_must_not_be_touched(void **state) {
        static const struct {
                const char *path;
                unsigned inode;
                enum maps_content content;
        } cases[] = {
                { "", 0, MAPS_ANONYMOUS },
                { "[heap]", 0, MAPS_ANONYMOUS },
                { "[stack]", 0, MAPS_ANONYMOUS },
                { "[anon:x]", 0, MAPS_ANONYMOUS },
                { "[vdso]", 0, MAPS_ANONYMOUS },
                { "[vvar]", 0, MAPS_NOTHING },
                { "[vvar_vclock]", 0, MAPS_NOTHING },
                { "[vsyscall]", 0, MAPS_NOTHING },
                { "/usr/bin/x", 7, MAPS_PRIVATE },
                { "/usr/bin/x (deleted)", 7, MAPS_ANONYMOUS },
                { "/memfd:x (deleted)", 7, MAPS_ANONYMOUS },
                { "/SYSV00000000 (deleted)", 7, MAPS_ANONYMOUS },
                { "/dev/shm/x", 7, MAPS_ANONYMOUS },
                { "/dev/zero", 7, MAPS_ANONYMOUS },
                { "/dev/hugepages/x", 7, MAPS_ANONYMOUS },
                { "/dev/mem", 7, MAPS_NOTHING },
                { "/dev/dri/card0", 7, MAPS_NOTHING },
                { "/srv/dev/mem", 7, MAPS_PRIVATE },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ struct mapping *maps = NULL;
                char text[256];
                size_t n = 0;

                (void) snprintf(text, sizeof(text), "1000-2000 rw-p 0 00:05 %u    %s\n", cases[i].inode, cases[i].path);
                assert_int_equal(parse(text, &maps, &n), 0);
                assert_int_equal(n, 1);
                assert_int_equal(maps[0].path_n, strlen(cases[i].path));
                assert_int_equal(maps_content(&maps[0]), cases[i].content);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_real_process_is_read_as_it_is),
                cmocka_unit_test(what_no_kernel_writes_is_refused),
                cmocka_unit_test(a_text_that_is_cut_anywhere_is_refused_or_ends_with_a_line),
                cmocka_unit_test(more_mappings_than_there_can_be_are_refused_before_memory_is_taken_for_them),
                cmocka_unit_test(what_has_to_be_read_is_told_from_what_lies_in_a_file_and_what_must_not_be_touched),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
