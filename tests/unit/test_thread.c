/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/thread.c agent/collect/elfcore.c */
/* LINK: agent/collect/target.c agent/collect/numdir.c agent/collect/pidlist.c agent/collect/source.c */
/* LINK: agent/collect/store.c agent/collect/bag.c agent/collect/sealer.c agent/collect/press.c */
/* LINK: agent/collect/pack.c agent/collect/lines.c agent/collect/manifest.c agent/collect/index.c */
/* LINK: agent/util/io.c agent/util/clock.c agent/util/fault.c */
#include "lib/target_box.h"

#include <dirent.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <sys/procfs.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "agent/collect/numdir.h"
#include "agent/collect/thread.h"

#define MAGIC 0x66726f7a656e2121UL

/* Waits for ever in a call that it made with the magic number in a register. */
static void hold_magic(void *userdata) {
        (void) userdata;
        (void) signal(SIGUSR1, SIG_IGN);
#if defined(__x86_64__)
        /* from here on in no compiler's hands; with the pipe closed it is almost there: await_pause */
        for (int fd = 3; fd < 64; fd++)
                (void) close(fd);
        __asm__ volatile("mov %0, %%r15\n"
                         "1: mov %1, %%eax\n"
                         "syscall\n"
                         "jmp 1b\n"
                         :
                         : "r"(MAGIC), "i"(SYS_pause)
                         : "rax", "rcx", "r11", "r15", "memory");
#endif
}

static void await_pause(pid_t pid) {
#if defined(__x86_64__)
        char path[64], text[256] = "", wanted[16];
        const int n = snprintf(wanted, sizeof(wanted), "%d ", SYS_pause);

        (void) snprintf(path, sizeof(path), "/proc/%d/syscall", (int) pid);
        for (int i = 0; i < 60000 && strncmp(text, wanted, (size_t) n) != 0; i++) {
                _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

                (void) usleep(1000);
                assert_true(read(fd, text, sizeof(text) - 1) > 0);
        }
        assert_memory_equal(text, wanted, (size_t) n);
#else
        (void) pid;
#endif
}

static uint64_t magic_of(const struct elf_prstatus *s) {
#if defined(__x86_64__)
        /* r15 is the first of struct user_regs_struct */
        return s->pr_reg[0];
#else
        (void) s;
        return MAGIC;
#endif
}

static char state_of(pid_t pid, const char *field) {
        char path[64], text[4096] = "", *at;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) pid);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        assert_true(read(fd, text, sizeof(text) - 1) > 0);
        at = strstr(text, field);
        assert_non_null(at);
        return at[strlen(field)];
}

static void registers_are_those_of_the_frozen_thread_and_it_stays_as_it_was(void **state) {
        struct target_box *b = *state;
        const pid_t pid = target_box_spawn(b, hold_magic, NULL);
        struct notes n = { .bytes = NULL };
        int64_t patience = THREAD_PATIENCE_US;
        struct elf_prstatus s;

        await_pause(pid);
        target_box_freeze(b, true);
        target_box_open(b);
        assert_int_equal(thread_add_notes(&b->set->processes[0], pid, &patience, &n), 0);
        assert_int_equal(((const ElfW(Nhdr) *) n.bytes)->n_type, NT_PRSTATUS);
        memcpy(&s, n.bytes + sizeof(ElfW(Nhdr)) + 8, sizeof(s));
        assert_int_equal(s.pr_pid, pid);
        assert_int_equal(s.pr_ppid, getpid());
        assert_true(magic_of(&s) == MAGIC);
        notes_done(&n);
        /* nobody traces it, it is frozen, and thawed it is not stopped */
        assert_int_equal(state_of(pid, "\nTracerPid:\t"), '0');
        target_box_freeze(b, true);
        target_box_freeze(b, false);
        assert_int_equal(kill(pid, SIGUSR1), 0);
        for (int i = 0; i < 60000 && state_of(pid, "\nState:\t") != 'S'; i++)
                (void) usleep(1000);
        assert_int_equal(state_of(pid, "\nState:\t"), 'S');
}

static void one_that_was_stopped_before_is_read_too_and_stays_stopped(void **state) {
        struct target_box *b = *state;
        const pid_t pid = target_box_spawn(b, NULL, NULL);
        struct notes n = { .bytes = NULL };
        int64_t patience = THREAD_PATIENCE_US;

        assert_int_equal(kill(pid, SIGSTOP), 0);
        for (int i = 0; i < 60000 && state_of(pid, "\nState:\t") != 'T'; i++)
                (void) usleep(1000);
        target_box_freeze(b, true);
        target_box_open(b);
        assert_int_equal(thread_add_notes(&b->set->processes[0], pid, &patience, &n), 0);
        assert_true(n.n > sizeof(struct elf_prstatus));
        notes_done(&n);
        target_box_freeze(b, false);
        for (int i = 0; i < 60000 && state_of(pid, "\nState:\t") != 'T'; i++)
                (void) usleep(1000);
        assert_int_equal(state_of(pid, "\nState:\t"), 'T');
}

