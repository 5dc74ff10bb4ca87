/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/ledger.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

#include <sodium.h>

#include "agent/core/segment.h"
#include "agent/util/alive.h"
#include "agent/util/fault.h"
#include "agent/util/io.h"
#include "policy/merkle.h"
#include "policy/schema.h"

#define HASH_SIZE   crypto_hash_sha256_BYTES
#define INDEX_START 1024U

struct ledger {
        int dir; /* flocked for as long as the ledger is open */
        uint32_t segment_size;
        bool ok;

        int fd; /* the segment that is appended to */
        uint32_t segment;
        uint32_t used;
        struct segment_spare spare; /* the one after it */

        struct ledger_head head;
        struct merkle tree;
        uint64_t *index; /* of record n at n - 1: segment << 32 | offset */
        size_t index_size;
};

/* Behind the last record: where the bytes that verify end, and where what follows them does; and a reserve that is no
 * good, because it cannot be read. */
struct tail {
        uint32_t at;
        uint32_t end;
        bool spoiled;
};

static json_t *parse(const char *text, size_t n) {
        return json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
}

/* -EBADMSG unless it is record n; prev is its predecessor's hash, or NULL where that is not known. */
static int record_parse(const struct segment_record *rec, uint64_t n, const uint8_t *prev, json_t **ret) {
        _cleanup_json_ json_t *body = parse((const char *) rec->body, rec->n);
        const char *said = json_string_value(json_object_get(body, "prev"));
        char hex[2 * HASH_SIZE + 1];

        if (!json_is_object(body) || json_integer_value(json_object_get(body, "n")) != (json_int_t) n || !said)
                return -EBADMSG;
        if (prev && strcmp(said, sodium_bin2hex(hex, sizeof(hex), prev, HASH_SIZE)) != 0)
                return -EBADMSG;
        *ret = TAKE_PTR(body);
        return 0;
}

static int index_reserve(struct ledger *l) {
        size_t size = l->index_size == 0 ? INDEX_START : l->index_size * 2;
        uint64_t *index;

        if (l->head.n < l->index_size)
                return 0;
        index = reallocarray(l->index, size, sizeof(*index));
        if (!index)
                return -ENOMEM;
        l->index = index;
        l->index_size = size;
        return 0;
}

/* Counts the record at the end of the used part as the ledger's last. Room in the index has been reserved. */
static void accept_record(struct ledger *l, uint32_t n_body, const uint8_t hash[static HASH_SIZE]) {
        l->index[l->head.n++] = (uint64_t) l->segment << 32 | l->used;
        memcpy(l->head.hash, hash, HASH_SIZE);
        merkle_append(&l->tree, hash);
        l->used += SEGMENT_OVERHEAD + n_body;
}

struct replay {
        ledger_replay_fn fn;
        void *userdata;
        int stopped;    /* what fn returned: not to be taken for what the files are */
        bool not_known; /* fn did not understand some of it */
};

/* Replays the records of the current segment; l->used is where they end. */
static int load_records(struct ledger *l, struct replay *replay) {
        for (;;) {
                _cleanup_(segment_record_done) struct segment_record rec = { 0 };
                _cleanup_json_ json_t *body = NULL;
                int r = segment_read(l->fd, l->used, l->segment_size, &rec);

                if (r == -ENODATA || r == -EBADMSG)
                        return 0;
                if (r == 0)
                        r = record_parse(&rec, l->head.n + 1, l->head.hash, &body);
                if (r == 0)
                        r = index_reserve(l);
                if (r < 0)
                        return r;
                alive();
                accept_record(l, rec.n, rec.hash);
                r = replay->fn ? replay->fn(body, l->head.n, replay->userdata) : 0;
                if (r == -EBADMSG)
                        replay->not_known = true;
                else if (r < 0)
                        return replay->stopped = r;
        }
}

