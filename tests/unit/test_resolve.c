/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/hostparts.c */
/* LINK: agent/core/resolve_pid.c agent/core/branch_path.c agent/core/process.c */
/* LINK: agent/core/find.c agent/core/container.c agent/core/user.c agent/core/paths.c */
/* LINK: agent/core/subtree.c */
/* LINK: agent/core/resolve.c agent/core/site.c agent/core/systemd.c agent/core/cgroup.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* From targets to cgroups that exist, and what must not be held: real cgroups, on a host whose PID 1 is not systemd. */

#include "lib/cage.h"
#include "lib/reasons.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "agent/core/resolve.h"
#include "agent/util/io.h"

static struct systemd *systemd;
static struct local local;
static struct resolver resolver;
static struct site site;
static reason_set notes;

static int begin(void **state) {
        int r = cage_begin(state);

        if (r != 0)
                return r;
        assert_int_equal(systemd_new(&systemd), 0);
        local_defaults(&local);
        resolver = (struct resolver) { .cgroup_root = cage_hierarchy(), .systemd = systemd, .local = &local };
        site = SITE_NULL;
        return 0;
}

static int end(void **state) {
        site_done(&site);
        systemd_free(TAKE_PTR(systemd));
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static struct target target_of(enum target_class cls, const char *name) {
        struct target t = { .cls = cls };

        assert_in_range(snprintf(t.name, sizeof(t.name), "%s", name), 1, sizeof(t.name) - 1);
        return t;
}

/* What becomes of one target that is ordered; the site itself is in `site`. */
static enum reason resolve(struct target t) {
        struct sites sites;

        site_done(&site);
        notes = 0;
        assert_int_equal(resolve_targets(&resolver, &t, 1, &sites, &notes), 0);
        site = sites.v[0];
        free(sites.v);
        if (site.missing == REASON_NONE) {
                assert_true(site.fd >= 0);
                assert_non_null(site.path);
        } else {
                assert_int_equal(site.fd, -EBADF);
                assert_null(site.path);
        }
        assert_memory_equal(&site.target, &t, sizeof(t));
        return site.missing;
}

/* A name is looked for in all of the hierarchy, and in that of the machine there is another run's, too. */
static void look_below_top(void) {
        resolver.cgroup_root = cage_top()->dir;
}

static const char *path_of(const struct cage *c) {
        return c->path + (resolver.cgroup_root == cage_top()->dir ? strlen(cage_top()->path) : 0);
}

static enum reason resolve_path(const struct cage *c) {
        return resolve(target_of(TARGET_CGROUP, path_of(c)));
}

static void check_site(const struct cage *c, bool was_frozen) {
        assert_string_equal(site.path, path_of(c));
        assert_int_equal(site.cgroup_id, c->id);
        assert_int_equal(site.was_frozen, was_frozen);
}

static void a_path_is_the_cgroup_there(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b");

        (void) state;
        (void) cage_spawn(&b, NULL, NULL);
        assert_int_equal(resolve_path(&b), REASON_NONE);
        check_site(&b, false);
        assert_reasons(notes, 0);
        /* populated further down */
        assert_int_equal(resolve_path(&a), REASON_NONE);
        check_site(&a, false);
        cage_freeze(&a, true);
        assert_int_equal(resolve_path(&a), REASON_NONE);
        check_site(&a, true);
        /* by what lies above it */
        assert_int_equal(resolve_path(&b), REASON_NONE);
        check_site(&b, false);
}

static void what_is_not_there_or_empty_is_said_to_be(void **state) {
        struct cage a = cage_make("a");
        char path[600];

        (void) state;
        assert_int_equal(resolve_path(&a), REASON_NOT_RUNNING);
        (void) snprintf(path, sizeof(path), "%s/none", a.path);
        assert_int_equal(resolve(target_of(TARGET_CGROUP, path)), REASON_NO_TARGET);
        assert_int_equal(resolve(target_of(TARGET_UNIT, "freezed-none.service")), REASON_NO_TARGET);
        resolver.cgroup_root = NULL;
        assert_int_equal(resolve_path(&a), REASON_NO_CGROUP2);
}

static void a_unit_is_found_by_its_name_where_nobody_can_be_asked(void **state) {
        struct cage slice = cage_make("frtest.slice"), unit = cage_make("frtest.slice/frtest.service"), twin;

        (void) state;
        look_below_top();
        (void) cage_spawn(&unit, NULL, NULL);
        assert_int_equal(resolve(target_of(TARGET_UNIT, "frtest.service")), REASON_NONE);
        check_site(&unit, false);
        assert_reasons(notes, reason_bit(REASON_NO_SYSTEMD));
        assert_int_equal(resolve(target_of(TARGET_SLICE, "frtest.slice")), REASON_NONE);
        check_site(&slice, false);
        /* and not guessed */
        twin = cage_make("frtest.service");
        (void) cage_spawn(&twin, NULL, NULL);
        assert_int_equal(resolve(target_of(TARGET_UNIT, "frtest.service")), REASON_AMBIGUOUS);
        assert_int_equal(site.several.n, 2);
        assert_int_equal(resolve_path(&twin), REASON_NONE);
}

/* Whoever may make cgroups in his own would be stopped in place of what does not run now. */
static void a_name_given_inside_is_no_unit_of_the_host(void **state) {
        static const char *const others[] = { "a.service/frtest.service", "docker/frtest.service",
                                              "evil/frtest.service" };
        struct cage made;

        (void) state;
        look_below_top();
        (void) cage_make("a.service");
        (void) cage_make("docker");
        (void) cage_make("evil");
        for (size_t k = 0; k < ELEMENTSOF(others); k++) {
                made = cage_make(others[k]);
                (void) cage_spawn(&made, NULL, NULL);
                assert_int_equal(resolve(target_of(TARGET_UNIT, "frtest.service")), REASON_NO_TARGET);
                assert_int_equal(resolve_path(&made), REASON_NONE);
                cage_remove(&made);
        }
}

#define ID "5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d5eedf00d"

static void a_container_is_its_cgroup_and_two_are_named(void **state) {
        struct cage one = cage_make("docker-" ID ".scope"), two;
        char twin[700];

        (void) state;
        look_below_top();
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, ID)), REASON_NOT_RUNNING);
        (void) cage_spawn(&one, NULL, NULL);
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, ID)), REASON_NONE);
        check_site(&one, false);
        assert_string_equal(site_unit(&site), "docker-" ID ".scope");
        assert_string_equal(site_freezable_unit(&site), "docker-" ID ".scope");
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, "5eedf00d5eed")), REASON_NONE);
        check_site(&one, false);
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, "5eedf00d5eee")), REASON_NO_TARGET);

        two = cage_make(ID);
        (void) cage_spawn(&two, NULL, NULL);
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, ID)), REASON_AMBIGUOUS);
        assert_int_equal(site.several.n, 2);
        (void) snprintf(twin, sizeof(twin), "%s", site.several.v[0]);
        assert_true(strcmp(twin, path_of(&one)) == 0 || strcmp(twin, path_of(&two)) == 0);
        /* and what it is once there is but one is no longer what it could be */
        cage_remove(&one);
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, ID)), REASON_NONE);
        assert_int_equal(site.several.n, 0);
        check_site(&two, false);
        assert_null(site_unit(&site));
}

