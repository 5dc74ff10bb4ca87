/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/find.c agent/core/container.c agent/core/paths.c agent/core/cgroup.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* Containers by the layouts of the runtimes, and names that somebody inside gives: real cgroups, one process in each.
 */

#include "lib/cage.h"

#include "agent/core/container.h"

#define ID_A "aaaaaa1111111111111111111111111111111111111111111111111111111111"
#define ID_B "aaaaaa2222222222222222222222222222222222222222222222222222222222"
#define ID_C "cccccc3333333333333333333333333333333333333333333333333333333333"

static struct paths several;
static char *found;

static void forget(void) {
        free(TAKE_PTR(found));
        paths_done(&several);
}

static int end(void **state) {
        forget();
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, cage_begin, end)

/* Every folder on the way, a process in the last one. */
static struct cage grow(const char *path) {
        struct cage c = { .fd = -EBADF };
        char part[512];

        for (const char *p = path; p; p = strchr(p + 1, '/')) {
                const char *next = strchr(p + 1, '/');
                const size_t n = next ? (size_t) (next - path) : strlen(path);
                char dir[1200];

                memcpy(part, path, n);
                part[n] = 0;
                (void) snprintf(dir, sizeof(dir), "%s/%s", cage_top()->dir, part);
                if (access(dir, F_OK) < 0)
                        c = cage_make(part);
        }
        return c;
}

static struct cage populate(const char *path) {
        struct cage c = grow(path);

        (void) cage_spawn(&c, NULL, NULL);
        return c;
}

static int find(const char *wanted) {
        forget();
        return find_cgroup(cage_top()->dir, container_fits, wanted, NULL, &found, &several);
}

/* One that had been found at this path below top. */
static int find_again(const char *wanted, const char *was) {
        char path[512];

        forget();
        (void) snprintf(path, sizeof(path), "/%s", was);
        return find_cgroup(cage_top()->dir, container_fits, wanted, path, &found, &several);
}

/* The container that is found is the one at this path below top. */
static void finds(const char *wanted, const char *path) {
        const int r = find(wanted);

        if (r < 0)
                fail_msg("%s: %s", wanted, strerror(-r));
        assert_string_equal(found + 1, path);
        assert_int_equal(several.n, 0);
}

static void each_layout_is_known(void **state) {
        static const char *const by_id[] = {
                "system.slice/docker-" ID_A ".scope",
                "machine.slice/libpod-" ID_A ".scope",
                "user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID_A ".scope",
                "system.slice/nerdctl-" ID_A ".scope",
                "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0_1.slice/cri-containerd-" ID_A ".scope",
                "kubepods.slice/kubepods-pod0.slice/crio-" ID_A ".scope",
                "docker/" ID_A,
                "libpod_parent/libpod-" ID_A,
                "kubepods/besteffort/pod0-1/" ID_A,
                "kubepods/pod0-1/crio-" ID_A,
                "own/parent/" ID_A,
        };
        static const char *const by_name[] = {
                "user.slice/crun-web.scope", "system.slice/runc-web.scope", "crun/web", "default/web", "web",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(by_id); i++) {
                struct cage c = populate(by_id[i]);

                finds(ID_A, by_id[i]);
                finds("aaaaaa111111", by_id[i]);
                finds("aaaaaa", by_id[i]);
                assert_int_equal(find("aaaaa"), -ENOENT);
                assert_int_equal(find("aaaaaa2"), -ENOENT);
                assert_int_equal(find("AAAAAA"), -ENOENT);
                cage_remove(&c);
        }
        for (size_t i = 0; i < ELEMENTSOF(by_name); i++) {
                struct cage c = populate(by_name[i]);

                finds("web", by_name[i]);
                assert_int_equal(find("we"), -ENOENT);
                assert_int_equal(find("web1"), -ENOENT);
                cage_remove(&c);
        }
}

