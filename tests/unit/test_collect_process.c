/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "lib/age_keys.h"

#define ANY(filter, files) "jq -es 'any(.[]; " filter ")' " files

static void must(const char *dir, const char *command) {
        if (!rig_shell(dir, command))
                fail_msg("%s", command);
}

static void need(bool is) {
        if (!is)
                _exit(1);
}

static void unusual(void *userdata) {
        (void) userdata;
        need(personality(ADDR_NO_RANDOMIZE) >= 0 && prctl(PR_SET_NAME, "\x1b[2J\n\xff") == 0);
}

static void what_the_kernel_says_of_a_process_is_kept(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, unusual, NULL);
        rig_freeze(r, true);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, ANY(".personality == \"00040000\"", "data/*-attributes"));
        must(d.opened, ANY("(.uid_map | test(\"4294967295\")) and .oom_score_adj == \"0\"", "data/*-attributes"));
        /* where it is in the kernel, though it is frozen */
        must(d.opened, ANY(".syscall | test(\"^-?[0-9]+ \")", "data/*-attributes"));
        must(d.opened, ANY(".comm_b64 and (.wchan or .wchan_errno)", "data/*-tasks"));
        must(d.opened, "LC_ALL=C; ! grep -nP '[^\\x20-\\x7e]' data/*-attributes data/*-tasks");
        must(d.opened, "grep -q ' / / ' data/*-mounts");
}

static void own_mounts(void *userdata) {
        (void) userdata;
        need(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
        need(mount("hidden", "/mnt", "tmpfs", 0, NULL) == 0);
}

static void each_table_of_mounts_is_kept_once(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        for (int i = 0; i < 3; i++)
                rig_spawn(r, NULL, NULL);
        rig_spawn(r, own_mounts, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, "test $(ls data/*-mounts | wc -l) = 2");
        must(d.opened, "test $(grep -l ' - tmpfs hidden ' data/*-mounts | wc -l) = 1");
}

static __attribute__((noreturn)) int apart(void *userdata) {
        const unsigned ready = *(unsigned *) userdata;

        need(unshare(CLONE_FILES | CLONE_NEWUTS | CLONE_NEWNET) == 0);
        need(close_range(3, ready - 1, 0) == 0 && close_range(ready + 1, ~0U, 0) == 0);
        need(open("/etc/hostname", O_RDONLY | O_CLOEXEC) >= 0 || open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
        const int memory = memfd_create("implant", MFD_CLOEXEC);

        need(memory >= 0 && write(memory, "only one thread has this", 24) == 24);
        need(prctl(PR_SET_NAME, "apart") == 0 && write((int) ready, "x", 1) == 1);
        for (;;)
                (void) pause();
}

static __attribute__((noreturn)) int together(void *userdata) {
        need(write(*(int *) userdata, "x", 1) == 1);
        for (;;)
                (void) pause();
}

static void start(int (*thread)(void *userdata)) {
        static uint8_t stack[64 * 1024] __attribute__((aligned(16)));
        static int ends[2];
        char c;

        need(pipe2(ends, O_CLOEXEC) == 0);
        need(clone(thread, stack + sizeof(stack), CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES, &ends[1]) > 0);
        need(read(ends[0], &c, 1) == 1);
}

static void start_apart(void *userdata) {
        (void) userdata;
        start(apart);
}

static void start_together(void *userdata) {
        (void) userdata;
        start(together);
}

static void what_one_thread_has_for_itself_is_kept(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, start_apart, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, "test $(jq -r '.[\"ns/net\"]' data/*-tasks | sort -u | wc -l) = 2");
        must(d.opened, "test $(ls data/*-fds | wc -l) = 2");
        must(d.opened, ANY(".kind == \"fds\" and (.source | test(\"/task/[0-9]+/fd$\"))", "index.jsonl"));
        must(d.opened, "grep -l '\"target\":\"/etc/' data/*-fds");
        must(d.opened, "grep -q 'only one thread has this' data/*-deleted-file");
        must(d.opened, "grep -h '\"target\":\"/etc/' data/*-fds | grep -q '\"info\":\"pos:'");
}

static void threads_that_share_their_descriptors_are_not_read_twice(void **state) {
        struct rig *r = *state;
        struct rig_done d;

        rig_spawn(r, start_together, NULL);
        d = rig_preserve(r);
        rig_open(r, &d);
        must(d.opened, "test $(ls data/*-fds | wc -l) = 1");
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
                CASE(what_the_kernel_says_of_a_process_is_kept),
                CASE(each_table_of_mounts_is_kept_once),
                CASE(what_one_thread_has_for_itself_is_kept),
                CASE(threads_that_share_their_descriptors_are_not_read_twice),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
