/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: pwrite */
/* WRAP: fdatasync */
/* WRAP: pread */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include <openssl/sha.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/core/segment.h"
#include "agent/util/alive.h"
#include "lib/ledger_box.h"

/* Where a child's own checks fail, it exits with this; 77 is a skip. */
#define EXPECT(condition)                                                       \
        do {                                                                    \
                if (!(condition)) {                                             \
                        fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
                        _exit(1);                                               \
                }                                                               \
        } while (false)

static void fault(const char *setting) {
        assert_int_equal(setting ? setenv("FREEZED_FAULT", setting, 1) : unsetenv("FREEZED_FAULT"), 0);
}

/* What of a file was written since the disk was last asked to take it, and what it took. */
static struct { off_t from, to; } dirty, taken;

ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t at);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t at);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t at) {
        dirty.from = at;
        dirty.to = at + (off_t) n;
        return __real_pwrite(fd, buf, n, at);
}

int __wrap_fdatasync(int fd) {
        if (dirty.to > dirty.from)
                taken = dirty;
        dirty.from = dirty.to = 0;
        return __real_fdatasync(fd);
}

/* From here on a file that is read cannot be; 0: all can. */
static off_t unreadable;

ssize_t __real_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at);

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at) {
        errno = EIO;
        return unreadable > 0 && at + (off_t) n > unreadable ? -1 : __real_pread(fd, buf, n, at);
}

static void ledger_gives_back_what_was_appended(void **state) {
        static const uint8_t zeros[32];
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;
        struct ledger_head head;

        (void) state;
        scratch_make(&s);
        l = box_open(scratch_path(&s, "state/ledger"));
        assert_int_equal(ledger_head(l).n, 0);
        assert_memory_equal(ledger_head(l).hash, zeros, 32);
        box_append(l, 7);
        head = ledger_head(l);
        assert_int_equal(head.n, 7);
        assert_int_equal(ledger_read(l, 0, &body), -ENOENT);
        assert_int_equal(ledger_read(l, 8, &body), -ENOENT);
        assert_null(body);
        ledger_free(TAKE_PTR(l));
        l = box_open(scratch_path(&s, "state/ledger"));
        assert_memory_equal(ledger_head(l).hash, head.hash, 32);
        assert_int_equal(ledger_head(l).n, 7);
        assert_int_equal(ledger_read(l, 7, &body), 0);
        assert_string_equal(json_string_value(json_object_get(body, "text")), "a line\nand \"more\" of it");
}

