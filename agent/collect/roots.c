/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/roots.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void miss(struct store *s, const struct process *p, int err) {
        char source[64];

        (void) snprintf(source, sizeof(source), "/proc/%d/root", (int) p->pid);
        store_hole(s, &(struct index_item) { .kind = "root", .source = source, .pid = p->pid }, err, -1);
}

static const struct root *find(const struct roots *all, const struct root *r) {
        for (size_t i = 1; i < all->n; i++)
                if (all->v[i].ns == r->ns && all->v[i].dev == r->dev && all->v[i].ino == r->ino)
                        return &all->v[i];
        return NULL;
}

/* Opened for looking only. */
static int look(const struct process *p, struct root *ret) {
        struct root r = { .dir = -EBADF, .pid = p->pid };
        _cleanup_close_ int dir = -EBADF;
        struct statx root;
        struct stat ns;

        if (fstatat(p->dir, "ns/mnt", &ns, 0) < 0)
                return -errno;
        dir = openat(p->dir, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0 || statx(dir, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &root) < 0)
                return -errno;
        r.ns = ns.st_ino;
        r.ino = root.stx_ino;
        r.dev = makedev(root.stx_dev_major, root.stx_dev_minor);
        r.dir = TAKE_FD(dir);
        *ret = r;
        return 0;
}

/* A root may itself be of a mount that nobody must be asked for: to look for a name in it is to ask. */
static int read_mounts(const struct process *p, struct root *r) {
        struct statx st;
        int k = mounts_read(p->dir, &r->mounts);

        return k < 0 ? k : mounts_look(&r->mounts, r->dir, &st);
}

/* 0 when it is there already, too. */
static int add(struct roots *all, const struct process *p) {
        struct root r;
        int k = look(p, &r);

        if (k < 0)
                return k;
        if (find(all, &r))
                k = 0;
        else if (all->n == ROOTS_MAX)
                k = -EOVERFLOW;
        else
                k = read_mounts(p, &r);
        if (k < 0 || find(all, &r)) {
                mounts_done(&r.mounts);
                closep(&r.dir);
                return k;
        }
        all->v[all->n++] = r;
        return 0;
}

const struct root *roots_of(const struct roots *all, const struct process *p) {
        const struct root *found;
        struct root r;

        if (look(p, &r) < 0)
                return NULL;
        found = find(all, &r);
        closep(&r.dir);
        return found;
}

static void add_host(const struct target_set *t, struct store *s, struct roots *all) {
        _cleanup_close_ int self = openat(t->proc, "self", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct root r = { .dir = -EBADF };
        int k = self < 0 ? -errno : mounts_read(self, &r.mounts);

        if (k == 0) {
                r.dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                k = r.dir < 0 ? -errno : 0;
        }
        if (k < 0)
                store_hole(s, &(struct index_item) { .kind = "root", .source = "/" }, k, -1);
        all->v[all->n++] = r;
}

void roots_open(const struct target_set *t, struct store *s, struct roots *ret) {
        *ret = (struct roots) { .n = 0 };
        add_host(t, s, ret);
        for (size_t i = 0; i < t->n_processes; i++) {
                int r = add(ret, &t->processes[i]);

                /* a process that is over */
                if (r < 0 && r != -ENOENT && r != -ESRCH)
                        miss(s, &t->processes[i], r);
                if (r == -EOVERFLOW)
                        break;
        }
}

void roots_done(struct roots *r) {
        for (size_t i = 0; i < r->n; i++) {
                closep(&r->v[i].dir);
                mounts_done(&r->v[i].mounts);
        }
        r->n = 0;
}

void root_source(const struct root *r, const char *path, char *ret, size_t n) {
        if (r->pid == 0)
                (void) snprintf(ret, n, "%s", path);
        else
                (void) snprintf(ret, n, "/proc/%d/root%s", (int) r->pid, path);
}

int root_reopen(int look, int *ret) {
        static const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
        char self[64];
        int fd;

        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
        fd = openat(AT_FDCWD, self, flags | O_NOATIME);
        if (fd < 0 && errno == EPERM)
                fd = openat(AT_FDCWD, self, flags);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

/* Down to what the path names, for looking only. */
static int descend(const struct root *r, const char *path, struct statx *ret_stat, int *ret) {
        _cleanup_close_ int fd = fcntl(r->dir, F_DUPFD_CLOEXEC, 0);
        struct statx st = { .stx_mode = S_IFDIR };
        int k;

        if (fd < 0)
                return -errno;
        while (*path == '/') {
                size_t n = strcspn(++path, "/");
                char name[NAME_MAX + 1];

                if (n == 0 || n > NAME_MAX)
                        return -EINVAL;
                if (!S_ISDIR(st.stx_mode))
                        return S_ISLNK(st.stx_mode) ? -ELOOP : -ENOTDIR;
                (void) snprintf(name, sizeof(name), "%.*s", (int) n, path);
                int next = openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

                if (next < 0)
                        return -errno;
                (void) close(fd);
                fd = next;
                k = mounts_look(&r->mounts, fd, &st);
                if (k < 0)
                        return k;
                path += n;
        }
        *ret_stat = st;
        *ret = TAKE_FD(fd);
        return 0;
}

int root_open(const struct root *r, const char *path, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct statx st;
        int k = descend(r, path, &st, &fd);

        if (k < 0)
                return k;
        if (!S_ISREG(st.stx_mode))
                return S_ISLNK(st.stx_mode) ? -ELOOP : -EOPNOTSUPP;
        return root_reopen(fd, ret);
}

int root_open_dir(const struct root *r, const char *path, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        struct statx st;
        int k = descend(r, path, &st, &fd), dir;

        if (k < 0)
                return k;
        if (!S_ISDIR(st.stx_mode))
                return S_ISLNK(st.stx_mode) ? -ELOOP : -ENOTDIR;
        dir = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        *ret = dir;
        return 0;
}
