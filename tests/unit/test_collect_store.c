/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/store.c agent/collect/manifest.c agent/collect/index.c agent/collect/source.c */
/* LINK: agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include "lib/collect_box.h"

#include <signal.h>
#include <sys/resource.h>

#include "agent/collect/source.h"

#define MIB (1024U * 1024)

static void put(struct box *b, const char *kind, const char *source, size_t n) {
        _cleanup_free_ char *bytes = malloc(n + 1);

        assert_non_null(bytes);
        memset(bytes, 'x', n + 1);
        source_put(b->store, &(struct index_item) { .kind = kind, .source = source }, bytes, n);
}

static void store_keeps_objects_of_any_size_whole(void **state) {
        static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 3 * 65536 + 5 };
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 64 * MIB);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                put(&b, "blob", "s", sizes[i]);
        box_finish(&b);
        assert_int_equal(b.result.objects, ELEMENTSOF(sizes));
        assert_int_equal(b.result.holes, 0);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                assert_int_equal(box_int(box_object(&b, "blob", i), "bytes"), sizes[i]);
        const json_t *end = json_array_get(b.index, json_array_size(b.index) - 1);

        assert_string_equal(box_text(end, "note"), "end");
        assert_int_equal(box_int(end, "objects"), ELEMENTSOF(sizes));
}

static void store_refuses_a_folder_that_has_something_in_it(void **state) {
        const struct store_limits limits = { .max_bytes = MIB, .deadline_us = INT64_MAX };
        struct store *again = NULL;
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, MIB);
        assert_int_equal(store_open(b.folder, &limits, &again), -EEXIST);
        assert_null(again);
}

static void store_cuts_at_the_budget_and_lists_the_rest(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 1000);
        put(&b, "a", "first", 600);
        put(&b, "b", "second", 600);
        put(&b, "c", "third", 1);
        box_finish(&b);
        assert_int_equal(b.result.bytes, 1000);
        assert_true(b.result.flags & COLLECT_CUT_BYTES);
        assert_int_equal(box_int(box_hole(&b, "b", 0), "expected"), 600);
        assert_int_equal(box_int(box_hole(&b, "b", 0), "got"), 400);
        assert_string_equal(box_text(box_hole(&b, "b", 0), "hole"), "EFBIG");
        assert_string_equal(box_text(box_hole(&b, "b", 0), "file"), "data/000002-b");
        assert_int_equal(box_int(box_hole(&b, "c", 0), "got"), 0);
        assert_null(box_object(&b, "c", 0));
        assert_int_equal(b.result.holes, 2);
}

static void store_keeps_room_for_later(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 1000);
        store_keep(b.store, 300);
        put(&b, "long", "journal", 5000);
        store_keep(b.store, 0);
        put(&b, "short", "unit", 300);
        box_finish(&b);
        assert_int_equal(box_int(box_object(&b, "long", 0), "bytes"), 700);
        assert_int_equal(box_int(box_object(&b, "short", 0), "bytes"), 300);
        assert_null(box_hole(&b, "short", 0));
}

static void store_after_the_deadline_reads_nothing_and_still_seals(void **state) {
        const struct store_limits limits = { .max_bytes = MIB, .deadline_us = clock_mono_us() };
        _cleanup_box_ struct box b = { .folder = -EBADF };

        (void) state;
        scratch_make(&b.dir);
        b.folder = open(b.dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(store_open(b.folder, &limits, &b.store), 0);
        put(&b, "a", "s", 5);
        source_copy(b.store, &(struct index_item) { .kind = "b", .source = "/etc/passwd" }, AT_FDCWD, "/etc/passwd", 0);
        box_finish(&b);
        assert_int_equal(b.result.objects, 0);
        assert_int_equal(b.result.holes, 2);
        assert_true(b.result.flags & COLLECT_CUT_TIME);
        assert_string_equal(box_text(box_hole(&b, "b", 0), "hole"), "ETIME");
}

static void store_counts_holes_beyond_those_it_lists(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, MIB);
        for (unsigned i = 0; i < COLLECT_HOLES_MAX + 10; i++)
                store_hole(b.store, &(struct index_item) { .kind = "k", .source = "s" }, -EACCES, -1);
        box_finish(&b);
        assert_int_equal(b.result.holes, COLLECT_HOLES_MAX + 10);
        assert_true(b.result.flags & COLLECT_CUT_COUNT);
        assert_non_null(box_hole(&b, "k", COLLECT_HOLES_MAX - 1));
        assert_null(box_hole(&b, "k", COLLECT_HOLES_MAX));
}

static void store_limits_the_size_of_the_index(void **state) {
        char source[4096];
        _cleanup_box_ struct box b;

        (void) state;
        memset(source, '\x01', sizeof(source) - 1);
        source[sizeof(source) - 1] = '\0';
        box_open(&b, MIB);
        for (unsigned i = 0; i < 1000; i++)
                store_hole(b.store, &(struct index_item) { .kind = "k", .source = source }, -EACCES, -1);
        assert_int_equal(store_finish(b.store, &b.result), 0);
        assert_true(b.result.flags & COLLECT_CUT_COUNT);
        _cleanup_(scratch_bytes_done) struct scratch_bytes index = scratch_read(scratch_path(&b.dir, "index.jsonl"));

        assert_in_range(index.n, COLLECT_INDEX_MAX - 32768, COLLECT_INDEX_MAX);
        assert_int_equal(index.data[index.n - 1], '\n');
}

static void store_survives_a_file_size_limit_in_the_middle_of_an_object(void **state) {
        const struct rlimit small = { 100000, RLIM_INFINITY };
        _cleanup_box_ struct box b;
        struct rlimit before;

        (void) state;
        box_open(&b, 64 * MIB);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        put(&b, "big", "s", 200000);
        put(&b, "small", "s", 10);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        box_finish(&b);
        /* one whole buffer: what the limit let through of the second is taken back, so that digest and bytes agree */
        assert_int_equal(box_int(box_object(&b, "big", 0), "bytes"), 65536);
        assert_string_equal(box_text(box_hole(&b, "big", 0), "hole"), "EFBIG");
        assert_int_equal(box_int(box_object(&b, "small", 0), "bytes"), 10);
}