/* By another implementation of the hash and of the format, from the header's text. */
static void ledger_writes_the_format_of_its_header(void **state) {
        char prev[65] = "0000000000000000000000000000000000000000000000000000000000000000";
        _cleanup_scratch_ struct scratch s;
        uint32_t at = 0;
        struct stat st;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, "00000001.log"));
        assert_int_equal(b.n, BOX_SEGMENT);
        for (int i = 1; i <= 5; i++) {
                uint32_t n = (uint32_t) b.data[at] << 24 | (uint32_t) b.data[at + 1] << 16 |
                             (uint32_t) b.data[at + 2] << 8 | b.data[at + 3];
                uint8_t leaf[4096] = { 0x00 }, hash[32];
                _cleanup_json_ json_t *body = NULL;

                memcpy(leaf + 1, b.data + at + 4, n);
                assert_null(memchr(leaf + 1, '\n', n));
                SHA256(leaf, n + 1, hash);
                assert_memory_equal(hash, b.data + at + 4 + n, 32);
                body = json_loadb((char *) leaf + 1, n, JSON_REJECT_DUPLICATES, NULL);
                assert_int_equal(json_integer_value(json_object_get(body, "n")), i);
                assert_string_equal(json_string_value(json_object_get(body, "prev")), prev);
                for (size_t j = 0; j < 32; j++)
                        (void) snprintf(prev + 2 * j, 3, "%02x", hash[j]);
                at += 4 + n + 32;
        }
        for (; at < b.n; at++)
                assert_int_equal(b.data[at], 0);
        assert_int_equal(stat(scratch_path(&s, "00000001.log"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

static void ledger_takes_any_object_and_nothing_else(void **state) {
        static const char *const texts[] = { "{}", "{\"n\":99,\"prev\":5}",
                                             "{\"a\":[1,{\"b\":null}],\"\\u00e9\":\"\\u2028\"}" };
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &(bool) { false }, &l), 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                assert_int_equal(ledger_append(l, json_loads(texts[i], 0, NULL), NULL), 0);
        assert_int_equal(ledger_append(l, json_pack("{s:s#}", "nul", "a\0b", 3), NULL), 0);
        assert_int_equal(ledger_append(l, json_array(), NULL), -EINVAL);
        assert_int_equal(ledger_append(l, NULL, NULL), -EINVAL);
        assert_int_equal(ledger_append(l, json_pack("{s:o}", "s", json_string_nocheck("\xff")), NULL), -EINVAL);
        assert_true(ledger_ok(l));
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_head(l).n, 4);
        assert_int_equal(ledger_read(l, 4, &body), 0);
        assert_int_equal(json_string_length(json_object_get(body, "nul")), 3);
}

/* jansson writes what it does not read: such a record must not make its own ledger unreadable. */
static void ledger_append_refuses_what_could_not_be_read_again(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t n = 0;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        for (unsigned depth = 2040; depth < 2056; depth++) {
                json_t *j = json_object();

                for (unsigned i = 1; i < depth; i++)
                        j = json_pack("{s:o}", "d", j);
                if (ledger_append(l, j, NULL) == 0)
                        n++;
        }
        assert_true(n > 0 && n < 16);
        json_t *nul_in_key = json_object();

        assert_int_equal(json_object_setn_new_nocheck(nul_in_key, "a\0b", 3, json_null()), 0);
        assert_int_equal(ledger_append(l, nul_in_key, NULL), -EINVAL);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_head(l).n, n);
}

static json_t *record_of_size(size_t n_text) {
        char *text = malloc(n_text + 1);
        json_t *j;

        memset(text, 'x', n_text);
        text[n_text] = '\0';
        j = json_pack("{s:s}", "t", text);
        free(text);
        return j;
}

static void ledger_append_refuses_what_is_too_large(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        size_t frame = strlen("{\"t\":\"\",\"n\":1,\"prev\":\"\"}") + 64;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(scratch_path(&s, "a"), LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_append(l, record_of_size(LEDGER_RECORD_MAX - frame + 1), NULL), -E2BIG);
        assert_int_equal(ledger_append(l, record_of_size(LEDGER_RECORD_MAX - frame), NULL), 0);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(scratch_path(&s, "a"), LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_head(l).n, 1);
        ledger_free(TAKE_PTR(l));
        l = box_open(scratch_path(&s, "b"));
        assert_int_equal(ledger_append(l, record_of_size(BOX_SEGMENT - SEGMENT_OVERHEAD - frame + 1), NULL), -E2BIG);
        assert_int_equal(ledger_append(l, record_of_size(BOX_SEGMENT - SEGMENT_OVERHEAD - frame), NULL), 0);
        assert_int_equal(ledger_room(l), 0);
        assert_int_equal(access(scratch_path(&s, "b/00000002.log"), F_OK), -1);
        assert_true(ledger_ok(l));
        assert_int_equal(ledger_open(scratch_path(&s, "c"), SEGMENT_OVERHEAD, NULL, NULL, &(bool) { false }, &l),
                         -EINVAL);
}

