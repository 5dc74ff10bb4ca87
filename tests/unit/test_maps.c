/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/maps.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

#include "agent/collect/maps.h"
#include "lib/scratch.h"

#define PAGE 4096U
#define LINE "7f0000001000-7f0000003000 r-xp 00002000 fe:01 1234                       /usr/lib/x.so\n"

/* All of them, with paths of their own. */
struct all {
        struct mapping *v;
        size_t n;
        int stop; /* returned when there are stop_at */
        size_t stop_at;
};

static void all_done(struct all *a) {
        for (size_t i = 0; i < a->n; i++)
                free((char *) (uintptr_t) a->v[i].path);
        free(a->v);
}

#define _cleanup_all_ _cleanup_(all_done)

static int keep(const struct mapping *m, void *userdata) {
        struct all *a = userdata;

        /* twice as many when it is full: one more each time is a copy of all under the sanitizer */
        if ((a->n & (a->n - 1)) == 0)
                a->v = reallocarray(a->v, MAX(2 * a->n, 1U), sizeof(*a->v));
        assert_non_null(a->v);
        a->v[a->n] = *m;
        a->v[a->n].path = strndup(m->path, m->path_n);
        assert_non_null(a->v[a->n].path);
        return ++a->n == a->stop_at ? a->stop : 0;
}

static const struct mapping *find(const struct all *a, const void *at) {
        for (size_t i = 0; i < a->n; i++)
                if (a->v[i].start <= (uintptr_t) at && (uintptr_t) at < a->v[i].end)
                        return &a->v[i];
        return NULL;
}

/* As from a process whose file says this. */
static int parse(const char *text, size_t n, struct all *ret) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_close_ int dir = -EBADF;

        scratch_make(&s);
        scratch_write(scratch_path(&s, "maps"), text, n);
        dir = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(dir >= 0);
        return maps_each(dir, keep, ret);
}

static void a_real_process_is_read_as_it_is(void **state) {
        uint8_t *p = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _cleanup_close_ int fd = memfd_create("a b\n(deleted)", MFD_CLOEXEC);
        _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_all_ struct all all = { .v = NULL };

        (void) state;
        assert_true(p != MAP_FAILED);
        assert_int_equal(mprotect(p + PAGE, PAGE, PROT_NONE), 0);
        assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
        const uint8_t *shared = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE);

        assert_true(shared != MAP_FAILED);
        assert_int_equal(maps_each(self, keep, &all), 0);
        const struct mapping *none = find(&all, p + PAGE), *named = find(&all, shared);

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
        assert_int_equal(maps_content(find(&all, (const void *) (uintptr_t) parse)), MAPS_PRIVATE);
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
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_all_ struct all all = { .v = NULL };

                assert_int_equal(parse(texts[i], strlen(texts[i]), &all), -EBADMSG);
                assert_in_range(all.n, 0, 1);
        }
}

static void a_text_that_is_cut_anywhere_is_refused_or_ends_with_a_line(void **state) {
        static const char text[] = LINE "7f0000003000-7f0000004000 rw-p 00000000 00:00 0 \n"
                                        "7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                  [stack]\n";
        (void) state;
        for (size_t cut = 0; cut <= sizeof(text) - 1; cut++) {
                _cleanup_all_ struct all all = { .v = NULL };
                const bool whole = cut == 0 || text[cut - 1] == '\n';

                assert_int_equal(parse(text, cut, &all), whole ? 0 : -EBADMSG);
        }
}

/* More of it than a collector may have memory for: 65530 mappings of one file deep down are that. */
static void a_text_of_any_length_is_read_to_its_end(void **state) {
        _cleanup_all_ struct all all = { .stop = -ECANCELED, .stop_at = 65000 };
        static const size_t n_path = 600, n_maps = 65530;
        _cleanup_free_ char *text = malloc(n_maps * (n_path + 64));
        size_t n = 0;

        (void) state;
        assert_non_null(text);
        for (size_t i = 0; i < n_maps; i++)
                n += (size_t) sprintf(text + n, "%zx-%zx r--p 00000000 fe:01 7 /%0*zu\n", (i + 1) * PAGE,
                                      (i + 2) * PAGE, (int) n_path, i);
        assert_true(n > 32U << 20);
        /* each arrives whole, and whoever asks can stop */
        assert_int_equal(parse(text, n, &all), -ECANCELED);
        assert_int_equal(all.n, 65000);
        for (size_t i = 0; i < all.n; i++) {
                assert_int_equal(all.v[i].start, (i + 1) * PAGE);
                assert_int_equal(all.v[i].path_n, n_path + 1);
                assert_int_equal(strtoull(all.v[i].path + 1, NULL, 10), i);
        }
}

/* Whoever makes directories in directories can have a path of any length. */
static void of_a_line_that_is_too_long_the_middle_is_left_out_and_no_other_suffers(void **state) {
        _cleanup_free_ char *text = malloc(5 * MAPS_LINE_MAX);
        static const char head[] = "1000-2000 rw-p 0 00:05 9    /first", end[] = "last (deleted)\n";
        _cleanup_all_ struct all all = { .v = NULL };

        (void) state;
        assert_non_null(text);
        for (size_t more = MAPS_LINE_MAX - 64; more < 4 * MAPS_LINE_MAX; more += 4093) {
                size_t n = (size_t) sprintf(text, "%s", head);

                memset(text + n, 'x', more);
                n += more;
                n += (size_t) sprintf(text + n, "%s" LINE, end);
                all_done(&all);
                all = (struct all) { .v = NULL };
                assert_int_equal(parse(text, n, &all), 0);
                assert_int_equal(all.n, 2);
                assert_memory_equal(all.v[0].path, "/firstx", 7);
                assert_string_equal(all.v[0].path + all.v[0].path_n - strlen(end) + 1, "last (deleted)");
                assert_true(all.v[0].memory);
                assert_true(all.v[0].path_n < MAPS_LINE_MAX);
                assert_int_equal(strstr(all.v[0].path, "x...x") != NULL, n - strlen(LINE) > MAPS_LINE_MAX);
                assert_string_equal(all.v[1].path, "/usr/lib/x.so");
        }
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
                _cleanup_all_ struct all all = { .v = NULL };
                char text[256];

                (void) snprintf(text, sizeof(text), "1000-2000 rw-p 0 00:05 %u    %s\n", cases[i].inode, cases[i].path);
                assert_int_equal(parse(text, strlen(text), &all), 0);
                assert_int_equal(all.n, 1);
                assert_int_equal(all.v[0].path_n, strlen(cases[i].path));
                assert_int_equal(maps_content(&all.v[0]), cases[i].content);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_real_process_is_read_as_it_is),
                cmocka_unit_test(what_no_kernel_writes_is_refused),
                cmocka_unit_test(a_text_that_is_cut_anywhere_is_refused_or_ends_with_a_line),
                cmocka_unit_test(a_text_of_any_length_is_read_to_its_end),
                cmocka_unit_test(of_a_line_that_is_too_long_the_middle_is_left_out_and_no_other_suffers),
                cmocka_unit_test(what_has_to_be_read_is_told_from_what_lies_in_a_file_and_what_must_not_be_touched),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
