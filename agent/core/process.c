/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "agent/util/io.h"

#define TEXT_MAX 16384U
/* include/linux/sched.h */
#define PF_EXITING    0x00000004U
#define PF_FORKNOEXEC 0x00000040U
#define PF_KTHREAD    0x00200000U
/* longer than any chain of parents that is not made to be long; who makes one is not lost, but named as elsewhere */
#define PARENTS_MAX 4096

static int read_text(pid_t pid, const char *file, char **ret) {
        char path[48];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", (int) pid, file);
        r = io_read_file(AT_FDCWD, path, TEXT_MAX, ret, NULL);
        return r == -ENOENT ? -ESRCH : r;
}

int process_read(pid_t pid, struct process *ret) {
        _cleanup_free_ char *text = NULL;
        const char *rest;
        unsigned flags;
        uint64_t start, stack;
        int parent, threads, r = read_text(pid, "stat", &text);
        char state;

        if (r < 0)
                return r;
        /* the name is in parentheses and may hold any character, a parenthesis too */
        rest = strrchr(text, ')');
        if (!rest || sscanf(rest,
                            ") %c %d %*d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d %*d %" SCNu64
                            " %*u %*d %*u %*u %*u %" SCNu64,
                            &state, &parent, &flags, &threads, &start, &stack) != 6)
                return -EBADMSG;
        *ret = (struct process) { .parent = parent,
                                  .start = start,
                                  .stack = stack,
                                  .forked = (flags & PF_FORKNOEXEC) != 0,
                                  .ends = (flags & PF_EXITING) != 0 && threads == 1,
                                  .dead = state == 'Z' || state == 'X',
                                  .kernel = (flags & PF_KTHREAD) != 0 };
        return 0;
}

bool process_descends(pid_t pid, pid_t from) {
        struct process p;

        for (int i = 0; i < PARENTS_MAX && pid > 0; i++) {
                if (pid == from)
                        return true;
                if (process_read(pid, &p) < 0)
                        return false;
                pid = p.parent;
        }
        return false;
}

bool process_is_copy(pid_t pid, pid_t of) {
        struct process copy, original;

        return process_read(pid, &copy) == 0 && process_read(of, &original) == 0 && copy.forked && copy.stack != 0 &&
               copy.stack == original.stack;
}

/* Its own signals and those of all its threads: a bit for each, from 1. */
static bool has_kill_pending(pid_t pid) {
        _cleanup_free_ char *text = NULL;
        const char *line = read_text(pid, "status", &text) < 0 ? NULL : strstr(text, "\nSigPnd:");
        const uint64_t kill = UINT64_C(1) << (SIGKILL - 1);
        uint64_t own, all;

        return line && sscanf(line, "\nSigPnd: %" SCNx64 "\nShdPnd: %" SCNx64, &own, &all) == 2 &&
               ((own | all) & kill) != 0;
}

bool process_is_killed(pid_t pid) {
        struct process p;

        /* no signal is pending any more where one was taken, or it ended by itself */
        return has_kill_pending(pid) || (process_read(pid, &p) == 0 && p.ends);
}

/* Real, effective, saved, file system. */
static int read_uids(pid_t pid, uint32_t ret[static 4]) {
        _cleanup_free_ char *text = NULL;
        int r = read_text(pid, "status", &text);
        const char *line = r < 0 ? NULL : strstr(text, "\nUid:");

        if (r < 0)
                return r;
        return line && sscanf(line, "\nUid: %u %u %u %u", &ret[0], &ret[1], &ret[2], &ret[3]) == 4 ? 0 : -EBADMSG;
}

int process_uid(pid_t pid, uint32_t *ret) {
        uint32_t ids[4];
        int r = read_uids(pid, ids);

        if (r == 0)
                *ret = ids[0];
        return r;
}

bool process_has_uid(pid_t pid, uint32_t uid) {
        uint32_t ids[4];

        return read_uids(pid, ids) == 0 && (ids[0] == uid || ids[1] == uid || ids[2] == uid || ids[3] == uid);
}

int process_each(int (*fn)(pid_t pid, void *userdata), void *userdata) {
        DIR *d = opendir("/proc");
        struct dirent *e;
        int r = 0;

        if (!d)
                return -errno;
        while (r == 0 && (e = readdir(d)))
                if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
                        r = fn((pid_t) strtol(e->d_name, NULL, 10), userdata);
        (void) closedir(d);
        return r;
}
