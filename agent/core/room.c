/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/room.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "agent/util/fault.h"
#include "agent/util/io.h"

/* A segment of the ledger, and what is left of it and the other part for tags and tombstones; in parts, because a full
 * file system may have bytes and no inodes. */
#define PARTS     12U
#define PART_SIZE (1024U * 1024)
#define INODES    16U

static int open_reserve(const char *state, bool make) {
        char path[PATH_MAX];
        int fd;

        if ((size_t) snprintf(path, sizeof(path), "%s/reserve", state) >= sizeof(path))
                return -ENAMETOOLONG;
        if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
                return -errno;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static void part_name(unsigned i, char ret[static 12]) {
        (void) snprintf(ret, 12, "%u", i);
}

/* Neither sparse nor shorter: somebody may have truncated it. */
static bool is_part(int dir, unsigned i) {
        struct stat st;
        char name[12];

        part_name(i, name);
        return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size == PART_SIZE &&
               st.st_blocks >= (blkcnt_t) (PART_SIZE / 512);
}

bool room_is_reserved(const char *state) {
        _cleanup_close_ int dir = open_reserve(state, false);
        unsigned n = 0;

        while (dir >= 0 && n < PARTS && is_part(dir, n))
                n++;
        return n == PARTS;
}

static int make_part(int dir, unsigned i) {
        _cleanup_close_ int fd = -EBADF;
        char name[12];
        int r = fault_effect("room-reserve");

        if (r < 0)
                return r;
        part_name(i, name);
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        r = -posix_fallocate(fd, 0, PART_SIZE);
        if (r < 0)
                (void) unlinkat(dir, name, 0);
        return r;
}

static int look(const char *state, uint64_t *ret_bytes, uint64_t *ret_inodes) {
        struct statvfs v;

        if (statvfs(state, &v) < 0)
                return -errno;
        *ret_bytes = (uint64_t) v.f_bavail * v.f_frsize;
        /* a file system that makes inodes as it needs them says that it has none */
        *ret_inodes = v.f_files == 0 ? UINT64_MAX : v.f_favail;
        return 0;
}

int room_reserve(const char *state) {
        _cleanup_close_ int dir = -EBADF;
        uint64_t bytes = 0, inodes = 0;
        int r = look(state, &bytes, &inodes);

        if (r < 0)
                return r;
        dir = open_reserve(state, true);
        if (dir < 0)
                return dir;
        for (unsigned i = 0; r == 0 && i < PARTS; i++) {
                if (is_part(dir, i))
                        continue;
                /* the last of a disk is for whoever needs it now */
                r = bytes < 4ULL * PARTS * PART_SIZE || inodes < 4 * INODES ? -ENOSPC : make_part(dir, i);
        }
        return r;
}

bool room_provide(const char *state, uint64_t need) {
        _cleanup_close_ int dir = -EBADF;
        uint64_t bytes = 0, inodes = 0;
        unsigned n = 0;

        if (look(state, &bytes, &inodes) < 0 || (bytes >= need && inodes >= INODES))
                return false;
        dir = open_reserve(state, false);
        for (unsigned i = 0; dir >= 0 && i < PARTS; i++) {
                char name[12];

                part_name(i, name);
                n += unlinkat(dir, name, 0) == 0;
        }
        return n > 0;
}

static uint64_t less(uint64_t a, uint64_t b) {
        return a > b ? a - b : 0;
}

uint64_t room_for_snapshot(const char *state, const struct local *l, const struct shelf *s, uint64_t granted,
                           uint64_t want) {
        uint64_t bytes = 0, inodes = 0, room = want;

        if (look(state, &bytes, &inodes) == 0) {
                room = MIN(room, less(less(bytes, (uint64_t) l->evidence_free_bytes), granted));
                if (inodes < INODES)
                        room = 0;
        }
        if (l->evidence_quota_bytes > 0)
                room = MIN(room, less(less((uint64_t) l->evidence_quota_bytes, shelf_bytes(s)), granted));
        return room;
}
