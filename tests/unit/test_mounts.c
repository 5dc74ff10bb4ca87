/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/mounts.c agent/util/io.c agent/util/fault.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>

#include "agent/collect/mounts.h"

static int parse(const char *text, struct mounts *ret) {
        return mounts_parse(text, strlen(text), ret);
}

static bool has(const struct mounts *m, uint64_t id) {
        for (size_t i = 0; i < m->n; i++)
                if (m->ids[i] == id)
                        return true;
        return false;
}

static void mounts_are_those_that_ask_nobody(void **state) {
        _cleanup_(mounts_done) struct mounts m = { .ids = NULL };

        (void) state;
        assert_int_equal(parse("900 1 8:1 / / rw,relatime shared:1 master:2 - ext4 /dev/sda1 rw\n"
                               "31 900 0:27 / /mnt/a\\040-\\040b rw - fuse.sshfs host:/x rw,user_id=0\n"
                               "32 900 0:28 / /run rw,nosuid - tmpfs tmpfs rw\n"
                               "33 900 0:29 / /nfs rw - nfs4 server:/ rw\n"
                               "34 900 0:30 / /auto rw - autofs systemd-1 rw,direct\n"
                               "35 900 0:31 / /over rw - overlay overlay rw,lowerdir=/a\n"
                               "36 900 0:32 / /fuseblk rw - fuseblk /dev/sdb1 rw\n"
                               "37 900 0:33 / /9 rw - 9p share rw\n"
                               "38 900 0:34 / /x rw - nfsd nfsd rw\n"
                               "39 900 0:35 / /var/log rw - proc proc rw\n"
                               "40 900 0:36 / /y rw - tracefs tracefs rw\n",
                               &m),
                         0);
        assert_int_equal(m.n, 3);
        assert_true(has(&m, 900) && has(&m, 32) && has(&m, 35));
}

static void mounts_refuse_what_is_no_list_of_mounts(void **state) {
        static const char *const texts[] = {
                "x\n",
                "1 2 8:1 / / rw - ext4 /dev/sda1 rw",
                "1 2 8:1 / / rw ext4 /dev/sda1 rw\n",
                " 1 2 8:1 / / rw - ext4 /dev/sda1 rw\n",
                "-1 2 8:1 / / rw - ext4 /dev/sda1 rw\n",
                "99999999999999999999 2 8:1 / / rw - ext4 /dev/sda1 rw\n",
                "1 2 8:1 / / rw -  /dev/sda1 rw\n",
                "\n",
                "1\n",
        };
        struct mounts m = { .n = 7 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (parse(texts[i], &m) != -EBADMSG || m.n != 7)
                        fail_msg("taken: %s", texts[i]);
        assert_int_equal(parse("", &m), 0);
        assert_int_equal(m.n, 0);
        mounts_done(&m);
}

static void mounts_know_the_one_that_this_program_runs_from(void **state) {
        _cleanup_close_ int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_close_ int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
        _cleanup_(mounts_done) struct mounts m = { .ids = NULL };
        struct statx st;

        (void) state;
        assert_int_equal(mounts_read(self, &m), 0);
        assert_int_equal(mounts_look(&m, exe, &st), 0);
        assert_true(S_ISREG(st.stx_mode));
        m.n = 0;
        assert_int_equal(mounts_look(&m, exe, &st), -EREMOTE);
        assert_int_equal(mounts_look(&m, -1, &st), -EBADF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(mounts_are_those_that_ask_nobody),
                cmocka_unit_test(mounts_refuse_what_is_no_list_of_mounts),
                cmocka_unit_test(mounts_know_the_one_that_this_program_runs_from),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
