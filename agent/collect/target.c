/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/target.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include <linux/magic.h>

#include "agent/collect/numdir.h"
#include "agent/collect/pidlist.h"
#include "agent/collect/source.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"

/* Four million ids of seven digits would be more; nothing that large is a service. */
#define PROCS_MAX  (1024U * 1024)
#define EVENTS_MAX 4096U
/* Of a thread that was traced, microseconds where nobody else wants the processor. */
#define RETURN_US (200LL * 1000)
#define POLL_NS   (100L * 1000)

/* What of a cgroup is kept: who is in it, whether it is frozen, what it used. Most belong to controllers that need not
 * be enabled. */
static const struct source files[] = {
        { "cgroup-procs", "cgroup.procs", SOURCE_OPTIONAL },
        { "cgroup-threads", "cgroup.threads", SOURCE_OPTIONAL },
        { "cgroup-events", "cgroup.events", SOURCE_OPTIONAL },
        { "cgroup-freeze", "cgroup.freeze", SOURCE_OPTIONAL },
        { "cgroup-type", "cgroup.type", SOURCE_OPTIONAL },
        { "cgroup-stat", "cgroup.stat", SOURCE_OPTIONAL },
        { "cgroup-controllers", "cgroup.controllers", SOURCE_OPTIONAL },
        { "cpu-stat", "cpu.stat", SOURCE_OPTIONAL },
        { "cpu-pressure", "cpu.pressure", SOURCE_OPTIONAL },
        { "memory-current", "memory.current", SOURCE_OPTIONAL },
        { "memory-peak", "memory.peak", SOURCE_OPTIONAL },
        { "memory-max", "memory.max", SOURCE_OPTIONAL },
        { "memory-events", "memory.events", SOURCE_OPTIONAL },
        { "memory-stat", "memory.stat", SOURCE_OPTIONAL },
        { "memory-swap", "memory.swap.current", SOURCE_OPTIONAL },
        { "pids-current", "pids.current", SOURCE_OPTIONAL },
        { "pids-max", "pids.max", SOURCE_OPTIONAL },
        { "pids-events", "pids.events", SOURCE_OPTIONAL },
        { "io-stat", "io.stat", SOURCE_OPTIONAL },
};

/* One walk over a cgroup and what is below it. */
struct walk {
        struct target_set *set;
        struct store *store;
        void (*visit)(struct walk *w, int dir, const char *path);
        void (*each)(const char *path, void *userdata);
        void *userdata;
        size_t target; /* being walked over */
        bool report;   /* one of the walks lists what none of them can reach */
        size_t n_cgroups;
        bool found;
};

static int open_cgroup(const char *path, int *ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct statfs fs;

        if (fd < 0 || fstatfs(fd, &fs) < 0)
                return -errno;
        if (fs.f_type != CGROUP2_SUPER_MAGIC)
                return -EMEDIUMTYPE;
        *ret = TAKE_FD(fd);
        return 0;
}

struct target_set *target_set_new(const char *const *paths, const char *const *units, size_t n) {
        _cleanup_(target_set_freep) struct target_set *t = calloc(1, sizeof(*t));

        if (!t || n > COLLECT_TARGETS_MAX)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                struct target *g = &t->targets[t->n_targets++];

                *g = (struct target) { .path = paths[i], .unit = units[i], .dir = -EBADF };
                g->err = open_cgroup(g->path, &g->dir);
        }
        t->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return t->proc < 0 ? NULL : TAKE_PTR(t);
}

void target_set_free(struct target_set *t) {
        if (!t)
                return;
        for (size_t i = 0; i < t->n_targets; i++)
                closep(&t->targets[i].dir);
        for (size_t i = 0; i < t->n_processes; i++) {
                closep(&t->processes[i].dir);
                closep(&t->processes[i].stack);
        }
        closep(&t->proc);
        free(t);
}

void target_set_freep(struct target_set **t) {
        target_set_free(*t);
}

static void miss(struct walk *w, const char *path, int err) {
        if (w->report)
                store_hole(w->store, &(struct index_item) { .kind = "cgroup", .source = path }, err, -1);
}

static void walk_down(struct walk *w, int dir, const char *path, unsigned depth);

static void walk_child(struct walk *w, int dir, const char *path, const char *name, unsigned depth) {
        _cleanup_close_ int child = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        char sub[PATH_MAX];
        int open_err = child < 0 ? -errno : 0;
        int n = snprintf(sub, sizeof(sub), "%s/%s", path, name);

        if (open_err < 0)
                miss(w, sub, open_err);
        else if (n < 0 || (size_t) n >= sizeof(sub))
                miss(w, sub, -ENAMETOOLONG);
        else
                walk_down(w, child, sub, depth + 1);
}

