/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/paths.c */
/* LINK: agent/core/site.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */

/* Sites as they are recorded and read back, and the list of what is held. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "agent/core/cgroup.h"
#include "agent/core/site.h"

static const struct command_id id_a = { { 0xa } }, id_b = { { 0xb } }, id_c = { { 0xc } };

static struct site site_of(const char *target, const char *path, uint64_t cgroup_id) {
        struct site s = SITE_NULL;

        assert_int_equal(target_from_str(target, &s.target), 0);
        s.path = path ? strdup(path) : NULL;
        s.cgroup_id = cgroup_id;
        return s;
}

static struct sites sites_of(size_t n, const struct site *v) {
        struct sites s = { .v = memdup_array(v, n, sizeof(*v)), .n = n };

        assert_non_null(s.v);
        return s;
}

static void what_is_written_is_read_back(void **state) {
        struct site v[] = { site_of("unit:nginx.service", "/system.slice/nginx.service", 77),
                            site_of("cgroup:/a/b", "/a/b", INT64_MAX), site_of("slice:app.slice", NULL, 0),
                            site_of("unit:x@1.service", NULL, 0), site_of("container:web", "/web", 0) };
        _cleanup_(sites_done) struct sites before = { 0 }, after = { 0 };
        _cleanup_json_ json_t *array = NULL;

        (void) state;
        v[1].was_frozen = true;
        v[2].missing = REASON_NOT_RUNNING;
        v[3].missing = REASON_PROTECTED;
        v[4].missing = REASON_NOT_RUNNING;
        before = sites_of(ELEMENTSOF(v), v);
        array = sites_to_json(&before);
        assert_non_null(array);
        assert_int_equal(sites_from_json(array, &after), 0);
        assert_int_equal(after.n, before.n);
        for (size_t k = 0; k < after.n; k++) {
                assert_memory_equal(&after.v[k].target, &v[k].target, sizeof(v[k].target));
                assert_int_equal(after.v[k].missing, v[k].missing);
                assert_int_equal(after.v[k].cgroup_id, v[k].cgroup_id);
                assert_int_equal(after.v[k].was_frozen, v[k].was_frozen);
                assert_int_equal(after.v[k].fd, -EBADF);
                if (v[k].path)
                        assert_string_equal(after.v[k].path, v[k].path);
                else
                        assert_null(after.v[k].path);
        }
}

/* Or its number would be anybody's from then on. */
static void when_a_process_began_is_recorded_also_when_it_is_missing(void **state) {
        struct site v[] = { site_of("pid:77", NULL, 0), site_of("pid:78", "/a/freezed-0", 5) };
        _cleanup_(sites_done) struct sites before = { 0 }, after = { 0 };
        _cleanup_json_ json_t *array = NULL;

        (void) state;
        v[0].missing = REASON_NOT_RUNNING;
        v[0].born = (struct birth) { .ticks = 4711, .boot = { 1, 2, 3 } };
        v[1].born = (struct birth) { .ticks = 4712, .boot = { 4, 5, 6 } };
        before = sites_of(ELEMENTSOF(v), v);
        array = sites_to_json(&before);
        assert_int_equal(sites_from_json(array, &after), 0);
        for (size_t k = 0; k < after.n; k++) {
                assert_int_equal(after.v[k].born.ticks, v[k].born.ticks);
                assert_memory_equal(after.v[k].born.boot, v[k].born.boot, sizeof(v[k].born.boot));
        }
}