/* What is left of a segment is used to the last byte, and not a byte beyond. */
static void ledger_append_goes_on_to_the_next_segment_when_it_has_to(void **state) {
        size_t frame = strlen("{\"t\":\"\",\"n\":1,\"prev\":\"\"}") + 64 + SEGMENT_OVERHEAD;

        (void) state;
        for (unsigned over = 0; over <= 1; over++) {
                _cleanup_(ledger_freep) struct ledger *l = NULL;
                _cleanup_scratch_ struct scratch s;
                struct stat st;

                scratch_make(&s);
                l = box_open(s.path);
                assert_int_equal(ledger_append(l, record_of_size(100), NULL), 0);
                assert_int_equal(ledger_append(l, record_of_size(ledger_room(l) - frame + over), NULL), 0);
                assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK) == 0, over == 1);
                assert_int_equal(stat(scratch_path(&s, "00000001.log"), &st), 0);
                assert_int_equal(st.st_size, BOX_SEGMENT);
        }
}

static void ledger_goes_through_many_segments(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        box_append(l, 3000);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(access(scratch_path(&s, "00000100.log"), F_OK), 0);
        struct box_opened o = box_check(s.path);

        assert_int_equal(o.r, 0);
        assert_int_equal(o.n, 3000);
}

static void ledger_prepare_makes_one_reserve_in_steps(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t room;

        (void) state;
        scratch_make(&s);
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_room(l), LEDGER_SEGMENT_SIZE);
        for (int i = 0; i < 17; i++) {
                assert_int_equal(ledger_prepare(l), 1);
                assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK), -1);
                assert_int_equal(ledger_room(l), LEDGER_SEGMENT_SIZE);
        }
        assert_int_equal(ledger_prepare(l), 0);
        assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK), 0);
        assert_int_equal(ledger_room(l), 2 * LEDGER_SEGMENT_SIZE);
        assert_int_equal(ledger_prepare(l), 0);
        assert_int_equal(access(scratch_path(&s, "00000003.log"), F_OK), -1);
        assert_int_equal(ledger_append(l, box_record(1), NULL), 0);
        room = ledger_room(l);
        assert_true(room < 2 * LEDGER_SEGMENT_SIZE && room > 2 * LEDGER_SEGMENT_SIZE - 400);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_open(s.path, LEDGER_SEGMENT_SIZE, NULL, NULL, &(bool) { false }, &l), 0);
        assert_int_equal(ledger_room(l), room);
}

static int stop_at_three(const json_t *body, uint64_t n, void *userdata) {
        (void) body;
        return n == 3 ? *(const int *) userdata : 1;
}

static void ledger_open_hands_on_what_the_replay_says(void **state) {
        static const int errors[] = { -EPERM, -ENOSPC };
        struct ledger *l = (struct ledger *) &errors, *untouched = l;
        _cleanup_scratch_ struct scratch s;
        bool torn = true;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                int e = errors[i];

                assert_int_equal(ledger_open(s.path, BOX_SEGMENT, stop_at_three, &e, &torn, &l), e);
                assert_ptr_equal(l, untouched);
                assert_true(torn);
        }
        assert_int_equal(box_check(s.path).n, 5);
}

static int know_all_but_the_third(const json_t *body, uint64_t n, void *userdata) {
        *(uint64_t *) userdata = n;
        (void) body;
        return n == 3 ? -EBADMSG : 0;
}

/* What a newer version recorded does not cost what comes after it. */
static void ledger_open_goes_on_after_what_is_not_understood(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t last = 0;
        bool torn;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 5);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, know_all_but_the_third, &last, &torn, &l), -EBADMSG);
        assert_int_equal(last, 5);
        assert_int_equal(ledger_head(l).n, 5);
        assert_false(ledger_ok(l));
        assert_int_equal(ledger_append(l, box_record(6), NULL), -EBADMSG);
        assert_int_equal(ledger_read(l, 5, &body), 0);
        ledger_free(TAKE_PTR(l));
        /* whoever knows it takes it as it was */
        assert_int_equal(box_check(s.path).r, 0);
}

