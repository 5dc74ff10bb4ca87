/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/util/clock.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"

#define PROCS_MAX (16U * 1024 * 1024)
/* deeper than any runtime nests; bounds the recursion into what an attacker may have made */
#define DEPTH_MAX 64
#define SPIN_US 3000

int cgroup_root(char **ret) {
        FILE *f = setmntent("/proc/self/mounts", "re");
        struct mntent *m;
        char *root = NULL;

        if (!f)
                return -errno;
        while (!root && (m = getmntent(f)))
                if (strcmp(m->mnt_type, "cgroup2") == 0)
                        root = strdup(m->mnt_dir);
        endmntent(f);
        if (!root)
                return -ENOENT;
        *ret = root;
        return 0;
}

int cgroup_open(const char *root, const char *path, int *ret_fd, uint64_t *ret_id) {
        _cleanup_free_ char *full = NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (asprintf(&full, "%s%s", root, path) < 0)
                return -ENOMEM;
        fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        *ret_id = st.st_ino;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int cgroup_of_pid(pid_t pid, char **ret) {
        char name[32];
        _cleanup_free_ char *text = NULL;
        char *line, *end;
        int r;

        (void) snprintf(name, sizeof(name), "/proc/%d/cgroup", (int) pid);
        r = io_read_file(AT_FDCWD, name, 64U * 1024, &text, NULL);
        if (r < 0)
                return r == -ENOENT ? -ESRCH : r;
        line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
        if (!line)
                return -ESRCH;
        line = strstr(line, "0::") + 3;
        end = strchrnul(line, '\n');
        *end = 0;
        *ret = strdup(line);
        return *ret ? 0 : -ENOMEM;
}

static int find_below(int dir, const char *prefix, const char *name, int depth, char **found) {
        _cleanup_close_ int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *e;
        int r = 0;

        if (!d)
                return -errno;
        (void) TAKE_FD(copy);
        while (r >= 0 && (e = readdir(d))) {
                _cleanup_free_ char *path = NULL;
                _cleanup_close_ int sub = -EBADF;

                if (e->d_type != DT_DIR || e->d_name[0] == '.')
                        continue;
                if (asprintf(&path, "%s/%s", prefix, e->d_name) < 0) {
                        r = -ENOMEM;
                        break;
                }
                sub = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (sub >= 0 && depth < DEPTH_MAX)
                        r = find_below(sub, path, name, depth + 1, found);
                if (r >= 0 && strcmp(e->d_name, name) == 0) {
                        if (*found)
                                r = -ENOTUNIQ;
                        else
                                *found = TAKE_PTR(path);
                }
        }
        (void) closedir(d);
        return r;
}

int cgroup_find(const char *root, const char *name, char **ret) {
        _cleanup_close_ int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_free_ char *found = NULL;
        int r;

        if (dir < 0)
                return -errno;
        r = find_below(dir, "", name, 0, &found);
        if (r < 0)
                return r;
        if (!found)
                return -ENOENT;
        *ret = TAKE_PTR(found);
        return 0;
}

/* What is gathered from each cgroup of a subtree, itself included. */
struct gather {
        int (*visit)(int dir, struct gather *g);
        void *items;
        size_t n, size;
};

static int gather_add(struct gather *g, const void *item) {
        /* doubling at powers of two */
        if ((g->n & (g->n - 1)) == 0) {
                void *more = realloc(g->items, (g->n ? g->n * 2 : 1) * g->size);

                if (!more)
                        return -ENOMEM;
                g->items = more;
        }
        memcpy((char *) g->items + g->n++ * g->size, item, g->size);
        return 0;
}

static int gather_below(int dir, int depth, struct gather *g) {
        _cleanup_close_ int copy = -EBADF;
        struct dirent *e;
        DIR *d;
        int r = g->visit(dir, g);

        if (r < 0 || depth >= DEPTH_MAX)
                return r;
        copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = copy < 0 ? NULL : fdopendir(copy);
        if (!d)
                return -errno;
        (void) TAKE_FD(copy);
        while (r >= 0 && (e = readdir(d))) {
                _cleanup_close_ int sub = -EBADF;

                if (e->d_type != DT_DIR || e->d_name[0] == '.')
                        continue;
                sub = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (sub < 0)
                        continue; /* removed meanwhile: nobody is in it */
                r = gather_below(sub, depth + 1, g);
                if (r == -ENODEV || r == -ENOENT)
                        r = 0;
        }
        (void) closedir(d);
        return r;
}

static int visit_pids(int dir, struct gather *g) {
        _cleanup_free_ char *text = NULL;
        int r = io_read_file(dir, "cgroup.procs", PROCS_MAX, &text, NULL);

        if (r == -EOPNOTSUPP) /* a threaded cgroup: its processes are listed where the domain is */
                return 0;
        for (char *at = text, *end; r >= 0 && *at; at = *end == '\n' ? end + 1 : end) {
                const long number = strtol(at, &end, 10);
                const pid_t pid = (pid_t) number;

                if (end == at || number < 0 || number > INT_MAX)
                        return -EBADMSG;
                if (pid > 0) /* 0: a process that this pid namespace cannot name */
                        r = gather_add(g, &pid);
        }
        return r;
}

static int visit_id(int dir, struct gather *g) {
        struct stat st;

        if (fstat(dir, &st) < 0)
                return -errno;
        return gather_add(g, &(uint64_t){ st.st_ino });
}

int cgroup_pids(int fd, pid_t **ret, size_t *ret_n) {
        struct gather g = { .visit = visit_pids, .size = sizeof(pid_t) };
        int r = gather_below(fd, 0, &g);

        if (r < 0) {
                free(g.items);
                return r;
        }
        *ret = g.items;
        *ret_n = g.n;
        return 0;
}

static int compare_ids(const void *a, const void *b) {
        const uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

int cgroup_ids(int fd, uint64_t **ret, size_t *ret_n) {
        struct gather g = { .visit = visit_id, .size = sizeof(uint64_t) };
        int r = gather_below(fd, 0, &g);

        if (r < 0) {
                free(g.items);
                return r;
        }
        qsort(g.items, g.n, sizeof(uint64_t), compare_ids);
        *ret = g.items;
        *ret_n = g.n;
        return 0;
}

int cgroup_freezer_read(int fd, struct cgroup_freezer *ret) {
        _cleanup_free_ char *events = NULL, *asked = NULL;
        int r = io_read_file(fd, "cgroup.events", 4096, &events, NULL);

        if (r >= 0)
                r = io_read_file(fd, "cgroup.freeze", 64, &asked, NULL);
        if (r < 0)
                return r;
        *ret = (struct cgroup_freezer){
                .asked = asked[0] == '1',
                .frozen = strstr(events, "frozen 1") != NULL,
                .populated = strstr(events, "populated 1") != NULL,
        };
        return 0;
}

int cgroup_freezer_write(int fd, bool freeze) {
        int r = fault_effect(freeze ? "freeze" : "thaw");

        return r < 0 ? r : io_write_string(fd, "cgroup.freeze", freeze ? "1" : "0");
}

int cgroup_freezer_wait(int fd, bool frozen, int64_t timeout_us) {
        _cleanup_close_ int events = openat(fd, "cgroup.events", O_RDONLY | O_CLOEXEC);
        const int64_t start = clock_mono_us();
        struct cgroup_freezer state;

        if (events < 0)
                return -errno;
        for (;;) {
                int64_t spent;
                int r = cgroup_freezer_read(fd, &state);

                if (r < 0)
                        return r;
                if (state.frozen == frozen)
                        return 0;
                spent = clock_mono_us() - start;
                if (spent >= timeout_us)
                        return -ETIMEDOUT;
                if (spent < SPIN_US) {
                        (void) sched_yield();
                } else {
                        struct pollfd p = { .fd = events, .events = POLLPRI };

                        (void) poll(&p, 1, (int) MIN((timeout_us - spent) / 1000 + 1, 10));
                }
        }
}
