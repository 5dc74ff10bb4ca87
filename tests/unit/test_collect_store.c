/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c agent/collect/source.c */
/* LINK: agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include "lib/collect_box.h"

#include <signal.h>
#include <sys/resource.h>

#include "agent/collect/press.h"
#include "agent/collect/source.h"

#define MIB (1024U * 1024)

static void put(struct box *b, const char *kind, const char *source, size_t n) {
        _cleanup_free_ char *bytes = malloc(n + 1);

        assert_non_null(bytes);
        memset(bytes, 'x', n + 1);
        source_put(b->store, &(struct index_item) { .kind = kind, .source = source }, bytes, n);
}

/* Bytes that no compression makes fewer. */
static void put_random(struct box *b, const char *kind, size_t n) {
        _cleanup_free_ char *bytes = malloc(n);

        assert_non_null(bytes);
        randombytes_buf(bytes, n);
        source_put(b->store, &(struct index_item) { .kind = kind, .source = "s" }, bytes, n);
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

static void store_keeps_what_the_file_system_says_of_a_file_and_nothing_of_what_the_kernel_makes_up(void **state) {
        const struct index_item file = { .kind = "file", .source = "s" },
                                made_up = { .kind = "made-up", .source = "s" };
        char path[] = "/tmp/store-stat-XXXXXX";
        const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000, .tv_nsec = 5000 } };
        _cleanup_close_ int fd = mkstemp(path);
        _cleanup_box_ struct box b;

        (void) state;
        assert_true(fd >= 0 && write(fd, "abc", 3) == 3 && futimens(fd, times) == 0);
        box_open(&b, MIB);
        source_copy(b.store, &file, AT_FDCWD, path, 0);
        source_copy(b.store, &made_up, AT_FDCWD, "/proc/self/stat", SOURCE_FOLLOW);
        put(&b, "bytes", "s", 1);
        box_finish(&b);
        assert_int_equal(unlink(path), 0);
        const json_t *st = json_object_get(box_object(&b, "file", 0), "stat");

        assert_int_equal(box_int(st, "size"), 3);
        assert_int_equal(box_int(st, "atime_us"), 1000 * 1000000LL);
        assert_int_equal(box_int(st, "mtime_us"), 2000 * 1000000LL + 5);
        assert_null(json_object_get(box_object(&b, "made-up", 0), "stat"));
        assert_null(json_object_get(box_object(&b, "bytes", 0), "stat"));
}

static void store_refuses_a_folder_that_has_something_in_it(void **state) {
        struct age_recipient to;
        const struct store_limits limits = {
                .recipients = &to, .n_recipients = 1, .max_bytes = MIB, .deadline_us = INT64_MAX
        };
        struct store *again = NULL;
        _cleanup_box_ struct box b;

        (void) state;
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        box_open(&b, MIB);
        assert_int_equal(store_open(b.folder, &limits, &again), -EEXIST);
        assert_null(again);
}

static void store_cuts_at_the_budget_and_lists_the_rest(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 4000);
        put(&b, "a", "first", 1000);
        put(&b, "b", "second", 3000);
        put(&b, "c", "third", 1);
        box_finish(&b);
        /* a header for each, and whole blocks */
        assert_int_equal(b.result.bytes, 1000 + 4000 - 512 - 1024 - 512);
        assert_true(b.result.flags & COLLECT_CUT_BYTES);
        assert_int_equal(box_int(box_hole(&b, "b", 0), "expected"), 3000);
        assert_int_equal(box_int(box_hole(&b, "b", 0), "got"), 1952);
        assert_string_equal(box_text(box_hole(&b, "b", 0), "hole"), "EFBIG");
        assert_string_equal(box_text(box_hole(&b, "b", 0), "member"), "000003-b");
        assert_int_equal(box_int(box_hole(&b, "c", 0), "got"), 0);
        assert_null(box_object(&b, "c", 0));
        assert_int_equal(b.result.holes, 2);
}

static void store_keeps_room_for_later(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 4000);
        store_keep(b.store, 1024, 0, 0);
        put(&b, "long", "journal", 5000);
        store_keep(b.store, 0, 0, 0);
        put(&b, "short", "unit", 300);
        box_finish(&b);
        assert_int_equal(box_int(box_object(&b, "long", 0), "bytes"), 4000 - 1024 - 512);
        assert_int_equal(box_int(box_object(&b, "short", 0), "bytes"), 300);
        assert_null(box_hole(&b, "short", 0));
}

