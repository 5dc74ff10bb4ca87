/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "agent/util/clock.h"

/* Log files of the real collector, in its sandbox: what it may open there, and through whose eyes it looks. */

#define INDEX "index.jsonl"

static void log_line(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t) strlen(text))
                _exit(2);
        (void) close(fd);
}

/* Mounts of its own, as a container and a unit with PrivateTmp= have; its log is nowhere else. */
static void log_privately(void *userdata) {
        const char *dir = userdata;
        char path[256];

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("own", dir, "tmpfs", 0, NULL) < 0)
                _exit(1);
        (void) snprintf(path, sizeof(path), "%s/app.log", dir);
        log_line(path, "seen by the service alone\n");
}

static void logs_are_taken_from_the_host_and_from_the_mounts_of_the_target(void **state) {
        struct rig *r = *state;
        _cleanup_scratch_ struct scratch s;
        char pattern[256], check[512];
        const char *const logs[] = { pattern };
        struct rig_done d;

        scratch_make(&s);
        (void) snprintf(pattern, sizeof(pattern), "%s/app.log*", s.path);
        log_line(scratch_path(&s, "app.log"), "seen by the host alone\n");
        log_line(scratch_path(&s, "app.log.1"), "older\n");
        pid_t pid = rig_spawn(r, log_privately, s.path);

        rig_spawn(r, NULL, NULL);
        rig_freeze(r, true);
        r->job.logs = logs;
        r->job.n_logs = 1;
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, "test $(ls data/*-log | wc -l) = 3"));
        assert_true(rig_shell(d.opened, "grep -q 'host alone' data/*-log && grep -q older data/*-log"));
        (void) snprintf(
                check, sizeof(check),
                "f=$(jq -r 'select(.kind == \"log\" and .source == \"/proc/%d/root%s/app.log\") | .member' " INDEX
                ") && grep -q 'service alone' data/$f",
                (int) pid, s.path);
        assert_true(rig_shell(d.opened, check));
        assert_true(rig_shell(d.opened, "jq -es 'all(.[]; .kind != \"root\" or .hole == null)' " INDEX));
}

static void logs_are_what_the_profile_logs_takes_and_memory_is_not(void **state) {
        struct rig *r = *state;
        _cleanup_scratch_ struct scratch s;
        _cleanup_json_ json_t *statement = NULL;
        char path[256];
        struct rig_done d;

        scratch_make(&s);
        (void) snprintf(path, sizeof(path), "%s", scratch_path(&s, "a.log"));
        log_line(path, "a line\n");
        rig_spawn(r, NULL, NULL);
        rig_freeze(r, true);
        r->job.profile = PROFILE_LOGS;
        r->job.logs = (const char *const[]) { path };
        r->job.n_logs = 1;
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_COMPLETE);
        statement = rig_statement(r, &d);
        assert_string_equal(rig_text(statement, "predicate", "profile"), "logs");
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, "ls data/*-log data/*-status data/*-cmdline data/*-net-tcp"));
        assert_false(rig_shell(d.opened, "ls data/*-core"));
        r->job.profile = PROFILE_DEFAULT;
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, "ls data/*-log data/*-core"));
}

/* Memory that is larger than the budget must not be all that there is. */
static void much_memory(void *userdata) {
        const size_t n = 64 << 20;
        unsigned char *p = malloc(n);
        unsigned seed = 1;

        (void) userdata;
        for (size_t i = 0; p && i < n; i++)
                p[i] = (unsigned char) ((seed = seed * 1103515245U + 12345U) >> 16);
}

static void logs_have_room_though_memory_does_not(void **state) {
        struct rig *r = *state;
        _cleanup_scratch_ struct scratch s;
        char path[256];
        struct rig_done d;

        scratch_make(&s);
        (void) snprintf(path, sizeof(path), "%s", scratch_path(&s, "a.log"));
        log_line(path, "a line\n");
        rig_spawn(r, much_memory, NULL);
        rig_freeze(r, true);
        r->job.max_bytes = 8 << 20;
        r->job.logs = (const char *const[]) { path };
        r->job.n_logs = 1;
        d = rig_preserve(r);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_true(d.flags & COLLECT_CUT_BYTES);
        rig_open(r, &d);
        assert_true(rig_shell(d.opened, "grep -q 'a line' data/*-log"));
        assert_true(rig_shell(d.opened, "jq -es 'any(.[]; .kind == \"core\" and .hole == \"EFBIG\")' " INDEX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(logs_are_taken_from_the_host_and_from_the_mounts_of_the_target,
                                                rig_set_up, rig_tear_down),
                cmocka_unit_test_setup_teardown(logs_are_what_the_profile_logs_takes_and_memory_is_not, rig_set_up,
                                                rig_tear_down),
                cmocka_unit_test_setup_teardown(logs_have_room_though_memory_does_not, rig_set_up, rig_tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