static void what_is_gone_stays_where_it_was_until_it_is_found(void **state) {
        struct cage one = cage_make("docker-" ID ".scope"), evil = cage_make("evil.service"),
                    decoy = cage_make("evil.service/" ID), two;
        char path[700];

        (void) state;
        look_below_top();
        (void) evil;
        (void) snprintf(path, sizeof(path), "%s", path_of(&one));
        (void) cage_spawn(&one, NULL, NULL);
        (void) cage_spawn(&decoy, NULL, NULL);
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, ID)), REASON_NONE);
        check_site(&one, false);
        cage_remove(&one);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
                assert_int_equal(site.missing, REASON_NO_TARGET);
                assert_int_equal(site.fd, -EBADF);
                assert_string_equal(site.path, path);
        }
        two = cage_make(ID);
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NOT_RUNNING);
        (void) cage_spawn(&two, NULL, NULL);
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NONE);
        check_site(&two, false);
}

/* The order names it while it is not there, and anybody may make one that is called like it then. */
static void what_never_was_there_is_found_where_only_the_host_puts_it(void **state) {
        struct cage user = cage_make("user@1000.service"), decoy = cage_make("user@1000.service/web"), real;

        (void) state;
        look_below_top();
        (void) user;
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, "web")), REASON_NOT_RUNNING);
        (void) cage_spawn(&decoy, NULL, NULL);
        site_done(&site);
        site.target = target_of(TARGET_CONTAINER, "web");
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NO_TARGET);
        assert_null(site.path);
        real = cage_make("web");
        (void) cage_spawn(&real, NULL, NULL);
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NONE);
        check_site(&real, false);
        /* the order itself may mean any */
        cage_remove(&real);
        assert_int_equal(resolve(target_of(TARGET_CONTAINER, "web")), REASON_NONE);
        check_site(&decoy, false);
}

