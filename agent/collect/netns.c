/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/netns.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/sockios.h>

#include "agent/collect/numdir.h"
#include "agent/collect/source.h"

/* As many of a process are looked at. */
#define TASKS_MAX 4096U
#define FDS_MAX   65536U
/* Linux 6.9; before, what such a thread alone has open is a hole */
#define PIDFD_OF_THREAD O_EXCL

struct search {
        struct netns_set *set;
        struct store *store;
        const struct process *process;
        int pidfd;
        const char *path; /* of the descriptors that are looked at */
        bool refused;     /* one of them was: so are the others */
};

bool netns_has(const struct netns_set *set, const char *name) {
        for (size_t i = 0; i < set->n; i++)
                if (strcmp(set->v[i].name, name) == 0)
                        return true;
        return false;
}

void netns_done(struct netns_set *set) {
        for (size_t i = 0; i < set->n; i++)
                closep(&set->v[i].fd);
        set->n = 0;
}

static void miss(struct search *x, const char *what, int err) {
        char source[96];
        const struct index_item item = {
                .kind = "netns", .source = source, .pid = x->process->pid, .not_frozen = !x->process->frozen
        };

        (void) snprintf(source, sizeof(source), "/proc/%d/%s", (int) x->process->pid, what);
        store_hole(x->store, &item, err, -1);
}

/* The descriptor is taken in every case. */
static void add(struct search *x, int netns, const char *where) {
        _cleanup_close_ int fd = netns;
        struct stat st;
        char name[NETNS_NAME];

        if (fd < 0 || fstat(fd, &st) < 0) {
                miss(x, where, -errno);
                return;
        }
        (void) snprintf(name, sizeof(name), "net:[%llu]", (unsigned long long) st.st_ino);
        if (netns_has(x->set, name))
                return;
        if (x->set->n == NETNS_MAX) {
                miss(x, where, -EOVERFLOW);
                return;
        }
        struct netns *n = &x->set->v[x->set->n++];

        *n = (struct netns) { .fd = TAKE_FD(fd), .pid = x->process->pid, .frozen = x->process->frozen };
        memcpy(n->name, name, sizeof(name));
}

/* A thread that is gone has taken its namespace along. */
static bool is_gone(int err) {
        return err == -ENOENT || err == -ESRCH;
}

static void look_at_link(struct search *x, int dir, const char *path, const char *where) {
        char link[NETNS_NAME];
        ssize_t n = source_link(dir, path, link, sizeof(link));

        /* Whatever is longer is the path of something else. */
        if (n < 0 && n != -ENAMETOOLONG && !is_gone((int) n))
                miss(x, where, (int) n);
        if (n < 0 || strncmp(link, "net:[", 5) != 0 || netns_has(x->set, link))
                return;
        int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);

        if (fd >= 0 || !is_gone(-errno))
                add(x, fd, where);
}

/* The kernel tells of which namespace a socket is to who has it, for a moment the collector. */
static void look_at_socket(struct search *x, const char *number, const char *where) {
        _cleanup_close_ int fd = x->refused ? -EBADF : (int) syscall(SYS_pidfd_getfd, x->pidfd, atoi(number), 0);
        int netns = fd < 0 ? -1 : ioctl(fd, SIOCGSKNS);

        if (x->refused || (netns < 0 && (errno == EBADF || errno == ESRCH)))
                return;
        /* Yama, or a kernel without the call: not a hole for each of thousands. */
        x->refused = netns < 0 && (errno == EPERM || errno == ENOSYS);
        add(x, netns, where);
}

static void look_at_fd(struct search *x, DIR *d, const char *number) {
        char link[NETNS_NAME], where[64];
        ssize_t n = source_link(dirfd(d), number, link, sizeof(link));

        (void) snprintf(where, sizeof(where), "%s/%.20s", x->path, number);
        if (n > 0 && strncmp(link, "socket:[", 8) == 0)
                look_at_socket(x, number, where);
        else if (n > 0 && strncmp(link, "net:[", 5) == 0)
                look_at_link(x, dirfd(d), number, where);
}

static void look_at_numbers(struct search *x, const char *path, unsigned max,
                            void (*look)(struct search *x, DIR *d, const char *name)) {
        _cleanup_(numdir_closep) DIR *d = numdir_open(x->process->dir, path);
        int r = d ? 0 : -errno;
        unsigned n = 0;

        for (const char *name; r == 0 && (name = numdir_next(d));)
                if (store_over(x->store))
                        r = -ETIME;
                else if (++n > max)
                        r = -EOVERFLOW;
                else
                        look(x, d, name);
        if (r < 0 && !is_gone(r))
                miss(x, path, r);
}

static void look_at_fds(struct search *x, const char *path, pid_t id, unsigned flags) {
        _cleanup_close_ int pidfd = (int) syscall(SYS_pidfd_open, id, flags);

        if (pidfd < 0) {
                if (!is_gone(-errno))
                        miss(x, path, -errno);
                return;
        }
        x->pidfd = pidfd;
        x->path = path;
        x->refused = false;
        look_at_numbers(x, path, FDS_MAX, look_at_fd);
}

/* A thread can have a namespace of its own, and descriptors. */
static void look_at_task(struct search *x, DIR *d, const char *tid) {
        const pid_t id = (pid_t) atoi(tid);
        char path[64], where[64];

        (void) snprintf(path, sizeof(path), "%.20s/ns/net", tid);
        (void) snprintf(where, sizeof(where), "task/%.20s/ns/net", tid);
        look_at_link(x, dirfd(d), path, where);
        (void) snprintf(where, sizeof(where), "task/%.20s/fd", tid);
        if (id != x->process->pid && numdir_own_files(x->process->pid, id))
                look_at_fds(x, where, id, PIDFD_OF_THREAD);
}

static void look_at_process(struct search *x, const struct process *p) {
        x->process = p;
        look_at_fds(x, "fd", p->pid, 0);
        look_at_numbers(x, "task", TASKS_MAX, look_at_task);
}

void netns_find(struct netns_set *set, const struct target_set *t, struct store *s) {
        struct search x = { .set = set, .store = s };

        for (size_t i = 0; i < t->n_processes; i++)
                look_at_process(&x, &t->processes[i]);
}
