/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/sealer.c agent/collect/press.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <sys/mount.h>

#include "agent/collect/press.h"
#include "agent/collect/sealer.h"
#include "lib/age_keys.h"
#include "lib/scratch.h"

#define MARK "a secret that must never reach the disk"

struct bench {
        struct scratch s;
        int dir;
        struct sealer *sealer;
        struct sealed sealed;
};

static void open_bench(struct bench *b, size_t n_to) {
        struct age_recipient to[AGE_RECIPIENTS_MAX];

        scratch_make(&b->s);
        b->dir = open(b->s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; i < n_to; i++) {
                struct age_identity other;

                randombytes_buf(&other, sizeof(other));
                age_identity_public(&other, &to[i]);
        }
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to[n_to - 1]), 0);
        assert_int_equal(sealer_new(b->dir, to, n_to, &b->sealer), 0);
        sealer_start(b->sealer);
}

static void close_bench(struct bench *b) {
        sealer_free(b->sealer);
        closep(&b->dir);
        scratch_remove(&b->s);
}

#define _cleanup_bench_ _cleanup_(close_bench)

static uint8_t *random_bytes(size_t n) {
        uint8_t *bytes = malloc(n + 1);

        assert_non_null(bytes);
        randombytes_buf(bytes, n);
        return bytes;
}

/* True when stock age and zstd make of the file what the digest and the number say, and the file is what they say. */
static bool opens(const struct bench *b, const char *name) {
        char command[1024], plain[65], is[65];

        (void) sodium_bin2hex(plain, sizeof(plain), b->sealed.plain_sha256, 32);
        (void) sodium_bin2hex(is, sizeof(is), b->sealed.sha256, 32);
        (void) snprintf(command, sizeof(command),
                        "cd %s && echo " AGE_KEYS_SECRET " >.key && trap 'rm -f .key' EXIT && "
                        "test $(stat -c %%s %s) = %llu && echo '%s  %s' | sha256sum -c --quiet && "
                        "test $(age -d -i .key %s | zstd -dq | wc -c) = %llu && "
                        "age -d -i .key %s | zstd -dq | sha256sum | grep -q ^%s",
                        b->s.path, name, (unsigned long long) b->sealed.bytes, is, name, name,
                        (unsigned long long) b->sealed.plain_bytes, name, plain);
        return system(command) == 0; /* NOLINT: a fixed command */
}

static void seal(struct bench *b, const char *name, const void *bytes, size_t n) {
        assert_int_equal(sealer_begin(b->sealer, UINT64_MAX, true), 0);
        assert_int_equal(sealer_write(b->sealer, bytes, n), 0);
        assert_int_equal(sealer_end(b->sealer, &b->sealed), 0);
        assert_int_equal(b->sealed.err, 0);
        assert_int_equal(b->sealed.plain_bytes, n);
        assert_int_equal(sealer_link(b->sealer, name), 0);
        sealer_close(b->sealer);
}

/* Sizes about every border there is: of an age chunk, of a frame, of all frames. */
static void stock_tools_open_what_was_sealed_whatever_its_size(void **state) {
        static const size_t sizes[] = { 0,
                                        1,
                                        AGE_CHUNK - 32,
                                        AGE_CHUNK - 17,
                                        AGE_CHUNK,
                                        PRESS_FRAME_SIZE - 1,
                                        PRESS_FRAME_SIZE,
                                        PRESS_FRAME_SIZE + 1,
                                        PRESS_FRAMES * PRESS_FRAME_SIZE,
                                        PRESS_FRAMES * PRESS_FRAME_SIZE + 1 };
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b, 1);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_free_ uint8_t *bytes = random_bytes(sizes[i]);
                uint8_t is[32];
                char name[16];

                (void) snprintf(name, sizeof(name), "%zu", i);
                seal(&b, name, bytes, sizes[i]);
                assert_true(opens(&b, name));
                (void) crypto_hash_sha256(is, bytes, sizes[i]);
                assert_memory_equal(is, b.sealed.plain_sha256, 32);
        }
}