static void ledger_open_refuses_a_second_opener(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL, *second = NULL;
        _cleanup_scratch_ struct scratch s;
        bool torn;
        pid_t pid;
        int lock;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &torn, &second), -EBUSY);
        assert_null(second);
        pid = fork();
        if (pid == 0)
                _exit(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &torn, &second) == -EBUSY ? 0 : 1);
        assert_int_equal(scratch_wait(pid), 0);
        assert_int_equal(ledger_lock(s.path, &lock), -EBUSY);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(ledger_lock(s.path, &lock), 0);
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &torn, &second), -EBUSY);
        assert_int_equal(ledger_open_locked(lock, BOX_SEGMENT, NULL, NULL, &torn, &second), 0);
        assert_int_equal(ledger_lock(s.path, &lock), -EBUSY);
        ledger_free(TAKE_PTR(second));
        assert_int_equal(ledger_lock(s.path, &lock), 0);
        /* it is given back by whatever it fails on */
        assert_int_equal(ledger_open_locked(lock, SEGMENT_OVERHEAD, NULL, NULL, &torn, &second), -EINVAL);
        l = box_open(s.path);
}

static void ledger_read_sees_what_was_changed_since(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_json_ json_t *body = NULL;
        _cleanup_scratch_ struct scratch s;
        int fd;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        while (access(scratch_path(&s, "00000002.log"), F_OK) < 0)
                box_append(l, 1);
        fd = open(scratch_path(&s, "00000001.log"), O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "!", 1, 30), 1);
        (void) close(fd);
        assert_int_equal(ledger_read(l, 1, &body), -EBADMSG);
        assert_int_equal(ledger_read(l, 2, &body), 0);
        assert_int_equal(truncate(scratch_path(&s, "00000001.log"), 0), 0);
        assert_int_equal(ledger_read(l, 2, &body), -EBADMSG);
        assert_int_equal(unlink(scratch_path(&s, "00000001.log")), 0);
        assert_int_equal(ledger_read(l, 3, &body), -EBADMSG);
        fd = open(scratch_path(&s, "00000002.log"), O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "\0\0\0", 4, 0), 4);
        (void) close(fd);
        json_decref(TAKE_PTR(body));
        assert_int_equal(ledger_read(l, ledger_head(l).n, &body), -EBADMSG);
        assert_null(body);
}

static void ledger_is_failed_after_a_failed_write(void **state) {
        (void) state;
        for (int at = 1; at <= 2; at++) {
                _cleanup_(ledger_freep) struct ledger *l = NULL;
                _cleanup_json_ json_t *body = NULL;
                _cleanup_scratch_ struct scratch s;

                scratch_make(&s);
                l = box_open(s.path);
                box_append(l, 3);
                fault(at == 1 ? "fail:1" : "fail:2");
                assert_int_equal(ledger_append(l, box_record(4), NULL), -EIO);
                fault(NULL);
                assert_false(ledger_ok(l));
                assert_int_equal(ledger_room(l), 0);
                assert_int_equal(ledger_head(l).n, 3);
                assert_int_equal(ledger_append(l, box_record(4), NULL), -EBADMSG);
                assert_int_equal(ledger_prepare(l), -EBADMSG);
                assert_int_equal(ledger_read(l, 3, &body), 0);
                ledger_free(TAKE_PTR(l));
                /* not written; or written, only not known to be on the disk */
                assert_int_equal(box_check(s.path).n, at == 1 ? 3 : 4);
        }
}

/* Who was told that a record is not there does not find it at the next start, whatever it failed on. */
static void ledger_append_or_none_leaves_nothing_behind(void **state) {
        (void) state;
        for (int at = 1; at <= 2; at++) {
                _cleanup_(ledger_freep) struct ledger *l = NULL;
                _cleanup_scratch_ struct scratch s;

                scratch_make(&s);
                l = box_open(s.path);
                box_append(l, 2);
                assert_int_equal(ledger_append_or_none(l, box_record(3), NULL), 0);
                fault(at == 1 ? "fail:1" : "fail:2");
                assert_int_equal(ledger_append_or_none(l, box_record(4), NULL), -EIO);
                fault(NULL);
                assert_false(ledger_ok(l));
                assert_int_equal(ledger_append_or_none(l, box_record(4), NULL), -EBADMSG);
                ledger_free(TAKE_PTR(l));
                assert_int_equal(box_check(s.path).n, 3);
        }
}

