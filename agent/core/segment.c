/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/segment.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <sodium.h>

#include "agent/core/ledger.h"
#include "agent/util/alive.h"
#include "agent/util/fault.h"

#define HEADER_SIZE 4U
#define HASH_SIZE   crypto_hash_sha256_BYTES
/* NNNNNNNN.log */
#define NAME_SIZE 13
/* What a disk writes in one piece, so that a header inside one is there whole or not at all. */
#define SECTOR    512U
#define SCAN_STEP (64U * 1024)
#define MAKE_STEP (512U * 1024)
/* Each may take a disk that dies many seconds, and the core does not serve before. */
#define BAD_STEPS_MAX 4U

_Static_assert(SEGMENT_OVERHEAD == HEADER_SIZE + HASH_SIZE, "the header's promise");

void segment_record_done(struct segment_record *r) {
        free(r->body);
        *r = (struct segment_record) { 0 };
}

static void get_name(uint32_t number, char ret[static NAME_SIZE]) {
        (void) snprintf(ret, NAME_SIZE, "%08u.log", number % (SEGMENT_LAST + 1));
}

void segment_leaf_hash(const void *body, size_t n, uint8_t ret[static HASH_SIZE]) {
        static const uint8_t leaf = 0x00;
        crypto_hash_sha256_state state;

        (void) crypto_hash_sha256_init(&state);
        (void) crypto_hash_sha256_update(&state, &leaf, 1);
        (void) crypto_hash_sha256_update(&state, body, n);
        (void) crypto_hash_sha256_final(&state, ret);
}

static void closedirp(DIR **d) {
        if (*d)
                (void) closedir(*d);
}

static uint32_t get_u32(const uint8_t p[static HEADER_SIZE]) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

static int pread_all(int fd, void *buf, size_t n, uint32_t at) {
        for (size_t done = 0; done < n;) {
                ssize_t got = pread(fd, (uint8_t *) buf + done, n - done, (off_t) (at + done));

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                if (got == 0)
                        return -EBADMSG;
                done += (size_t) got;
        }
        return 0;
}

int segment_read(int fd, uint32_t at, uint32_t size, struct segment_record *ret) {
        _cleanup_(segment_record_done) struct segment_record rec = { 0 };
        uint8_t header[HEADER_SIZE];
        int r;

        if (size - at <= SEGMENT_OVERHEAD)
                return -ENODATA;
        r = pread_all(fd, header, sizeof(header), at);
        if (r < 0)
                return r;
        rec.n = get_u32(header);
        if (rec.n == 0)
                return -ENODATA;
        if (rec.n > LEDGER_RECORD_MAX || rec.n > size - at - SEGMENT_OVERHEAD)
                return -EBADMSG;
        rec.body = malloc(rec.n + HASH_SIZE);
        if (!rec.body)
                return -ENOMEM;
        r = pread_all(fd, rec.body, rec.n + HASH_SIZE, at + HEADER_SIZE);
        if (r < 0)
                return r;
        segment_leaf_hash(rec.body, rec.n, rec.hash);
        if (memcmp(rec.hash, rec.body + rec.n, HASH_SIZE) != 0)
                return -EBADMSG;
        *ret = rec;
        rec.body = NULL;
        return 0;
}

int segment_open(int dir, uint32_t number, uint64_t *ret_size, int *ret) {
        _cleanup_close_ int fd = -EBADF;
        char name[NAME_SIZE];
        struct stat st;

        get_name(number, name);
        fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM))
                fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ELOOP || errno == ENXIO || errno == EISDIR ? -EBADMSG : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        if (ret_size)
                *ret_size = (uint64_t) st.st_size;
        *ret = TAKE_FD(fd);
        return 0;
}

bool segment_is_writable(int fd) {
        return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR;
}

int segment_find_last(int dir, uint32_t *ret) {
        _cleanup_(closedirp) DIR *d = NULL;
        char name[NAME_SIZE];
        uint32_t last = 0;
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        d = fdopendir(fd);
        if (!d) {
                int r = -errno;

                (void) close(fd);
                return r;
        }
        for (;;) {
                errno = 0;
                const struct dirent *e = readdir(d);

                if (!e)
                        break;
                if (!isdigit((unsigned char) e->d_name[0]))
                        continue;
                uint32_t number = (uint32_t) strtoul(e->d_name, NULL, 10);

                get_name(number, name);
                if (strcmp(name, e->d_name) == 0)
                        last = MAX(last, number);
        }
        if (errno > 0)
                return -errno;
        *ret = last;
        return 0;
}