/* That no part of a frozen host is left out by its name: the cage is the host here. */
static void a_host_is_all_of_it_whatever_it_is_called(void **state) {
        struct target host = { .cls = TARGET_HOST };
        struct cage hidden = cage_make(".x");
        struct sites sites;

        (void) state;
        (void) cage_spawn(&hidden, NULL, NULL);
        look_below_top();
        resolver.freezes = true;
        assert_int_equal(resolve_targets(&resolver, &host, 1, &sites, &notes), 0);
        assert_int_equal(sites.n, 2);
        assert_string_equal(sites.v[1].path, "/.x");
        assert_int_equal(sites.v[1].cgroup_id, hidden.id);
        sites_done(&sites);
}

/* Also once nothing in it is protected any more: whatever is started in there next may be the way in. */
static void what_was_spared_is_not_taken_later(void **state) {
        struct cage a = cage_make("a");

        (void) state;
        local = (struct local) { .n_patterns = 1, .patterns = { "a" } };
        (void) cage_spawn(&a, NULL, NULL);
        assert_int_equal(resolve_path(&a), REASON_PROTECTED);
        local = (struct local) { 0 };
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_PROTECTED);
        /* by another order it is */
        assert_int_equal(resolve_path(&a), REASON_NONE);
        /* what was held once is judged each time, and has no cgroup when it may not be held */
        local = (struct local) { .n_patterns = 1, .patterns = { "a" } };
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_PROTECTED);
        assert_int_equal(site.cgroup_id, 0);
        assert_int_equal(site_open(&site, cage_hierarchy()), -ENOENT);
        local = (struct local) { 0 };
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NONE);
}

/* Its number is somebody else's by now. */
static void a_process_that_was_never_found_is_not_found_later(void **state) {
        struct cage a = cage_make("a");
        char pid[16];

        (void) state;
        (void) snprintf(pid, sizeof(pid), "%d", (int) cage_spawn(&a, NULL, NULL));
        site.target = target_of(TARGET_PID, pid);
        site.missing = REASON_NO_TARGET;
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NO_TARGET);
        assert_int_equal(resolve(target_of(TARGET_PID, pid)), REASON_NONE);
        /* one that was found is looked for, and nobody else */
        site.missing = REASON_NOT_RUNNING;
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NONE);
        site.born.ticks++;
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NOT_RUNNING);
}

static void a_path_that_is_called_like_a_branch_is_a_path(void **state) {
        struct cage a = cage_make("freezed-000000000000000000000000000000ab");

        (void) state;
        (void) cage_spawn(&a, NULL, NULL);
        assert_int_equal(resolve_path(&a), REASON_NONE);
        assert_int_equal(resolve_again(&resolver, &site, &notes), 0);
        assert_int_equal(site.missing, REASON_NONE);
        check_site(&a, false);
}

