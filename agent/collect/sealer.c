/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/sealer.h"

#include <fcntl.h>
#include <string.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "agent/collect/press.h"
#include "agent/util/io.h"

struct sealer {
        int dir, fd;
        struct age_recipient to[AGE_RECIPIENTS_MAX];
        size_t n_to;
        struct press *press;
        EVP_MD *sha256;
        EVP_MD_CTX *plain_hash, *hash;

        struct age_stream stream;
        uint8_t chunk[AGE_CHUNK + AGE_TAG]; /* plain until it is known whether it is the last */
        size_t n_chunk;
        uint64_t max;
        bool plain; /* its digest is wanted */
        bool empty; /* no byte has come in */
        struct sealed file;
        int err; /* sticky */
};

int sealer_new(int dir, const struct age_recipient *to, size_t n_to, struct sealer **ret) {
        _cleanup_(sealer_freep) struct sealer *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->dir = dir;
        s->fd = -EBADF;
        memcpy(s->to, to, n_to * sizeof(*to));
        s->n_to = n_to;
        r = press_new(&s->press);
        if (r < 0)
                return r;
        /* Fetched once: each implicit fetch of OpenSSL 3 costs more than hashing a small file. */
        s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
        s->plain_hash = EVP_MD_CTX_new();
        s->hash = EVP_MD_CTX_new();
        if (!s->sha256 || !s->plain_hash || !s->hash)
                return -ENOMEM;
        *ret = TAKE_PTR(s);
        return 0;
}

void sealer_free(struct sealer *s) {
        if (!s)
                return;
        sealer_close(s);
        press_free(s->press);
        EVP_MD_CTX_free(s->hash);
        EVP_MD_CTX_free(s->plain_hash);
        EVP_MD_free(s->sha256);
        sodium_memzero(s, sizeof(*s));
        free(s);
}

void sealer_freep(struct sealer **s) {
        sealer_free(*s);
}

void sealer_start(struct sealer *s) {
        press_start(s->press);
}

void sealer_stop(struct sealer *s) {
        press_stop(s->press);
}

static int store(struct sealer *s, const uint8_t *bytes, size_t n) {
        int r = io_write_all(s->fd, bytes, n);

        if (r == 0 && EVP_DigestUpdate(s->hash, bytes, n) != 1)
                r = -EIO;
        s->file.bytes += r == 0 ? n : 0;
        return r;
}

static int flush_chunk(struct sealer *s, bool last) {
        size_t n = s->n_chunk;

        age_seal_chunk(&s->stream, s->chunk, n, last, s->chunk);
        s->n_chunk = 0;
        return store(s, s->chunk, n + AGE_TAG);
}

static int encrypt(struct sealer *s, const uint8_t *bytes, size_t n) {
        while (n > 0) {
                if (s->n_chunk == AGE_CHUNK) {
                        int r = flush_chunk(s, false);
                        if (r < 0)
                                return r;
                }
                size_t part = MIN(n, AGE_CHUNK - s->n_chunk);

                memcpy(s->chunk + s->n_chunk, bytes, part);
                s->n_chunk += part;
                bytes += part;
                n -= part;
        }
        return 0;
}

/* What n more compressed bytes make the file at most, to its end. */
static uint64_t sealed_size(const struct sealer *s, size_t n) {
        return s->file.bytes + s->n_chunk + n + ((s->n_chunk + n) / AGE_CHUNK + 1) * AGE_TAG;
}

static int reserve(struct sealer *s, size_t n) {
        uint64_t size = sealed_size(s, n);

        if (size > s->max)
                return -EFBIG;
        /* Where the file system cannot do it, a full disk costs the file instead of its end. */
        if (fallocate(s->fd, FALLOC_FL_KEEP_SIZE, (off_t) s->file.bytes, (off_t) (size - s->file.bytes)) < 0 &&
            errno != EOPNOTSUPP && errno != ENOSYS)
                return -errno;
        return 0;
}