int segment_find_end(int fd, uint32_t from, uint32_t size, uint32_t *ret) {
        _cleanup_free_ uint8_t *buf = malloc(SCAN_STEP);
        uint32_t end = from;

        if (!buf)
                return -ENOMEM;
        for (uint32_t at = from; at < size;) {
                uint32_t n = MIN(SCAN_STEP, size - at);
                int r = pread_all(fd, buf, n, at);

                if (r < 0)
                        return r;
                for (uint32_t i = n; i > 0; i--)
                        if (buf[i - 1] != 0) {
                                end = at + i;
                                break;
                        }
                at += n;
        }
        *ret = end;
        return 0;
}

/* What was read before a place that cannot be is looked at, too. */
bool segment_is_blank(int fd, uint32_t size) {
        _cleanup_free_ uint8_t *buf = malloc(SCAN_STEP);
        unsigned bad = 0;
        uint32_t n;

        for (uint32_t at = 0; buf && at < size; at += n) {
                n = MIN(at == 0 ? SECTOR : SCAN_STEP, size - at);
                memset(buf, 0, n);
                const int r = pread_all(fd, buf, n, at);

                alive();
                if (!sodium_is_zero(buf, n) || (r < 0 && (r != -EIO || at == 0 || ++bad > BAD_STEPS_MAX)))
                        return false;
        }
        return buf;
}

int segment_remove(int dir, uint32_t number) {
        char name[NAME_SIZE];

        get_name(number, name);
        return unlinkat(dir, name, 0) < 0 || fsync(dir) < 0 ? -errno : 0;
}

/* A whole record beyond the cut means that the damage is in an older, acknowledged one. A body holds no NUL and a
 * length begins with one, so what a record says cannot pass for a record. */
static int refuse_record_after(int fd, uint32_t at, uint32_t end, uint32_t size) {
        /* The end of a hash may be zeros. */
        uint32_t n = MIN(end + HASH_SIZE, size) - at;
        _cleanup_free_ uint8_t *buf = malloc(n);
        uint8_t hash[HASH_SIZE];
        int r;

        if (!buf)
                return -ENOMEM;
        r = pread_all(fd, buf, n, at);
        if (r < 0)
                return r;
        for (uint32_t i = 1; i + SEGMENT_OVERHEAD < n; i++) {
                const uint8_t *body = buf + i + HEADER_SIZE;
                uint32_t n_body = get_u32(buf + i);

                if (n_body < 2 || n_body > n - i - SEGMENT_OVERHEAD || body[0] != '{' || body[n_body - 1] != '}')
                        continue;
                segment_leaf_hash(body, n_body, hash);
                if (memcmp(hash, body + n_body, HASH_SIZE) == 0)
                        return -EBADMSG;
        }
        return 0;
}

int segment_check_torn(int fd, uint32_t at, uint32_t end, uint32_t size) {
        uint8_t header[HEADER_SIZE];
        uint32_t n_body, longest;
        int r;

        if (size - at <= SEGMENT_OVERHEAD)
                return -EBADMSG;
        longest = MIN(LEDGER_RECORD_MAX, size - at - SEGMENT_OVERHEAD);
        r = pread_all(fd, header, sizeof(header), at);
        if (r < 0)
                return r;
        n_body = get_u32(header);
        /* 0: the header had not reached the disk. Split over two sectors, it may be there in part. */
        if (n_body != 0 && at % SECTOR <= SECTOR - HEADER_SIZE) {
                if (n_body > longest)
                        return -EBADMSG;
                longest = n_body;
        }
        if (end - at > SEGMENT_OVERHEAD + longest)
                return -EBADMSG;
        return refuse_record_after(fd, at, end, size);
}

int segment_wipe(int fd, uint32_t at, uint32_t end) {
        size_t n = end - at;
        _cleanup_free_ uint8_t *zeros = calloc(1, n);
        ssize_t put;
        int r;

        if (!zeros)
                return -ENOMEM;
        r = fault_effect("ledger-repair");
        if (r < 0)
                return r;
        put = pwrite(fd, zeros, n, at);
        if (put < 0)
                return -errno;
        if ((size_t) put != n)
                return -EIO;
        return fdatasync(fd) < 0 ? -errno : 0;
}