/* What it is called so is part of it, and is found again by what was recorded. */
static void no_name_keeps_a_host_from_being_held(void **state) {
        struct target host = { .cls = TARGET_HOST };
        char name[256] = "", deep[400] = "0.slice";
        struct sites sites, again;
        struct cage odd[3];
        json_t *json;

        (void) state;
        memset(name, 'a', sizeof(name) - 1);
        odd[0] = cage_make(name);
        odd[1] = cage_make("\\a\xff");
        odd[2] = cage_make(deep);
        for (unsigned i = 0; i < 20; i++) {
                (void) snprintf(deep + strlen(deep), sizeof(deep) - strlen(deep), "/%u.slice", i);
                odd[2] = cage_make(deep);
        }
        for (size_t k = 0; k < ELEMENTSOF(odd); k++)
                (void) cage_spawn(&odd[k], NULL, NULL);
        look_below_top();
        resolver.freezes = true;
        assert_int_equal(resolve_targets(&resolver, &host, 1, &sites, &notes), 0);
        assert_int_equal(sites.n, 1 + ELEMENTSOF(odd));
        json = sites_to_json(&sites);
        assert_non_null(json);
        assert_int_equal(sites_from_json(json, &again), 0);
        for (size_t k = 0; k < sites.n; k++) {
                assert_string_equal(again.v[k].path, sites.v[k].path);
                assert_int_equal(site_open(&again.v[k], resolver.cgroup_root), 0);
        }
        json_decref(json);
        sites_done(&again);
        sites_done(&sites);
}

static void a_user_without_a_session_has_nothing_to_hold(void **state) {
        (void) state;
        assert_int_equal(resolve(target_of(TARGET_USER, "4000000000")), REASON_NOT_RUNNING);
        assert_int_equal(resolve(target_of(TARGET_USER, "freezed-nobody")), REASON_NO_TARGET);
}

static void a_cgroup_made_anew_is_found_anew(void **state) {
        struct cage a = cage_make("a");
        uint64_t old = a.id;

        (void) state;
        (void) cage_spawn(&a, NULL, NULL);
        assert_int_equal(resolve_path(&a), REASON_NONE);
        assert_int_equal(site_open(&site, cage_hierarchy()), 0);
        cage_remove(&a);
        assert_int_equal(site_open(&site, cage_hierarchy()), -ENOENT);
        a = cage_make("a");
        assert_int_equal(site_open(&site, cage_hierarchy()), -ESTALE);
        (void) cage_spawn(&a, NULL, NULL);
        assert_int_equal(resolve(site.target), REASON_NONE);
        assert_int_not_equal(site.cgroup_id, old);
        check_site(&a, false);
}

static void each_target_has_its_own_answer(void **state) {
        struct cage a = cage_make("a"), b = cage_make("b"), bus = cage_make("dbus.service");
        struct target targets[] = { target_of(TARGET_CGROUP, a.path), target_of(TARGET_CGROUP, bus.path),
                                    target_of(TARGET_CGROUP, b.path), target_of(TARGET_UNIT, "freezed-none.service") };
        static const enum reason expected[] = { REASON_NONE, REASON_PROTECTED, REASON_NOT_RUNNING, REASON_NO_TARGET };
        struct sites sites;
        size_t fds;

        (void) state;
        (void) cage_spawn(&a, NULL, NULL);
        (void) cage_spawn(&bus, NULL, NULL);
        fds = wire_open_fds();
        notes = 0;
        assert_int_equal(resolve_targets(&resolver, targets, ELEMENTSOF(targets), &sites, &notes), 0);
        assert_int_equal(sites.n, ELEMENTSOF(targets));
        for (size_t k = 0; k < sites.n; k++) {
                assert_memory_equal(&sites.v[k].target, &targets[k], sizeof(targets[k]));
                assert_int_equal(sites.v[k].missing, expected[k]);
        }
        assert_reasons(notes, reason_bit(REASON_NO_SYSTEMD));
        sites_done(&sites);
        assert_int_equal(wire_open_fds(), fds);
}

/* Cgroups, one of which has a process in it; what becomes of the first as a target. */
static enum reason of_tree(const char *const *names, const char *populated) {
        struct cage first = { .fd = -EBADF }, c;
        enum reason r;

        for (size_t k = 0; names[k]; k++) {
                c = cage_make(names[k]);
                if (k == 0)
                        first = c;
                if (strcmp(names[k], populated) == 0)
                        (void) cage_spawn(&c, NULL, NULL);
        }
        r = resolve_path(&first);
        cage_remove(&first);
        return r;
}

