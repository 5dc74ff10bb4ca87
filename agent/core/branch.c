/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/branch.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/core/branch_path.h"
#include "agent/core/cgroup.h"
#include "agent/core/enforce.h"
#include "agent/core/process.h"
#include "agent/core/record.h"
#include "agent/core/resolve.h"
#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "agent/util/log.h"

/* a cgroup that does not freeze by then has a task that sleeps uninterruptibly: the others are frozen all the same */
#define CALM_US (250LL * 1000)
/* who is between being born and being on a list, or between dying and being gone, waits there for a processor */
#define UNMAKE_US (1000LL * 1000)
/* one finds whoever was there when it began, and without a freeze they go on forking meanwhile */
#define PASSES_MAX 64

static int put(int cgroup_fd, pid_t pid) {
        char text[16];
        int r = fault_effect("move");

        (void) snprintf(text, sizeof(text), "%d", (int) pid);
        return r < 0 ? r : io_write_string(cgroup_fd, "cgroup.procs", text);
}

/* Everything that moving one process needs. */
struct move {
        const char *from; /* path */
        int from_fd, to_fd;
        pid_t first;
        uint64_t start; /* of first */
};

/* 1 when it was moved, 0 when it is none of them. A number that another process was given while it was looked at is
 * put back. */
static int move_one(const struct move *m, pid_t pid) {
        _cleanup_free_ char *cgroup = NULL;
        struct process before, after;
        int r;

        if (cgroup_of_pid(pid, &cgroup) < 0 || strcmp(cgroup, m->from) != 0 || process_read(pid, &before) < 0 ||
            before.dead || (pid == m->first && before.start != m->start) || !process_descends(pid, m->first))
                return 0;
        r = put(m->to_fd, pid);
        if (r < 0)
                return r == -ESRCH ? 0 : r;
        if (process_read(pid, &after) == 0 && after.start != before.start)
                return put(m->from_fd, pid);
        return 1;
}

/* Until a pass finds nobody. */
static int move_all(const struct move *m) {
        for (int pass = 0; pass < PASSES_MAX; pass++) {
                _cleanup_free_ pid_t *pids = NULL;
                bool moved = false;
                size_t n;
                int r = cgroup_pids(m->from_fd, &pids, &n);

                for (size_t i = 0; r >= 0 && i < n; i++) {
                        r = move_one(m, pids[i]);
                        moved |= r > 0;
                }
                if (r < 0 || !moved)
                        return r;
        }
        return 0; /* whoever got away is named as elsewhere */
}

/* Asks for the freeze of a cgroup that may be frozen for a moment. True when it has to be thawed after, which is also
 * so when a core that died in the middle left it frozen. */
static bool calm(struct agent *a, const struct command_id *hold, const struct site *s, const char *path, int fd,
                 uint64_t id) {
        struct cgroup_freezer now;

        if (s->was_frozen || enforce_frozen_by_other(a, hold, id) || cgroup_freezer_read(fd, &now) < 0 ||
            resolve_is_protected(&a->local, path, fd))
                return false;
        if (cgroup_freezer_write(fd, true) == 0 && cgroup_freezer_wait(fd, true, CALM_US) < 0)
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "enforce"),
                          "Not all of a cgroup froze while a process was taken out of it");
        return true;
}

static int fill(struct agent *a, const struct command_id *hold, const struct site *s, int to_fd) {
        _cleanup_close_ int fd = -EBADF;
        _cleanup_free_ char *path = NULL;
        struct move m = { .to_fd = to_fd, .first = (pid_t) strtol(s->target.name, NULL, 10), .start = s->born.ticks };
        uint64_t id;
        bool thaw;
        int r = branch_path_parent(s->path, &path);

        if (r == 0)
                r = cgroup_open(a->cgroup_root, path, &fd, &id);
        if (r < 0)
                return r;
        thaw = calm(a, hold, s, path, fd, id);
        m.from = path;
        m.from_fd = fd;
        r = move_all(&m);
        if (thaw && cgroup_freezer_write(fd, false) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "enforce"),
                          "The cgroup that a process was taken out of could not be thawed");
        return r;
}

static int put_back(int from_fd, int to_fd) {
        _cleanup_free_ pid_t *pids = NULL;
        size_t n = 0;
        int r = cgroup_pids(from_fd, &pids, &n);

        for (size_t i = 0; i < n && r >= 0; i++) {
                r = put(to_fd, pids[i]);
                r = r == -ESRCH ? 0 : r;
        }
        return r;
}

