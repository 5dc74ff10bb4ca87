/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/epochkey.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>
#include <sodium.h>

#include "agent/util/fault.h"
#include "agent/util/io.h"

#define NEVER_SWAPPED "epoch" /* packaging/systemd/run-freezed-epoch.mount */
#define NAME          "epoch_key"
#define NAME_NEXT     "epoch_key.next"
#define SEED_SIZE     crypto_sign_SEEDBYTES

/* In memory of sodium's: locked, out of core dumps, zeroed when it is freed. */
struct secret {
        uint8_t seed[SEED_SIZE];
        uint8_t key[crypto_sign_SECRETKEYBYTES];
};

struct epochkey {
        int dir;             /* -EBADF: no such memory, the key is in ours alone */
        struct epoch epoch;  /* the last that is recorded */
        uint8_t boot[16];    /* in which it began */
        struct secret *is;   /* NULL: lost */
        struct epoch coming; /* with next */
        struct secret *next;
};

/* FAIL-CLOSED: a file on anything but memory would be there after the key was erased. */
static int open_memory(int at, const char *path, bool swapped) {
        _cleanup_close_ int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        struct statfs st;

        if (fd < 0 || fstatfs(fd, &st) < 0 || (st.f_type != RAMFS_MAGIC && (st.f_type != TMPFS_MAGIC || !swapped)))
                return -EBADF;
        return TAKE_FD(fd);
}

/* Whatever it is, it is gone: the bytes first, because a name that is removed takes nothing away from who has the file
 * open, and pages of a tmpfs are written in place. */
static void erase(int dir, const char *name) {
        static const uint8_t zeros[SEED_SIZE];
        _cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        if (fd >= 0 && io_write_all(fd, zeros, sizeof(zeros)) == 0)
                (void) fsync(fd);
        (void) unlinkat(dir, name, 0);
}

/* FAIL-OPEN: where there is nothing better, a tmpfs, whose pages may be written to a swap. What is there from a time
 * without anything better is lost: whoever finds it is not to sign with it. */
static int open_dir(const char *socket) {
        _cleanup_free_ char *path = strdup(socket);
        const char *dir = path ? dirname(path) : NULL;
        _cleanup_close_ int parent = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -EBADF;
        int fd = parent < 0 ? -EBADF : open_memory(parent, NEVER_SWAPPED, false);

        if (fd >= 0) {
                erase(parent, NAME);
                erase(parent, NAME_NEXT);
        }
        return fd >= 0 || parent < 0 ? fd : open_memory(parent, ".", true);
}

int epochkey_new(const char *socket, struct epochkey **ret) {
        struct epochkey *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        k->dir = socket ? open_dir(socket) : -EBADF;
        *ret = k;
        return 0;
}

void epochkey_free(struct epochkey *k) {
        if (!k)
                return;
        closep(&k->dir);
        sodium_free(k->is);
        sodium_free(k->next);
        free(k);
}

void epochkey_freep(struct epochkey **k) {
        epochkey_free(*k);
}

int epochkey_replay(struct epochkey *k, const json_t *body, const uint8_t boot[static 16]) {
        struct epoch e;
        int r = epoch_from_json(body, &e);

        if (r < 0 || !k)
                return r;
        k->epoch = e;
        memcpy(k->boot, boot, sizeof(k->boot));
        return 0;
}

static struct secret *derive(struct secret *s, uint8_t pub[static 32]) {
        (void) crypto_sign_seed_keypair(pub, s->key, s->seed);
        return s;
}

/* The secret in the file, when it is that of the last epoch. */
static struct secret *load(const struct epochkey *k, const char *name) {
        _cleanup_close_ int fd = openat(k->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct secret *s = fd < 0 ? NULL : sodium_malloc(sizeof(*s));
        uint8_t pub[32];

        if (s && read(fd, s->seed, SEED_SIZE) == SEED_SIZE &&
            memcmp((derive(s, pub), pub), k->epoch.pub, sizeof(pub)) == 0)
                return s;
        sodium_free(s);
        return NULL;
}

/* The core may have died on either side of the record of an epoch, with both files there: which key is in force is what
 * the ledger says. */
bool epochkey_resume(struct epochkey *k) {
        if (k->dir < 0 || k->is)
                return k->is;
        k->is = load(k, NAME);
        if (!k->is) {
                k->is = load(k, NAME_NEXT);
                erase(k->dir, NAME);
                if (k->is)
                        (void) renameat(k->dir, NAME_NEXT, k->dir, NAME);
        }
        erase(k->dir, NAME_NEXT);
        return k->is;
}

bool epochkey_is_there(const struct epochkey *k) {
        return k->is;
}

enum epoch_why epochkey_why(const struct epochkey *k, const uint8_t boot[static 16]) {
        if (k->epoch.number == 0)
                return EPOCH_FIRST;
        return memcmp(k->boot, boot, sizeof(k->boot)) == 0 ? EPOCH_LOST : EPOCH_BOOT;
}

/* A key that cannot be kept there is kept in memory: a restart then begins an epoch of its own. */
static void store_next(const struct epochkey *k) {
        _cleanup_close_ int fd = -EBADF;

        if (k->dir < 0)
                return;
        fd = openat(k->dir, NAME_NEXT, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
                return;
        if (fault_effect("epoch-key") < 0 || io_write_all(fd, k->next->seed, SEED_SIZE) < 0)
                erase(k->dir, NAME_NEXT);
}

int epochkey_next(struct epochkey *k, const struct hostkey *host, enum epoch_why why, struct epoch *e) {
        char origin[NOTE_ORIGIN_SIZE], message[EPOCH_MESSAGE_SIZE];
        size_t n;

        if (!epoch_is_by_host(why) && !k->is)
                return -ESRCH;
        epochkey_drop(k);
        k->next = sodium_malloc(sizeof(*k->next));
        if (!k->next)
                return -ENOMEM;
        randombytes_buf(k->next->seed, SEED_SIZE);
        e->number = k->epoch.number + 1;
        e->why = why;
        (void) derive(k->next, e->pub);
        store_next(k);
        note_origin(hostkey_public(host)->id, origin);
        n = epoch_message(e, origin, message);
        if (epoch_is_by_host(why))
                hostkey_sign(host, (uint8_t *) message, n, e->sig);
        else
                epochkey_sign(k, (uint8_t *) message, n, e->sig);
        k->coming = *e;
        return 0;
}

void epochkey_commit(struct epochkey *k, const uint8_t boot[static 16]) {
        k->epoch = k->coming;
        memcpy(k->boot, boot, sizeof(k->boot));
        sodium_free(k->is);
        k->is = TAKE_PTR(k->next);
        if (k->dir < 0)
                return;
        erase(k->dir, NAME);
        (void) renameat(k->dir, NAME_NEXT, k->dir, NAME);
}

void epochkey_drop(struct epochkey *k) {
        if (k->next && k->dir >= 0)
                erase(k->dir, NAME_NEXT);
        sodium_free(TAKE_PTR(k->next));
}

const struct epoch *epochkey_epoch(const struct epochkey *k) {
        return &k->epoch;
}

void epochkey_sign(const struct epochkey *k, const uint8_t *bytes, size_t n, uint8_t ret[static 64]) {
        (void) crypto_sign_detached(ret, NULL, bytes, n, k->is->key);
}