#define TREE(...) ((const char *const[]) { __VA_ARGS__, NULL })

static void protected_names_are_protected_and_what_holds_them(void **state) {
        (void) state;
        assert_int_equal(of_tree(TREE("x.service"), "x.service"), REASON_NONE);
        assert_int_equal(of_tree(TREE("dbus.service"), "dbus.service"), REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("systemd-journald.service"), "systemd-journald.service"), REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("freezed.slice"), "freezed.slice"), REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("ssh.service"), "ssh.service"), REASON_PROTECTED);
        /* also when nothing runs in there yet */
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/dbus.service"), "x.slice"), REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/y.slice", "x.slice/y.slice/dbus.service"),
                                 "x.slice/y.slice/dbus.service"),
                         REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/dbus.socket"), "x.slice/dbus.socket"), REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/y.service"), "x.slice/y.service"), REASON_NONE);
        local = (struct local) { .n_patterns = 1, .patterns = { "mine-*.service" } };
        assert_int_equal(of_tree(TREE("mine-1.service"), "mine-1.service"), REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/mine-1.service"), "x.slice/mine-1.service"),
                         REASON_PROTECTED);
        assert_int_equal(of_tree(TREE("ssh.service"), "ssh.service"), REASON_NONE);
}

static void an_escaped_name_protects_as_much(void **state) {
        (void) state;
        local = (struct local) { .n_patterns = 1, .patterns = { "cpu.service" } };
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/_cpu.service"), "x.slice/_cpu.service"), REASON_PROTECTED);
}

static void a_part_of_a_protected_unit_is_it(void **state) {
        struct cage bus = cage_make("dbus.service"), worker = cage_make("dbus.service/worker"),
                    slice = cage_make("system.slice"), unit = cage_make("system.slice/x.service");

        (void) state;
        (void) cage_spawn(&worker, NULL, NULL);
        (void) cage_spawn(&unit, NULL, NULL);
        assert_int_equal(resolve_path(&worker), REASON_PROTECTED);
        assert_int_equal(resolve_path(&bus), REASON_PROTECTED);
        /* but everything lies in some slice */
        assert_int_equal(resolve_path(&unit), REASON_NONE);
        assert_int_equal(resolve_path(&slice), REASON_PROTECTED);
}

/* Whoever may make cgroups below his own could make himself untouchable; a container has its own D-Bus. */
static void names_that_a_unit_gives_below_itself_protect_nobody(void **state) {
        struct cage scope = cage_make("x.scope"), system = cage_make("x.scope/system.slice"),
                    bus = cage_make("x.scope/system.slice/dbus.service");

        (void) state;
        assert_int_equal(of_tree(TREE("x.service", "x.service/dbus.service"), "x.service"), REASON_NONE);
        assert_int_equal(of_tree(TREE("x.service", "x.service/a", "x.service/a/init.scope"), "x.service/a/init.scope"),
                         REASON_NONE);
        assert_int_equal(
                of_tree(TREE("x.slice", "x.slice/y.service", "x.slice/y.service/dbus.service"), "x.slice/y.service"),
                REASON_NONE);
        /* nor a container that only has an id, or a name */
        assert_int_equal(of_tree(TREE("x", "x/dbus.service"), "x"), REASON_NONE);
        assert_int_equal(of_tree(TREE("x", "x/init.scope"), "x"), REASON_NONE);
        assert_int_equal(of_tree(TREE("x", "x/system.slice", "x/system.slice/dbus.service"), "x"), REASON_NONE);
        assert_int_equal(of_tree(TREE("x", "x/y", "x/y/system.slice"), "x/y/system.slice"), REASON_NONE);
        assert_int_equal(of_tree(TREE("x.slice", "x.slice/y", "x.slice/y/dbus.service"), "x.slice/y/dbus.service"),
                         REASON_NONE);
        (void) cage_spawn(&bus, NULL, NULL);
        assert_int_equal(resolve_path(&scope), REASON_NONE);
        assert_int_equal(resolve_path(&system), REASON_NONE);
        assert_int_equal(resolve_path(&bus), REASON_NONE);
}

