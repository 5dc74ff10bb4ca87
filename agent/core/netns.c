/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <search.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/util/alive.h"

#define NAMED "/run/netns"

struct list {
        void *seen; /* of tsearch(3): inodes */
        int home;
        int (*fn)(uint64_t inode, void *userdata);
        void *userdata;
        int first; /* error */
};

static void note(struct list *l, int r) {
        if (r < 0 && l->first == 0)
                l->first = r;
}

static int compare(const void *a, const void *b) {
        return *(const ino_t *) a < *(const ino_t *) b ? -1 : *(const ino_t *) a > *(const ino_t *) b;
}

/* Anyone makes namespaces and processes by the thousand: a tree, and not a list for each to be compared with. */
static bool is_new(struct list *l, ino_t inode) {
        ino_t *own = malloc(sizeof(*own)), **found = NULL;

        if (own) {
                *own = inode;
                found = tsearch(own, &l->seen, compare);
        }
        if (found && *found == own)
                return true;
        note(l, found ? 0 : -ENOMEM);
        free(own);
        return false;
}

/* A process that is gone, or a name that is, has taken its namespace along or left it to others. */
static void visit(struct list *l, int dir, const char *path) {
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        if (fstatat(dir, path, &st, 0) < 0) {
                note(l, errno == ENOENT || errno == ESRCH ? 0 : -errno);
                return;
        }
        if (!is_new(l, st.st_ino))
                return;
        fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
                note(l, errno == ENOENT || errno == ESRCH ? 0 : -errno);
                return;
        }
        if (setns(fd, CLONE_NEWNET) < 0) {
                /* a name whose namespace is gone is a plain file */
                note(l, errno == EINVAL ? 0 : -errno);
                return;
        }
        note(l, l->fn(st.st_ino, l->userdata));
        alive();
        note(l, setns(l->home, CLONE_NEWNET) < 0 ? -errno : 0);
}

static void visit_each(struct list *l, const char *where, const char *suffix, bool numbers) {
        struct dirent *e;
        DIR *d = opendir(where);

        if (!d) {
                note(l, errno == ENOENT ? 0 : -errno);
                return;
        }
        while ((e = readdir(d))) {
                char path[NAME_MAX + 16];

                if (e->d_name[0] == '.' || (numbers && strspn(e->d_name, "0123456789") != strlen(e->d_name)))
                        continue;
                (void) snprintf(path, sizeof(path), "%s%s", e->d_name, suffix);
                visit(l, dirfd(d), path);
        }
        (void) closedir(d);
}

int netns_each(int (*fn)(uint64_t inode, void *userdata), void *userdata) {
        struct list l = { .home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), .fn = fn, .userdata = userdata };

        if (l.home < 0)
                return -errno;
        visit(&l, AT_FDCWD, "/proc/self/ns/net");
        visit_each(&l, "/proc", "/ns/net", true);
        visit_each(&l, NAMED, "", false);
        (void) close(l.home);
        tdestroy(l.seen, free);
        return l.first;
}
