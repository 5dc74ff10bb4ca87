/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "agent/core/plain.h"
#include "agent/util/collect_abi.h"

#define EVIDENCE "evidence"

/* What a snapshot leaves beside data/, and a deletion beside that; in the order in which they come about. */
static const char *const tags[] = {
        "order.dsse.json",        COLLECT_PUBLIC,   COLLECT_MANIFEST,
        "tagmanifest-sha256.txt", FOLDER_STATEMENT, FOLDER_DELETION,
};

static void closedirp(DIR **d) {
        if (*d)
                (void) closedir(*d);
}

static int open_dir(int at, const char *name) {
        int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int list(int fd, DIR **ret) {
        DIR *d = fdopendir(fd);

        if (!d) {
                (void) close(fd);
                return -errno;
        }
        *ret = d;
        return 0;
}

/* HOLD or HOLD.N. */
static bool read_name(const char *name, struct command_id *ret) {
        const size_t n = strcspn(name, ".");
        char id[33];

        if (n != 32 || strlen(name) > 32 + 1 + 2 ||
            (name[n] && strspn(name + n + 1, "0123456789") != strlen(name + n + 1)))
                return false;
        memcpy(id, name, n);
        id[n] = '\0';
        return command_id_from_str(id, ret) == 0;
}

static int each_of(int at, const char *incident, const struct command_id *only, folder_fn fn, void *userdata) {
        _cleanup_(closedirp) DIR *d = NULL;
        int fd = open_dir(at, incident), r = fd < 0 ? fd : list(fd, &d);

        /* a file, a link, or gone meanwhile */
        if (r == -ENOTDIR || r == -ELOOP || r == -ENOENT)
                return 0;
        for (const struct dirent *e; r == 0 && (e = readdir(d));) {
                struct folder f;

                if (!read_name(e->d_name, &f.id) || (only && !command_id_equal(only, &f.id)))
                        continue;
                if ((size_t) snprintf(f.path, sizeof(f.path), "%s/%s", incident, e->d_name) >= sizeof(f.path))
                        continue;
                _cleanup_close_ int leaf = open_dir(dirfd(d), e->d_name);
                f.fd = leaf;
                if (leaf >= 0)
                        r = fn(&f, userdata);
        }
        return r;
}

int folder_each(const char *state, const struct command_id *only, folder_fn fn, void *userdata) {
        _cleanup_close_ int base = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(closedirp) DIR *d = NULL;
        int fd, r;

        if (base < 0)
                return -errno;
        fd = open_dir(base, EVIDENCE);
        if (fd == -ENOENT)
                return 0;
        r = fd < 0 ? fd : list(fd, &d);
        for (const struct dirent *e; r == 0 && (e = readdir(d));)
                if (e->d_name[0] != '.' && strlen(e->d_name) <= COMMAND_INCIDENT_MAX)
                        r = each_of(dirfd(d), e->d_name, only, fn, userdata);
        return r;
}

bool folder_is_empty(const struct folder *f) {
        return faccessat(f->fd, FOLDER_TOMBSTONE, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
               faccessat(f->fd, FOLDER_DATA, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

int folder_digest(const struct folder *f, const char *name, uint8_t ret[static 32]) {
        _cleanup_free_ char *bytes = NULL;
        size_t n;

        return plain_read(f->fd, name, COLLECT_PUBLIC_MAX, &bytes, &n, ret);
}

json_t *folder_subjects(const struct folder *f) {
        json_t *a = json_array();

        for (size_t i = 0; a && i < ELEMENTSOF(tags); i++) {
                uint8_t sha256[32];
                char hex[65];

                if (folder_digest(f, tags[i], sha256) == 0)
                        (void) json_array_append_new(a, json_pack("{s:s, s:{s:s}}", "name", tags[i], "digest", "sha256",
                                                                  sodium_bin2hex(hex, sizeof(hex), sha256, 32)));
        }
        return a;
}

int folder_open_data(const struct folder *f, DIR **ret) {
        int fd = openat(f->fd, FOLDER_DATA, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        *ret = fdopendir(fd);
        if (!*ret)
                (void) close(fd);
        return *ret ? 0 : -errno;
}

bool folder_is_dots(const char *name) {
        return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int folder_count(const struct folder *f, uint64_t *ret_files, uint64_t *ret_bytes) {
        _cleanup_(closedirp) DIR *d = NULL;
        int r = folder_open_data(f, &d);

        for (const struct dirent *e; d && (e = readdir(d));) {
                struct stat st;

                if (folder_is_dots(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                ++*ret_files;
                *ret_bytes += (uint64_t) st.st_size;
        }
        return r;
}
