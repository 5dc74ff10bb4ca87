/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/ledger.c agent/core/segment.c agent/util/io.c agent/util/clock.c agent/util/fault.c */

/* What was acknowledged is still there after a kill at any moment, a failure of any effect, and on a full disk. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#include "lib/expect.h"
#include "lib/ledger_box.h"

static int prepare_all(struct ledger *l) {
        int r;

        while ((r = ledger_prepare(l)) > 0)
                ;
        return r;
}

/* One life of a process that uses a ledger: it writes a byte for each acknowledged record. */
static void live(const char *dir, int acks) {
        _cleanup_(ledger_freep) struct ledger *l = NULL;
        uint64_t seen = 0;
        bool torn;

        if (ledger_open(dir, BOX_SEGMENT, box_replay, &seen, &torn, &l) < 0)
                _exit(3);
        for (unsigned i = 0; i < 40; i++) {
                if (i % 16 == 0)
                        (void) prepare_all(l);
                if (ledger_append(l, box_record((unsigned) ledger_head(l).n + 1), NULL) == 0)
                        EXPECT(write(acks, "", 1) == 1);
        }
}

/* Runs a life with the fault set; returns what it died of, *ret_acks what it was told is safe. */
static int live_with(const char *dir, const char *setting, ssize_t *ret_acks) {
        uint8_t acks[64];
        int fds[2], r;
        pid_t pid;

        assert_int_equal(pipe(fds), 0);
        pid = fork();
        if (pid == 0) {
                fault(setting);
                live(dir, fds[1]);
                _exit(0);
        }
        (void) close(fds[1]);
        r = scratch_wait(pid);
        *ret_acks = read(fds[0], acks, sizeof(acks));
        (void) close(fds[0]);
        return r;
}

static unsigned count_effects(void) {
        _cleanup_scratch_ struct scratch s;
        unsigned n = 0;
        ssize_t acks;

        scratch_make(&s);
        assert_int_equal(setenv("FREEZED_FAULT_FILE", scratch_path(&s, "count"), 1), 0);
        assert_int_equal(live_with(scratch_path(&s, "ledger"), "count", &acks), 0);
        assert_int_equal(acks, 40);
        _cleanup_(scratch_bytes_done) struct scratch_bytes b = scratch_read(scratch_path(&s, "count"));

        assert_int_equal(sscanf((char *) b.data, "%u", &n), 1);
        return n;
}

static void ledger_loses_no_acknowledged_record_when_killed_anywhere(void **state) {
        unsigned effects = count_effects();

        (void) state;
        assert_true(effects > 80);
        for (unsigned k = 1; k <= effects + 1; k++) {
                _cleanup_scratch_ struct scratch s;
                struct box_opened o;
                char setting[32];
                ssize_t acks;

                scratch_make(&s);
                (void) snprintf(setting, sizeof(setting), "kill:%u", k);
                assert_int_equal(live_with(scratch_path(&s, "ledger"), setting, &acks), k <= effects ? -SIGKILL : 0);
                o = box_check(scratch_path(&s, "ledger"));
                assert_int_equal(o.r, 0);
                assert_true(o.n == (uint64_t) acks || o.n == (uint64_t) acks + 1);
                assert_int_equal(live_with(scratch_path(&s, "ledger"), "", &acks), 0);
                assert_int_equal(acks, 40);
                assert_int_equal(box_check(scratch_path(&s, "ledger")).n, o.n + 40);
        }
        print_message("killed at each of %u effects\n", effects);
}

static void ledger_loses_no_acknowledged_record_when_any_effect_fails(void **state) {
        unsigned effects = count_effects();

        (void) state;
        for (unsigned k = 1; k <= effects; k++) {
                _cleanup_scratch_ struct scratch s;
                struct box_opened o;
                char setting[32];
                ssize_t acks;
                int r;

                scratch_make(&s);
                (void) snprintf(setting, sizeof(setting), "fail:%u", k);
                r = live_with(scratch_path(&s, "ledger"), setting, &acks);
                assert_true(r == 0 || (r == 3 && acks == 0));
                o = box_check(scratch_path(&s, "ledger"));
                assert_int_equal(o.r, 0);
                assert_true(o.n == (uint64_t) acks || o.n == (uint64_t) acks + 1);
        }
}

/* Any moment, not only the announced ones. */
static void ledger_loses_no_acknowledged_record_when_killed_at_random(void **state) {
        _cleanup_scratch_ struct scratch s;
        uint64_t before = 0;

        (void) state;
        scratch_make(&s);
        for (unsigned round = 0; round < 60; round++) {
                int fds[2];
                pid_t pid;
                uint64_t acks = 0;
                uint8_t buf[4096];
                ssize_t got;

                assert_int_equal(pipe(fds), 0);
                pid = fork();
                if (pid == 0) {
                        (void) close(fds[0]);
                        for (;;)
                                live(s.path, fds[1]);
                }
                (void) close(fds[1]);
                (void) usleep(1000 + round * 331);
                assert_int_equal(kill(pid, SIGKILL), 0);
                assert_int_equal(scratch_wait(pid), -SIGKILL);
                while ((got = read(fds[0], buf, sizeof(buf))) > 0)
                        acks += (uint64_t) got;
                (void) close(fds[0]);
                struct box_opened o = box_check(s.path);

                assert_int_equal(o.r, 0);
                assert_in_range(o.n, before + acks, before + acks + 1);
                before = o.n;
        }
        print_message("%llu records through 60 kills\n", (unsigned long long) before);
}

