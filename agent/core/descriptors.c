/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>

#include <linux/kcmp.h>

#include "agent/core/process.h"
#include "agent/util/alive.h"

#define MANAGER ((pid_t) 1)

/* What is being read, and for whom. */
struct reading {
        struct descriptors *d;
        uint32_t group;
        reason_set gaps;
        struct ways *ways;
};

/* Makes room for one more of what grows by doubling. */
static int grow(void **v, size_t n, size_t size) {
        void *more;

        if ((n & (n - 1)) != 0)
                return 0;
        more = realloc(*v, (n ? n * 2 : 1) * size);
        if (!more)
                return -ENOMEM;
        *v = more;
        return 0;
}

int claims_add(struct claims *c, uint64_t key, uint32_t group) {
        int r = grow((void **) &c->v, c->n, sizeof(*c->v));

        if (r == 0)
                c->v[c->n++] = (struct claim) { .key = key, .group = group };
        return r;
}

static int compare(const void *a, const void *b) {
        const struct claim *x = a, *y = b;

        if (x->key != y->key)
                return x->key < y->key ? -1 : 1;
        return x->group < y->group ? -1 : x->group > y->group;
}

/* What is claimed twice by the same group, as a socket by several processes of it, is claimed once. */
void claims_sort(struct claims *c) {
        size_t n = 0;

        if (c->n > 0)
                qsort(c->v, c->n, sizeof(*c->v), compare);
        for (size_t i = 0; i < c->n; i++)
                if (n == 0 || compare(&c->v[n - 1], &c->v[i]) != 0)
                        c->v[n++] = c->v[i];
        c->n = n;
}

const struct claim *claims_find(const struct claims *c, uint64_t key) {
        size_t low = 0, high = c->n;

        while (low < high) {
                const size_t middle = low + (high - low) / 2;

                if (c->v[middle].key < key)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < c->n && c->v[low].key == key ? &c->v[low] : NULL;
}

/* A thread that has ended meanwhile, or is a zombie, has nothing any more; whatever else cannot be read is a gap. */
static bool is_gone(int error) {
        return error == ENOENT || error == ESRCH;
}

/* A map alone does nothing. */
static bool is_bpf_program(const char *link) {
        return strcmp(link, "anon_inode:bpf-prog") == 0 || strncmp(link, "anon_inode:bpf_link", 19) == 0 ||
               strncmp(link, "anon_inode:bpf-link", 19) == 0;
}

/* task: /proc/PID/task/TID */
static void add_sockets(const char *task, pid_t tid, struct reading *r) {
        /* not of a thread, before Linux 6.9 */
        _cleanup_close_ int pidfd = r->ways ? (int) syscall(SYS_pidfd_open, tid, 0) : -EBADF;
        char path[64];
        struct dirent *e;
        DIR *d;

        (void) snprintf(path, sizeof(path), "%s/fd", task);
        d = opendir(path);
        if (!d) {
                r->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_SOCKETS_LEFT);
                return;
        }
        while ((e = readdir(d))) {
                char link[64];
                unsigned long long inode;
                ssize_t n;

                if (e->d_name[0] == '.')
                        continue;
                n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
                if (n <= 0) {
                        r->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_SOCKETS_LEFT);
                        continue;
                }
                link[n] = 0;
                if (sscanf(link, "socket:[%llu]", &inode) == 1) {
                        if (claims_add(&r->d->sockets, inode, r->group) < 0)
                                r->gaps |= reason_bit(REASON_SOCKETS_LEFT);
                        if (r->ways)
                                ways_add_socket(r->ways, pidfd, (int) strtol(e->d_name, NULL, 10), inode);
                }
                if (r->ways && strncmp(link, "/dev/", 5) == 0)
                        ways_add_device(r->ways, dirfd(d), e->d_name);
                /* who looks like a copy with intent could as well close them: they run on when nobody has them open */
                if (is_bpf_program(link) && !process_is_copy(tid, MANAGER))
                        r->gaps |= reason_bit(REASON_LOADED_BPF);
        }
        (void) closedir(d);
}

