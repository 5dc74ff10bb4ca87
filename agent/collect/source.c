/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/source.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define CHUNK_SIZE (64U * 1024)

ssize_t source_link(int at, const char *path, char *ret, size_t n) {
        ssize_t got = readlinkat(at, path, ret, n);

        if (got < 0)
                return -errno;
        /* readlink(2) cuts without saying so. */
        if ((size_t) got >= n)
                return -ENAMETOOLONG;
        ret[got] = '\0';
        return got;
}

/* Looking at a path is harmless, opening it is not: a FIFO waits, a tape rewinds, a watchdog starts. So it is looked at
 * through a descriptor that opens nothing, and what is then opened is that same file whatever the path has become
 * meanwhile. */
int source_open(int at, const char *path, unsigned flags, int *ret) {
        int nofollow = flags & SOURCE_FOLLOW ? 0 : O_NOFOLLOW;
        _cleanup_close_ int look = openat(at, path, O_PATH | O_CLOEXEC | nofollow);
        char self[64];
        struct stat st;
        int fd;

        if (look < 0 || fstat(look, &st) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode))
                return -ELOOP;
        if (!S_ISREG(st.st_mode))
                return -EOPNOTSUPP;
        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", look);
        fd = openat(AT_FDCWD, self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret = fd;
        return 0;
}

static bool differs(const struct stat *a, const struct stat *b) {
        return a->st_size != b->st_size || a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
               a->st_mtim.tv_nsec != b->st_mtim.tv_nsec || a->st_ctim.tv_sec != b->st_ctim.tv_sec ||
               a->st_ctim.tv_nsec != b->st_ctim.tv_nsec;
}

static int copy_bytes(struct store *s, int fd, uint64_t max, uint64_t *ret_n) {
        char chunk[CHUNK_SIZE];
        uint64_t n = 0;
        int r = 0;

        while (n < max && r == 0) {
                ssize_t got = read(fd, chunk, (size_t) MIN((uint64_t) sizeof(chunk), max - n));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        r = -errno;
                if (got <= 0)
                        break;
                n += (uint64_t) got;
                r = store_over(s) ? -ETIME : store_write(s, chunk, (size_t) got);
        }
        *ret_n = n;
        return r;
}

/* A byte beyond the end of what may be read tells a file that is larger from one that fits exactly. */
static bool has_more(int fd) {
        char c;
        return read(fd, &c, 1) > 0;
}

void source_copy_fd(struct store *s, const struct index_item *item, int fd) {
        struct stat before, after;
        int r = store_begin(s, item);
        uint64_t n = 0;

        if (r < 0 || fstat(fd, &before) < 0) {
                store_end(s, r < 0 ? r : -errno, -1, false);
                return;
        }
        store_stat(s, fd);
        /* Size 0 says nothing on procfs and cgroupfs. */
        bool sized = before.st_size > 0;
        uint64_t max = sized ? MIN((uint64_t) before.st_size, (uint64_t) SOURCE_MAX) : SOURCE_MAX;

        r = copy_bytes(s, fd, max, &n);
        if (r == 0 && sized && n < max)
                r = -ENODATA;
        if (r == 0 && n == SOURCE_MAX && has_more(fd))
                r = -EFBIG;
        bool changed = fstat(fd, &after) < 0 || (sized && differs(&before, &after));

        store_end(s, r, sized ? before.st_size : -1, changed);
}

void source_copy(struct store *s, const struct index_item *item, int at, const char *path, unsigned flags) {
        _cleanup_close_ int fd = -EBADF;
        int r = store_over(s) ? -ETIME : source_open(at, path, flags, &fd);

        if (r == -ENOENT && (flags & SOURCE_OPTIONAL))
                return;
        if (r < 0)
                store_hole(s, item, r, -1);
        else
                source_copy_fd(s, item, fd);
}

void source_put(struct store *s, const struct index_item *item, const void *bytes, size_t n) {
        int r = store_begin(s, item);

        if (r == 0)
                r = store_write(s, bytes, n);
        store_end(s, r, (int64_t) n, false);
}