/* What was done anyway stays in doubt, also when something that is not done comes after it. */
static void ledger_append_or_none_takes_no_other_record_back(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        fault("fail:2");
        assert_int_equal(ledger_append(l, box_record(1), NULL), -EIO);
        fault(NULL);
        assert_int_equal(ledger_append_or_none(l, box_record(2), NULL), -EBADMSG);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(box_check(s.path).n, 1);
}

/* The file system is read-only: all that is in it is known, and nothing more is taken. */
static void ledger_open_reads_what_it_cannot_write(void **state) {
        _cleanup_scratch_ struct scratch s;
        pid_t pid;

        (void) state;
        scratch_make(&s);
        {
                _cleanup_(ledger_freep) struct ledger *l = box_open(s.path);

                box_append(l, 40);
        }
        for (int i = 0; i < 3; i++) {
                static const int errors[] = { EROFS, EPERM, EACCES };

                pid = fork();
                if (pid == 0) {
                        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
                        struct box_opened o;

                        EXPECT(seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t) errors[i]), SCMP_SYS(openat), 1,
                                                SCMP_A2_32(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDWR)) == 0);
                        EXPECT(seccomp_load(filter) == 0);
                        o = box_check(s.path);
                        EXPECT(o.r == -EROFS && o.n == 40);
                        _exit(0);
                }
                assert_int_equal(scratch_wait(pid), 0);
        }
        assert_int_equal(box_check(s.path).r, 0);
}

static void ledger_open_keeps_what_is_before_a_block_that_cannot_be_read(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint32_t used;

        (void) state;
        scratch_make(&s);
        {
                _cleanup_(ledger_freep) struct ledger *l = box_open(s.path);

                box_append(l, 6);
                used = (uint32_t) (BOX_SEGMENT - ledger_room(l));
                box_append(l, 2);
        }
        unreadable = used + 1;
        struct box_opened o = box_check(s.path);

        unreadable = 0;
        assert_int_equal(o.r, -EIO);
        assert_int_equal(o.n, 6);
        assert_int_equal(box_check(s.path).n, 8);
}

/* What a predecessor left may be in the page cache and nowhere else, and clean: it is written once more. */
static void ledger_open_brings_the_last_record_to_the_disk_again(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        uint64_t room;

        (void) state;
        scratch_make(&s);
        l = box_open(s.path);
        box_append(l, 4);
        room = ledger_room(l);
        fault("fail:2");
        assert_int_equal(ledger_append(l, box_record(5), NULL), -EIO);
        fault(NULL);
        ledger_free(TAKE_PTR(l));
        dirty.from = dirty.to = taken.from = taken.to = 0;
        l = box_open(s.path);
        assert_int_equal(ledger_head(l).n, 5);
        assert_true(taken.from == (off_t) (BOX_SEGMENT - room));
        /* and the zeros behind it */
        assert_true(taken.to == BOX_SEGMENT);
        box_append(l, 1);
        ledger_free(TAKE_PTR(l));
        fault("fail:1");
        assert_int_equal(ledger_open(s.path, BOX_SEGMENT, NULL, NULL, &(bool) { false }, &l), -EIO);
        fault(NULL);
        assert_int_equal(ledger_head(l).n, 6);
        assert_false(ledger_ok(l));
        ledger_free(TAKE_PTR(l));
        assert_int_equal(box_check(s.path).n, 6);
}

/* A start that reads for longer than the service manager waits is no hang. */
static void ledger_says_that_it_goes_on_while_it_reads(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        _cleanup_scratch_ struct scratch s;
        char heard[256] = "";
        uint8_t root[32];

        (void) state;
        scratch_make(&s);
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", scratch_path(&s, "notify"));
        assert_int_equal(bind(manager, (struct sockaddr *) &address, sizeof(address)), 0);
        box_make(scratch_path(&s, "ledger"), 5);
        assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
        (void) usleep(ALIVE_EVERY_US);
        l = box_open(scratch_path(&s, "ledger"));
        assert_true(recv(manager, heard, sizeof(heard) - 1, 0) > 0);
        assert_non_null(strstr(heard, "EXTEND_TIMEOUT_USEC="));
        (void) usleep(ALIVE_EVERY_US);
        assert_int_equal(ledger_root_at(l, 4, root), 0);
        assert_true(recv(manager, heard, sizeof(heard) - 1, 0) > 0);
        assert_int_equal(recv(manager, heard, sizeof(heard) - 1, 0), -1);
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
}