static void what_looks_after_a_container_is_not_it(void **state) {
        (void) state;
        (void) populate("machine.slice/libpod-conmon-" ID_A ".scope");
        (void) populate("system.slice/crio-conmon-" ID_C ".scope");
        (void) populate("system.slice/containerd.service");
        assert_int_equal(find(ID_A), -ENOENT);
        assert_int_equal(find("cccccc"), -ENOENT);
        assert_int_equal(find("containerd.service"), -ENOENT);
        (void) populate("machine.slice/libpod-" ID_A ".scope/container");
        finds(ID_A, "machine.slice/libpod-" ID_A ".scope");
}

static void folders_and_units_are_no_containers(void **state) {
        (void) state;
        (void) populate("docker/" ID_A);
        (void) populate("kubepods/pod1/" ID_C);
        (void) populate("system.slice/x.service");
        assert_int_equal(find("docker"), -ENOENT);
        assert_int_equal(find("kubepods"), -ENOENT);
        assert_int_equal(find("system.slice"), -ENOENT);
        assert_int_equal(find("x.service"), -ENOENT);
}

static void two_that_begin_alike_are_named_and_neither_is_chosen(void **state) {
        (void) state;
        (void) populate("docker/" ID_A);
        (void) populate("system.slice/deep.slice/docker-" ID_B ".scope");
        assert_int_equal(find("aaaaaa"), -ENOTUNIQ);
        assert_null(found);
        assert_int_equal(several.n, 2);
        finds("aaaaaa1", "docker/" ID_A);
        finds(ID_B, "system.slice/deep.slice/docker-" ID_B ".scope");
        /* a name that is one's in full is no longer the beginning of another's */
        (void) populate("aaaaaa");
        finds("aaaaaa", "aaaaaa");
}

static void a_name_planted_inside_a_unit_shields_nobody(void **state) {
        static const char *const real[] = {
                "system.slice/docker-" ID_A ".scope",
                "docker/" ID_A,
                "user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID_A ".scope",
        };

        (void) state;
        (void) populate("system.slice/evil.service/docker-" ID_A ".scope");
        (void) populate("system.slice/evil.service/" ID_A);
        (void) populate("docker/" ID_C "/docker-" ID_A ".scope");
        (void) populate("user.slice/user-1000.slice/user@1000.service/app.slice/x.service/" ID_A);
        for (size_t i = 0; i < ELEMENTSOF(real); i++) {
                struct cage c = populate(real[i]);

                finds(ID_A, real[i]);
                finds("aaaaaa1", real[i]);
                cage_remove(&c);
        }
}

static void what_a_container_plants_in_itself_is_further_down(void **state) {
        const char *inner = "system.slice/nested.service/docker-" ID_A ".scope";

        (void) state;
        (void) populate(inner);
        (void) populate("system.slice/nested.service/docker-" ID_A ".scope/" ID_A);
        (void) populate("system.slice/nested.service/docker-" ID_A ".scope/docker-" ID_A ".scope");
        finds(ID_A, inner);
        /* beside it is an equal */
        (void) populate("system.slice/nested.service/docker-" ID_B ".scope");
        assert_int_equal(find("aaaaaa"), -ENOTUNIQ);
        finds("aaaaaa1", inner);
}

static void a_prefix_is_not_diverted_by_a_full_name_inside(void **state) {
        (void) state;
        (void) populate("docker/" ID_A);
        (void) populate("system.slice/evil.service/aaaaaa");
        finds("aaaaaa", "docker/" ID_A);
}

static void a_dead_one_does_not_count_beside_a_living_one(void **state) {
        (void) state;
        (void) grow("docker/" ID_A);
        finds("aaaaaa", "docker/" ID_A);
        (void) populate("system.slice/docker-" ID_B ".scope");
        finds("aaaaaa", "system.slice/docker-" ID_B ".scope");
}

#define USER(uid) "user.slice/user-" uid ".slice/user@" uid ".service/user.slice/"

