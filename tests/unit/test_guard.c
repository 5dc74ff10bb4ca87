/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/epochkey.c agent/core/hostkey.c */
/* LINK: agent/core/preserved.c */
/* LINK: agent/core/hosttest.c */
/* LINK: agent/core/hostparts.c */
/* LINK: agent/core/subtree.c */
/* LINK: agent/core/resolve_pid.c agent/core/branch_path.c agent/core/process.c agent/core/branch.c agent/core/elsewhere.c */
/* LINK: agent/core/find.c agent/core/container.c agent/core/user.c agent/core/paths.c */
/* LINK: agent/core/fence.c agent/core/fencefile.c agent/core/stamps.c agent/core/reload.c */
/* LINK: agent/core/guard.c agent/core/guard_want.c agent/core/guard_trial.c */
/* LINK: agent/core/subtree.c */
/* LINK: agent/core/hosthold.c agent/core/hostset.c agent/core/uplink.c agent/core/uplink_list.c agent/core/uplink_prog.c agent/core/direct.c agent/core/netns.c agent/core/management.c */
/* LINK: agent/util/log.c agent/core/enforce.c agent/core/prove.c agent/core/fold.c agent/core/record.c agent/core/site.c agent/core/resolve.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/foreign.c agent/core/unfrozen.c */
/* LINK: agent/core/tried.c */
/* LINK: agent/core/isolate.c agent/core/probe.c agent/core/probe_child.c agent/core/probe_try.c agent/core/descriptors.c agent/core/ways.c agent/core/sockets.c agent/core/sweep.c agent/core/systemd.c */
/* LINK: agent/core/isolate_set.c */
/* LINK: agent/core/cgroup.c agent/core/floor.c agent/core/ledger.c agent/core/segment.c agent/core/report_json.c */
/* LINK: agent/core/strays.c agent/core/cgroup_events.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */
/* LINK: agent/core/layers.c */
/* WRAP: guard_is_live */
/* WRAP: guard_covers */

/* The guard on a kernel that refuses its programs, and what it would have to guard. That it guards is tried in a VM. */

#include "lib/cage.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/core/guard_want.h"
#include "agent/core/layers.h"
#include "agent/core/watch.h"
#include "lib/enforce_box.h"
#include "lib/scratch.h"

static struct scratch scratch;

static int guard_begin(void **state) {
        scratch_make(&scratch);
        return box_begin(state);
}

static int guard_end(void **state) {
        scratch_remove(&scratch);
        return box_end(state);
}

#define GUARD_CASE(name) cmocka_unit_test_setup_teardown(name, guard_begin, guard_end)

struct layers {
        size_t n;
        int error;
};

static void count_layer(const char *id, int error, void *userdata) {
        struct layers *l = userdata;

        if (l->n++ == 0) {
                assert_string_equal(id, "guard");
                l->error = error;
        }
}

static void where_no_program_can_be_had_the_guard_says_why(void **state) {
        struct layers l = { 0 };
        struct guard *g;

        (void) state;
        assert_int_equal(guard_new(cage_pins(), scratch.path, scratch.path, &g), 0);
        guard_each_layer(g, count_layer, &l);
        assert_false(guard_is_live(g));
        /* EXDEV from a kernel that would take them, for this is not freezed.service */
        assert_true(l.error == -EPERM || l.error == -EXDEV);
        assert_int_equal(l.n, 1);
        guard_free(g);
}

static void without_a_guard_every_stop_order_says_so(void **state) {
        static const enum verb verbs[] = { VERB_CONTAIN, VERB_ISOLATE };

        (void) state;
        (void) cage_spawn(&cage, keep_no_raw, NULL);
        assert_int_equal(guard_new(cage_pins(), scratch.path, scratch.path, &agent.guard), 0);
        for (uint32_t k = 0; k < ELEMENTSOF(verbs); k++) {
                struct proven *p = stop(k + 1, verbs[k], &cage);

                assert_true((recorded_flags(proven_recorded(p)) & reason_bit(REASON_UNGUARDED)) != 0);
                proven_free(p);
                (void) let_go(k + 1);
        }
        guard_free(TAKE_PTR(agent.guard));
}

