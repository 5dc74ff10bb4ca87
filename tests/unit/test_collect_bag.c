/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c agent/collect/manifest.c */
/* LINK: agent/collect/index.c agent/util/clock.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>

#include "agent/collect/bag.h"
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
#define IS_LISTED                                                                                       \
        "for l in $(cat public.jsonl); do echo $l | jq -r '.sha256 + \"  \" + .file' | "                \
        "sha256sum -c --quiet && test $(echo $l | jq .bytes) = $(stat -c %s $(echo $l | jq -r .file)) " \
        "|| exit 1; done; test $(wc -l <public.jsonl) = $(ls data | wc -l)"

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

/* A service can hold as many files as it likes that come to nearly nothing once sealed, until there is no room for
 * their lines. */
static void a_file_for_whose_line_there_is_no_room_is_not_left_behind(void **state) {
        const struct rlimit small = { 2000, RLIM_INFINITY };
        uint8_t digest[32];
        _cleanup_bench_ struct bench b;
        struct rlimit before;
        bool unsynced;
        int r = 0;

        (void) state;
        open_bench(&b);
        (void) signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
        for (unsigned i = 0; r == 0; i++) {
                assert_true(i < 100);
                r = add(&b, "deleted-file", "next to nothing", false, 1);
        }
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(r, -EFBIG);
        assert_int_equal(bag_broken(b.bag), -EFBIG);
        assert_true(shell(&b, IS_LISTED));
        assert_int_equal(bag_finish(b.bag, &unsynced, digest), 0);
        assert_true(shell(&b, "sha256sum -c --strict --quiet manifest-sha256.txt && "
                              "test $(wc -l <manifest-sha256.txt) = $(ls data | wc -l)"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(every_file_has_a_line_that_says_what_it_is),
                cmocka_unit_test(a_file_that_lacks_what_it_needs_is_not_there),
                cmocka_unit_test(a_folder_that_has_something_in_it_is_refused),
                cmocka_unit_test(a_file_for_whose_line_there_is_no_room_is_not_left_behind),
        };
        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