/* A payload whose sealed size is a whole number of chunks: the one byte more or less that a last chunk turns on. */
static void every_length_of_a_last_chunk_opens(void **state) {
        _cleanup_free_ uint8_t *bytes = random_bytes(AGE_CHUNK + 64);
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b, 1);
        for (size_t n = AGE_CHUNK - 24; n < AGE_CHUNK - 8; n++) {
                seal(&b, "x", bytes, n);
                assert_true(opens(&b, "x"));
                assert_int_equal(unlinkat(b.dir, "x", 0), 0);
        }
}

/* What age alone thinks of it. */
static bool age_opens(const struct bench *b, const char *name) {
        char command[256];

        (void) snprintf(command, sizeof(command), "cd %s && echo " AGE_KEYS_SECRET " | age -d -i - %s >/dev/null 2>&1",
                        b->s.path, name);
        return system(command) == 0; /* NOLINT: a fixed command */
}

static void any_of_the_recipients_opens_it_and_a_changed_byte_is_seen(void **state) {
        _cleanup_bench_ struct bench b;
        int fd;

        (void) state;
        open_bench(&b, AGE_RECIPIENTS_MAX);
        seal(&b, "x", MARK, sizeof(MARK));
        assert_true(opens(&b, "x"));
        for (off_t at = 3; at < (off_t) b.sealed.bytes; at += 97) {
                uint8_t byte;

                assert_int_equal(fchmodat(b.dir, "x", 0600, 0), 0);
                fd = openat(b.dir, "x", O_RDWR | O_CLOEXEC);
                assert_int_equal(pread(fd, &byte, 1, at), 1);
                byte ^= 1;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                assert_false(age_opens(&b, "x"));
                byte ^= 1;
                assert_int_equal(pwrite(fd, &byte, 1, at), 1);
                (void) close(fd);
        }
        assert_true(age_opens(&b, "x"));
}

static bool is_empty(const struct bench *b) {
        DIR *d = opendir(b->s.path);
        size_t n = 0;

        assert_non_null(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n == 2;
}

static void a_file_has_no_name_before_it_is_whole_and_none_when_it_is_given_up(void **state) {
        _cleanup_free_ uint8_t *bytes = random_bytes(3 * PRESS_FRAME_SIZE);
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b, 1);
        assert_int_equal(sealer_begin(b.sealer, UINT64_MAX, true), 0);
        assert_int_equal(sealer_write(b.sealer, bytes, 3 * PRESS_FRAME_SIZE), 0);
        assert_true(is_empty(&b));
        sealer_close(b.sealer);
        assert_true(is_empty(&b));
        /* nothing of it gets into the next one */
        seal(&b, "x", "after", 5);
        assert_true(opens(&b, "x"));
        assert_int_equal(sealer_begin(b.sealer, UINT64_MAX, true), 0);
        assert_int_equal(sealer_end(b.sealer, &b.sealed), 0);
        assert_int_equal(sealer_link(b.sealer, "x"), -EEXIST);
}

static void no_plain_byte_is_on_the_disk_at_any_time(void **state) {
        char plain[4096];
        _cleanup_bench_ struct bench b;
        char command[256];

        (void) state;
        memset(plain, 0, sizeof(plain));
        for (size_t i = 0; i < sizeof(plain) / 64; i++)
                memcpy(plain + i * 64, MARK, sizeof(MARK));
        open_bench(&b, 1);
        for (unsigned i = 0; i < 20; i++) {
                char name[16];

                (void) snprintf(name, sizeof(name), "%u", i);
                seal(&b, name, plain, sizeof(plain));
        }
        (void) snprintf(command, sizeof(command), "grep -rqa 'a secret' %s", b.s.path);
        assert_int_not_equal(system(command), 0); /* NOLINT: a fixed command */
}