static void a_thread_of_another_process_is_not_taken_for_one_of_this(void **state) {
        struct target_box *b = *state;
        struct notes n = { .bytes = NULL };
        int64_t patience = THREAD_PATIENCE_US;
        static const char before[] = "what is there already";

        target_box_spawn(b, NULL, NULL);
        target_box_spawn(b, NULL, NULL);
        target_box_freeze(b, true);
        target_box_open(b);
        assert_int_equal(notes_add(&n, "CORE", 1, before, sizeof(before)), 0);
        const size_t was = n.n;

        assert_int_equal(thread_add_notes(&b->set->processes[0], b->set->processes[1].pid, &patience, &n), -ESRCH);
        assert_int_equal(n.n, was);
        assert_int_equal(state_of(b->set->processes[1].pid, "\nTracerPid:\t"), '0');
        assert_int_equal(thread_add_notes(&b->set->processes[0], 1 << 22, &patience, &n), -ESRCH);
        notes_done(&n);
}

/* An attacker who traces his own processes keeps everybody else from it. */
static void one_that_another_traces_is_an_error_and_not_waited_for(void **state) {
        struct target_box *b = *state;
        const pid_t pid = target_box_spawn(b, NULL, NULL);
        struct notes n = { .bytes = NULL };
        int64_t patience = THREAD_PATIENCE_US;
        int ready[2];
        char c;

        assert_int_equal(pipe(ready), 0);
        const pid_t tracer = fork();

        if (tracer == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || write(ready[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        (void) pause();
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        target_box_freeze(b, true);
        target_box_open(b);
        assert_int_equal(thread_add_notes(&b->set->processes[0], pid, &patience, &n), -EPERM);
        assert_int_equal(n.n, 0);
        assert_int_equal(kill(tracer, SIGKILL), 0);
        assert_int_equal(scratch_wait(tracer), -SIGKILL);
        (void) close(ready[0]);
        (void) close(ready[1]);
}

static void *fork_and_wait(void *userdata) {
        (void) userdata;
        if (vfork() == 0) {
                /* the pipe of who waits for its parent */
                (void) close_range(3, UINT_MAX, 0);
                for (;;)
                        (void) pause();
        }
        return NULL;
}

#define WAITING 12

static void wait_for_children(void *userdata) {
        pthread_t t;

        (void) userdata;
        for (int i = 0; i < WAITING; i++)
                assert_int_equal(pthread_create(&t, NULL, fork_and_wait, NULL), 0);
}

static size_t count_processes(const struct target_box *b) {
        char path[192], text[4096];
        size_t n = 0;

        (void) snprintf(path, sizeof(path), "%s/cgroup.procs", b->cgroup);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        const ssize_t got = read(fd, text, sizeof(text));

        for (ssize_t i = 0; i < got; i++)
                n += text[i] == '\n';
        return n;
}

/* Of all threads of a process; true when so many did not stop, and patience was at its end before they were. */
static bool ask_all(const struct process *p, int never_stop) {
        DIR *d = numdir_open(p->dir, "task");
        int64_t patience = THREAD_PATIENCE_US;
        struct notes n = { .bytes = NULL };
        int timed_out = 0, at_no_cost = 0;

        for (const char *tid; d && (tid = numdir_next(d));) {
                const int64_t before = patience;

                if (thread_add_notes(p, atoi(tid), &patience, &n) != -ETIME)
                        continue;
                timed_out++;
                at_no_cost += patience == before;
        }
        return timed_out == never_stop && patience == 0 && at_no_cost > 0;
}

/* Frozen, as the kernel says, and not to be stopped by anybody: each would cost a fifth of a second of the snapshot. */
static void threads_that_never_stop_cost_no_more_than_was_meant_for_all_of_them(void **state) {
        struct target_box *b = *state;
        const char *const cgroup = b->cgroup, *const unit = "-";
        const pid_t pid = target_box_spawn(b, wait_for_children, NULL);

        while (count_processes(b) < 1 + WAITING)
                (void) usleep(1000);
        target_box_freeze(b, true);
        box_open(&b->box, 1U << 20);
        b->set = target_set_new(&cgroup, &unit, 1);
        (void) target_find_processes(b->set, b->box.store);
        /* in a process of its own, as the collector is: only its end lets go of such a thread */
        const pid_t asks = fork();

        for (size_t i = 0; asks == 0 && i < b->set->n_processes; i++)
                if (b->set->processes[i].pid == pid)
                        _exit(ask_all(&b->set->processes[i], WAITING) ? 0 : 1);
        assert_int_equal(scratch_wait(asks), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TARGET_BOX_CASE(registers_are_those_of_the_frozen_thread_and_it_stays_as_it_was),
                TARGET_BOX_CASE(one_that_was_stopped_before_is_read_too_and_stays_stopped),
                TARGET_BOX_CASE(a_thread_of_another_process_is_not_taken_for_one_of_this),
                TARGET_BOX_CASE(threads_that_never_stop_cost_no_more_than_was_meant_for_all_of_them),
                TARGET_BOX_CASE(one_that_another_traces_is_an_error_and_not_waited_for),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
