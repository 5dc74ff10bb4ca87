/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c */
/* LINK: tests/lib/cage.c */

/* The freezer, on real processes, also those that do not want to be frozen. */

#include "lib/cage.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/core/cgroup.h"
#include "agent/util/clock.h"

#define FREEZE_US (60LL * 1000 * 1000)
#define STORM     16 /* processes that fork at once, so that no more than twice that many live */

static void check_freezer(const struct cage *c, bool asked, bool frozen, bool populated) {
        struct cgroup_freezer f;

        assert_int_equal(cgroup_freezer_read(c->fd, &f), 0);
        assert_int_equal(f.asked, asked);
        assert_int_equal(f.frozen, frozen);
        assert_int_equal(f.populated, populated);
}

/* Beats as fast as it can. */
static void beat(void *userdata) {
        atomic_ulong *heart = userdata;

        if (fork() == 0)
                for (;;)
                        atomic_fetch_add(heart, 1);
}

static atomic_ulong *new_heart(void) {
        atomic_ulong *heart = mmap(NULL, sizeof(*heart), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

        assert_ptr_not_equal(heart, MAP_FAILED);
        return heart;
}

static bool beats_within(atomic_ulong *heart, int64_t us) {
        const int64_t end = clock_mono_us() + us;
        const unsigned long before = atomic_load(heart);

        while (atomic_load(heart) == before && clock_mono_us() < end)
                (void) usleep(1000);
        return atomic_load(heart) != before;
}

static bool beats(atomic_ulong *heart) {
        return beats_within(heart, FREEZE_US);
}

static bool is_still(atomic_ulong *heart) {
        return !beats_within(heart, 300 * 1000);
}

static void what_is_frozen_does_not_run(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b");
        atomic_ulong *heart = new_heart();

        (void) state;
        (void) cage_spawn(&b, beat, heart);
        assert_true(beats(heart));
        check_freezer(&a, false, false, true);
        assert_int_equal(cgroup_freezer_write(a.fd, true), 0);
        assert_int_equal(cgroup_freezer_wait(a.fd, true, FREEZE_US), 0);
        check_freezer(&a, true, true, true);
        /* asked above */
        check_freezer(&b, false, true, true);
        assert_true(is_still(heart));
        assert_int_equal(cgroup_freezer_write(a.fd, false), 0);
        assert_int_equal(cgroup_freezer_wait(a.fd, false, FREEZE_US), 0);
        check_freezer(&a, false, false, true);
        assert_true(beats(heart));
        assert_int_equal(munmap(heart, sizeof(*heart)), 0);
}

static void waiting_ends_when_it_is_time(void **state) {
        struct cage a = cage_make("a");
        int64_t start;

        (void) state;
        (void) cage_spawn(&a, NULL, NULL);
        for (int64_t limit = 0; limit <= 60000; limit += 20000) {
                start = clock_mono_us();
                assert_int_equal(cgroup_freezer_wait(a.fd, true, limit), -ETIMEDOUT);
                assert_in_range(clock_mono_us() - start, limit, limit + 60LL * 1000 * 1000);
        }
        assert_int_equal(cgroup_freezer_wait(a.fd, false, 0), 0);
}

static void one_that_is_thawed_below_a_frozen_one_stays_frozen(void **state) {
        struct cage a = cage_make("a"), b = cage_make("a/b");

        (void) state;
        (void) cage_spawn(&b, NULL, NULL);
        assert_int_equal(cgroup_freezer_write(a.fd, true), 0);
        assert_int_equal(cgroup_freezer_write(b.fd, true), 0);
        assert_int_equal(cgroup_freezer_wait(b.fd, true, FREEZE_US), 0);
        assert_int_equal(cgroup_freezer_write(b.fd, false), 0);
        assert_int_equal(cgroup_freezer_wait(b.fd, false, 20000), -ETIMEDOUT);
        check_freezer(&b, false, true, true);
}

static void an_empty_cgroup_is_frozen_and_says_that_it_is_empty(void **state) {
        struct cage a = cage_make("a");

        (void) state;
        check_freezer(&a, false, false, false);
        assert_int_equal(cgroup_freezer_write(a.fd, true), 0);
        assert_int_equal(cgroup_freezer_wait(a.fd, true, FREEZE_US), 0);
        check_freezer(&a, true, true, false);
}

static void the_freezer_of_a_cgroup_that_is_gone_is_an_error(void **state) {
        struct cage a = cage_make("a");
        struct cgroup_freezer f;

        (void) state;
        cage_remove(&a);
        assert_true(cgroup_freezer_read(a.fd, &f) < 0);
        assert_true(cgroup_freezer_write(a.fd, true) < 0);
        assert_true(cgroup_freezer_wait(a.fd, true, 0) < 0);
        assert_int_not_equal(cgroup_freezer_wait(a.fd, true, 0), -ETIMEDOUT);
        /* the root has none */
        _cleanup_close_ int root = open(cage_hierarchy(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(cgroup_freezer_read(root, &f), -ENOENT);
}

static void *beat_on(void *userdata) {
        atomic_ulong *heart = userdata;

        for (;;)
                atomic_fetch_add(heart, 1);
        return NULL;
}

static void leave_it_to_a_thread(void *userdata) {
        pthread_t thread;

        if (fork() != 0)
                return;
        (void) pthread_create(&thread, NULL, beat_on, userdata);
        (void) syscall(SYS_exit, 0);
}

static void a_process_whose_first_thread_has_ended_is_frozen_too(void **state) {
        struct cage a = cage_make("a");
        atomic_ulong *heart = new_heart();
        _cleanup_free_ pid_t *pids = NULL;
        size_t n;

        (void) state;
        (void) cage_spawn(&a, leave_it_to_a_thread, heart);
        assert_true(beats(heart));
        assert_int_equal(cgroup_pids(a.fd, &pids, &n), 0);
        assert_int_equal(n, 2);
        assert_int_equal(cgroup_freezer_write(a.fd, true), 0);
        assert_int_equal(cgroup_freezer_wait(a.fd, true, FREEZE_US), 0);
        assert_true(is_still(heart));
        assert_int_equal(munmap(heart, sizeof(*heart)), 0);
}

/* Each is never the same process for long: the child goes on, the parent ends. */
static void run_on(void *userdata) {
        atomic_ulong *heart = userdata;

        /* who is left behind is its child, and no zombie */
        (void) prctl(PR_SET_CHILD_SUBREAPER, 1);
        (void) signal(SIGCHLD, SIG_IGN);
        if (fork() != 0)
                return;
        for (;;) {
                pid_t pid = fork();

                if (pid > 0)
                        _exit(0);
                atomic_fetch_add(heart, 1);
        }
}

/* And these make children that end at once. */
static void storm(void *userdata) {
        atomic_ulong *heart = userdata;

        if (fork() != 0)
                return;
        for (;;) {
                pid_t pid = fork();

                if (pid == 0)
                        _exit(0);
                atomic_fetch_add(heart, 1);
                if (pid > 0)
                        (void) waitpid(pid, NULL, 0);
        }
}

static void forking_is_no_way_out_of_the_freezer(void **state) {
        struct cage a = cage_make("a");
        atomic_ulong *heart = new_heart();

        (void) state;
        for (int i = 0; i < STORM; i++)
                (void) cage_spawn(&a, i % 2 ? run_on : storm, heart);
        for (int round = 0; round < 3; round++) {
                _cleanup_free_ pid_t *before = NULL, *after = NULL;
                size_t n_before, n_after;

                assert_true(beats(heart));
                assert_int_equal(cgroup_freezer_write(a.fd, true), 0);
                assert_int_equal(cgroup_freezer_wait(a.fd, true, FREEZE_US), 0);
                assert_int_equal(cgroup_pids(a.fd, &before, &n_before), 0);
                assert_true(is_still(heart));
                assert_int_equal(cgroup_pids(a.fd, &after, &n_after), 0);
                assert_int_equal(n_before, n_after);
                assert_memory_equal(before, after, n_before * sizeof(*before));
                assert_true(n_before >= STORM);
                assert_int_equal(cgroup_freezer_write(a.fd, false), 0);
                assert_int_equal(cgroup_freezer_wait(a.fd, false, FREEZE_US), 0);
        }
        assert_int_equal(munmap(heart, sizeof(*heart)), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CAGE_CASE(what_is_frozen_does_not_run),
                CAGE_CASE(waiting_ends_when_it_is_time),
                CAGE_CASE(one_that_is_thawed_below_a_frozen_one_stays_frozen),
                CAGE_CASE(an_empty_cgroup_is_frozen_and_says_that_it_is_empty),
                CAGE_CASE(the_freezer_of_a_cgroup_that_is_gone_is_an_error),
                CAGE_CASE(a_process_whose_first_thread_has_ended_is_frozen_too),
                CAGE_CASE(forking_is_no_way_out_of_the_freezer),
        };

        return CAGE_MAIN(cases);
}