/* cgroupfs shows no link and no loop, but whoever was given a subtree can make it deep and wide. */
static void walk_down(struct walk *w, int dir, const char *path, unsigned depth) {
        _cleanup_(numdir_closep) DIR *d = NULL;

        if (depth > TARGET_DEPTH_MAX || ++w->n_cgroups > TARGET_CGROUPS_MAX) {
                miss(w, path, -EOVERFLOW);
                return;
        }
        w->visit(w, dir, path);
        d = numdir_open(dir, ".");
        if (!d) {
                miss(w, path, -errno);
                return;
        }
        for (const struct dirent *e; (e = readdir(d)) && w->n_cgroups <= TARGET_CGROUPS_MAX;)
                if (e->d_type == DT_DIR && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        walk_child(w, dir, path, e->d_name, depth);
}

static void walk_all(struct walk *w) {
        for (size_t i = 0; i < w->set->n_targets; i++) {
                const struct target *g = &w->set->targets[i];

                w->target = i;
                if (g->dir >= 0)
                        walk_down(w, g->dir, g->path, 0);
                else
                        miss(w, g->path, g->err);
        }
}

static bool says_frozen(const struct target *g) {
        _cleanup_free_ char *events = NULL;

        return g->dir >= 0 && io_read_file(g->dir, "cgroup.events", EVENTS_MAX, &events, NULL) == 0 &&
               strstr(events, "frozen 1\n");
}

static bool is_frozen(struct target *g) {
        const struct timespec pause = { .tv_nsec = POLL_NS };
        const int64_t end = clock_mono_us() + RETURN_US;
        bool frozen = says_frozen(g);

        while (!frozen && g->frozen && clock_mono_us() < end) {
                (void) nanosleep(&pause, NULL);
                frozen = says_frozen(g);
        }
        g->released |= g->frozen && !frozen;
        return g->frozen = frozen;
}

bool target_is_frozen(struct target_set *t, const struct process *p) {
        return is_frozen(&t->targets[p->target]);
}

/* What it says of itself is the object that the hole is of. */
static void tell_released(const struct target *g, struct store *s) {
        _cleanup_free_ char *events = NULL;
        char source[PATH_MAX + 64];
        const struct index_item item = { .kind = "cgroup-events", .source = source, .not_frozen = true };
        size_t n = 0;
        int r = io_read_file(g->dir, "cgroup.events", EVENTS_MAX, &events, &n), begun;

        (void) snprintf(source, sizeof(source), "%s/cgroup.events", g->path);
        begun = store_begin(s, &item);
        if (r == 0 && begun == 0)
                r = store_write(s, events, n);
        store_end(s, r, -1, true);
}

void target_end_pass(struct target_set *t, struct store *s) {
        for (size_t i = 0; i < t->n_targets; i++) {
                struct target *g = &t->targets[i];

                if (g->frozen)
                        (void) is_frozen(g);
                if (g->released)
                        tell_released(g, s);
                g->released = false;
        }
}

static void add_process(pid_t pid, void *userdata) {
        struct walk *w = userdata;
        struct target_set *t = w->set;
        char name[32];
        int dir;

        for (size_t i = 0; i < t->n_processes; i++)
                if (t->processes[i].pid == pid)
                        return;
        if (t->n_processes >= TARGET_PROCESSES_MAX) {
                t->left_out++;
                return;
        }
        (void) snprintf(name, sizeof(name), "%d", (int) pid);
        dir = openat(t->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0) {
                const struct index_item item = { .kind = "process", .source = name, .pid = pid };
                store_hole(w->store, &item, -errno, -1);
                return;
        }
        int stack = openat(dir, "stack", O_RDONLY | O_CLOEXEC);

        t->processes[t->n_processes++] = (struct process) {
                .pid = pid,
                .dir = dir,
                .stack = stack < 0 ? -errno : stack,
                .frozen = is_frozen(&t->targets[w->target]),
                .target = w->target,
        };
        w->found = true;
}

static void visit_procs(struct walk *w, int dir, const char *path) {
        const struct index_item item = { .kind = "cgroup-procs", .source = path };
        _cleanup_free_ char *text = NULL;
        size_t n = 0;
        int r = io_read_file(dir, "cgroup.procs", PROCS_MAX, &text, &n);

        if (r == 0)
                r = pidlist_parse(text, n, add_process, w);
        /* The processes of a threaded cgroup are listed by the domain above it. */
        if (r < 0 && r != -EOPNOTSUPP)
                store_hole(w->store, &item, r, -1);
}

bool target_find_processes(struct target_set *t, struct store *s) {
        struct walk w = { .set = t, .store = s, .visit = visit_procs };

        t->left_out = 0;
        walk_all(&w);
        return w.found;
}

static void visit_path(struct walk *w, int dir, const char *path) {
        (void) dir;
        w->each(path, w->userdata);
}

void target_each_cgroup(struct target_set *t, void (*found)(const char *path, void *userdata), void *userdata) {
        struct walk w = { .set = t, .visit = visit_path, .each = found, .userdata = userdata };

        walk_all(&w);
}

static void visit_files(struct walk *w, int dir, const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                char source[PATH_MAX + 64];
                const struct index_item item = { .kind = files[i].kind, .source = source };

                (void) snprintf(source, sizeof(source), "%s/%s", path, files[i].path);
                source_copy(w->store, &item, dir, files[i].path, files[i].flags);
        }
}

void target_collect(struct target_set *t, struct store *s) {
        struct walk w = { .set = t, .store = s, .visit = visit_files, .report = true };
        const struct index_item item = { .kind = "process", .source = "more processes than are taken" };

        walk_all(&w);
        if (t->left_out > 0)
                store_hole(s, &item, -EOVERFLOW, (int64_t) (t->n_processes + t->left_out));
}
