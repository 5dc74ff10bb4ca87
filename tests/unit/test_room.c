/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/room.c agent/util/io.c agent/util/fault.c */

/* Room for evidence on a disk that is really that small. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/core/room.h"
#include "lib/scratch.h"

#define MIB (1024ULL * 1024)

static struct scratch dir;
static struct local local;
static struct shelf shelf;
static bool mounted;

static int begin(void **state) {
        (void) state;
        scratch_make(&dir);
        local = (struct local) { 0 };
        return 0;
}

static int end(void **state) {
        (void) state;
        if (mounted)
                assert_int_equal(umount2(dir.path, MNT_DETACH), 0);
        mounted = false;
        shelf_done(&shelf);
        scratch_remove(&dir);
        return 0;
}

/* In a mount namespace of the test's own. */
static void disk(const char *options) {
        if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
                print_message("a small disk takes root\n");
                skip();
        }
        assert_int_equal(mount("tmpfs", dir.path, "tmpfs", 0, options), 0);
        mounted = true;
}

static void fill(uint64_t left) {
        char path[600];
        struct statvfs v;
        int fd;

        (void) snprintf(path, sizeof(path), "%s/filler", dir.path);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fstatvfs(fd, &v), 0);
        assert_int_equal(posix_fallocate(fd, 0, (off_t) (v.f_bavail * v.f_frsize - left)), 0);
        (void) close(fd);
}

static uint64_t room(uint64_t granted, uint64_t want) {
        return room_for_snapshot(dir.path, &local, &shelf, granted, want);
}

static void put(uint64_t bytes) {
        static uint8_t n;

        assert_int_equal(shelf_put(&shelf, &(struct shelf_item) { .id = { { ++n } }, .sealed_ms = 1, .bytes = bytes }),
                         0);
}

static void a_snapshot_gets_what_it_asks_for_where_there_is_room(void **state) {
        (void) state;
        disk("size=64m");
        assert_int_equal(room(0, MIB), MIB);
        assert_int_equal(room(0, 0), 0);
}

static void a_snapshot_leaves_free_what_the_policy_says(void **state) {
        (void) state;
        disk("size=64m");
        local.evidence_free_bytes = 60 * MIB;
        assert_true(room(0, 32 * MIB) <= 4 * MIB && room(0, 32 * MIB) > 3 * MIB);
        /* what others were granted is spoken for */
        assert_true(room(3 * MIB, 32 * MIB) <= MIB);
        local.evidence_free_bytes = 65 * MIB;
        assert_int_equal(room(0, 32 * MIB), 0);
}

static void the_quota_counts_what_is_sealed_and_what_is_granted(void **state) {
        (void) state;
        disk("size=64m");
        local.evidence_quota_bytes = 10 * MIB;
        assert_int_equal(room(0, 32 * MIB), 10 * MIB);
        put(4 * MIB);
        put(MIB);
        assert_int_equal(room(0, 32 * MIB), 5 * MIB);
        assert_int_equal(room(2 * MIB, 32 * MIB), 3 * MIB);
        assert_int_equal(room(2 * MIB, MIB), MIB);
        put(20 * MIB);
        assert_int_equal(room(0, 32 * MIB), 0);
        local.evidence_quota_bytes = 0;
        assert_int_equal(room(0, 32 * MIB), 32 * MIB);
}

static void a_disk_without_inodes_has_no_room(void **state) {
        (void) state;
        disk("size=64m,nr_inodes=8");
        assert_int_equal(room(0, MIB), 0);
        assert_int_equal(room_reserve(dir.path), -ENOSPC);
}

static void the_reserve_is_given_back_when_the_disk_is_full_and_not_before(void **state) {
        struct statvfs v;

        (void) state;
        disk("size=64m");
        assert_false(room_is_reserved(dir.path));
        assert_int_equal(room_reserve(dir.path), 0);
        assert_int_equal(room_reserve(dir.path), 0);
        assert_true(room_is_reserved(dir.path));
        assert_false(room_provide(dir.path, ROOM_TAGS));
        assert_true(room_is_reserved(dir.path));
        fill(4096);
        assert_true(room_provide(dir.path, ROOM_TAGS));
        assert_false(room_is_reserved(dir.path));
        assert_int_equal(statvfs(dir.path, &v), 0);
        assert_true(v.f_bavail * v.f_frsize >= 10 * MIB);
        /* what it was given back for is not taken away again */
        assert_int_equal(room_reserve(dir.path), -ENOSPC);
        assert_false(room_is_reserved(dir.path));
        assert_false(room_provide(dir.path, 60 * MIB));
}

static void a_reserve_with_holes_is_none(void **state) {
        char part[600];

        (void) state;
        disk("size=64m");
        assert_int_equal(room_reserve(dir.path), 0);
        (void) snprintf(part, sizeof(part), "%s/reserve/3", dir.path);
        assert_int_equal(truncate(part, 0), 0);
        assert_int_equal(truncate(part, MIB), 0);
        assert_false(room_is_reserved(dir.path));
        assert_int_equal(room_reserve(dir.path), 0);
        assert_true(room_is_reserved(dir.path));
}

static void a_disk_that_does_not_tell_is_not_taken_for_full(void **state) {
        (void) state;
        assert_int_equal(room_for_snapshot("/nowhere", &local, &shelf, 0, MIB), MIB);
        assert_false(room_provide("/nowhere", MIB));
        assert_int_equal(room_reserve("/nowhere"), -ENOENT);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
        const struct CMUnitTest cases[] = {
                CASE(a_snapshot_gets_what_it_asks_for_where_there_is_room),
                CASE(a_snapshot_leaves_free_what_the_policy_says),
                CASE(the_quota_counts_what_is_sealed_and_what_is_granted),
                CASE(a_disk_without_inodes_has_no_room),
                CASE(the_reserve_is_given_back_when_the_disk_is_full_and_not_before),
                CASE(a_reserve_with_holes_is_none),
                CASE(a_disk_that_does_not_tell_is_not_taken_for_full),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
