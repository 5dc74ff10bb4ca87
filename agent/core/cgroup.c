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
#define SPIN_US   3000

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

/* What is done at each cgroup of a subtree: its directory, its path from where the walk began ("" there), its own name.
 * Other than 0 ends it. */
struct walk {
        int (*visit)(int dir, const char *path, const char *name, struct walk *w);
        void *userdata;
        bool whole; /* what is too deep to be walked is an error */
};

static int walk_at(int dir, const char *path, const char *name, int depth, struct walk *w) {
        _cleanup_close_ int copy = -EBADF;
        struct dirent *e;
        DIR *d;
        int r = w->visit(dir, path, name, w);

        if (r != 0)
                return r;
        if (depth >= DEPTH_MAX)
                return w->whole ? -ELOOP : 0;
        copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = copy < 0 ? NULL : fdopendir(copy);
        if (!d)
                return -errno;
        (void) TAKE_FD(copy);
        while (r == 0 && (e = readdir(d))) {
                _cleanup_close_ int sub = -EBADF;
                _cleanup_free_ char *below = NULL;

                /* one may be called .x */
                if (e->d_type != DT_DIR || strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                sub = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (sub < 0) { /* removed meanwhile: nobody is in it */
                        r = w->whole && errno != ENOENT && errno != ENODEV ? -errno : 0;
                        continue;
                }
                if (asprintf(&below, "%s/%s", path, e->d_name) < 0)
                        r = -ENOMEM;
                else
                        r = walk_at(sub, below, e->d_name, depth + 1, w);
                if (r == -ENODEV || r == -ENOENT)
                        r = 0;
        }
        (void) closedir(d);
        return r;
}

struct by_id {
        uint64_t id;
        int fd;
};

static int visit_by_id(int dir, const char *path, const char *name, struct walk *w) {
        struct by_id *b = w->userdata;
        struct stat st;

        (void) path;
        (void) name;
        if (fstat(dir, &st) < 0 || st.st_ino != b->id)
                return 0;
        b->fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return b->fd < 0 ? -errno : 1;
}

int cgroup_open_id(const char *root, uint64_t id, int *ret_fd) {
        _cleanup_close_ int dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct by_id b = { .id = id };
        struct walk w = { .visit = visit_by_id, .userdata = &b };
        int r;

        if (dir < 0)
                return -errno;
        r = walk_at(dir, "", "", 0, &w);
        if (r <= 0)
                return r < 0 ? r : -ENOENT;
        *ret_fd = b.fd;
        return 0;
}

/* include/linux/exportfs.h: the handle of a kernfs node is its id */
#define FILEID_KERNFS 0xfe

int cgroup_open_told(const char *root, uint64_t id, int *ret_fd, char **ret_path) {
        char link[32], full[PATH_MAX], buf[sizeof(struct file_handle) + sizeof(id)] __attribute__((aligned(8)));
        struct file_handle *handle = (struct file_handle *) buf;
        _cleanup_close_ int mount = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -EBADF;
        const size_t n_root = strlen(root);
        uint64_t found;
        ssize_t n;
        int r;

        *handle = (struct file_handle) { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS };
        memcpy(handle->f_handle, &id, sizeof(id));
        if (mount < 0)
                return -errno;
        fd = open_by_handle_at(mount, handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ESTALE ? -ENOENT : -errno;
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        n = readlink(link, full, sizeof(full) - 1);
        if (n < 0)
                return -errno;
        full[n] = 0;
        /* one outside of our cgroup namespace has a path that means something else here, or nothing */
        if (strncmp(full, root, n_root) != 0)
                return -ENOENT;
        closep(&fd);
        fd = -EBADF;
        r = cgroup_open(root, full + n_root, &fd, &found);
        if (r < 0 || found != id)
                return r < 0 ? r : -ENOENT;
        *ret_path = strdup(full + n_root);
        if (!*ret_path)
                return -ENOMEM;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

struct gather {
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

static int visit_pids(int dir, const char *path, const char *name, struct walk *w) {
        _cleanup_free_ char *text = NULL;
        int r = io_read_file(dir, "cgroup.procs", PROCS_MAX, &text, NULL);

        (void) name;
        if (r == -EOPNOTSUPP &&
            path[0] != 0) /* a threaded cgroup: its processes are listed where the domain is, further up */
                return 0;
        for (char *at = text, *end; r >= 0 && *at; at = *end == '\n' ? end + 1 : end) {
                const long number = strtol(at, &end, 10);
                const pid_t pid = (pid_t) number;

                if (end == at || number < 0 || number > INT_MAX)
                        return -EBADMSG;
                if (pid > 0) /* 0: a process that this pid namespace cannot name */
                        r = gather_add(w->userdata, &pid);
        }
        return r;
}

static int visit_id(int dir, const char *path, const char *name, struct walk *w) {
        struct stat st;

        (void) path;
        (void) name;
        if (fstat(dir, &st) < 0)
                return -errno;
        return gather_add(w->userdata, &(uint64_t) { st.st_ino });
}

static int gather(int fd, int (*visit)(int, const char *, const char *, struct walk *), struct gather *g) {
        struct walk w = { .visit = visit, .userdata = g, .whole = true };
        int r = walk_at(fd, "", "", 0, &w);

        if (r < 0) {
                free(g->items);
                g->items = NULL;
        }
        return r;
}

int cgroup_pids(int fd, pid_t **ret, size_t *ret_n) {
        struct gather g = { .size = sizeof(pid_t) };
        int r = gather(fd, visit_pids, &g);

        if (r < 0)
                return r;
        *ret = g.items;
        *ret_n = g.n;
        return 0;
}

static int compare_ids(const void *a, const void *b) {
        const uint64_t x = *(const uint64_t *) a, y = *(const uint64_t *) b;

        return x < y ? -1 : x > y;
}

int cgroup_ids(int fd, uint64_t **ret, size_t *ret_n) {
        struct gather g = { .size = sizeof(uint64_t) };
        int r = gather(fd, visit_id, &g);

        if (r < 0)
                return r;
        qsort(g.items, g.n, sizeof(uint64_t), compare_ids);
        *ret = g.items;
        *ret_n = g.n;
        return 0;
}

static int visit_populated(int dir, const char *path, const char *name, struct walk *w) {
        char byte;
        _cleanup_close_ int procs = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
        int *found = w->userdata;

        (void) path;
        (void) name;
        if (procs < 0 || read(procs, &byte, 1) != 1)
                return 0;
        *found = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *found < 0 ? -errno : 1;
}

int cgroup_open_populated(int fd, int *ret_fd) {
        int found = -EBADF;
        struct walk w = { .visit = visit_populated, .userdata = &found };
        int r = walk_at(fd, "", "", 0, &w);

        if (r == 0)
                r = -ENOENT;
        if (r < 0)
                return r;
        *ret_fd = found;
        return 0;
}

/* A counter against its limit; a controller that is off limits nothing. */
static bool fits(int fd, const char *current, const char *max, uint64_t more) {
        _cleanup_free_ char *used = NULL, *limit = NULL;

        if (io_read_file(fd, max, 64, &limit, NULL) < 0 || strncmp(limit, "max", 3) == 0 ||
            io_read_file(fd, current, 64, &used, NULL) < 0)
                return true;
        return strtoull(used, NULL, 10) + more <= strtoull(limit, NULL, 10);
}

bool cgroup_has_room(int fd) {
        return fits(fd, "memory.current", "memory.max", 1U << 20) && fits(fd, "pids.current", "pids.max", 1);
}

struct each_path {
        int (*fn)(const char *path, void *userdata);
        void *userdata;
};

static int visit_path(int dir, const char *path, const char *name, struct walk *w) {
        const struct each_path *e = w->userdata;

        (void) dir;
        (void) name;
        return path[0] == 0 ? 0 : e->fn(path, e->userdata);
}

int cgroup_each_path(int fd, int (*fn)(const char *path, void *userdata), void *userdata) {
        struct each_path e = { .fn = fn, .userdata = userdata };
        struct walk w = { .visit = visit_path, .userdata = &e };

        return walk_at(fd, "", "", 0, &w);
}

bool cgroup_frozen_above(int fd) {
        _cleanup_close_ int at = -EBADF;

        for (int depth = 0; depth < DEPTH_MAX; depth++) {
                const int up = openat(depth == 0 ? fd : at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
                _cleanup_free_ char *asked = NULL;

                closep(&at);
                at = up;
                /* the root of the hierarchy cannot be frozen and has no such file */
                if (up < 0 || io_read_file(up, "cgroup.freeze", 64, &asked, NULL) < 0)
                        return false;
                if (asked[0] == '1')
                        return true;
        }
        return false;
}

int cgroup_freezer_read(int fd, struct cgroup_freezer *ret) {
        _cleanup_free_ char *events = NULL, *asked = NULL;
        int r = io_read_file(fd, "cgroup.events", 4096, &events, NULL);

        if (r >= 0)
                r = io_read_file(fd, "cgroup.freeze", 64, &asked, NULL);
        if (r < 0)
                return r;
        *ret = (struct cgroup_freezer) {
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

int cgroup_kill(int fd) {
        int r = fault_effect("kill");

        return r < 0 ? r : io_write_string(fd, "cgroup.kill", "1");
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