/* Everybody back, and away with it. Who is being born or dies at that moment is in it, and on no list. */
static int unmake(const char *root, const char *path) {
        _cleanup_free_ char *full = NULL, *parent = NULL;
        _cleanup_close_ int fd = -EBADF, up = -EBADF;
        const int64_t until = clock_mono_us() + UNMAKE_US;
        uint64_t id;
        int r = cgroup_open(root, path, &fd, &id);

        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = branch_path_parent(path, &parent);
        if (r == 0)
                r = cgroup_open(root, parent, &up, &id);
        if (r == 0 && asprintf(&full, "%s%s", root, path) < 0)
                r = -ENOMEM;
        while (r == 0) {
                r = put_back(fd, up);
                if (r == 0)
                        r = fault_effect("rmdir");
                if (r == 0 && (rmdir(full) == 0 || errno == ENOENT))
                        return 0;
                if (r == 0 && clock_mono_us() >= until)
                        r = -EBUSY;
                (void) usleep(1000);
        }
        return r;
}

static int make(struct agent *a, const struct command_id *hold, struct site *s) {
        _cleanup_free_ char *full = NULL;
        _cleanup_close_ int fd = -EBADF;
        uint64_t id;
        int r = fault_effect("mkdir");

        if (r < 0)
                return r;
        if (asprintf(&full, "%s%s", a->cgroup_root, s->path) < 0)
                return -ENOMEM;
        if (mkdir(full, 0755) < 0 && errno != EEXIST)
                return -errno;
        r = cgroup_open(a->cgroup_root, s->path, &fd, &id);
        if (r == 0)
                r = fill(a, hold, s, fd);
        if (r < 0) {
                (void) unmake(a->cgroup_root, s->path);
                return r;
        }
        closep(&s->fd);
        s->fd = TAKE_FD(fd);
        s->cgroup_id = id;
        return 0;
}

void branch_make(struct agent *a, const struct command_id *hold, struct sites *sites) {
        bool made = false;

        for (size_t i = 0; sites && i < sites->n; i++) {
                struct site *s = &sites->v[i];
                const uint64_t before = s->cgroup_id;
                int r;

                if (s->target.cls != TARGET_PID || s->missing != REASON_NONE)
                        continue;
                r = make(a, hold, s);
                made |= s->cgroup_id != before;
                if (r == 0)
                        continue;
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "enforce", .reason = reason_id(REASON_NOT_SEPARABLE)),
                          "A process could not be given a cgroup of its own: %s", strerror(-r));
                s->missing = REASON_NOT_SEPARABLE;
        }
        if (made && record_sites(a, hold) < 0)
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "enforce", .reason = reason_id(REASON_LEDGER)),
                          "The ledger cannot record where a hold's targets are now");
}

/* True when an active hold other than this one has a site there or below. */
static bool is_needed(const struct agent *a, const struct command_id *hold, const char *path) {
        const size_t n = strlen(path);

        for (size_t i = 0; i < a->held.n; i++) {
                const struct sites *sites = &a->held.v[i].sites;

                for (size_t k = 0; !command_id_equal(&a->held.v[i].id, hold) && k < sites->n; k++) {
                        const char *its = sites->v[k].path;

                        if (its && sites->v[k].missing == REASON_NONE && strncmp(its, path, n) == 0 &&
                            (its[n] == '/' || its[n] == 0))
                                return true;
                }
        }
        return false;
}

void branch_unmake(struct agent *a, const struct command_id *hold, const struct sites *sites) {
        for (size_t i = 0; sites && a->cgroup_root && i < sites->n; i++) {
                _cleanup_free_ char *path = sites->v[i].path ? strdup(sites->v[i].path) : NULL;

                /* a branch of a branch: the outer one may have been kept only for the inner one's sake */
                while (path && branch_path_is(path) && !is_needed(a, hold, path)) {
                        char *parent = NULL;
                        int r = unmake(a->cgroup_root, path);

                        if (branch_path_parent(path, &parent) < 0)
                                parent = NULL;

                        if (r < 0)
                                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "release"),
                                          "A process could not be put back into its cgroup: %s", strerror(-r));
                        free(path);
                        path = parent;
                }
        }
}