/* Takes a segment that is not all zeros as the current one. */
static int load_segment(struct ledger *l, uint32_t number, int *fd, struct replay *replay) {
        closep(&l->fd);
        l->fd = TAKE_FD(*fd);
        l->segment = number;
        l->used = 0;
        return load_records(l, replay);
}

/* Verifies every segment in order. Nothing may follow a cut-off record or the one empty segment that stands in
 * reserve. A block that cannot be read ends what verifies, and is no reason to leave out what is before it; in the
 * reserve it ends nothing. */
static int load_segments(struct ledger *l, struct replay *replay, struct tail *ret_torn) {
        struct tail torn = { 0 };
        uint32_t last = 0;
        int r = segment_find_last(l->dir, &last);

        for (uint32_t i = 1; r == 0 && i <= last; i++) {
                _cleanup_close_ int fd = -EBADF;
                uint64_t size = 0;
                uint32_t end = 0;
                int found;

                r = l->spare.ready ? -EBADMSG : segment_open(l->dir, i, &size, &fd);
                if (r < 0)
                        return r;
                found = segment_find_end(fd, 0, (uint32_t) MIN(size, l->segment_size), &end);
                if (found == 0 && i > 1 && end == 0 && size == l->segment_size) {
                        l->spare.fd = TAKE_FD(fd);
                        l->spare.ready = true;
                        continue;
                }
                if (found == -EIO && i > 1 && i == last && size == l->segment_size &&
                    segment_is_blank(fd, l->segment_size)) {
                        torn.spoiled = true;
                        continue;
                }
                if (torn.end > 0)
                        return -EBADMSG;
                r = load_segment(l, i, &fd, replay);
                if (r == 0)
                        r = found;
                if (r == 0 && size != l->segment_size)
                        r = -EBADMSG;
                if (r == 0 && end > l->used) {
                        torn.at = l->used;
                        torn.end = end;
                        r = segment_check_torn(l->fd, torn.at, torn.end, l->segment_size);
                }
        }
        if (r == 0)
                *ret_torn = torn;
        return r;
}