struct within {
        const struct cage *target;
        enum reason expected;
};

static int resolve_from_within(void *userdata) {
        const struct within *w = userdata;
        struct site s = { .fd = -EBADF, .target = target_of(TARGET_CGROUP, w->target->path) };

        if (resolve_again(&resolver, &s, &notes) < 0)
                return 1;
        return s.missing == w->expected ? 0 : 2;
}

static void the_agents_own_cgroup_and_all_above_are_protected(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b"), c = cage_make("a/b/c"), beside = cage_make("a/b2");
        const struct within cases[] = {
                { &a, REASON_PROTECTED },
                { &b, REASON_PROTECTED },
                { &c, REASON_NONE },      /* below */
                { &beside, REASON_NONE }, /* only begins like it */
        };

        (void) state;
        (void) cage_spawn(&c, NULL, NULL);
        (void) cage_spawn(&beside, NULL, NULL);
        for (size_t k = 0; k < ELEMENTSOF(cases); k++)
                assert_int_equal(cage_call(&b, resolve_from_within, (void *) &cases[k]), 0);
}

struct first {
        const struct cage *of_first, *other;
        bool no_proc;
};

static int check_as_second(const struct first *f) {
        struct within in_first = { f->of_first, REASON_PROTECTED }, in_other = { f->other, REASON_NONE };

        if (io_write_string(cage_top()->fd, "cgroup.procs", "0") < 0 || unshare(CLONE_NEWNS) < 0)
                return 10;
        if (f->no_proc) {
                /* nobody can be placed, so anybody may be in there */
                in_other.expected = REASON_PROTECTED;
                if (mount("none", "/proc", "tmpfs", 0, NULL) < 0)
                        return 11;
        } else if (mount("proc", "/proc", "proc", 0, NULL) < 0) {
                return 12;
        }
        return resolve_from_within(&in_first) ? 13 : resolve_from_within(&in_other) ? 14 : 0;
}

/* PID 1 of a namespace of its own. */
static int be_first(void *userdata) {
        int status;
        pid_t pid;

        if (unshare(CLONE_NEWPID) < 0)
                return 20;
        pid = fork();
        if (pid == 0) {
                pid = fork();
                if (pid == 0)
                        _exit(check_as_second(userdata));
                _exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 21);
        }
        return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 22;
}

static void the_cgroup_of_pid_1_is_protected(void **state) {
        struct cage init = cage_make("one"), other = cage_make("other");
        struct first f = { .of_first = &init, .other = &other };

        (void) state;
        (void) cage_spawn(&other, NULL, NULL);
        assert_int_equal(cage_call(&init, be_first, &f), 0);
        f.no_proc = true;
        assert_int_equal(cage_call(&init, be_first, &f), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(a_path_is_the_cgroup_there),
                CASE(what_is_not_there_or_empty_is_said_to_be),
                CASE(a_unit_is_found_by_its_name_where_nobody_can_be_asked),
                CASE(a_container_is_its_cgroup_and_two_are_named),
                CASE(what_is_gone_stays_where_it_was_until_it_is_found),
                CASE(a_name_given_inside_is_no_unit_of_the_host),
                CASE(what_never_was_there_is_found_where_only_the_host_puts_it),
                CASE(a_host_is_all_of_it_whatever_it_is_called),
                CASE(what_was_spared_is_not_taken_later),
                CASE(a_process_that_was_never_found_is_not_found_later),
                CASE(a_path_that_is_called_like_a_branch_is_a_path),
                CASE(no_name_keeps_a_host_from_being_held),
                CASE(a_user_without_a_session_has_nothing_to_hold),
                CASE(an_escaped_name_protects_as_much),
                CASE(a_cgroup_made_anew_is_found_anew),
                CASE(each_target_has_its_own_answer),
                CASE(protected_names_are_protected_and_what_holds_them),
                CASE(a_part_of_a_protected_unit_is_it),
                CASE(names_that_a_unit_gives_below_itself_protect_nobody),
                CASE(the_agents_own_cgroup_and_all_above_are_protected),
                CASE(the_cgroup_of_pid_1_is_protected),
        };

        return CAGE_MAIN(cases);
}
