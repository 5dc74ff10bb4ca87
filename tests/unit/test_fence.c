/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/fence.c agent/core/fencefile.c agent/core/stamps.c agent/core/reload.c agent/core/systemd.c */
/* LINK: agent/core/site.c agent/core/paths.c agent/core/cgroup.c */
/* LINK: agent/util/log.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* Which units are kept from starting, on a host that says it has systemd: real cgroups, and a directory for the files.
 * What systemd makes of them is for the suites that have one. */

#include "lib/cage.h"

#include <sys/mount.h>
#include <sys/stat.h>

#include "agent/core/agent.h"
#include "agent/core/fence.h"
#include "agent/core/fencefile.h"
#include "lib/scratch.h"

static const struct command_id id = { .b = { 7 } };

static struct agent agent;
static struct scratch files;

static int begin(void **state) {
        int r = cage_begin(state);

        if (r != 0)
                return r;
        /* the mounts are the test's own */
        assert_int_equal(mount("none", "/run", "tmpfs", 0, NULL), 0);
        assert_int_equal(mkdir("/run/systemd", 0755), 0);
        assert_int_equal(mkdir("/run/systemd/system", 0755), 0);
        scratch_make(&files);
        agent = (struct agent) { .cgroup_root = strdup(cage_hierarchy()) };
        assert_int_equal(sd_event_new(&agent.event), 0);
        assert_int_equal(fence_new(agent.event, files.path, files.path, false, &agent.fence), 0);
        return 0;
}

static int end(void **state) {
        fence_free(agent.fence);
        sd_event_unref(agent.event);
        held_list_done(&agent.held);
        free(agent.cgroup_root);
        scratch_remove(&files);
        assert_int_equal(umount("/run"), 0);
        return cage_end(state);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

static void hold(const struct cage *c, const char *target) {
        struct sites sites = { .v = calloc(1, sizeof(*sites.v)), .n = 1 };

        assert_non_null(sites.v);
        sites.v[0] = SITE_NULL;
        assert_int_equal(target_from_str(target, &sites.v[0].target), 0);
        sites.v[0].path = strdup(c->path);
        sites.v[0].cgroup_id = c->id;
        assert_int_equal(held_put(&agent.held, &id, &sites), 0);
        fence_raise(&agent, &id);
}

static bool is_fenced(const char *unit) {
        struct fencefile f;

        return fencefile_read(files.path, unit, &f) == 0 && fencefile_has(&f, &id);
}

static void the_units_of_a_slice_are_fenced_with_it(void **state) {
        struct cage slice = cage_make("apps.slice");

        (void) state;
        (void) cage_make("apps.slice/a.service");
        (void) cage_make("apps.slice/apps-b.slice");
        (void) cage_make("apps.slice/apps-b.slice/c.service");
        hold(&slice, "slice:apps.slice");
        assert_true(is_fenced("apps.slice"));
        assert_true(is_fenced("a.service"));
        assert_true(is_fenced("apps-b.slice"));
        assert_true(is_fenced("c.service"));
}

/* Or a container in a held slice could have the host's own never start again. */
static void a_name_given_inside_fences_no_unit_of_the_host(void **state) {
        struct cage slice = cage_make("apps.slice"), inner;

        (void) state;
        (void) cage_make("apps.slice/a.service");
        (void) cage_make("apps.slice/a.service/ssh.service");
        (void) cage_make("apps.slice/5eedf00d");
        inner = cage_make("apps.slice/5eedf00d/sshd.service");
        (void) cage_make("apps.slice/5eedf00d/x.slice");
        (void) cage_make("apps.slice/5eedf00d/x.slice/cron.service");
        hold(&slice, "slice:apps.slice");
        assert_true(is_fenced("a.service"));
        assert_false(is_fenced("ssh.service"));
        assert_false(is_fenced("sshd.service"));
        assert_false(is_fenced("x.slice"));
        assert_false(is_fenced("cron.service"));
        hold(&inner, "container:sshd.service");
        assert_false(is_fenced("sshd.service"));
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(the_units_of_a_slice_are_fenced_with_it),
                CASE(a_name_given_inside_fences_no_unit_of_the_host),
        };

        return CAGE_MAIN(cases);
}
