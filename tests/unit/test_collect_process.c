/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/preserve.c agent/core/preserved.c agent/core/seal.c agent/core/plain.c agent/core/hostkey.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/evidence_rig.c */
#include "lib/evidence_rig.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

#define WATCHED 15000U
#define WATCHES 2000U

/* Each of those costs the kernel a line for each that is watched, in memory that it takes and gives back. */
static void watch_many(void *userdata) {
        struct rlimit many;
        int epoll, ends[2];

        (void) userdata;
        need(getrlimit(RLIMIT_NOFILE, &many) == 0);
        many.rlim_cur = many.rlim_max;
        need(setrlimit(RLIMIT_NOFILE, &many) == 0);
        epoll = epoll_create1(EPOLL_CLOEXEC);
        for (unsigned i = 1; i < WATCHES; i++)
                need(dup(epoll) >= 0);
        need(pipe2(ends, O_CLOEXEC) == 0);
        for (unsigned i = 0; i < WATCHED && i + WATCHES + 100 < many.rlim_cur; i++) {
                const int fd = dup(ends[0]);

                need(fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &(struct epoll_event) { .data.fd = fd }) == 0);
        }
}

static void descriptors_that_take_long_cost_their_own_process_and_no_other(void **state) {
        struct rig *r = *state;
        struct rig_done d;
        char ours[256];

        rig_spawn(r, watch_many, NULL);
        const pid_t other = rig_spawn(r, NULL, NULL);

        rig_freeze(r, true);
        r->job.deadline_ms = 16000;
        r->job.max_bytes = 1 << 30;
        d = rig_preserve(r);
        rig_open(r, &d);
        assert_int_equal(d.state, PRESERVE_CUT_SHORT);
        assert_true(d.counted && (d.flags & COLLECT_CUT_TIME));
        must(d.opened,
             ANY(".kind == \"fds\" and .hole == \"ETIME\" and (.source | endswith(\"/fdinfo\"))", "index.jsonl"));
        must(d.opened, "grep -hq '\"info_errno\":\"ETIME\"' data/*-fds");
        /* nothing else is missing of either */
        must(d.opened,
             "for k in status maps cmdline environ core; do test $(ls data/*[0-9]-$k | wc -l) = 2 || exit 1; done");
        (void) snprintf(ours, sizeof(ours),
                        "f=$(jq -r 'select(.kind == \"fds\" and .pid == %d and .sha256) | .member' index.jsonl) && "
                        "! grep -q ETIME data/$f",
                        (int) other);
        must(d.opened, ours);
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)
                CASE(what_the_kernel_says_of_a_process_is_kept),
                CASE(each_table_of_mounts_is_kept_once),
                CASE(what_one_thread_has_for_itself_is_kept),
                CASE(threads_that_share_their_descriptors_are_not_read_twice),
                CASE(descriptors_that_take_long_cost_their_own_process_and_no_other),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