static void copy(struct box *b, const char *kind, const char *dir, const char *name, unsigned flags) {
        _cleanup_close_ int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(at >= 0);
        source_copy(b->store, &(struct index_item) { .kind = kind, .source = name }, at, name, flags);
}

static void source_takes_nothing_but_regular_files_and_never_waits(void **state) {
        static const struct {
                const char *name, *hole;
                unsigned flags;
        } cases[] = {
                { "fifo", "EOPNOTSUPP", 0 },
                { "fifo", "EOPNOTSUPP", SOURCE_FOLLOW },
                { "to-fifo", "EOPNOTSUPP", SOURCE_FOLLOW },
                { "to-file", "ELOOP", 0 },
                { "to-null", "ELOOP", 0 },
                { "to-null", "EOPNOTSUPP", SOURCE_FOLLOW },
                { "loop", "ELOOP", SOURCE_FOLLOW },
                { "dir", "EOPNOTSUPP", 0 },
                { "socket", "EOPNOTSUPP", 0 },
                { "absent", "ENOENT", 0 },
                { "dangling", "ENOENT", SOURCE_FOLLOW },
        };
        _cleanup_scratch_ struct scratch s;
        _cleanup_box_ struct box b;
        char command[512];

        (void) state;
        box_open(&b, MIB);
        scratch_make(&s);
        (void) snprintf(command, sizeof(command),
                        "cd %s && mkfifo fifo && ln -s fifo to-fifo && echo 1 >file && ln -s file to-file && ln -s "
                        "/dev/null to-null && "
                        "ln -s loop loop && mkdir dir && ln -s nothing dangling && "
                        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'",
                        s.path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                copy(&b, "k", s.path, cases[i].name, cases[i].flags);
        copy(&b, "optional", s.path, "absent", SOURCE_OPTIONAL);
        copy(&b, "followed", s.path, "to-file", SOURCE_FOLLOW);
        box_finish(&b);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_string_equal(box_text(box_hole(&b, "k", i), "hole"), cases[i].hole);
        assert_null(box_object(&b, "k", 0));
        assert_null(box_hole(&b, "optional", 0));
        assert_int_equal(box_int(box_object(&b, "followed", 0), "bytes"), 2);
}

static void source_reads_procfs_that_has_no_size(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, MIB);
        copy(&b, "status", "/proc/self", "status", 0);
        copy(&b, "empty", "/proc/self", "attr/prev", SOURCE_OPTIONAL);
        box_finish(&b);
        _cleanup_(scratch_bytes_done) struct scratch_bytes text = box_bytes(&b, box_object(&b, "status", 0));

        assert_non_null(strstr((const char *) text.data, "\nPid:\t"));
        assert_null(box_hole(&b, "status", 0));
}