int segment_renew(int fd, uint32_t at, uint32_t end) {
        const size_t n = end - at;
        _cleanup_free_ uint8_t *buf = malloc(n);
        ssize_t put;
        int r;

        if (!buf)
                return -ENOMEM;
        r = pread_all(fd, buf, n, at);
        if (r == 0)
                r = fault_effect("ledger-renew");
        if (r < 0)
                return r;
        put = pwrite(fd, buf, n, at);
        if (put < 0)
                return -errno;
        if ((size_t) put != n)
                return -EIO;
        return fdatasync(fd) < 0 ? -errno : 0;
}

/* fdatasync and not O_DSYNC: they cost the same (135 us, see make_fill), and apart it is known which of them failed. */
int segment_write(int fd, uint32_t at, const char *body, uint32_t n, const uint8_t hash[static HASH_SIZE],
                  uint32_t *ret_end) {
        uint8_t header[HEADER_SIZE] = { (uint8_t) (n >> 24), (uint8_t) (n >> 16), (uint8_t) (n >> 8), (uint8_t) n };
        const struct iovec parts[] = { { header, sizeof(header) }, { (void *) body, n }, { (void *) hash, HASH_SIZE } };
        int r = fault_effect("ledger-write");
        ssize_t put;

        *ret_end = at;
        if (r < 0)
                return r;
        put = pwritev(fd, parts, ELEMENTSOF(parts), at);
        if (put < 0)
                return -errno;
        *ret_end = at + SEGMENT_OVERHEAD + n;
        if ((size_t) put != SEGMENT_OVERHEAD + n)
                return -EIO;
        r = fault_effect("ledger-sync");
        if (r < 0)
                return r;
        return fdatasync(fd) < 0 ? -errno : 0;
}

static int make_begin(int dir, uint32_t size, struct segment_spare *spare) {
        int r = fault_effect("ledger-prepare");

        if (r < 0)
                return r;
        spare->fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (spare->fd < 0)
                return -errno;
        spare->filled = 0;
        /* Asks for all of it first, so that a disk which is nearly full is not filled to the brim in vain. */
        if (fallocate(spare->fd, 0, 0, size) < 0 && errno != EOPNOTSUPP)
                return -errno;
        return 1;
}

/* Zeros are written and not only reserved: the first record in a block that is only reserved takes 205 us instead of
 * 135 (p50, ext4 on a virtio disk), because the file system has to commit that the block is now in use. */
static int make_fill(uint32_t size, struct segment_spare *spare) {
        uint32_t n = MIN(MAKE_STEP, size - spare->filled);
        _cleanup_free_ uint8_t *zeros = calloc(1, n);
        ssize_t put;

        if (!zeros)
                return -ENOMEM;
        put = pwrite(spare->fd, zeros, n, spare->filled);
        if (put < 0)
                return -errno;
        spare->filled += (uint32_t) put;
        /* Only a hint: the disk works while the caller does something else. */
        (void) sync_file_range(spare->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        return put > 0 ? 1 : -EIO;
}

/* Gives the file its name only now that it is whole: a segment is never found half made. */
static int make_name(int dir, uint32_t number, struct segment_spare *spare) {
        char name[NAME_SIZE], self[32];
        int r;

        if (fsync(spare->fd) < 0)
                return -errno;
        r = fault_effect("ledger-segment");
        if (r < 0)
                return r;
        get_name(number, name);
        (void) snprintf(self, sizeof(self), "/proc/self/fd/%d", spare->fd);
        if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) < 0)
                return -errno;
        if (fsync(dir) < 0) {
                r = -errno;
                (void) unlinkat(dir, name, 0);
                return r;
        }
        spare->ready = true;
        return 0;
}

int segment_make(int dir, uint32_t number, uint32_t size, struct segment_spare *spare) {
        int r;

        if (spare->ready)
                return 0;
        if (number > SEGMENT_LAST)
                return -ENOSPC;
        if (spare->fd < 0)
                r = make_begin(dir, size, spare);
        else if (spare->filled < size)
                r = make_fill(size, spare);
        else
                r = make_name(dir, number, spare);
        if (r < 0) {
                closep(&spare->fd);
                spare->fd = -EBADF;
        }
        return r;
}
