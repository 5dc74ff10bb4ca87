/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Real processes in a cgroup of the test's own, looked for and kept by the collector's code in this process, without
 * its sandbox; what it kept is opened with stock tools (collect_box.h). Needs root and a unified hierarchy; without
 * them each case is skipped. */

#include "lib/collect_box.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "agent/collect/target.h"

#define TARGET_BOX_MAX     16U
#define TARGET_BOX_WAIT_US (60LL * 1000 * 1000)

struct target_box {
        struct box box;
        struct target_set *set;
        char cgroup[128];
        pid_t pids[TARGET_BOX_MAX];
        size_t n_pids;
};

static inline int target_box_set_up(void **state) {
        static const char *const roots[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
        struct target_box *b = calloc(1, sizeof(*b));

        *state = b;
        for (size_t i = 0; i < ELEMENTSOF(roots) && !b->cgroup[0]; i++) {
                char controllers[64];

                (void) snprintf(controllers, sizeof(controllers), "%s/cgroup.controllers", roots[i]);
                if (access(controllers, F_OK) == 0)
                        (void) snprintf(b->cgroup, sizeof(b->cgroup), "%s/freezed-test-%d", roots[i], (int) getpid());
        }
        if (geteuid() != 0 || !b->cgroup[0] || mkdir(b->cgroup, 0755) < 0) {
                b->cgroup[0] = '\0';
                print_message("skip: needs root and a unified cgroup hierarchy\n");
                skip();
        }
        return 0;
}

static inline void target_box_write(const struct target_box *b, const char *file, const char *text) {
        char path[192];
        _cleanup_close_ int fd = -EBADF;

        (void) snprintf(path, sizeof(path), "%s/%s", b->cgroup, file);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* A process in the cgroup that runs body and then sleeps; returns when it does. */
static inline pid_t target_box_spawn(struct target_box *b, void (*body)(void *userdata), void *userdata) {
        int ready[2];
        char c;

        assert_true(b->n_pids < TARGET_BOX_MAX);
        assert_int_equal(pipe(ready), 0);
        pid_t pid = fork();

        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                target_box_write(b, "cgroup.procs", "0");
                if (body)
                        body(userdata);
                (void) close(ready[0]);
                (void) close(ready[1]);
                for (;;)
                        (void) pause();
        }
        assert_true(pid > 0);
        b->pids[b->n_pids++] = pid;
        (void) close(ready[1]);
        assert_int_equal(read(ready[0], &c, 1), 0);
        (void) close(ready[0]);
        return pid;
}

/* Ends one of them. */
static inline void target_box_end(struct target_box *b, size_t i) {
        assert_int_equal(kill(b->pids[i], SIGKILL), 0);
        assert_int_equal(scratch_wait(b->pids[i]), -SIGKILL);
        b->pids[i] = b->pids[--b->n_pids];
}

static inline void target_box_freeze(struct target_box *b, bool freeze) {
        target_box_write(b, "cgroup.freeze", freeze ? "1" : "0");
        for (int64_t end = clock_mono_us() + TARGET_BOX_WAIT_US; clock_mono_us() < end; (void) usleep(1000)) {
                char path[192], text[256] = "";

                (void) snprintf(path, sizeof(path), "%s/cgroup.events", b->cgroup);
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

                assert_true(read(fd, text, sizeof(text) - 1) > 0);
                if (strstr(text, freeze ? "frozen 1" : "frozen 0"))
                        return;
        }
        fail_msg("the cgroup did not become %s", freeze ? "frozen" : "thawed");
}

/* Finds them, with an empty store to keep what is read of them. */
static inline void target_box_open(struct target_box *b) {
        const char *const cgroup = b->cgroup, *const unit = "-";

        box_open(&b->box, 2ULL << 30);
        b->set = target_set_new(&cgroup, &unit, 1);
        assert_non_null(b->set);
        (void) target_find_processes(b->set, b->box.store);
        assert_int_equal(b->set->n_processes, b->n_pids);
}

static inline void target_box_close(struct target_box *b) {
        if (!b->set)
                return;
        target_set_free(TAKE_PTR(b->set));
        box_done(&b->box);
}

static inline int target_box_tear_down(void **state) {
        struct target_box *b = *state;

        target_box_close(b);
        if (b->cgroup[0]) {
                target_box_freeze(b, false);
                while (b->n_pids > 0)
                        target_box_end(b, 0);
                /* what they forked is reaped by others */
                target_box_write(b, "cgroup.kill", "1");
                for (int64_t end = clock_mono_us() + TARGET_BOX_WAIT_US; rmdir(b->cgroup) < 0; (void) usleep(1000))
                        assert_true(errno == EBUSY && clock_mono_us() < end);
        }
        free(b);
        return 0;
}

#define TARGET_BOX_CASE(f) cmocka_unit_test_setup_teardown(f, target_box_set_up, target_box_tear_down)