/* With a kernel that refuses it, the append fails: so it is called, and its answer is heard. */
static void ledger_append_waits_for_the_disk(void **state) {
        _cleanup_scratch_ struct scratch s;
        pid_t pid;

        (void) state;
        scratch_make(&s);
        pid = fork();
        if (pid == 0) {
                struct ledger *l = box_open(s.path);
                scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

                box_append(l, 1);
                EXPECT(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EDQUOT), SCMP_SYS(fdatasync), 0) == 0);
                EXPECT(seccomp_load(filter) == 0);
                EXPECT(ledger_append(l, box_record(2), NULL) == -EDQUOT);
                EXPECT(!ledger_ok(l));
                _exit(0);
        }
        assert_int_equal(scratch_wait(pid), 0);
}

/* A disk that takes neither the record nor the zeros: nobody knows what it has. Where not a byte could be written,
 * there is nothing to know. */
static void ledger_append_or_none_says_when_it_cannot_say(void **state) {
        static const struct {
                int call, r;
        } rows[] = {
                { SCMP_SYS(fdatasync), -ENOTRECOVERABLE },
                { SCMP_SYS(pwritev), -EDQUOT },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_scratch_ struct scratch s;
                pid_t pid;

                scratch_make(&s);
                pid = fork();
                if (pid == 0) {
                        struct ledger *l = box_open(s.path);
                        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

                        EXPECT(seccomp_rule_add(filter, SCMP_ACT_ERRNO(EDQUOT), rows[i].call, 0) == 0);
                        EXPECT(seccomp_load(filter) == 0);
                        EXPECT(ledger_append_or_none(l, box_record(1), NULL) == rows[i].r);
                        EXPECT(!ledger_ok(l));
                        _exit(0);
                }
                assert_int_equal(scratch_wait(pid), 0);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ledger_gives_back_what_was_appended),
                cmocka_unit_test(ledger_writes_the_format_of_its_header),
                cmocka_unit_test(ledger_takes_any_object_and_nothing_else),
                cmocka_unit_test(ledger_append_refuses_what_could_not_be_read_again),
                cmocka_unit_test(ledger_append_refuses_what_is_too_large),
                cmocka_unit_test(ledger_append_goes_on_to_the_next_segment_when_it_has_to),
                cmocka_unit_test(ledger_goes_through_many_segments),
                cmocka_unit_test(ledger_prepare_makes_one_reserve_in_steps),
                cmocka_unit_test(ledger_open_hands_on_what_the_replay_says),
                cmocka_unit_test(ledger_open_goes_on_after_what_is_not_understood),
                cmocka_unit_test(ledger_open_refuses_a_second_opener),
                cmocka_unit_test(ledger_read_sees_what_was_changed_since),
                cmocka_unit_test(ledger_is_failed_after_a_failed_write),
                cmocka_unit_test(ledger_append_or_none_leaves_nothing_behind),
                cmocka_unit_test(ledger_append_or_none_takes_no_other_record_back),
                cmocka_unit_test(ledger_open_reads_what_it_cannot_write),
                cmocka_unit_test(ledger_open_keeps_what_is_before_a_block_that_cannot_be_read),
                cmocka_unit_test(ledger_open_brings_the_last_record_to_the_disk_again),
                cmocka_unit_test(ledger_says_that_it_goes_on_while_it_reads),
                cmocka_unit_test(ledger_append_waits_for_the_disk),
                cmocka_unit_test(ledger_append_or_none_says_when_it_cannot_say),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