static void store_keeps_no_more_room_for_later_than_a_third_of_what_there_is(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 9000);
        store_keep(b.store, 1ULL << 30, 0, 0);
        put(&b, "memory", "now", 9000);
        store_keep(b.store, 0, 0, 0);
        put(&b, "log", "later", 2000);
        box_finish(&b);
        assert_int_equal(box_int(box_object(&b, "memory", 0), "bytes"), 6000 - 512);
        assert_int_equal(box_int(box_object(&b, "log", 0), "bytes"), 2000);
}

static void store_after_the_deadline_reads_nothing_and_still_seals(void **state) {
        struct age_recipient to;
        const struct store_limits limits = {
                .recipients = &to, .n_recipients = 1, .max_bytes = MIB, .deadline_us = clock_mono_us()
        };
        _cleanup_box_ struct box b = { .folder = -EBADF };

        (void) state;
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        scratch_make(&b.dir);
        scratch_make(&b.opened);
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

static void store_keeps_numbers_for_later(void **state) {
        _cleanup_box_ struct box b;
        unsigned n = 0;

        (void) state;
        box_open(&b, 64 * MIB);
        store_keep(b.store, 0, UINT64_MAX, 0);
        while (n <= COLLECT_OBJECTS_MAX &&
               store_begin(b.store, &(struct index_item) { .kind = "many", .source = "s" }) == 0) {
                store_end(b.store, 0, -1, false);
                n++;
        }
        store_end(b.store, 0, -1, false);
        assert_int_equal(n, COLLECT_OBJECTS_MAX - COLLECT_OBJECTS_MAX / 3);
        store_keep(b.store, 0, 0, 0);
        put(&b, "later", "s", 10);
        box_finish(&b);
        assert_true(b.result.flags & COLLECT_CUT_COUNT);
        assert_string_equal(box_text(box_hole(&b, "many", 0), "hole"), "EOVERFLOW");
        assert_non_null(box_object(&b, "later", 0));
}

static size_t index_size(const struct box *b) {
        _cleanup_(scratch_bytes_done) struct scratch_bytes index =
                scratch_read(scratch_path(&b->opened, "index.jsonl"));

        assert_int_equal(index.data[index.n - 1], '\n');
        return index.n;
}

static const json_t *last_line(const struct box *b) {
        return json_array_get(b->index, json_array_size(b->index) - 1);
}

/* Both are as many and as long as who is looked at wants. */
static void store_leaves_the_index_to_objects_whatever_holes_and_notes_there_are(void **state) {
        char source[4096];
        _cleanup_box_ struct box b;

        (void) state;
        memset(source, '\x01', sizeof(source) - 1);
        source[sizeof(source) - 1] = '\0';
        box_open(&b, MIB);
        for (unsigned i = 0; i < 1000; i++) {
                store_hole(b.store, &(struct index_item) { .kind = "k", .source = source }, -EACCES, -1);
                store_note(b.store, json_pack("{s:s}", "note", source));
        }
        put(&b, "later", "s", 10);
        box_finish(&b);
        assert_true(b.result.flags & COLLECT_CUT_COUNT);
        assert_non_null(box_object(&b, "later", 0));
        assert_string_equal(box_text(last_line(&b), "note"), "end");
        assert_int_equal(b.result.holes, 1000);
        assert_in_range(index_size(&b), COLLECT_INDEX_MAX / 4 - 65536, COLLECT_INDEX_MAX / 4 + 65536);
        assert_int_equal(strlen(box_text(box_hole(&b, "k", 0), "source")), INDEX_HOLE_SOURCE_MAX);
        assert_true(json_is_true(json_object_get(box_hole(&b, "k", 0), "source_cut")));
}

static void store_limits_the_size_of_the_index(void **state) {
        char source[4096];
        _cleanup_box_ struct box b;

        (void) state;
        memset(source, '\x01', sizeof(source) - 1);
        source[sizeof(source) - 1] = '\0';
        box_open(&b, 64 * MIB);
        store_keep(b.store, 0, 100, 0);
        for (unsigned i = 0; i < 800; i++)
                put(&b, "k", source, 1);
        store_keep(b.store, 0, 0, 0);
        put(&b, "later", "s", 10);
        box_finish(&b);
        assert_true(b.result.flags & COLLECT_CUT_COUNT);
        assert_non_null(box_object(&b, "later", 0));
        assert_string_equal(box_text(last_line(&b), "note"), "end");
        assert_in_range(index_size(&b), COLLECT_INDEX_MAX - 131072, COLLECT_INDEX_MAX);
        assert_null(json_object_get(box_object(&b, "k", 0), "source_cut"));
}

static void store_survives_a_file_size_limit_in_the_middle_of_an_object(void **state) {
        const struct rlimit small = { 3 * MIB, RLIM_INFINITY };
        _cleanup_box_ struct box b;
        struct rlimit before;

        (void) state;
        box_open(&b, 64 * MIB);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        put_random(&b, "big", 5 * MIB);
        put(&b, "small", "s", 10);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        box_finish(&b);
        /* whole frames: there was no room for a third, and digest and bytes agree */
        assert_int_equal(box_int(box_object(&b, "big", 0), "bytes"), 2 * PRESS_FRAME_SIZE);
        assert_string_equal(box_text(box_hole(&b, "big", 0), "hole"), "EFBIG");
        assert_int_equal(box_int(box_object(&b, "small", 0), "bytes"), 10);
}

/* Something has the name that the first file will get: the disk refuses it, for a reason that nobody counts with. */
static void refuse_first(const struct box *b, const char *name, bool refuse) {
        char path[128];

        (void) snprintf(path, sizeof(path), "%s/data/%s", b->dir.path, name);
        if (refuse)
                assert_int_equal(close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)), 0);
        else
                assert_int_equal(unlink(path), 0);
}