static int add_open(struct descriptors *d, const char *path, const struct stat *st) {
        const int fd = d->n_netns < DESCRIPTORS_NETNS_MAX ? open(path, O_RDONLY | O_CLOEXEC) : -1;

        if (fd < 0)
                return d->n_netns < DESCRIPTORS_NETNS_MAX ? -errno : -EMFILE;
        if (grow((void **) &d->netns, d->n_netns, sizeof(*d->netns)) < 0) {
                (void) close(fd);
                return -ENOMEM;
        }
        d->netns[d->n_netns++] = (struct netns) { .st = *st, .fd = fd };
        return 0;
}

static void add_netns(const char *task, struct reading *r) {
        struct descriptors *d = r->d;
        char path[64];
        struct stat st;
        size_t k;

        (void) snprintf(path, sizeof(path), "%s/ns/net", task);
        if (stat(path, &st) < 0) {
                r->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_NETNS);
                return;
        }
        for (k = 0; k < d->n_netns; k++)
                if (st.st_ino == d->netns[k].st.st_ino && st.st_dev == d->netns[k].st.st_dev)
                        break;
        if ((k == d->n_netns && add_open(d, path, &st) < 0) || claims_add(&d->users, k, r->group) < 0)
                r->gaps |= reason_bit(REASON_NETNS);
}

/* A thread can have descriptors and a namespace of its own, and run on after the first one of its process has ended. */
static void add_threads(pid_t pid, struct reading *r) {
        char path[64];
        struct dirent *e;
        struct stat st;
        size_t left;
        DIR *d;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        d = opendir(path);
        if (!d) {
                r->gaps |= is_gone(errno) ? 0 : reason_bit(REASON_SOCKETS_LEFT);
                return;
        }
        left = fstat(dirfd(d), &st) < 0 ? 0 : st.st_nlink + DESCRIPTORS_THREADS_MORE;
        while ((e = readdir(d))) {
                const pid_t tid = e->d_name[0] == '.' ? 0 : (pid_t) strtol(e->d_name, NULL, 10);

                if (tid == 0)
                        continue;
                if (left-- == 0) {
                        r->gaps |= reason_bit(REASON_SOCKETS_LEFT);
                        break;
                }
                (void) snprintf(path, sizeof(path), "/proc/%d/task/%d", (int) pid, (int) tid);
                add_netns(path, r);
                /* 0: the same table; an error is not */
                if (tid == pid || syscall(SYS_kcmp, pid, tid, KCMP_FILES, 0, 0) != 0)
                        add_sockets(path, tid, r);
        }
        (void) closedir(d);
}

static void add_process(pid_t pid, struct reading *r) {
        char path[64];
        struct stat st;

        (void) snprintf(path, sizeof(path), "/proc/%d/task", (int) pid);
        /* one entry more than an empty directory: most processes have one thread, and there are many of them */
        if (stat(path, &st) < 0 || st.st_nlink != 3) {
                add_threads(pid, r);
                return;
        }
        (void) snprintf(path, sizeof(path), "/proc/%d", (int) pid);
        add_netns(path, r);
        add_sockets(path, pid, r);
}

int descriptors_begin(struct descriptors *ret) {
        struct descriptors d = { 0 };
        struct stat st = { 0 };
        int r = stat("/proc/self/ns/net", &st) < 0 ? -errno : add_open(&d, "/proc/self/ns/net", &st);

        if (d.n_netns == 0 && grow((void **) &d.netns, 0, sizeof(*d.netns)) == 0)
                d.netns[d.n_netns++] = (struct netns) { .fd = -EBADF };
        *ret = d;
        return r;
}

reason_set descriptors_add(struct descriptors *d, const pid_t *pids, size_t n, uint32_t group, struct ways *ways) {
        struct reading r = { .d = d, .group = group, .ways = ways };

        for (size_t i = 0; i < n; i++) {
                add_process(pids[i], &r);
                alive();
        }
        return r.gaps;
}

void descriptors_done(struct descriptors *d) {
        for (size_t k = 0; k < d->n_netns; k++)
                closep(&d->netns[k].fd);
        free(d->netns);
        free(d->sockets.v);
        free(d->users.v);
        *d = (struct descriptors) { 0 };
}
