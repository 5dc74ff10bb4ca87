/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/thread.h"

#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/procfs.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "agent/util/clock.h"
#include "agent/util/io.h"

#define STOP_US (200LL * 1000)
/* Most stop in less. */
#define LEAST_US  1000LL
#define POLL_NS   (100L * 1000)
#define STATE_MAX (8U * 1024)
/* AVX-512, AMX and what else may come */
#define XSTATE_MAX (64U * 1024)

static int wait_stop(pid_t tid, int64_t *patience_us) {
        const struct timespec pause = { .tv_nsec = POLL_NS };
        const int64_t most = MAX(MIN(STOP_US, *patience_us), LEAST_US), deadline = clock_mono_us() + most;

        for (;;) {
                int status;
                pid_t got = waitpid(tid, &status, __WALL | WNOHANG);

                if (got == tid)
                        return WIFSTOPPED(status) ? 0 : -ESRCH;
                if (got < 0 && errno != EINTR)
                        return -errno;
                if (clock_mono_us() > deadline) {
                        *patience_us = MAX(*patience_us - most, 0LL);
                        return -ETIME;
                }
                (void) nanosleep(&pause, NULL);
        }
}

/* The number behind "name:\t" in a status file. */
static uint64_t field(const char *text, const char *name, int base) {
        const char *at = strstr(text, name);

        return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

/* What ps would show of it; a thread whose status cannot be read still has its registers. */
static void describe(const struct process *p, pid_t tid, struct elf_prstatus *s) {
        _cleanup_free_ char *text = NULL;
        char path[64];

        s->pr_pid = tid;
        (void) snprintf(path, sizeof(path), "task/%d/status", (int) tid);
        if (io_read_file(p->dir, path, STATE_MAX, &text, NULL) < 0)
                return;
        s->pr_ppid = (pid_t) field(text, "\nPPid:\t", 10);
        s->pr_pgrp = (pid_t) field(text, "\nNSpgid:\t", 10);
        s->pr_sid = (pid_t) field(text, "\nNSsid:\t", 10);
        s->pr_sigpend = (unsigned long) field(text, "\nSigPnd:\t", 16);
        s->pr_sighold = (unsigned long) field(text, "\nSigBlk:\t", 16);
}

static int add_registers(const struct process *p, pid_t tid, struct notes *b) {
        struct elf_prstatus s = { .pr_fpvalid = 1 };
        _cleanup_free_ uint8_t *xstate = malloc(XSTATE_MAX);
        elf_fpregset_t fp;
        struct iovec v = { &s.pr_reg, sizeof(s.pr_reg) };
        int r;

        if (!xstate)
                return -ENOMEM;
        if (ptrace(PTRACE_GETREGSET, tid, NT_PRSTATUS, &v) < 0)
                return -errno;
        describe(p, tid, &s);
        r = notes_add(b, "CORE", NT_PRSTATUS, &s, sizeof(s));
        v = (struct iovec) { &fp, sizeof(fp) };
        if (r == 0 && ptrace(PTRACE_GETREGSET, tid, NT_PRFPREG, &v) == 0)
                r = notes_add(b, "CORE", NT_PRFPREG, &fp, v.iov_len);
        v = (struct iovec) { xstate, XSTATE_MAX };
        if (r == 0 && ptrace(PTRACE_GETREGSET, tid, NT_X86_XSTATE, &v) == 0)
                r = notes_add(b, "LINUX", NT_X86_XSTATE, xstate, v.iov_len);
        return r;
}

static bool is_of(const struct process *p, pid_t tid) {
        char path[64];

        (void) snprintf(path, sizeof(path), "task/%d", (int) tid);
        return faccessat(p->dir, path, F_OK, 0) == 0;
}

int thread_add_notes(const struct process *p, pid_t tid, int64_t *patience_us, struct notes *b) {
        const size_t before = b->n;
        int r;

        if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0)
                return -errno;
        /* From here on nobody else can get this id. One of another process is stopped as well, for a moment: only so
         * can it be let go. */
        r = ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 ? -errno : wait_stop(tid, patience_us);
        if (r == 0 && !is_of(p, tid))
                r = -ESRCH;
        if (r == 0)
                r = add_registers(p, tid, b);
        /* One that has not stopped cannot be let go by hand: the kernel does when the collector ends. */
        (void) ptrace(PTRACE_DETACH, tid, 0, 0);
        if (r < 0)
                b->n = before;
        return r;
}
