/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c agent/collect/manifest.c */
/* LINK: agent/collect/index.c agent/collect/sandbox.c agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sched.h>
#include <sodium.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include "agent/collect/bag.h"
#include "agent/collect/sandbox.h"
#include "lib/age_keys.h"
#include "lib/scratch.h"

struct bench {
        struct scratch s;
        int folder;
        struct bag *bag;
};

static void open_bench(struct bench *b) {
        struct age_recipient to;

        *b = (struct bench) { .folder = -EBADF };
        scratch_make(&b->s);
        b->folder = open(b->s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        assert_int_equal(bag_open(b->folder, &to, 1, &b->bag), 0);
}

static void close_bench(struct bench *b) {
        bag_free(b->bag);
        closep(&b->folder);
        scratch_remove(&b->s);
}

#define _cleanup_bench_ _cleanup_(close_bench)

static int add(struct bench *b, const char *kind, const char *text, bool cut, uint64_t need) {
        const struct bag_file f = { .number = bag_number(b->bag), .kind = kind, .inner = "", .cut = cut, .need = need };
        struct sealed sealed;
        int r = sealer_begin(bag_sealer(b->bag), UINT64_MAX, true);

        if (r == 0)
                r = sealer_write(bag_sealer(b->bag), text, strlen(text));
        return r < 0 ? r : bag_add(b->bag, &f, &sealed);
}

static bool shell(const struct bench *b, const char *command) {
        char line[1024];

        (void) snprintf(line, sizeof(line), "cd %s && { %s; }", b->s.path, command);
        return system(line) == 0; /* NOLINT: a fixed command */
}

/* A line for each file and a file for each line, with its digest and size. */
#define IS_LISTED                                                                           \
        "jq -r '.sha256 + \"  \" + .file' public.jsonl | sha256sum -c --strict --quiet && " \
        "test \"$(jq -r '\"\\(.bytes) \\(.file)\"' public.jsonl)\" = "                      \
        "\"$(jq -r .file public.jsonl | xargs -r stat -c '%s %n')\" && "                    \
        "test $(wc -l <public.jsonl) = $(ls data | wc -l)"

static void every_file_has_a_line_that_says_what_it_is(void **state) {
        uint8_t digest[32], is[32];
        _cleanup_bench_ struct bench b;
        bool unsynced;

        (void) state;
        open_bench(&b);
        assert_int_equal(add(&b, "core", "some memory", false, 1), 0);
        assert_int_equal(add(&b, "journal", "some lines", true, 1), 0);
        assert_true(shell(&b, IS_LISTED));
        assert_true(shell(&b, "test \"$(jq -r '.file + \" \" + .kind + \" \" + (.cut | tostring)' public.jsonl)\" = "
                              "'data/000001-core.zst.age core null\ndata/000002-journal.zst.age journal true'"));
        /* nothing is called whole before it is */
        assert_true(shell(&b, "test ! -e manifest-sha256.txt"));
        assert_int_equal(bag_finish(b.bag, &unsynced, digest), 0);
        assert_false(unsynced);
        assert_true(shell(
                &b, "sha256sum -c --strict --quiet manifest-sha256.txt && test $(wc -l <manifest-sha256.txt) = 2"));
        _cleanup_(scratch_bytes_done) struct scratch_bytes manifest =
                scratch_read(scratch_path(&b.s, "manifest-sha256.txt"));

        (void) crypto_hash_sha256(is, manifest.data, manifest.n);
        assert_memory_equal(is, digest, sizeof(is));
}

static void a_file_that_lacks_what_it_needs_is_not_there(void **state) {
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        assert_int_equal(add(&b, "pack", "too little", false, 100), -ENODATA);
        assert_int_equal(add(&b, "core", "enough", false, 6), 0);
        assert_true(shell(&b, "test \"$(ls data)\" = 000002-core.zst.age"));
        assert_true(shell(&b, IS_LISTED));
        assert_int_equal(bag_broken(b.bag), 0);
}

static void a_folder_that_has_something_in_it_is_refused(void **state) {
        struct age_recipient to;
        struct bag *again = NULL;
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b);
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        assert_int_equal(bag_open(b.folder, &to, 1, &again), -EEXIST);
        assert_null(again);
}

