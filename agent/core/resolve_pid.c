/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/resolve_pid.h"

#include <fcntl.h>
#include <string.h>

#include "agent/core/branch_path.h"
#include "agent/core/cgroup.h"
#include "agent/core/process.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"

static bool open_at(const struct resolver *r, struct site *s) {
        return cgroup_open(r->cgroup_root, s->path, &s->fd, &s->cgroup_id) == 0;
}

/* The process that was ordered, not another one that has its number now. */
static bool is_same(const struct site *s, const struct birth *now) {
        return s->born.ticks == 0 ||
               (s->born.ticks == now->ticks && memcmp(s->born.boot, now->boot, sizeof(now->boot)) == 0);
}

static enum reason find_process(const struct site *s, pid_t pid, struct birth *ret) {
        struct process p;

        if (process_read(pid, &p) < 0)
                return s->born.ticks == 0 ? REASON_NO_TARGET : REASON_NOT_RUNNING;
        ret->ticks = p.start;
        clock_boot_id(ret->boot);
        if (p.dead || !is_same(s, ret))
                return REASON_NOT_RUNNING;
        /* PID 1, a thread of the kernel's, and whoever this process was started by */
        return pid == 1 || p.kernel || process_descends(getpid(), pid) ? REASON_PROTECTED : REASON_NONE;
}

/* A threaded cgroup has no processes to move, and one that has threaded ones below it can have no other kind. */
static bool is_plain(int fd) {
        _cleanup_free_ char *type = NULL;
        int r = io_read_file(fd, "cgroup.type", 64, &type, NULL);

        return r == -ENOENT /* the root */ || (r >= 0 && strcmp(type, "domain\n") == 0);
}

/* Looks at the cgroup that the process is in and leaves it open. */
static enum reason judge_cgroup(const struct resolver *r, struct site *s) {
        struct cgroup_freezer state = { 0 };

        if (!open_at(r, s))
                return REASON_NOT_RUNNING;
        if (!is_plain(s->fd))
                return REASON_NOT_SEPARABLE;
        if (cgroup_freezer_read(s->fd, &state) < 0)
                state.asked = false; /* the root cannot be frozen */
        s->was_frozen = state.asked;
        return REASON_NONE;
}

static bool is_branch_of(const char *cgroup, const struct command_id *hold) {
        _cleanup_free_ char *parent = NULL, *branch = NULL;

        return branch_path_parent(cgroup, &parent) == 0 && branch_path_make(parent, hold, &branch) == 0 &&
               strcmp(cgroup, branch) == 0;
}

/* From the cgroup that it is in to what the hold makes of that. */
static int branch_off(const struct resolver *r, struct site *s, char *branch) {
        free(s->path);
        s->path = branch;
        closep(&s->fd);
        s->fd = -EBADF;
        s->cgroup_id = 0;
        (void) open_at(r, s);
        return REASON_NONE;
}

int resolve_pid(const struct resolver *r, struct site *s) {
        const pid_t pid = (pid_t) strtol(s->target.name, NULL, 10);
        _cleanup_free_ char *branch = NULL;
        struct birth now;
        enum reason reason;

        if (s->path && open_at(r, s))
                return REASON_NONE;
        free(TAKE_PTR(s->path));
        reason = find_process(s, pid, &now);
        if (reason != REASON_NONE)
                return reason;
        s->born = now;
        if (cgroup_of_pid(pid, &s->path) < 0)
                return REASON_NOT_RUNNING;
        if (r->hold && is_branch_of(s->path, r->hold))
                return open_at(r, s) ? REASON_NONE : REASON_NOT_RUNNING;
        if (branch_path_make(s->path, r->hold ? r->hold : &(struct command_id) { 0 }, &branch) < 0)
                return -ENOMEM;
        /* by the path below it: what lies in a slice is not the slice */
        if (resolve_is_protected_path(r->local, branch))
                return REASON_PROTECTED;
        reason = judge_cgroup(r, s);
        return reason == REASON_NONE && r->hold ? branch_off(r, s, TAKE_PTR(branch)) : (int) reason;
}