static void what_is_held_is_guarded_until_it_is_let_go_of(void **state) {
        struct guard_want want = { 0 };
        struct guard_path path = { 0 };
        const struct command_id one = id_of(1);
        struct stat above;
        char parent[512];

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        proven_free(stop(1, VERB_CONTAIN, &cage));
        proven_free(stop(2, VERB_ISOLATE, &cage));
        assert_int_equal(guard_want_holds(&agent, NULL, &want), 0);
        assert_int_equal(guard_want_flags(&want, cage.id), GUARD_FROZEN | GUARD_ISOLATED);
        assert_true(strlen(cage.path) < sizeof(path.text));
        memcpy(path.text, cage.path, strlen(cage.path));
        assert_true(guard_want_path(&want, &path));
        (void) snprintf(parent, sizeof(parent), "%s%s", agent.cgroup_root, cage.path);
        *strrchr(parent, '/') = 0;
        assert_int_equal(stat(parent, &above), 0);
        assert_int_equal(guard_want_flags(&want, above.st_ino), GUARD_ABOVE);
        assert_int_equal(guard_want_flags(&want, above.st_ino + 1000000), 0);
        guard_want_done(&want);
        assert_int_equal(guard_want_holds(&agent, &one, &want), 0);
        assert_int_equal(guard_want_flags(&want, cage.id), GUARD_ISOLATED);
        assert_int_equal(guard_want_flags(&want, above.st_ino), 0);
        guard_want_done(&want);
        (void) let_go(1);
        (void) let_go(2);
        assert_int_equal(guard_want_holds(&agent, NULL, &want), 0);
        assert_int_equal(want.n_holds + want.n_paths + want.levels, 0);
}

static void what_is_made_anew_at_a_held_path_is_held_from_the_start(void **state) {
        struct guard_want want = { 0 };
        const uint64_t before = cage.id;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        proven_free(stop(1, VERB_CONTAIN, &cage));
        (void) close(cage.fd);
        cage_remove(&cage);
        cage = cage_make("held");
        assert_int_not_equal(cage.id, before);
        assert_int_equal(guard_want_holds(&agent, NULL, &want), 0);
        assert_int_equal(guard_want_flags(&want, cage.id), GUARD_FROZEN | GUARD_ISOLATED | GUARD_INHERITED);
        guard_want_done(&want);
        (void) let_go(1);
}

static void what_lies_too_deep_is_not_told_as_guarded(void **state) {
        struct site s = { .path = (char[]) { "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23" } };

        (void) state;
        assert_true(guard_want_reaches(&s));
        s.path = (char[]) { "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20/21/22/23/24" };
        assert_false(guard_want_reaches(&s));
        assert_false(guard_covers(NULL, &s));
}

/* as it would be on a kernel that has it */
static bool live;

bool __real_guard_is_live(const struct guard *g);
bool __wrap_guard_is_live(const struct guard *g) {
        return live || __real_guard_is_live(g);
}

bool __real_guard_covers(const struct guard *g, const struct site *s);
bool __wrap_guard_covers(const struct guard *g, const struct site *s) {
        return live ? guard_want_reaches(s) : __real_guard_covers(g, s);
}

int watch_error(const struct agent *a) {
        (void) a;
        return 0;
}

static bool health_names(const char *id) {
        json_t *layers = layers_to_json(&agent), *one;
        bool named = false;
        size_t i;

        assert_non_null(layers);
        json_array_foreach(layers, i, one) named |= strcmp(json_string_value(json_object_get(one, "id")), id) == 0;
        json_decref(layers);
        return named;
}