/* With a manifest, what it does not list looks as if somebody else had put it there. */
#define IS_KNOWN                                                \
        "sha256sum -c --strict --quiet manifest-sha256.txt && " \
        "test $(wc -l <manifest-sha256.txt) = $(ls data | wc -l)"

static void a_file_whose_line_could_not_be_written_is_known_by_its_digest_and_the_last(void **state) {
        const struct rlimit small = { 2000, RLIM_INFINITY };
        uint8_t digest[32];
        _cleanup_bench_ struct bench b;
        struct rlimit before;
        bool unsynced;
        unsigned n = 0;

        (void) state;
        open_bench(&b);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        while (bag_broken(b.bag) == 0 && ++n < 100)
                assert_int_equal(add(&b, "deleted-file", "next to nothing", false, 1), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(bag_broken(b.bag), -EFBIG);
        assert_int_equal(add(&b, "deleted-file", "next to nothing", false, 1), -EFBIG);
        assert_int_equal(bag_finish(b.bag, &unsynced, digest), 0);
        assert_true(shell(&b, IS_KNOWN " && test $(wc -l <public.jsonl) = $(($(ls data | wc -l) - 1))"));
}

static off_t size_of_public(const struct bench *b, off_t *ret_room) {
        struct stat st;

        if (fstatat(b->folder, "public.jsonl", &st, 0) < 0)
                _exit(10);
        *ret_room = (off_t) st.st_blocks * 512 - st.st_size;
        return st.st_size;
}

/* Of the disk, what is left is one page, for a file as small as it can be and not for its line. */
static void leave_a_page(const struct bench *b) {
        int filler = openat(b->folder, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0400);
        struct statvfs fs;

        if (filler < 0 || fstatvfs(filler, &fs) < 0 ||
            fallocate(filler, FALLOC_FL_KEEP_SIZE, 0, (off_t) ((fs.f_bavail - 1) * fs.f_frsize)) < 0)
                _exit(11);
}

static void fill_the_disk(struct bench *b) {
        off_t line = 0, room = 1;
        struct age_recipient to;
        uint8_t digest[32];
        bool unsynced;
        int r;

        if (age_recipient_from_str(AGE_KEYS_PUBLIC, &to) < 0 || bag_open(b->folder, &to, 1, &b->bag) < 0 ||
            sandbox_enter() < 0)
                _exit(12);
        /* where there is no Landlock, the filter alone forbids to take a name back */
        (void) !sandbox_landlock(b->folder);
        while (line < room) {
                off_t before = size_of_public(b, &room);

                if (add(b, "deleted-file", "next to nothing", false, 1) < 0)
                        _exit(13);
                line = size_of_public(b, &room) - before;
        }
        leave_a_page(b);
        r = add(b, "deleted-file", "next to nothing", false, 1);
        if (r != -ENOSPC || bag_broken(b->bag) != 0)
                _exit(14);
        /* what ends it has its room */
        bag_use_reserve(b->bag);
        if (add(b, "index", "the last lines", false, 1) < 0 || bag_finish(b->bag, &unsynced, digest) < 0)
                _exit(15);
        _exit(0);
}

/* A service can hold as many files as it likes that come to nearly nothing once sealed, until there is no room for
 * their lines: in the sandbox nobody can take away what has its name. */
static void a_file_for_whose_line_there_is_no_room_does_not_get_its_name(void **state) {
        _cleanup_bench_ struct bench b = { .folder = -EBADF };
        pid_t pid;

        (void) state;
        scratch_make(&b.s);
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                print_message("skip: needs root and a mount namespace\n");
                return;
        }
        assert_int_equal(mount("bag", b.s.path, "tmpfs", 0, "size=16m"), 0);
        b.folder = open(b.s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0)
                fill_the_disk(&b);
        assert_int_equal(scratch_wait(pid), 0);
        assert_true(shell(&b, IS_LISTED));
        assert_true(shell(&b, IS_KNOWN));
        assert_int_equal(umount2(b.s.path, MNT_DETACH), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_file_has_a_line_that_says_what_it_is),
                cmocka_unit_test(a_file_that_lacks_what_it_needs_is_not_there),
                cmocka_unit_test(a_folder_that_has_something_in_it_is_refused),
                cmocka_unit_test(a_file_whose_line_could_not_be_written_is_known_by_its_digest_and_the_last),
                cmocka_unit_test(a_file_for_whose_line_there_is_no_room_does_not_get_its_name),
        };
        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
