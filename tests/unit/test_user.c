/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/user.c */

/* Users by the host's own file. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/user.h"
#include "lib/scratch.h"

static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\n"
                             "# no line of a user\n"
                             "alice:x:1000:1000:Alice:/home/alice:/bin/bash\n"
                             "alice:x:1001:1001:a second one:/:/bin/false\n"
                             "broken:x:abc:1:::\n"
                             "bob:x:4294967294:1::/:/bin/sh";

static int uid_of(const char *file, const char *text, uint32_t *ret) {
        struct target t;

        assert_int_equal(target_from_str(text, &t), 0);
        return user_uid(file, &t, ret);
}

static void a_name_is_what_the_file_says_and_a_number_is_itself(void **state) {
        _cleanup_scratch_ struct scratch dir;
        const char *file;
        uint32_t uid = 7;

        (void) state;
        scratch_make(&dir);
        file = scratch_path(&dir, "passwd");
        scratch_write(file, passwd, strlen(passwd));
        assert_int_equal(uid_of(file, "user:carol", &uid), -ENOENT);
        assert_int_equal(uid_of(file, "user:broken", &uid), -ENOENT);
        assert_int_equal(uid_of(file, "user:alic", &uid), -ENOENT);
        assert_int_equal(uid, 7);
        assert_int_equal(uid_of(file, "user:alice", &uid), 0);
        assert_int_equal(uid, 1000);
        assert_int_equal(uid_of(file, "user:root", &uid), 0);
        assert_int_equal(uid, 0);
        assert_int_equal(uid_of(file, "user:bob", &uid), 0);
        assert_int_equal(uid, 4294967294U);
        /* also one that is in no file */
        assert_int_equal(uid_of("/nowhere", "user:54321", &uid), 0);
        assert_int_equal(uid, 54321);
        assert_int_equal(uid_of("/nowhere", "user:alice", &uid), -ENOENT);
}

static void a_users_cgroup_is_his_slice(void **state) {
        _cleanup_free_ char *path = NULL;

        (void) state;
        assert_int_equal(user_cgroup(1000, &path), 0);
        assert_string_equal(path, "/user.slice/user-1000.slice");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_name_is_what_the_file_says_and_a_number_is_itself),
                cmocka_unit_test(a_users_cgroup_is_his_slice),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
