/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/nameless.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/collect/maps.h"
#include "agent/collect/mounts.h"
#include "agent/collect/numdir.h"
#include "agent/collect/source.h"
#include "agent/collect/sparse.h"
#include "agent/util/io.h"

#define FILES_MAX 16384U
#define FDS_MAX   65536U
#define TASKS_MAX 4096U

struct file_id {
        dev_t dev;
        ino_t ino;
};

struct search {
        struct store *store;
        const struct process *process;
        struct mounts mounts;      /* of the process, */
        const struct process *of;  /* when it is this one */
        struct mounts host_mounts; /* of PID 1 */
        dev_t memory;              /* the file system of memfds; 0: not known */
        struct file_id seen[FILES_MAX];
        size_t n_seen;
};

/* Where memfds and shared memory live is a mount that no list has. Memory of our own is there too. */
static dev_t find_memory(int proc) {
        void *p = mmap(NULL, 1, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        char path[96];
        struct stat st;

        if (p == MAP_FAILED)
                return 0;
        (void) snprintf(path, sizeof(path), "self/map_files/%" PRIxPTR "-%" PRIxPTR, (uintptr_t) p,
                        (uintptr_t) p + (uintptr_t) sysconf(_SC_PAGESIZE));
        const bool known = fstatat(proc, path, &st, 0) == 0;

        (void) munmap(p, 1);
        return known ? st.st_dev : 0;
}

/* FAIL-CLOSED: a mount that neither the process's list has nor the host's is one that may ask somebody who is frozen. A
 * kernel that does not tell where memfds live costs the time until the deadline at worst. */
static bool answers_by_itself(struct search *x, const struct statx *st) {
        if (x->memory == 0 || makedev(st->stx_dev_major, st->stx_dev_minor) == x->memory)
                return true;
        if (x->of != x->process) {
                mounts_done(&x->mounts);
                (void) !mounts_read(x->process->dir, &x->mounts);
                x->of = x->process;
        }
        return mounts_has(&x->mounts, st) || mounts_has(&x->host_mounts, st);
}

/* A regular file without a name; told by what the kernel has, because FUSE would ask its daemon. */
static int look(struct search *x, const char *path, struct statx *ret) {
        _cleanup_close_ int fd = openat(x->process->dir, path, O_PATH | O_CLOEXEC);

        return fd < 0 || statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS | STATX_MNT_ID, ret) < 0
                       ? -errno
                       : 0;
}

/* True the first time. */
static bool is_new(struct search *x, const struct statx *st) {
        const dev_t dev = makedev(st->stx_dev_major, st->stx_dev_minor);

        for (size_t i = 0; i < x->n_seen; i++)
                if (x->seen[i].dev == dev && x->seen[i].ino == st->stx_ino)
                        return false;
        if (x->n_seen < FILES_MAX)
                x->seen[x->n_seen++] = (struct file_id) { dev, st->stx_ino };
        return true;
}

/* path: of the link in /proc that leads to the file. */
static void look_at(struct search *x, const char *kind, const char *path) {
        char source[160];
        const struct index_item item = {
                .kind = kind, .source = source, .pid = x->process->pid, .not_frozen = !x->process->frozen
        };
        _cleanup_close_ int fd = -EBADF;
        struct statx seen;
        struct stat st;
        int r;

        (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) x->process->pid, path);
        r = look(x, path, &seen);
        if (r < 0) {
                /* a socket that is gone, a kernel's thread without a program */
                if (r != -ENOENT)
                        store_hole(x->store, &item, r, -1);
                return;
        }
        if (!S_ISREG(seen.stx_mode) || seen.stx_nlink > 0 || !is_new(x, &seen))
                return;
        r = store_over(x->store) ? -ETIME : answers_by_itself(x, &seen) ? 0 : -EREMOTE;
        if (r == 0)
                r = source_open(x->process->dir, path, SOURCE_FOLLOW, &fd);
        if (r == 0 && fstat(fd, &st) < 0)
                r = -errno;
        if (r < 0)
                store_hole(x->store, &item, r, (int64_t) seen.stx_size);
        else
                sparse_copy(x->store, &item, fd, &st, 0);
}

/* below: of /proc/PID, with a slash after it, or nothing */
static void look_at_fds(struct search *x, const char *below) {
        char path[64];

        (void) snprintf(path, sizeof(path), "%sfd", below);
        _cleanup_(numdir_closep) DIR *d = numdir_open(x->process->dir, path);
        size_t n = 0;

        for (const char *fd; d && n++ < FDS_MAX && !store_over(x->store) && (fd = numdir_next(d));) {
                (void) snprintf(path, sizeof(path), "%sfd/%.20s", below, fd);
                look_at(x, "deleted-file", path);
        }
}

/* A thread can have a table of descriptors of its own, and in it what nobody else has open. */
static void look_at_fds_of_threads(struct search *x) {
        _cleanup_(numdir_closep) DIR *d = numdir_open(x->process->dir, "task");
        const pid_t pid = x->process->pid;
        size_t n = 0;

        for (const char *tid; d && n++ < TASKS_MAX && !store_over(x->store) && (tid = numdir_next(d));)
                if (atoi(tid) != pid && numdir_own_files(pid, atoi(tid))) {
                        char below[32];

                        (void) snprintf(below, sizeof(below), "task/%.20s/", tid);
                        look_at_fds(x, below);
                }
}

static bool is_deleted(const struct mapping *m) {
        static const char end[] = " (deleted)";
        const size_t n = sizeof(end) - 1;
        return m->inode != 0 && m->path_n > n && memcmp(m->path + m->path_n - n, end, n) == 0;
}

static int look_at_mapping(const struct mapping *m, void *userdata) {
        struct search *x = userdata;
        char path[96];

        (void) snprintf(path, sizeof(path), "map_files/%" PRIx64 "-%" PRIx64, m->start, m->end);
        if (is_deleted(m))
                look_at(x, "deleted-mapping", path);
        return store_over(x->store) ? -ETIME : 0;
}

void nameless_collect(struct target_set *t, struct store *s) {
        static const struct index_item item = { .kind = "deleted-file", .source = "files without a name" };
        _cleanup_free_ struct search *x = calloc(1, sizeof(*x));

        if (!x) {
                store_hole(s, &item, -ENOMEM, -1);
                return;
        }
        x->store = s;
        x->memory = find_memory(t->proc);
        _cleanup_close_ int init = openat(t->proc, "1", O_PATH | O_DIRECTORY | O_CLOEXEC);

        (void) !mounts_read(init, &x->host_mounts);
        for (size_t i = 0; i < t->n_processes && !store_over(s); i++) {
                x->process = &t->processes[i];
                look_at(x, "deleted-exe", "exe");
                look_at_fds(x, "");
                look_at_fds_of_threads(x);
                /* that it cannot be read is a hole of the core already */
                (void) !maps_each(x->process->dir, look_at_mapping, x);
        }
        if (x->n_seen == FILES_MAX)
                store_hole(s, &item, -EOVERFLOW, -1);
        if (store_over(s))
                store_hole(s, &item, -ETIME, -1);
        mounts_done(&x->mounts);
        mounts_done(&x->host_mounts);
}
