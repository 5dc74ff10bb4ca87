/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: pwrite */
/* WRAP: fdatasync */
/* WRAP: pread */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/clock.c agent/util/fault.c */

/* A disk that fails: what it did not take for certain, cannot be read, or may not be written. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <seccomp.h>

#include "agent/core/segment.h"
#include "lib/expect.h"
#include "lib/ledger_box.h"

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

/* From here on a file that is read cannot be, 0: all can; and which one, 0: each. */
static off_t unreadable;
static ino_t spoiled;
static unsigned tried; /* to read it */

ssize_t __real_pread(int fd, void *buf, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at);

ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t at) {
        struct stat st;

        assert_int_equal(fstat(fd, &st), 0);
        if (unreadable == 0 || at + (off_t) n <= unreadable || (spoiled > 0 && spoiled != st.st_ino))
                return __real_pread(fd, buf, n, at);
        if (at < unreadable)
                return __real_pread(fd, buf, (size_t) (unreadable - at), at);
        tried++;
        errno = EIO;
        return -1;
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

/* Nothing was ever in it, so nothing is lost with it: another is made. */
static void ledger_open_takes_away_a_reserve_that_cannot_be_read(void **state) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        _cleanup_scratch_ struct scratch s;
        struct stat st;

        (void) state;
        scratch_make(&s);
        box_make(s.path, 3);
        assert_int_equal(stat(scratch_path(&s, "00000002.log"), &st), 0);
        spoiled = st.st_ino;
        unreadable = 1024;
        l = box_open(s.path);
        unreadable = 0;
        assert_int_equal(ledger_head(l).n, 3);
        assert_true(ledger_ok(l));
        assert_true(ledger_room(l) < BOX_SEGMENT);
        assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK), -1);
        box_append(l, 40);
        ledger_free(TAKE_PTR(l));
        assert_int_equal(box_check(s.path).n, 43);
        spoiled = 0;
}

/* Of one whose first block is gone nobody knows what was in it; nor is one empty that has something behind. */
static void ledger_open_takes_away_no_segment_that_may_have_a_record(void **state) {
        (void) state;
        for (int i = 0; i < 2; i++) {
                _cleanup_scratch_ struct scratch s;
                struct stat st;
                int fd;

                scratch_make(&s);
                box_make(s.path, 3);
                fd = open(scratch_path(&s, "00000002.log"), O_RDWR | O_CLOEXEC);
                assert_int_equal(fstat(fd, &st), 0);
                assert_int_equal(i == 0 ? 1 : __real_pwrite(fd, "x", 1, 1000), 1);
                assert_int_equal(close(fd), 0);
                spoiled = st.st_ino;
                unreadable = i == 0 ? 1 : 2048;
                assert_int_equal(box_check(s.path).r, -EIO);
                unreadable = 0;
                spoiled = 0;
                assert_int_equal(access(scratch_path(&s, "00000002.log"), F_OK), 0);
        }
}

/* Each try takes a disk that dies as long as it likes. */
static void segment_is_blank_gives_up_on_a_disk_that_is_gone(void **state) {
        static const struct {
                off_t unreadable;
                bool blank;
        } rows[] = { { 1024, false }, { LEDGER_SEGMENT_SIZE - 100000, true } };
        const int fd = memfd_create("segment", MFD_CLOEXEC);

        (void) state;
        assert_true(fd >= 0);
        assert_int_equal(ftruncate(fd, LEDGER_SEGMENT_SIZE), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                unreadable = rows[i].unreadable;
                tried = 0;
                assert_int_equal(segment_is_blank(fd, LEDGER_SEGMENT_SIZE), rows[i].blank);
                assert_in_range(tried, 1, 8);
        }
        unreadable = 0;
        assert_int_equal(close(fd), 0);
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
                cmocka_unit_test(ledger_is_failed_after_a_failed_write),
                cmocka_unit_test(ledger_append_or_none_leaves_nothing_behind),
                cmocka_unit_test(ledger_append_or_none_takes_no_other_record_back),
                cmocka_unit_test(ledger_open_reads_what_it_cannot_write),
                cmocka_unit_test(ledger_open_keeps_what_is_before_a_block_that_cannot_be_read),
                cmocka_unit_test(ledger_open_takes_away_a_reserve_that_cannot_be_read),
                cmocka_unit_test(ledger_open_takes_away_no_segment_that_may_have_a_record),
                cmocka_unit_test(segment_is_blank_gives_up_on_a_disk_that_is_gone),
                cmocka_unit_test(ledger_open_brings_the_last_record_to_the_disk_again),
                cmocka_unit_test(ledger_append_waits_for_the_disk),
                cmocka_unit_test(ledger_append_or_none_says_when_it_cannot_say),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