/* Each frame is accounted for before it is written: the file that is cut ends where the digest says, and opens. */
static void at_every_limit_the_file_ends_with_a_whole_frame_and_opens(void **state) {
        const size_t n = 4 * PRESS_FRAME_SIZE;
        _cleanup_free_ uint8_t *bytes = random_bytes(n);
        _cleanup_bench_ struct bench b;

        (void) state;
        open_bench(&b, 1);
        for (uint64_t max = 150; max < n + AGE_HEADER_MAX; max += PRESS_FRAME_SIZE / 2 + 4711) {
                int r = sealer_begin(b.sealer, max, true);

                if (r == 0)
                        r = sealer_write(b.sealer, bytes, n);
                if (r < 0)
                        assert_int_equal(r, -EFBIG);
                r = sealer_end(b.sealer, &b.sealed);
                if (max < 400 && r < 0)
                        continue;
                assert_int_equal(r, 0);
                assert_int_equal(b.sealed.err, b.sealed.plain_bytes == n ? 0 : -EFBIG);
                assert_true(b.sealed.bytes <= max);
                assert_int_equal(b.sealed.plain_bytes % PRESS_FRAME_SIZE, 0);
                assert_int_equal(sealer_link(b.sealer, "x"), 0);
                if (b.sealed.plain_bytes > 0)
                        assert_true(opens(&b, "x"));
                assert_int_equal(unlinkat(b.dir, "x", 0), 0);
                sealer_close(b.sealer);
        }
}

static void begin_on_a_full_disk_fails_and_the_next_file_is_not_touched_by_it(void **state) {
        const size_t n = 4 * PRESS_FRAME_SIZE;
        _cleanup_free_ uint8_t *bytes = random_bytes(n);
        struct bench b = { .dir = -EBADF };
        struct age_recipient to;
        char fill[256];

        (void) state;
        if (geteuid() != 0) {
                print_message("skip: mounts a small disk, which takes root\n");
                skip();
        }
        assert_int_equal(unshare(CLONE_NEWNS), 0);
        assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
        scratch_make(&b.s);
        assert_int_equal(mount("small", b.s.path, "tmpfs", 0, "size=3m"), 0);
        b.dir = open(b.s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(age_recipient_from_str(AGE_KEYS_PUBLIC, &to), 0);
        assert_int_equal(sealer_new(b.dir, &to, 1, &b.sealer), 0);
        /* cut behind the two frames for which there was room */
        assert_int_equal(sealer_begin(b.sealer, UINT64_MAX, true), 0);
        (void) !sealer_write(b.sealer, bytes, n);
        assert_int_equal(sealer_end(b.sealer, &b.sealed), 0);
        assert_int_equal(b.sealed.err, -ENOSPC);
        assert_int_equal(b.sealed.plain_bytes, 2 * PRESS_FRAME_SIZE);
        assert_int_equal(sealer_link(b.sealer, "x"), 0);
        assert_true(opens(&b, "x"));
        /* no byte is left */
        (void) snprintf(fill, sizeof(fill), "cat /dev/zero >%s/fill 2>/dev/null", b.s.path);
        assert_int_not_equal(system(fill), 0); /* NOLINT: a fixed command */
        assert_int_equal(sealer_begin(b.sealer, UINT64_MAX, true), -ENOSPC);
        assert_int_equal(unlinkat(b.dir, "fill", 0), 0);
        seal(&b, "y", bytes, 5000);
        assert_true(opens(&b, "y"));
        sealer_free(b.sealer);
        closep(&b.dir);
        assert_int_equal(umount2(b.s.path, MNT_DETACH), 0);
        scratch_remove(&b.s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(stock_tools_open_what_was_sealed_whatever_its_size),
                cmocka_unit_test(every_length_of_a_last_chunk_opens),
                cmocka_unit_test(any_of_the_recipients_opens_it_and_a_changed_byte_is_seen),
                cmocka_unit_test(a_file_has_no_name_before_it_is_whole_and_none_when_it_is_given_up),
                cmocka_unit_test(no_plain_byte_is_on_the_disk_at_any_time),
                cmocka_unit_test(at_every_limit_the_file_ends_with_a_whole_frame_and_opens),
                cmocka_unit_test(begin_on_a_full_disk_fails_and_the_next_file_is_not_touched_by_it),
        };
        if (sodium_init() < 0)
                return 1;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