/* Fills the file system of dir to the last byte. */
static void fill(const char *path) {
        static const char block[65536];
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        for (size_t n = sizeof(block); fd >= 0 && n > 0; n /= 2)
                while (write(fd, block, n) == (ssize_t) n)
                        ;
        EXPECT(fd >= 0 && fsync(fd) == 0 && close(fd) == 0);
}

static uint64_t bytes_free(const char *path) {
        struct statvfs v;

        EXPECT(statvfs(path, &v) == 0);
        return (uint64_t) v.f_bfree * v.f_frsize;
}

static int open_files(void) {
        int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

/* In a file system of a few hundred KiB at mnt. */
static void use_full_disk(const struct scratch *s) {
        const uint32_t size = 64 * 1024;
        uint64_t n = 0, free_before;
        struct ledger *l = NULL;
        json_t *last = NULL;
        bool torn;
        int r, n_open;

        EXPECT(ledger_open(scratch_path(s, "mnt/ledger"), size, NULL, NULL, &torn, &l) == 0 && prepare_all(l) == 0);
        fill(scratch_path(s, "mnt/filler"));
        EXPECT(ledger_room(l) == 2 * size);
        n_open = open_files();
        while ((r = ledger_append(l, box_record(0), NULL)) == 0)
                n++;
        EXPECT(r == -ENOSPC && ledger_ok(l) && ledger_head(l).n == n);
        /* what is left of the room is less than a record */
        EXPECT(n > 2 * size / 250 && ledger_room(l) < 250);
        free_before = bytes_free(scratch_path(s, "mnt"));
        /* the reserve is now the current segment, and what could not be made is not kept half made */
        EXPECT(open_files() == n_open - 1);
        EXPECT(ledger_prepare(l) == -ENOSPC && open_files() == n_open - 1 &&
               bytes_free(scratch_path(s, "mnt")) == free_before);
        ledger_free(l);

        EXPECT(ledger_open(scratch_path(s, "mnt/ledger"), size, NULL, NULL, &torn, &l) == 0 && !torn);
        EXPECT(ledger_head(l).n == n && ledger_read(l, n, &last) == 0);
        json_decref(last);
        EXPECT(ledger_append(l, box_record(0), NULL) == -ENOSPC && ledger_ok(l));
        EXPECT(unlink(scratch_path(s, "mnt/filler")) == 0);
        EXPECT(ledger_append(l, box_record(0), NULL) == 0 && ledger_head(l).n == n + 1);
        ledger_free(l);
        EXPECT(ledger_open(scratch_path(s, "mnt/ledger"), size, NULL, NULL, &torn, &l) == 0 && !torn);
        EXPECT(ledger_head(l).n == n + 1);
        ledger_free(l);
}

/* A ledger that cannot even begin says so, and leaves nothing half made. */
static void begin_on_full_disk(const struct scratch *s) {
        struct ledger *l = NULL;
        bool torn;

        EXPECT(mkdir(scratch_path(s, "mnt/other"), 0700) == 0);
        fill(scratch_path(s, "mnt/filler"));
        EXPECT(ledger_open(scratch_path(s, "mnt/other"), 64 * 1024, NULL, NULL, &torn, &l) == -ENOSPC);
        EXPECT(rmdir(scratch_path(s, "mnt/other")) == 0);
}

static void on_full_disk(const char *mount_command) {
        _cleanup_scratch_ struct scratch s;
        pid_t pid;
        int r;

        scratch_make(&s);
        pid = fork();
        if (pid == 0) {
                char command[512];

                (void) snprintf(command, sizeof(command), "cd %s && mkdir mnt && { %s; } >/dev/null 2>&1", s.path,
                                mount_command);
                if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    system(command) != 0) /* NOLINT: a fixed command */
                        _exit(77);
                use_full_disk(&s);
                begin_on_full_disk(&s);
                _exit(0);
        }
        r = scratch_wait(pid);
        if (r == 77) {
                print_message("skip: cannot do '%s' here (needs root)\n", mount_command);
                skip();
        }
        assert_int_equal(r, 0);
}

static void ledger_appends_on_a_full_tmpfs_until_its_room_is_used(void **state) {
        (void) state;
        on_full_disk("mount -t tmpfs -o size=512k tmpfs mnt");
}

static void ledger_appends_on_a_full_ext4_until_its_room_is_used(void **state) {
        (void) state;
        on_full_disk("PATH=$PATH:/sbin:/usr/sbin && truncate -s 4M disk && mkfs.ext4 -q -m 0 disk && mount -o loop "
                     "disk mnt");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(ledger_loses_no_acknowledged_record_when_killed_anywhere),
                cmocka_unit_test(ledger_loses_no_acknowledged_record_when_any_effect_fails),
                cmocka_unit_test(ledger_loses_no_acknowledged_record_when_killed_at_random),
                cmocka_unit_test(ledger_appends_on_a_full_tmpfs_until_its_room_is_used),
                cmocka_unit_test(ledger_appends_on_a_full_ext4_until_its_room_is_used),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