static void store_that_could_not_keep_a_file_is_cut_whatever_the_reason(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 64 * MIB);
        refuse_first(&b, "000001-big.zst.age", true);
        put_random(&b, "big", MIB);
        refuse_first(&b, "000001-big.zst.age", false);
        box_finish(&b);
        assert_string_equal(box_text(box_hole(&b, "big", 0), "hole"), "EEXIST");
        assert_int_equal(b.result.objects, 0);
        assert_true(b.result.flags & COLLECT_CUT_ERROR & COLLECT_CUT);
}

static void store_that_could_not_keep_a_pack_is_cut_whatever_the_reason(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, 64 * MIB);
        refuse_first(&b, "000001-pack.tar.zst.age", true);
        put(&b, "small", "s", 10);
        put(&b, "other", "s", 10);
        store_checkpoint(b.store);
        refuse_first(&b, "000001-pack.tar.zst.age", false);
        assert_int_equal(store_finish(b.store, &b.result), 0);
        assert_int_equal(b.result.objects, 0);
        assert_int_equal(b.result.holes, 1);
        assert_true(b.result.flags & COLLECT_CUT_ERROR & COLLECT_CUT);
}

static void store_of_what_the_host_would_not_let_it_read_is_whole(void **state) {
        _cleanup_box_ struct box b;

        (void) state;
        box_open(&b, MIB);
        store_hole(b.store, &(struct index_item) { .kind = "k", .source = "s" }, -EIO, -1);
        put(&b, "small", "s", 10);
        box_finish(&b);
        assert_int_equal(b.result.flags & COLLECT_CUT, 0);
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
                cmocka_unit_test(
                        store_keeps_what_the_file_system_says_of_a_file_and_nothing_of_what_the_kernel_makes_up),
                cmocka_unit_test(store_refuses_a_folder_that_has_something_in_it),
                cmocka_unit_test(store_cuts_at_the_budget_and_lists_the_rest),
                cmocka_unit_test(store_keeps_room_for_later),
                cmocka_unit_test(store_keeps_no_more_room_for_later_than_a_third_of_what_there_is),
                cmocka_unit_test(store_after_the_deadline_reads_nothing_and_still_seals),
                cmocka_unit_test(store_counts_holes_beyond_those_it_lists),
                cmocka_unit_test(store_keeps_numbers_for_later),
                cmocka_unit_test(store_leaves_the_index_to_objects_whatever_holes_and_notes_there_are),
                cmocka_unit_test(store_limits_the_size_of_the_index),
                cmocka_unit_test(store_survives_a_file_size_limit_in_the_middle_of_an_object),
                cmocka_unit_test(store_that_could_not_keep_a_file_is_cut_whatever_the_reason),
                cmocka_unit_test(store_that_could_not_keep_a_pack_is_cut_whatever_the_reason),
                cmocka_unit_test(store_of_what_the_host_would_not_let_it_read_is_whole),
                cmocka_unit_test(source_takes_nothing_but_regular_files_and_never_waits),
                cmocka_unit_test(source_reads_procfs_that_has_no_size),
                cmocka_unit_test(source_larger_than_its_cap_is_cut_and_says_by_how_much),
                cmocka_unit_test(source_that_changes_while_it_is_read_is_marked),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
