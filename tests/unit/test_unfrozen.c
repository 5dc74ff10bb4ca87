/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/unfrozen.c agent/core/cgroup.c agent/util/io.c agent/util/clock.c agent/util/fault.c tests/lib/cage.c */

/* On whom a freeze waits: real processes, and one that the kernel cannot freeze. */

#include "lib/cage.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "agent/core/cgroup.h"
#include "agent/core/unfrozen.h"

static struct cage cage;

static int begin(void **state) {
        int r = cage_begin(state);

        if (r == 0)
                cage = cage_make("held");
        return r;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, cage_end)

static struct unfrozen_list look(void) {
        _cleanup_free_ pid_t *pids = NULL;
        struct unfrozen_list l;
        size_t n;

        assert_int_equal(cgroup_pids(cage.fd, &pids, &n), 0);
        unfrozen_find(pids, n, &l);
        return l;
}

/* Waits for a page that nobody ever fills in, in the kernel, where only a fatal signal gets it out. */
static void get_stuck(void) {
        int fd = (int) syscall(SYS_userfaultfd, O_CLOEXEC);
        struct uffdio_api api = { .api = UFFD_API };
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), c;
        struct uffdio_register r = { .range = { (uintptr_t) page, 4096 }, .mode = UFFDIO_REGISTER_MODE_MISSING };
        struct iovec to = { &c, 1 }, from = { page, 1 };

        if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0 || ioctl(fd, UFFDIO_REGISTER, &r) < 0)
                _exit(1);
        (void) process_vm_readv(getpid(), &to, 1, &from, 1, 0);
        _exit(2);
}

static pid_t spawn_stuck(const char *comm) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void) prctl(PR_SET_NAME, comm);
                get_stuck();
        }
        return pid;
}

static bool comes_to_wait(pid_t pid) {
        char path[32], text[512] = "";

        (void) snprintf(path, sizeof(path), "/proc/%d/stat", (int) pid);
        for (unsigned k = 0; k < 60000; k++) {
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
                const char *end;

                if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
                        return false;
                end = strrchr(text, ')');
                if (end && end[2] == 'D')
                        return true;
                (void) usleep(1000);
        }
        return false;
}

static void move_in(pid_t pid) {
        char text[16];

        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        assert_int_equal(cage_write(&cage, "cgroup.procs", text), 0);
}

static void nobody_is_waited_for_when_all_are_frozen(void **state) {
        struct unfrozen_list l;

        (void) state;
        for (unsigned k = 0; k < 3; k++)
                (void) cage_spawn(&cage, NULL, NULL);
        cage_freeze(&cage, true);
        l = look();
        assert_int_equal(l.n, 0);
}

static void who_runs_is_named(void **state) {
        const pid_t pid = cage_spawn(&cage, NULL, NULL);
        struct unfrozen_list l;

        (void) state;
        l = look();
        assert_int_equal(l.n, 1);
        assert_int_equal(l.v[0].pid, pid);
}

static void who_is_stuck_in_the_kernel_is_named_with_where_and_the_others_are_not(void **state) {
        const pid_t stuck = spawn_stuck("st uck) S \n");
        struct unfrozen_list l;

        (void) state;
        (void) cage_spawn(&cage, NULL, NULL);
        if (!comes_to_wait(stuck)) {
                print_message("no userfaultfd in this kernel\n");
                cage_kill(stuck);
                skip();
        }
        move_in(stuck);
        assert_int_equal(cgroup_freezer_write(cage.fd, true), 0);
        assert_int_equal(cgroup_freezer_wait(cage.fd, true, 200000), -ETIMEDOUT);
        l = look();
        assert_int_equal(l.n, 1);
        assert_int_equal(l.v[0].pid, stuck);
        assert_int_equal(l.v[0].tid, stuck);
        assert_int_equal(l.v[0].state, 'D');
        assert_string_equal(l.v[0].comm, "st uck) S ?");
        assert_string_equal(l.v[0].wchan, "handle_userfault");
        cage_kill(stuck);
}

static void many_are_named_up_to_a_limit(void **state) {
        _cleanup_json_ json_t *o = NULL;
        struct unfrozen_list l;

        (void) state;
        for (unsigned k = 0; k < UNFROZEN_MAX + 4; k++)
                (void) cage_spawn(&cage, NULL, NULL);
        l = look();
        assert_int_equal(l.n, UNFROZEN_MAX);
        o = unfrozen_to_json(&l);
        assert_int_equal(json_array_size(o), UNFROZEN_MAX);
}

static void one_that_is_gone_is_none_of_them(void **state) {
        const pid_t gone = 4194304; /* beyond pid_max */
        struct unfrozen_list l;

        (void) state;
        unfrozen_find(&gone, 1, &l);
        assert_int_equal(l.n, 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(nobody_is_waited_for_when_all_are_frozen),
                CASE(who_runs_is_named),
                CASE(who_is_stuck_in_the_kernel_is_named_with_where_and_the_others_are_not),
                CASE(many_are_named_up_to_a_limit),
                CASE(one_that_is_gone_is_none_of_them),
        };

        return CAGE_MAIN(cases);
}
