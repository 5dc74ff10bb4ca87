/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/tell.c agent/util/clock.c agent/util/io.c agent/util/fault.c agent/util/log.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "agent/relay/tell.h"
#include "agent/util/io.h"

static char dir[] = "/tmp/tell-XXXXXX";

static int begin(void **state) {
        (void) state;
        memcpy(dir, "/tmp/tell-XXXXXX", sizeof(dir));
        return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state) {
        char path[64];

        (void) state;
        (void) snprintf(path, sizeof(path), "%s/state.json", dir);
        (void) unlink(path);
        (void) snprintf(path, sizeof(path), "%s/manager", dir);
        (void) unlink(path);
        return rmdir(dir);
}

static json_t *told(void) {
        char path[64];
        json_t *o;

        (void) snprintf(path, sizeof(path), "%s/state.json", dir);
        o = json_load_file(path, 0, NULL);
        assert_non_null(o);
        return o;
}

static void the_file_says_state_identity_and_counters(void **state) {
        struct who w = { .fleet = "prod", .groups = { "web" }, .n_groups = 1 };
        struct tell t = { .dir = dir, .counters = { .answers = 3 } };
        _cleanup_json_ json_t *o = NULL;
        struct stat st;
        char path[64];

        (void) state;
        assert_true(tell_set(&t, TELL_DEAF, "frz.v1.prod.cmd.all.*"));
        assert_false(tell_set(&t, TELL_DEAF, "frz.v1.prod.cmd.all.*"));
        tell_now(&t, &w);
        o = told();
        assert_string_equal(json_string_value(json_object_get(o, "state")), "deaf");
        assert_string_equal(json_string_value(json_object_get(o, "subject")), "frz.v1.prod.cmd.all.*");
        assert_string_equal(json_string_value(json_object_get(o, "fleet")), "prod");
        assert_int_equal(json_array_size(json_object_get(o, "groups")), 1);
        assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "counters"), "answers")), 3);
        (void) snprintf(path, sizeof(path), "%s/state.json", dir);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0644);
}

static void since_when_is_that_of_the_state(void **state) {
        struct tell t = { .dir = NULL };
        int64_t since;

        (void) state;
        assert_true(tell_set(&t, TELL_CONNECTING, ""));
        since = t.since_ms;
        assert_true(since > 0);
        t.since_ms = 1;
        assert_false(tell_set(&t, TELL_CONNECTING, ""));
        assert_int_equal(t.since_ms, 1);
        assert_true(tell_set(&t, TELL_READY, ""));
        assert_true(t.since_ms >= since);
}

static void what_a_server_says_cannot_tell_the_manager_anything(void **state) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        struct tell t = { .dir = NULL };
        char got[1024] = "";
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void) state;
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/manager", dir);
        assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", address.sun_path, 1), 0);
        tell_text(t.why, sizeof(t.why), "no\nMAINPID=1\x1b[2J\xff");
        (void) tell_set(&t, TELL_DEAF, "a\nWATCHDOG=trigger");
        tell_now(&t, NULL);
        assert_true(recv(fd, got, sizeof(got) - 1, 0) > 0);
        assert_string_equal(got, "STATUS=deaf a?WATCHDOG=trigger: no?MAINPID=1?[2J?");
        assert_int_equal(unsetenv("NOTIFY_SOCKET"), 0);
        assert_int_equal(close(fd), 0);
}

static void every_state_has_a_name(void **state) {
        (void) state;
        for (unsigned s = 0; s < _TELL_STATE_MAX; s++)
                assert_non_null(tell_state_str((enum tell_state) s));
        assert_null(tell_state_str(_TELL_STATE_MAX));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(the_file_says_state_identity_and_counters, begin, end),
                cmocka_unit_test(since_when_is_that_of_the_state),
                cmocka_unit_test_setup_teardown(what_a_server_says_cannot_tell_the_manager_anything, begin, end),
                cmocka_unit_test(every_state_has_a_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