int ledger_lock(const char *dir, int *ret) {
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 && errno == ENOENT) {
                int r = fault_effect("ledger-directory");

                if (r == 0)
                        r = io_mkdirs(dir, 0700);
                if (r < 0)
                        return r;
                fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
        if (fd < 0)
                return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

int ledger_prepare(struct ledger *l) {
        return l->ok ? segment_make(l->dir, l->segment + 1, l->segment_size, &l->spare) : -EBADMSG;
}

/* Goes on to the next segment, making it here and now when nobody prepared it. */
static int next_segment(struct ledger *l) {
        int r;

        do
                r = ledger_prepare(l);
        while (r > 0);
        if (r < 0)
                return r;
        closep(&l->fd);
        l->fd = TAKE_FD(l->spare.fd);
        l->spare.ready = false;
        l->segment++;
        l->used = 0;
        return 0;
}

/* The segment that record n is in: the current one, or one that is opened for it. */
static int find_segment(const struct ledger *l, uint64_t n, int *ret_opened, int *ret) {
        const uint32_t segment = (uint32_t) (l->index[n - 1] >> 32);
        int r;

        if (segment == l->segment) {
                *ret = l->fd;
                return 0;
        }
        r = segment_open(l->dir, segment, NULL, ret_opened);
        if (r == 0)
                *ret = *ret_opened;
        return r;
}

static int renew_from(const struct ledger *l, int fd, uint32_t at) {
        return segment_renew(fd, at, at + MIN(2 * (LEDGER_RECORD_MAX + SEGMENT_OVERHEAD), l->segment_size - at));
}

/* A predecessor whose disk failed may have left in the page cache what is not on the disk: the last record, zeros over
 * one that was cut off or taken back. Such pages count as clean, and what is written behind them would show, after the
 * next boot, that they were never there. */
static int renew(const struct ledger *l) {
        _cleanup_close_ int opened = -EBADF;
        int fd = l->fd, r = 0;
        uint32_t at = 0;

        if (l->head.n > 0) {
                r = find_segment(l, l->head.n, &opened, &fd);
                at = (uint32_t) l->index[l->head.n - 1];
        }
        if (r == 0)
                r = renew_from(l, fd, at);
        return r == 0 && l->spare.ready ? renew_from(l, l->spare.fd, 0) : r;
}

/* Brings a ledger whose files verify into the state that appending needs. */
static int settle(struct ledger *l, const struct tail *torn) {
        int r = l->segment == 0 ? next_segment(l) : 0;

        if (r == 0 && !segment_is_writable(l->fd))
                r = -EROFS;
        if (r == 0 && torn->end > 0)
                r = segment_wipe(l->fd, torn->at, torn->end);
        if (r == 0 && torn->spoiled)
                r = segment_remove(l->dir, l->segment + 1);
        if (r == 0)
                r = renew(l);
        if (r < 0)
                return r;
        /* A predecessor that was killed may not have got to it, and what was replayed will be acted on. */
        return fdatasync(l->fd) < 0 || fsync(l->dir) < 0 ? -errno : 0;
}

int ledger_open(const char *dir, uint32_t segment_size, ledger_replay_fn replay, void *userdata, bool *ret_torn,
                struct ledger **ret) {
        int lock, r = ledger_lock(dir, &lock);

        return r < 0 ? r : ledger_open_locked(lock, segment_size, replay, userdata, ret_torn, ret);
}

int ledger_open_locked(int lock, uint32_t segment_size, ledger_replay_fn replay, void *userdata, bool *ret_torn,
                       struct ledger **ret) {
        _cleanup_(ledger_freep) struct ledger *l = calloc(1, sizeof(*l));
        _cleanup_close_ int dir = lock;
        struct replay rp = { .fn = replay, .userdata = userdata };
        struct tail torn = { 0 };
        int r;

        if (!l)
                return -ENOMEM;
        *l = (struct ledger) { .dir = TAKE_FD(dir), .fd = -EBADF, .spare.fd = -EBADF, .segment_size = segment_size };
        if (segment_size <= SEGMENT_OVERHEAD)
                return -EINVAL;
        r = load_segments(l, &rp, &torn);
        if (r == -ENOMEM || rp.stopped < 0)
                return r;
        if (r == 0 && rp.not_known)
                r = -EBADMSG;
        l->ok = r == 0;
        if (r == 0)
                r = settle(l, &torn);
        l->ok = r == 0;
        *ret_torn = torn.end > 0;
        *ret = TAKE_PTR(l);
        return r;
}

void ledger_free(struct ledger *l) {
        if (!l)
                return;
        closep(&l->spare.fd);
        closep(&l->fd);
        closep(&l->dir);
        free(l->index);
        free(l);
}

void ledger_freep(struct ledger **l) {
        ledger_free(*l);
}

/* The body as it will be stored: one line, because JSON_COMPACT adds no newline and a string's own is escaped. It is
 * parsed again, because jansson writes things that it does not read (deep nesting, a NUL in a key), and one such record
 * would cost the whole ledger when it is next opened. */
static int dump(const struct ledger *l, json_t *body, char **ret, size_t *ret_n) {
        _cleanup_json_ json_t *again = NULL;
        char prev[2 * HASH_SIZE + 1];
        _cleanup_free_ char *text = NULL;
        size_t n;

        (void) sodium_bin2hex(prev, sizeof(prev), l->head.hash, HASH_SIZE);
        if (!json_is_object(body))
                return -EINVAL;
        if (json_object_set_new(body, "n", json_integer((json_int_t) l->head.n + 1)) < 0 ||
            json_object_set_new(body, "prev", json_string(prev)) < 0)
                return -ENOMEM;
        if (schema_dump(body, &text) < 0)
                return -EINVAL;
        n = strlen(text);
        if (n > MIN(LEDGER_RECORD_MAX, l->segment_size - SEGMENT_OVERHEAD))
                return -E2BIG;
        again = parse(text, n);
        if (!again)
                return -EINVAL;
        *ret = TAKE_PTR(text);
        *ret_n = n;
        return 0;
}

/* FAIL-CLOSED: a record that the disk did not take for certain is whole in the page cache, and would be believed at the
 * next start by whoever was told that it is not there. Zeros over any part of it leave no record. */
static bool take_back(const struct ledger *l, uint32_t end) {
        return end == l->used || segment_wipe(l->fd, l->used, end) == 0;
}

static int append(struct ledger *l, json_t *body, bool or_none, uint64_t *ret_n) {
        _cleanup_json_ json_t *owned = body;
        _cleanup_free_ char *text = NULL;
        uint8_t hash[HASH_SIZE];
        uint32_t end;
        size_t n;
        int r;

        if (!l->ok)
                return -EBADMSG;
        r = dump(l, owned, &text, &n);
        if (r == 0)
                r = index_reserve(l);
        if (r == 0 && l->segment_size - l->used < SEGMENT_OVERHEAD + n)
                r = next_segment(l);
        if (r < 0)
                return r;
        segment_leaf_hash(text, n, hash);
        r = segment_write(l->fd, l->used, text, (uint32_t) n, hash, &end);
        if (r < 0) {
                /* FAIL-CLOSED: what is on the disk now is unknown until the file is read again. */
                l->ok = false;
                return or_none && !take_back(l, end) ? -ENOTRECOVERABLE : r;
        }
        accept_record(l, (uint32_t) n, hash);
        if (ret_n)
                *ret_n = l->head.n;
        return 0;
}

int ledger_append(struct ledger *l, json_t *body, uint64_t *ret_n) {
        return append(l, body, false, ret_n);
}

int ledger_append_or_none(struct ledger *l, json_t *body, uint64_t *ret_n) {
        return append(l, body, true, ret_n);
}

static int read_record(struct ledger *l, uint64_t n, struct segment_record *ret) {
        _cleanup_close_ int opened = -EBADF;
        int fd, r;

        if (n == 0 || n > l->head.n)
                return -ENOENT;
        r = find_segment(l, n, &opened, &fd);
        if (r == 0)
                r = segment_read(fd, (uint32_t) l->index[n - 1], l->segment_size, ret);
        return r == -ENODATA ? -EBADMSG : r;
}

int ledger_read(struct ledger *l, uint64_t n, json_t **ret) {
        _cleanup_(segment_record_done) struct segment_record rec = { 0 };
        int r = read_record(l, n, &rec);

        return r < 0 ? r : record_parse(&rec, n, NULL, ret);
}

void ledger_root(const struct ledger *l, uint8_t ret[static HASH_SIZE]) {
        merkle_root(&l->tree, ret);
}

int ledger_root_at(struct ledger *l, uint64_t n, uint8_t ret[static HASH_SIZE]) {
        struct merkle tree = { .n = 0 };

        if (n > l->head.n)
                return -ENOENT;
        if (n == l->head.n)
                tree = l->tree;
        while (tree.n < n) {
                _cleanup_(segment_record_done) struct segment_record rec = { 0 };
                int r = read_record(l, tree.n + 1, &rec);

                if (r < 0)
                        return r;
                merkle_append(&tree, rec.hash);
                alive();
        }
        merkle_root(&tree, ret);
        return 0;
}

void ledger_distrust(struct ledger *l) {
        l->ok = false;
}

struct ledger_head ledger_head(const struct ledger *l) {
        return l->head;
}

bool ledger_ok(const struct ledger *l) {
        return l->ok;
}

uint64_t ledger_room(const struct ledger *l) {
        if (!l->ok)
                return 0;
        return (uint64_t) (l->segment_size - l->used) + (l->spare.ready ? l->segment_size : 0);
}
