/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/file.h"

bool file_in_own_config(const char *name, char ret[static PATH_MAX]) {
        const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
        int k = 0;

        if (xdg && *xdg == '/')
                k = snprintf(ret, PATH_MAX, "%s/freezed/%s", xdg, name);
        else if (home && *home == '/')
                k = snprintf(ret, PATH_MAX, "%s/.config/freezed/%s", home, name);
        return k > 0 && k < PATH_MAX;
}

bool file_in_own_state(const char *name, char ret[static PATH_MAX]) {
        const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
        int k = 0;

        if (xdg && *xdg == '/')
                k = snprintf(ret, PATH_MAX, "%s/freezed/%s", xdg, name);
        else if (home && *home == '/')
                k = snprintf(ret, PATH_MAX, "%s/.local/state/freezed/%s", home, name);
        return k > 0 && k < PATH_MAX;
}

static int read_all(int fd, size_t max, char **ret, size_t *ret_n) {
        _cleanup_free_ char *buf = malloc(max + 1);
        size_t n = 0;

        if (!buf)
                return -ENOMEM;
        for (;;) {
                /* one byte more than allowed shows that there is too much */
                ssize_t k = read(fd, buf + n, max + 1 - n);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
                if (n > max)
                        return -EFBIG;
        }
        buf[n] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_n)
                *ret_n = n;
        return 0;
}

int file_read(const char *path, size_t max, char **ret, size_t *ret_n, mode_t *ret_mode) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
                return -EINVAL;
        int r = read_all(fd, max, ret, ret_n);
        if (r == 0 && ret_mode)
                *ret_mode = st.st_mode;
        return r;
}

int file_read_plain(const char *path, size_t max, char **ret, size_t *ret_n) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) ? read_all(fd, MIN(max, (size_t) st.st_size + 1), ret, ret_n) : -EINVAL;
}

int file_write_all(int fd, const void *buf, size_t n) {
        const char *p = buf;

        while (n > 0) {
                ssize_t put = write(fd, p, n);

                if (put < 0 && errno == EINTR)
                        continue;
                if (put <= 0)
                        return put < 0 ? -errno : -EIO;
                p += put;
                n -= (size_t) put;
        }
        return 0;
}

static int sync_parent(const char *path) {
        char dir[PATH_MAX];
        const char *slash = strrchr(path, '/');

        if (!slash)
                (void) snprintf(dir, sizeof(dir), ".");
        else
                (void) snprintf(dir, sizeof(dir), "%.*s", (int) MAX(slash - path, 1), path);
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        return fsync(fd) < 0 ? -errno : 0;
}

/* flags: 0 or RENAME_NOREPLACE, which makes taking a free name atomic too */
static int put(const char *path, const void *buf, size_t n, mode_t mode, unsigned flags) {
        char tmp[PATH_MAX];
        int k = snprintf(tmp, sizeof(tmp), "%s.XXXXXX", path);
        if (k < 0 || (size_t) k >= sizeof(tmp))
                return -ENAMETOOLONG;

        _cleanup_close_ int fd = mkostemp(tmp, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = file_write_all(fd, buf, n);
        if (r >= 0 && fchmod(fd, mode) < 0)
                r = -errno;
        if (r >= 0 && fsync(fd) < 0)
                r = -errno;
        if (r >= 0 && renameat2(AT_FDCWD, tmp, AT_FDCWD, path, flags) < 0)
                r = -errno;
        if (r < 0) {
                (void) unlink(tmp);
                return r;
        }
        return sync_parent(path);
}

int file_replace(const char *path, const void *buf, size_t n, mode_t mode) {
        return put(path, buf, n, mode, 0);
}

int file_create(const char *path, const void *buf, size_t n, mode_t mode) {
        return put(path, buf, n, mode, RENAME_NOREPLACE);
}

int file_make_parents(const char *path) {
        char dir[PATH_MAX];

        for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
                if ((size_t) (p - path) >= sizeof(dir))
                        return -ENAMETOOLONG;
                (void) snprintf(dir, sizeof(dir), "%.*s", (int) (p - path), path);
                if (mkdir(dir, 0755) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}
