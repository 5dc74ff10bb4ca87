/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>

#include "agent/util/fault.h"
#include "lib/scratch.h"

static void set(const char *setting) {
        if (setting)
                assert_int_equal(setenv("FREEZED_FAULT", setting, 1), 0);
        else
                assert_int_equal(unsetenv("FREEZED_FAULT"), 0);
}

static void fault_effect_does_nothing_unasked(void **state) {
        (void) state;
        set(NULL);
        for (int i = 0; i < 10; i++)
                assert_int_equal(fault_effect("x"), 0);
}

static void fault_effect_fails_the_kth_and_no_other(void **state) {
        char setting[32];

        (void) state;
        for (unsigned k = 1; k <= 12; k++) {
                (void) snprintf(setting, sizeof(setting), "fail:%u", k);
                set(setting);
                for (unsigned i = 1; i <= 15; i++)
                        assert_int_equal(fault_effect("x"), i == k ? -EIO : 0);
        }
        set(NULL);
}

static void fault_effect_dies_at_the_kth(void **state) {
        (void) state;
        for (unsigned k = 1; k <= 5; k++) {
                uint8_t passed[8];
                int fds[2];
                pid_t pid;

                assert_int_equal(pipe(fds), 0);
                pid = fork();
                if (pid == 0) {
                        char setting[32];

                        (void) snprintf(setting, sizeof(setting), "kill:%u", k);
                        set(setting);
                        for (int i = 0; i < 7; i++)
                                if (fault_effect("x") != 0 || write(fds[1], "", 1) != 1)
                                        _exit(1);
                        _exit(0);
                }
                (void) close(fds[1]);
                assert_int_equal(scratch_wait(pid), -SIGKILL);
                assert_int_equal(read(fds[0], passed, sizeof(passed)), k - 1);
                (void) close(fds[0]);
        }
}

static void fault_effect_counts_into_the_file(void **state) {
        _cleanup_scratch_ struct scratch s;

        (void) state;
        scratch_make(&s);
        assert_int_equal(setenv("FREEZED_FAULT_FILE", scratch_path(&s, "count"), 1), 0);
        set("count");
        for (unsigned i = 1; i <= 12; i++) {
                char want[16];

                assert_int_equal(fault_effect("x"), 0);
                (void) snprintf(want, sizeof(want), "%u\n", i);
                _cleanup_(scratch_bytes_done) struct scratch_bytes got = scratch_read(scratch_path(&s, "count"));

                assert_string_equal(got.data, want);
        }
        assert_int_equal(unsetenv("FREEZED_FAULT_FILE"), 0);
        assert_int_equal(fault_effect("x"), -EINVAL);
        set(NULL);
}

static void fault_effect_fails_every_time_when_the_setting_is_misspelt(void **state) {
        static const char *const bad[] = { "kill",    "kill:",   "kill:0", "kill:x",  "kill:1x",
                                           "kill:-1", "fail: 1", "Count",  "fail:1,2" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                set(bad[i]);
                assert_int_equal(fault_effect("x"), -EINVAL);
                assert_int_equal(fault_effect("x"), -EINVAL);
        }
        set(NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(fault_effect_does_nothing_unasked),
                cmocka_unit_test(fault_effect_fails_the_kth_and_no_other),
                cmocka_unit_test(fault_effect_dies_at_the_kth),
                cmocka_unit_test(fault_effect_counts_into_the_file),
                cmocka_unit_test(fault_effect_fails_every_time_when_the_setting_is_misspelt),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