/* Hashes here and not when the bytes come in: the digest is of what is in the file. */
static int seal_frame(struct sealer *s, const struct press_frame *f) {
        int r = f->n_out > 0 ? reserve(s, f->n_out) : -ENOMEM;

        if (r == 0 && s->plain && EVP_DigestUpdate(s->plain_hash, f->in, f->n_in) != 1)
                r = -EIO;
        if (r < 0)
                return r;
        s->file.plain_bytes += f->n_in;
        r = encrypt(s, f->out, f->n_out);
        if (r < 0) {
                /* part of a frame is in it: nobody could tell what the file should have held */
                closep(&s->fd);
                s->fd = -EBADF;
        }
        return r;
}

/* Waits for the oldest frame in the press and takes it out. After an error it is dropped. False: there is none. */
static bool take_frame(struct sealer *s) {
        const struct press_frame *f = press_oldest(s->press);

        if (!f)
                return false;
        if (s->err == 0)
                s->err = seal_frame(s, f);
        press_drop(s->press);
        return true;
}

static void drain(struct sealer *s) {
        while (take_frame(s))
                ;
}

static int begin_age(struct sealer *s) {
        uint8_t header[AGE_HEADER_MAX];
        struct age_fresh fresh;
        size_t n;

        randombytes_buf(&fresh, sizeof(fresh));
        n = age_seal_header(s->to, s->n_to, &fresh, header, &s->stream);
        sodium_memzero(&fresh, sizeof(fresh));
        return n + AGE_TAG > s->max ? -EFBIG : store(s, header, n);
}

int sealer_begin(struct sealer *s, uint64_t max, bool plain) {
        sealer_close(s);
        press_next(s->press)->n_in = 0;
        s->plain = plain;
        s->empty = true;
        s->file = (struct sealed) { 0 };
        s->max = max;
        s->n_chunk = 0;
        s->err = 0;
        if (EVP_DigestInit_ex(s->plain_hash, s->sha256, NULL) != 1 || EVP_DigestInit_ex(s->hash, s->sha256, NULL) != 1)
                return -EIO;
        s->fd = openat(s->dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0400);
        s->err = s->fd < 0 ? -errno : begin_age(s);
        if (s->err < 0)
                sealer_close(s);
        return s->err;
}

int sealer_write(struct sealer *s, const void *bytes, size_t n) {
        const uint8_t *p = bytes;

        while (s->err == 0 && n > 0) {
                struct press_frame *f = press_next(s->press);

                s->empty = false;
                if (!f) {
                        /* one: its place is filled before the next is sealed, or the workers would wait for both */
                        (void) take_frame(s);
                        continue;
                }
                size_t part = MIN(n, PRESS_FRAME_SIZE - f->n_in);

                memcpy(f->in + f->n_in, p, part);
                f->n_in += part;
                p += part;
                n -= part;
                if (f->n_in == PRESS_FRAME_SIZE)
                        press_put(s->press);
        }
        return s->err;
}

void sealer_put(struct sealer *s) {
        const struct press_frame *f = press_next(s->press);

        /* no bytes are a frame as well: zstd does not take an empty file for one that it made */
        if (f && (f->n_in > 0 || s->empty))
                press_put(s->press);
        s->empty = false;
}

int sealer_end(struct sealer *s, struct sealed *ret) {
        int r;

        sealer_put(s);
        drain(s);
        if (s->fd < 0)
                return s->err;
        r = flush_chunk(s, true);
        if (r == 0 && (EVP_DigestFinal_ex(s->plain_hash, s->file.plain_sha256, NULL) != 1 ||
                       EVP_DigestFinal_ex(s->hash, s->file.sha256, NULL) != 1))
                r = -EIO;
        s->file.err = s->err;
        *ret = s->file;
        return r;
}

int sealer_link(struct sealer *s, const char *name) {
        return linkat(s->fd, "", s->dir, name, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

void sealer_close(struct sealer *s) {
        drain(s);
        closep(&s->fd);
        s->fd = -EBADF;
}
