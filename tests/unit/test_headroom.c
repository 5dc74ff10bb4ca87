/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/headroom.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>

#include "agent/collect/headroom.h"
#include "agent/util/io.h"
#include "lib/scratch.h"

#define MIB (1024ULL * 1024)

/* A hierarchy of directories that look like cgroups. */
static void write_file(const struct scratch *s, const char *cgroup, const char *name, const char *text) {
        char path[256];

        (void) snprintf(path, sizeof(path), "%s%s", s->path, cgroup);
        assert_int_equal(io_mkdirs(path, 0700), 0);
        (void) snprintf(path, sizeof(path), "%s%s/%s", s->path, cgroup, name);
        scratch_write(path, text, strlen(text));
}

static int open_base(const struct scratch *s) {
        int fd = open(s->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void the_least_that_any_cgroup_above_has_left_counts(void **state) {
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        write_file(&s, "/a", "memory.max", "1000000\n");
        write_file(&s, "/a", "memory.current", "400000\n");
        write_file(&s, "/a/b", "memory.max", "max\n");
        write_file(&s, "/a/b", "memory.current", "300000\n");
        write_file(&s, "/a/b/c", "memory.max", "500000\n");
        write_file(&s, "/a/b/c", "memory.current", "200000\n");
        write_file(&s, "/a/b/c/threads", "cgroup.type", "threaded\n");
        _cleanup_close_ int base = open_base(&s);

        assert_int_equal(headroom_below(base, "/a/b/c/threads", false), 300000);
        assert_int_equal(headroom_below(base, "/a/b/c", false), 300000);
        assert_int_equal(headroom_below(base, "/a/b", false), 600000);
        write_file(&s, "/a", "memory.current", "900000\n");
        assert_int_equal(headroom_below(base, "/a/b/c", false), 100000);
        write_file(&s, "/a", "memory.current", "1000001\n");
        assert_int_equal(headroom_below(base, "/a/b/c", false), 0);
        assert_true(headroom_below(base, "/other", false) == UINT64_MAX);
        assert_true(headroom_below(base, "/", false) == UINT64_MAX);
}

/* A service that reads much is always at its limit, and far from it. */
static void half_of_what_files_have_in_the_cache_is_left(void **state) {
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        write_file(&s, "/a", "memory.max", "1000000\n");
        write_file(&s, "/a", "memory.current", "1000000\n");
        write_file(&s, "/a", "memory.stat",
                   "anon 1\nworkingset_active_file 7\ninactive_file 200000\nactive_file 40000\n");
        _cleanup_close_ int base = open_base(&s);

        assert_int_equal(headroom_below(base, "/a", false), 120000);
        write_file(&s, "/a", "memory.stat", "anon 1\ninactive_file 99999999\nactive_file 0\n");
        assert_int_equal(headroom_below(base, "/a", false), 1000000);
}

static void the_older_interface_is_understood(void **state) {
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        write_file(&s, "/a", "memory.limit_in_bytes", "9223372036854771712\n");
        write_file(&s, "/a", "memory.usage_in_bytes", "700000\n");
        write_file(&s, "/a/b", "memory.limit_in_bytes", "1000000\n");
        write_file(&s, "/a/b", "memory.usage_in_bytes", "700000\n");
        write_file(&s, "/a/b", "memory.stat", "inactive_file 5000\ntotal_inactive_file 20000\ntotal_active_file 0\n");
        _cleanup_close_ int base = open_base(&s);

        assert_int_equal(headroom_below(base, "/a/b", true), 310000);
        assert_int_equal(headroom_below(base, "/a", true), 9223372036854771712ULL - 700000);
}

static void a_limit_that_tells_no_more_counts_as_reached(void **state) {
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        write_file(&s, "/a", "memory.max", "1000000\n");
        _cleanup_close_ int base = open_base(&s);

        assert_int_equal(headroom_below(base, "/a", false), 0);
        write_file(&s, "/a", "memory.current", "x\n");
        assert_int_equal(headroom_below(base, "/a", false), 0);
        write_file(&s, "/a", "memory.current", "1\n");
        assert_int_equal(headroom_below(base, "/a", false), 999999);
        write_file(&s, "/a", "memory.max", "\n");
        assert_int_equal(headroom_below(base, "/a", false), 0);
}

static void the_hierarchy_that_counts_is_found(void **state) {
        static const struct {
                const char *text, *path;
                bool v1;
        } rows[] = {
                { "0::/a/b\n", "/a/b", false },
                { "9:name=systemd:/x\n4:memory:/a\n0::/b\n", "/a", true },
                { "0::/b\n4:memory:/a\n", "/a", true },
                { "4:cpu,cpuacct:/a\n0::/b:memory\n", "/b:memory", false },
                { "0::/\n", "/", false },
        };
        char path[16];
        bool v1;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_true(headroom_parse_cgroup(rows[i].text, &v1, path, sizeof(path)));
                assert_string_equal(path, rows[i].path);
                assert_int_equal(v1, rows[i].v1);
        }
        assert_false(headroom_parse_cgroup("", &v1, path, sizeof(path)));
        assert_false(headroom_parse_cgroup("4:cpu:/a\n", &v1, path, sizeof(path)));
        assert_false(headroom_parse_cgroup("0::/a", &v1, path, sizeof(path)));
        assert_false(headroom_parse_cgroup("0::/a-path-that-is-too-long\n", &v1, path, sizeof(path)));
}

static void it_is_granted_in_steps_and_asked_for_anew(void **state) {
        struct headroom h = { .cgroup = "/a" };
        _cleanup_scratch_ struct scratch s;
        char text[64];

        (void) state;
        scratch_make(&s);
        h.base = open_base(&s);
        (void) snprintf(text, sizeof(text), "%llu\n", HEADROOM_KEEP + HEADROOM_STEP + 1);
        write_file(&s, "/a", "memory.max", text);
        write_file(&s, "/a", "memory.current", "1\n");
        for (uint64_t taken = 0; taken < HEADROOM_STEP; taken += HEADROOM_STEP / 4)
                assert_true(headroom_take(&h, HEADROOM_STEP / 4));
        assert_true(headroom_take(&h, HEADROOM_STEP));
        write_file(&s, "/a", "memory.current", "2\n");
        assert_false(headroom_take(&h, 1));
        write_file(&s, "/a", "memory.current", "1\n");
        assert_true(headroom_take(&h, 1));
        headroom_done(&h);
        /* without a cgroup that counts it is the host that does */
        h = (struct headroom) { .base = -EBADF };
        assert_true(headroom_take(&h, MIB));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(the_least_that_any_cgroup_above_has_left_counts),
                cmocka_unit_test(half_of_what_files_have_in_the_cache_is_left),
                cmocka_unit_test(the_older_interface_is_understood),
                cmocka_unit_test(a_limit_that_tells_no_more_counts_as_reached),
                cmocka_unit_test(the_hierarchy_that_counts_is_found),
                cmocka_unit_test(it_is_granted_in_steps_and_asked_for_anew),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