/* It reaches nobody who runs on, on a host that is isolated as a whole. */
static void what_the_guard_does_not_see_on_a_whole_host_is_named(void **state) {
        struct site s = { .path = (char[]) { "/a.service" }, .fd = -EBADF };
        struct held one = { .sites = { .v = &s, .n = 1 } };
        char *root = TAKE_PTR(agent.cgroup_root);

        (void) state;
        assert_true(health_names("packet-sockets"));
        live = true;
        agent.held.v = &one;
        agent.held.n = 1;
        assert_false(health_names("packet-sockets"));
        s.target.cls = TARGET_HOST;
        s.path = (char[]) { "/" };
        assert_true(health_names("packet-sockets"));
        agent.held.v = NULL;
        agent.held.n = 0;
        live = false;
        agent.cgroup_root = root;
}

/* Pins are all that is left of a hold when the ledger is lost. */
static void a_hold_that_the_ledger_forgot_is_guarded_by_its_pins(void **state) {
        struct guard_want want = { 0 };
        const struct command_id one = id_of(1), by = id_of(1001);

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        proven_free(stop(1, VERB_CONTAIN, &cage));
        assert_int_equal(hold_set_release(agent.holds, &one, &by), 0);
        assert_int_equal(hold_set_end(agent.holds, &one), 0);
        held_remove(&agent.held, &one);
        assert_int_equal(guard_want_holds(&agent, NULL, &want), 0);
        assert_int_equal(guard_want_flags(&want, cage.id), GUARD_FROZEN | GUARD_ISOLATED);
        guard_want_done(&want);
        assert_int_equal(guard_want_holds(&agent, &one, &want), 0);
        assert_int_equal(guard_want_flags(&want, cage.id), GUARD_ISOLATED);
        guard_want_done(&want);
        assert_int_equal(isolate_drop(agent.isolate, &one), 0);
        assert_int_equal(guard_want_holds(&agent, NULL, &want), 0);
        assert_int_equal(guard_want_flags(&want, cage.id), 0);
        guard_want_done(&want);
        cage_freeze(&cage, false);
}

static void a_directory_of_the_core_is_its_own_and_what_leads_to_it_stays(void **state) {
        struct guard_owned own[64];
        uint32_t dev = 0;
        struct stat st;
        int n, trees = 0, mounts = 0;

        (void) state;
        assert_int_equal(stat(scratch.path, &st), 0);
        n = guard_want_own(scratch.path, own, ELEMENTSOF(own), &dev);
        assert_true(n > 0);
        assert_int_equal(dev, major(st.st_dev) << 20 | minor(st.st_dev));
        assert_int_equal(own[0].key.id, st.st_ino);
        assert_int_equal(own[0].flags, GUARD_TREE);
        for (int i = 0; i < n; i++) {
                trees += own[i].key.kind == GUARD_OWN_INODE && own[i].flags & GUARD_TREE;
                mounts += own[i].key.kind == GUARD_OWN_MOUNT;
        }
        assert_int_equal(trees, 1);
        /* /dev/shm is a mount, and lies on one */
        assert_true(mounts > 0 || strncmp(scratch.path, "/dev/shm", 8) != 0);
        assert_int_equal(guard_want_own(scratch.path, own, 1, &dev), -ENOSPC);
        assert_int_equal(guard_want_own("/nothing/is/here", own, ELEMENTSOF(own), &dev), -ENOENT);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                GUARD_CASE(where_no_program_can_be_had_the_guard_says_why),
                GUARD_CASE(without_a_guard_every_stop_order_says_so),
                GUARD_CASE(what_is_held_is_guarded_until_it_is_let_go_of),
                GUARD_CASE(what_is_made_anew_at_a_held_path_is_held_from_the_start),
                GUARD_CASE(what_lies_too_deep_is_not_told_as_guarded),
                GUARD_CASE(what_the_guard_does_not_see_on_a_whole_host_is_named),
                GUARD_CASE(a_hold_that_the_ledger_forgot_is_guarded_by_its_pins),
                GUARD_CASE(a_directory_of_the_core_is_its_own_and_what_leads_to_it_stays),
        };

        return CAGE_MAIN(cases);
}