static void while_it_is_gone_nobody_else_takes_its_place(void **state) {
        static const struct {
                const char *was, *now;
                bool is_it;
        } cases[] = {
                { "web", "web", true },
                { "web", "system.slice/crun-web.scope", true },
                { "system.slice/crun-web.scope", "crun/web", true },
                { "web", "system.slice/evil.service/web", false },
                { "web", USER("1000") "crun-web.scope", false },
                { "web", "docker/" ID_B "/web", false },
                { "web", "evil/web", false },
                { "web", "default/evil/web", false },
                { "web", "lxc.payload.evil/web", false },
                { "kubepods/burstable/pod1/web", "kubepods/pod2/web", true },
                { "kubepods/burstable/pod1/web", "kubepods/burstable/pod1/evil/web", false },
                { "web", "podman/web", false },
                { "own/parent/web", "own/parent/web", true },
                { "own/parent/web", "own/evil/b/web", false },
                { "system.slice/a.service/web", "system.slice/a.service/b.slice/web", true },
                { "system.slice/a.service/web", "system.slice/a.service/b/web", false },
                { "docker/" ID_B "/kubepods/pod1/web", "docker/" ID_B "/kubepods/pod2/web", true },
                { "docker/" ID_B "/kubepods/pod1/web", "docker/" ID_B "/kubepods/pod2/" ID_C "/web", false },
                { "machine.slice/m.scope/p/system.slice/crun-web.scope", "machine.slice/m.scope/p/system.slice/web",
                  true },
                { "machine.slice/m.scope/p/system.slice/crun-web.scope",
                  "machine.slice/m.scope/p/system.slice/evil.service/crun-web.scope", false },
                { "system.slice/a.service/web", "system.slice/evil.service/web", false },
                { "system.slice/a.service/web", "system.slice/a.servic.service/web", false },
                { "system.slice/a.service/web", "web", false },
                { USER("1000") "crun-web.scope", USER("1000") "more.slice/crun-web.scope", true },
                { USER("1000") "crun-web.scope", USER("1000") "evil/crun-web.scope", false },
                { USER("1000") "crun-web.scope", USER("1001") "crun-web.scope", false },
                { USER("1000") "crun-web.scope", USER("1000") "evil.service/web", false },
                { USER("1000") "a.scope/web", USER("1000") "b.scope/web", true },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct cage c = populate(cases[i].now);

                finds("web", cases[i].now);
                assert_int_equal(find_again("web", cases[i].was), cases[i].is_it ? 0 : -ENOENT);
                cage_remove(&c);
        }
        /* nor does it stand in the way of it */
        (void) populate("system.slice/evil.service/web");
        (void) populate("system.slice/evil.service/sub/web");
        (void) grow("web");
        assert_int_equal(find_again("web", "web"), 0);
        assert_string_equal(found, "/web");
}

/* That was to be held while it was not there. */
static void what_was_never_found_is_taken_where_only_root_names(void **state) {
        static const char *const others[] = {
                USER("1000") "web",
                "system.slice/evil.service/web",
                "evil/web",
                "docker/" ID_B "/web",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                (void) populate(others[i]);
                assert_int_equal(find_again("web", ""), -ENOENT);
        }
        (void) populate("system.slice/crun-web.scope");
        assert_int_equal(find_again("web", ""), 0);
        assert_string_equal(found, "/system.slice/crun-web.scope");
}

static void a_bare_name_is_an_owner_too(void **state) {
        (void) state;
        (void) populate("evil/web");
        (void) populate("web");
        finds("web", "web");
        /* but its folder may be the administrator's own: it is no worse than what a unit or a user names */
        (void) populate("own/parent/" ID_A);
        (void) populate("docker/" ID_C "/" ID_A);
        (void) populate("system.slice/evil.service/" ID_A);
        (void) populate(USER("1000") "libpod-" ID_A ".scope");
        finds(ID_A, "own/parent/" ID_A);
        /* and of two nobody knows which */
        (void) populate("evil/" ID_A);
        assert_int_equal(find(ID_A), -ENOTUNIQ);
        assert_int_equal(several.n, 2);
        /* what a container calls like itself is no other one */
        (void) populate("own/app");
        (void) populate("own/app/app");
        finds("app", "own/app");
}