static void source_larger_than_its_cap_is_cut_and_says_by_how_much(void **state) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_box_ struct box b;
        _cleanup_close_ int fd = -EBADF;

        (void) state;
        box_open(&b, 256 * MIB);
        scratch_make(&s);
        fd = open(scratch_path(&s, "sparse"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        assert_int_equal(ftruncate(fd, 1LL << 40), 0);
        copy(&b, "sparse", s.path, "sparse", 0);
        assert_int_equal(ftruncate(fd, SOURCE_MAX), 0);
        copy(&b, "exact", s.path, "sparse", 0);
        box_finish(&b);
        assert_int_equal(box_int(box_object(&b, "sparse", 0), "bytes"), SOURCE_MAX);
        assert_int_equal(box_int(box_hole(&b, "sparse", 0), "expected"), 1LL << 40);
        assert_int_equal(box_int(box_hole(&b, "sparse", 0), "got"), SOURCE_MAX);
        assert_null(box_hole(&b, "exact", 0));
}

/* A reader's view of a log that is being written: the writer runs until the copy is done. */
static void source_that_changes_while_it_is_read_is_marked(void **state) {
        _cleanup_scratch_ struct scratch s;
        _cleanup_box_ struct box b;
        char command[512];

        (void) state;
        box_open(&b, 256 * MIB);
        scratch_make(&s);
        (void) snprintf(command, sizeof(command), "head -c 8m /dev/zero >%s/log", s.path);
        assert_int_equal(system(command), 0); /* NOLINT: a fixed command */
        pid_t pid = fork();

        if (pid == 0) {
                int fd = open(scratch_path(&s, "log"), O_WRONLY | O_APPEND | O_CLOEXEC);
                for (;;)
                        if (write(fd, "more\n", 5) != 5)
                                _exit(1);
        }
        struct stat st = { 0 };

        while (st.st_size <= 8 * MIB)
                assert_int_equal(stat(scratch_path(&s, "log"), &st), 0);
        copy(&b, "log", s.path, "log", 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(scratch_wait(pid), -SIGKILL);
        box_finish(&b);
        const json_t *hole = box_hole(&b, "log", 0);

        assert_string_equal(box_text(hole, "hole"), "changed");
        assert_true(json_is_true(json_object_get(hole, "changed")));
        /* no more than there was at first look */
        assert_int_equal(box_int(hole, "got"), box_int(hole, "expected"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(store_keeps_objects_of_any_size_whole),
                cmocka_unit_test(store_refuses_a_folder_that_has_something_in_it),
                cmocka_unit_test(store_cuts_at_the_budget_and_lists_the_rest),
                cmocka_unit_test(store_keeps_room_for_later),
                cmocka_unit_test(store_after_the_deadline_reads_nothing_and_still_seals),
                cmocka_unit_test(store_counts_holes_beyond_those_it_lists),
                cmocka_unit_test(store_limits_the_size_of_the_index),
                cmocka_unit_test(store_survives_a_file_size_limit_in_the_middle_of_an_object),
                cmocka_unit_test(source_takes_nothing_but_regular_files_and_never_waits),
                cmocka_unit_test(source_reads_procfs_that_has_no_size),
                cmocka_unit_test(source_larger_than_its_cap_is_cut_and_says_by_how_much),
                cmocka_unit_test(source_that_changes_while_it_is_read_is_marked),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