static void a_site_has_the_unit_that_its_cgroup_is(void **state) {
        static const struct {
                const char *target, *path, *unit, *freezable;
        } rows[] = {
                { "unit:nginx.service", "/system.slice/nginx.service", "nginx.service", "nginx.service" },
                { "unit:nginx.service", NULL, "nginx.service", "nginx.service" },
                /* an alias, and a name that systemd escapes */
                { "unit:sshd.service", "/system.slice/ssh.service", "ssh.service", "ssh.service" },
                { "unit:cpu.service", "/system.slice/_cpu.service", "cpu.service", "cpu.service" },
                { "slice:app.slice", "/app.slice", "app.slice", NULL },
                { "slice:-.slice", "/", "-.slice", NULL },
                { "user:alice", "/user.slice/user-1000.slice", "user-1000.slice", NULL },
                { "user:alice", NULL, NULL, NULL },
                { "container:web", "/user.slice/crun-web.scope", "crun-web.scope", "crun-web.scope" },
                { "container:web", "/crun/web", NULL, NULL },
                { "cgroup:/a/x.service", "/a/x.service", NULL, NULL },
                { "pid:7", "/system.slice/x.service/freezed-0", NULL, NULL },
                { "host", "/", NULL, NULL },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(site_done) struct site s = site_of(rows[i].target, rows[i].path, 1);
                const char *unit = site_unit(&s), *freezable = site_freezable_unit(&s);

                assert_string_equal(unit ? unit : "", rows[i].unit ? rows[i].unit : "");
                assert_string_equal(freezable ? freezable : "", rows[i].freezable ? rows[i].freezable : "");
        }
}

static void no_sites_are_read_as_none(void **state) {
        struct sites none = { 0 };
        _cleanup_(sites_done) struct sites a = { 0 }, b = { 0 };
        _cleanup_json_ json_t *array = sites_to_json(&none);

        (void) state;
        assert_int_equal(json_array_size(array), 0);
        assert_int_equal(sites_from_json(array, &a), 0);
        assert_int_equal(a.n, 0);
        assert_int_equal(sites_from_json(NULL, &b), 0);
        assert_int_equal(b.n, 0);
}

static void what_no_version_wrote_is_refused(void **state) {
        static const char *const bad[] = {
                "[1]",
                "[null]",
                "[{}]",
                "[{\"target\":1,\"cgroup\":\"/a\"}]",
                "[{\"target\":\"unit:a.service\"}]",
                "[{\"target\":\"a\",\"cgroup\":\"/a\",\"cgroup_id\":1,\"was_frozen\":false}]",
                "[{\"target\":\"unit:../a.service\",\"cgroup\":\"/a\",\"cgroup_id\":1,\"was_frozen\":false}]",
                "[{\"target\":\"unit:a.service\",\"missing\":\"no-such-reason\"}]",
                "[{\"target\":\"unit:a.service\",\"missing\":1}]",
                "[{\"target\":\"unit:a.service\",\"cgroup\":1,\"cgroup_id\":1}]",
                "[{\"target\":\"unit:a.service\",\"cgroup\":\"/a\",\"cgroup_id\":\"1\"}]",
                "[{\"target\":\"unit:a.service\",\"cgroup\":\"/a\",\"cgroup_id\":1,\"was_frozen\":1}]",
                /* the good one before it is given back too */
                "[{\"target\":\"unit:a.service\",\"cgroup\":\"/a\",\"cgroup_id\":1,\"was_frozen\":true},{}]",
        };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(bad); k++) {
                _cleanup_json_ json_t *array = json_loads(bad[k], JSON_REJECT_DUPLICATES, NULL);
                struct sites s = { .n = 99 };

                assert_non_null(array);
                assert_int_equal(sites_from_json(array, &s), -EBADMSG);
                assert_int_equal(s.n, 99);
        }
}

static void a_path_that_json_cannot_hold_is_written_as_what_can_be_read_back(void **state) {
        struct site v[] = { site_of("unit:a.service", "/\xff/a.service", 1) };
        _cleanup_(sites_done) struct sites s = sites_of(1, v), back = { 0 };
        _cleanup_json_ json_t *array = sites_to_json(&s);

        (void) state;
        assert_non_null(array);
        assert_int_equal(sites_from_json(array, &back), 0);
        assert_int_equal(back.n, 1);
        assert_string_equal(back.v[0].path, "/\xff/a.service");
}

static void a_cgroup_has_no_unit_and_a_slice_is_not_frozen_as_one(void **state) {
        struct site unit = site_of("unit:a.service", NULL, 0), slice = site_of("slice:a.slice", NULL, 0),
                    cgroup = site_of("cgroup:/a", NULL, 0);

        (void) state;
        assert_string_equal(site_unit(&unit), "a.service");
        assert_string_equal(site_unit(&slice), "a.slice");
        assert_null(site_unit(&cgroup));
        assert_string_equal(site_freezable_unit(&unit), "a.service");
        assert_null(site_freezable_unit(&slice));
        assert_null(site_freezable_unit(&cgroup));
}

