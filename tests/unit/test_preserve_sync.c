/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
/* WRAP: syncfs */

/* What a collector that died has left is made durable, by a process that may wait for the disk. */

#include "lib/evidence_rig.h"

#include <signal.h>
#include <sys/mman.h>

#include "agent/util/clock.h"

/* Who makes durable what a collector left waits for a disk that never answers; seen by the test. */
static pid_t *hanging;
/* The disk refuses to. */
static bool failing;

int __real_syncfs(int fd);
int __wrap_syncfs(int fd);

int __wrap_syncfs(int fd) {
        if (failing) {
                errno = EIO;
                return -1;
        }
        if (!hanging)
                return __real_syncfs(fd);
        *hanging = getpid();
        for (;;)
                (void) pause();
}

static void who_waits_for_a_dead_disk_is_reaped_when_that_lets_him_end(void **state) {
        struct rig *r = *state;
        int64_t end;

        for (int i = 0; i < 100; i++)
                rig_spawn(r, NULL, NULL);
        hanging = mmap(NULL, sizeof(*hanging), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        assert_ptr_not_equal(hanging, MAP_FAILED);
        rig_start(r);
        assert_int_equal(kill(rig_stop_collector(r, 350), SIGKILL), 0);
        assert_int_equal(rig_wait(r).state, PRESERVE_CUT_SHORT);
        /* 0 is no process, and this very process group to kill */
        assert_true(*hanging > 0);
        assert_int_equal(kill(*hanging, SIGKILL), 0);
        for (end = clock_mono_us() + 60LL * 1000 * 1000; kill(*hanging, 0) == 0 && clock_mono_us() < end;)
                assert_true(sd_event_run(r->event, 100 * 1000) >= 0);
        assert_int_equal(kill(*hanging, 0), -1);
        assert_int_equal(munmap(hanging, sizeof(*hanging)), 0);
        hanging = NULL;
}

static void check_unsynced(struct rig *r) {
        _cleanup_json_ json_t *statement = NULL;
        struct rig_done d;

        rig_start(r);
        assert_int_equal(kill(rig_stop_collector(r, 350), SIGKILL), 0);
        d = rig_wait(r);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        statement = rig_statement(r, &d);
        const json_t *flags = json_object_get(json_object_get(statement, "predicate"), "flags");

        assert_int_equal(json_array_size(flags), 1);
        assert_string_equal(json_string_value(json_array_get(flags, 0)), "unsynced");
}

static void what_a_killed_collector_left_is_called_unsynced_where_it_is(void **state) {
        struct rig *r = *state;

        for (int i = 0; i < 100; i++)
                rig_spawn(r, NULL, NULL);
        assert_int_equal(setenv("FREEZED_FAULT", "", 1), 0);
        (void) fault_effect("restart the count");
        /* the folder, the collector, and what makes durable what it left */
        assert_int_equal(setenv("FREEZED_FAULT", "fail:3", 1), 0);
        check_unsynced(r);
        assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
}

static void what_the_disk_refuses_to_make_durable_is_called_unsynced(void **state) {
        struct rig *r = *state;

        for (int i = 0; i < 100; i++)
                rig_spawn(r, NULL, NULL);
        failing = true;
        check_unsynced(r);
        failing = false;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(what_a_killed_collector_left_is_called_unsynced_where_it_is),
                CASE(what_the_disk_refuses_to_make_durable_is_called_unsynced),
                CASE(who_waits_for_a_dead_disk_is_reaped_when_that_lets_him_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
