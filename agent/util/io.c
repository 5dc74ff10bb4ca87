/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/util/io.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* Longer than most files of procfs and cgroupfs, so that those need one read and cannot change between two. */
#define READ_START 4096U

static ssize_t read_retry(int fd, void *buf, size_t n) {
        ssize_t got;

        do
                got = read(fd, buf, n);
        while (got < 0 && errno == EINTR);
        return got < 0 ? -errno : got;
}

/* Reads to the end. The buffer always has a byte more than may be kept: filling it is how "larger than max" is
 * noticed. */
static int read_all(int fd, size_t max, char **ret, size_t *ret_n) {
        _cleanup_free_ char *buf = NULL;
        size_t size = 0, n = 0;

        for (;;) {
                if (n + 1 >= size) {
                        size_t want = size == 0 ? READ_START : size * 2;
                        char *bigger = realloc(buf, MIN(want, max + 2));

                        if (!bigger)
                                return -ENOMEM;
                        buf = bigger;
                        size = MIN(want, max + 2);
                }
                ssize_t got = read_retry(fd, buf + n, size - n - 1);

                if (got < 0)
                        return (int) got;
                if (got == 0)
                        break;
                n += (size_t) got;
                if (n > max)
                        return -EFBIG;
        }
        buf[n] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_n)
                *ret_n = n;
        return 0;
}

int io_read_file(int at, const char *path, size_t max, char **ret, size_t *ret_n) {
        _cleanup_close_ int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return -errno;
        return read_all(fd, MIN(max, (size_t) SSIZE_MAX - 2), ret, ret_n);
}

int io_write_string(int at, const char *path, const char *s) {
        _cleanup_close_ int fd = openat(at, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        size_t n = strlen(s);
        ssize_t put;

        if (fd < 0)
                return -errno;
        do
                put = write(fd, s, n);
        while (put < 0 && errno == EINTR);
        if (put < 0)
                return -errno;
        return (size_t) put == n ? 0 : -EIO;
}

int io_write_all(int fd, const void *buf, size_t n) {
        const uint8_t *p = buf;

        while (n > 0) {
                ssize_t put = write(fd, p, n);

                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return -errno;
                if (put == 0)
                        return -EIO;
                p += put;
                n -= (size_t) put;
        }
        return 0;
}

static int write_temporary(int dir, const char *name, const void *buf, size_t n, mode_t mode) {
        _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        int r;

        if (fd < 0)
                return -errno;
        r = io_write_all(fd, buf, n);
        if (r < 0)
                return r;
        /* The umask is not a part of what the caller asked for. */
        if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
                return -errno;
        return 0;
}

int io_replace_file(int dir, const char *name, const void *buf, size_t n, mode_t mode) {
        char temporary[NAME_MAX + 1];
        int r = snprintf(temporary, sizeof(temporary), ".%s.new", name);

        if (r < 0 || (size_t) r >= sizeof(temporary))
                return -ENAMETOOLONG;
        /* A predecessor may have died half-way. */
        if (unlinkat(dir, temporary, 0) < 0 && errno != ENOENT)
                return -errno;
        r = write_temporary(dir, temporary, buf, n, mode);
        if (r == 0 && renameat(dir, temporary, dir, name) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlinkat(dir, temporary, 0);
                return r;
        }
        return fsync(dir) < 0 ? -errno : 0;
}

/* A new directory lasts only once its entry in the parent does. EINVAL: cgroupfs has no fsync, and nothing there
 * lasts. */
static int sync_parent(const char *path) {
        _cleanup_close_ int fd = -EBADF;
        char parent[PATH_MAX];
        const char *slash = strrchr(path, '/');

        if (!slash)
                (void) snprintf(parent, sizeof(parent), ".");
        else
                (void) snprintf(parent, sizeof(parent), "%.*s", slash == path ? 1 : (int) (slash - path), path);
        fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
                return -errno;
        return 0;
}

static int make_directory(const char *path, mode_t mode) {
        struct stat st;

        if (mkdir(path, mode) == 0) {
                if (chmod(path, mode) < 0)
                        return -errno;
                return sync_parent(path);
        }
        if (errno != EEXIST)
                return -errno;
        if (stat(path, &st) < 0)
                return -errno;
        return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int io_mkdirs(const char *path, mode_t mode) {
        char part[PATH_MAX];
        size_t n = strlen(path);
        int r;

        while (n > 1 && path[n - 1] == '/')
                n--;
        if (n == 0)
                return -ENOENT;
        if (n >= sizeof(part))
                return -ENAMETOOLONG;
        memcpy(part, path, n);
        part[n] = '\0';
        r = make_directory(part, mode); /* mostly all above it is there */
        for (char *p = part + 1; r == -ENOENT && *p; p++) {
                int made;

                if (*p != '/' || p[-1] == '/')
                        continue;
                *p = '\0';
                made = make_directory(part, mode);
                if (made < 0)
                        return made;
                *p = '/';
        }
        return r == -ENOENT ? make_directory(part, mode) : r;
}