static uint64_t id_of(const char *dir) {
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;

        assert_int_equal(cgroup_open("", dir, &fd, &id), 0);
        return id;
}

static void opening_needs_a_path_and_a_root(void **state) {
        struct site s = site_of("cgroup:/tmp", NULL, 1);

        (void) state;
        assert_int_equal(site_open(&s, "/"), -ENOENT);
        s.path = strdup("/tmp");
        assert_int_equal(site_open(&s, NULL), -ENOENT);
        assert_int_equal(site_open(&s, ""), -ESTALE);
        assert_int_equal(s.fd, -EBADF);
        s.cgroup_id = id_of("/tmp");
        assert_int_equal(site_open(&s, ""), 0);
        closep(&s.fd);
        s.fd = -EBADF;
        /* what is missing has no cgroup, whatever is at its path */
        s.missing = REASON_PROTECTED;
        assert_int_equal(site_open(&s, ""), -ENOENT);
        assert_int_equal(s.fd, -EBADF);
        site_done(&s);
        assert_null(s.path);
}

static void directories_are_closed_and_the_rest_stays(void **state) {
        struct site v[] = { site_of("cgroup:/a", "/a", 1), site_of("cgroup:/b", "/b", 2) };
        struct sites s;

        (void) state;
        v[0].fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(v[0].fd >= 0);
        s = sites_of(2, v);
        sites_close(&s);
        assert_int_equal(fcntl(v[0].fd, F_GETFD), -1);
        assert_int_equal(s.v[0].fd, -EBADF);
        assert_string_equal(s.v[0].path, "/a");
        sites_close(&s);
        sites_done(&s);
        sites_done(&s);
}

static void put(struct held_list *l, const struct command_id *id, const char *path) {
        struct site v[] = { site_of("cgroup:/a", path, 1) };
        struct sites s = sites_of(1, v);

        assert_int_equal(held_put(l, id, &s), 0);
        assert_int_equal(s.n, 0);
        assert_null(s.v);
}

static void the_list_finds_replaces_and_forgets(void **state) {
        struct held_list l = { 0 };

        (void) state;
        assert_null(held_find(&l, &id_a));
        put(&l, &id_a, "/1");
        put(&l, &id_b, "/2");
        put(&l, &id_c, "/3");
        assert_string_equal(held_find(&l, &id_b)->v[0].path, "/2");
        put(&l, &id_b, "/4");
        assert_int_equal(l.n, 3);
        assert_string_equal(held_find(&l, &id_b)->v[0].path, "/4");
        held_remove(&l, &id_a);
        held_remove(&l, &id_a);
        assert_null(held_find(&l, &id_a));
        assert_string_equal(held_find(&l, &id_b)->v[0].path, "/4");
        assert_string_equal(held_find(&l, &id_c)->v[0].path, "/3");
        held_remove(&l, &id_c);
        held_remove(&l, &id_b);
        assert_int_equal(l.n, 0);
        put(&l, &id_a, "/5");
        held_list_done(&l);
        assert_int_equal(l.n, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                cmocka_unit_test(what_is_written_is_read_back),
                cmocka_unit_test(when_a_process_began_is_recorded_also_when_it_is_missing),
                cmocka_unit_test(a_site_has_the_unit_that_its_cgroup_is),
                cmocka_unit_test(no_sites_are_read_as_none),
                cmocka_unit_test(what_no_version_wrote_is_refused),
                cmocka_unit_test(a_path_that_json_cannot_hold_is_written_as_what_can_be_read_back),
                cmocka_unit_test(a_cgroup_has_no_unit_and_a_slice_is_not_frozen_as_one),
                cmocka_unit_test(opening_needs_a_path_and_a_root),
                cmocka_unit_test(directories_are_closed_and_the_rest_stays),
                cmocka_unit_test(the_list_finds_replaces_and_forgets),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