/* Between two of its starts its name is free. */
static void an_empty_one_of_a_better_owner_leaves_it_open(void **state) {
        struct cage real = grow("web");

        (void) state;
        (void) populate(USER("1000") "web");
        (void) populate("system.slice/evil.service/web");
        assert_int_equal(find("web"), -ENOTUNIQ);
        assert_int_equal(several.n, 2);
        (void) cage_spawn(&real, NULL, NULL);
        finds("web", "web");
        cage_remove(&real);
        finds("web", USER("1000") "web");
        (void) populate("evil/web");
        real = grow("default/web");
        assert_int_equal(find("web"), -ENOTUNIQ);
        cage_remove(&real);
        /* nothing that comes after them does */
        (void) grow(USER("1001") "web");
        finds("web", "evil/web");
}

static void many_are_not_all_named(void **state) {
        _cleanup_json_ json_t *json = NULL;
        char path[96];

        (void) state;
        (void) grow("docker");
        for (unsigned i = 0; i < PATHS_MAX + 3; i++) {
                (void) snprintf(path, sizeof(path), "docker/aaaaaa%058u", i);
                (void) cage_make(path);
        }
        assert_int_equal(find("aaaaaa"), -ENOTUNIQ);
        assert_int_equal(several.n, PATHS_MAX);
        json = paths_to_json(&several);
        assert_int_equal(json_array_size(json), PATHS_MAX + 1);
        assert_string_equal(json_string_value(json_array_get(json, PATHS_MAX)), "and 3 more");
}

static void a_path_of_any_bytes_is_told_and_read_again(void **state) {
        static const char *const same[] = { "/", "/a/b.service", "/dev-disk-by\\x2duuid.swap", "/\xc3\xa9" };
        static const char *const odd[] = { "/a\xff", "/\\\\x41\xc3/b\x80\\" };
        static const char *const wrong[] = { "\\/a\\", "\\/a\\y41", "\\/a\\x4", "\\/a\\x" };
        char *path = NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(same) + ELEMENTSOF(odd); i++) {
                const char *p = i < ELEMENTSOF(same) ? same[i] : odd[i - ELEMENTSOF(same)];
                _cleanup_free_ char *text = paths_to_text(p), *back = NULL;
                _cleanup_json_ json_t *json = json_string(text);

                assert_non_null(json);
                assert_int_equal(strcmp(text, p) == 0, i < ELEMENTSOF(same));
                assert_int_equal(paths_from_text(text, &back), 0);
                assert_string_equal(back, p);
        }
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                assert_int_equal(paths_from_text(wrong[i], &path), -EBADMSG);
        assert_null(path);
        assert_null(paths_to_text(NULL));
}

static void nothing_is_found_where_there_is_nothing(void **state) {
        const size_t fds = wire_open_fds();

        (void) state;
        assert_int_equal(find(ID_A), -ENOENT);
        assert_int_equal(find_cgroup("/nowhere", container_fits, ID_A, NULL, &found, &several), -ENOENT);
        assert_int_equal(wire_open_fds(), fds);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(each_layout_is_known),
                CASE(what_looks_after_a_container_is_not_it),
                CASE(folders_and_units_are_no_containers),
                CASE(two_that_begin_alike_are_named_and_neither_is_chosen),
                CASE(a_name_planted_inside_a_unit_shields_nobody),
                CASE(what_a_container_plants_in_itself_is_further_down),
                CASE(a_prefix_is_not_diverted_by_a_full_name_inside),
                CASE(a_dead_one_does_not_count_beside_a_living_one),
                CASE(while_it_is_gone_nobody_else_takes_its_place),
                CASE(what_was_never_found_is_taken_where_only_root_names),
                CASE(a_bare_name_is_an_owner_too),
                CASE(an_empty_one_of_a_better_owner_leaves_it_open),
                CASE(many_are_not_all_named),
                CASE(a_path_of_any_bytes_is_told_and_read_again),
                CASE(nothing_is_found_where_there_is_nothing),
        };

        return CAGE_MAIN(cases);
}
