/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>
#include <zstd.h>

#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/unseal.h"

#define IDENTITY_FILE_MAX (64U * 1024)
#define SEALED_CHUNK      (AGE_CHUNK + AGE_TAG)

int identities_load(const char *path, struct identities *ret, struct why *w) {
        _cleanup_free_ char *text = NULL;
        char *save = NULL;
        size_t n = 0;
        int r = file_read(path, IDENTITY_FILE_MAX, &text, &n, NULL);

        *ret = (struct identities) { .n = 0 };
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        for (char *line = strtok_r(text, "\r\n", &save); line; line = strtok_r(NULL, "\r\n", &save)) {
                if (*line == '#' || *line == '\0')
                        continue;
                if (ret->n == IDENTITIES_MAX || age_identity_from_str(line, &ret->v[ret->n]) < 0) {
                        r = -EINVAL;
                        break;
                }
                ret->n++;
        }
        sodium_memzero(text, n);
        if (r < 0 || ret->n == 0)
                return why_set(w, CTL_USAGE, "%s: not a file of age-keygen with a secret key in it", CLEAN(path));
        return 0;
}

struct opener {
        int fd;
        uint8_t in[AGE_HEADER_MAX + SEALED_CHUNK + 1]; /* read and not yet opened */
        size_t n_in;
        bool end;
        struct age_stream stream;
        ZSTD_DCtx *zstd;
        size_t pending; /* what zstd last said: 0 between frames */
        uint64_t left;
        unseal_fn fn;
        void *userdata;
        uint8_t out[AGE_CHUNK];
};

static int fill(struct opener *o, size_t want) {
        while (!o->end && o->n_in < want) {
                ssize_t got = read(o->fd, o->in + o->n_in, want - o->n_in);

                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        return -errno;
                o->end = got == 0;
                o->n_in += (size_t) got;
        }
        return 0;
}

static void drop(struct opener *o, size_t n) {
        memmove(o->in, o->in + n, o->n_in - n);
        o->n_in -= n;
}

static int decompress(struct opener *o, const uint8_t *bytes, size_t n) {
        ZSTD_inBuffer in = { bytes, n, 0 };

        for (bool full = false; in.pos < in.size || full;) {
                ZSTD_outBuffer out = { o->out, sizeof(o->out), 0 };
                int r;

                o->pending = ZSTD_decompressStream(o->zstd, &out, &in);
                if (ZSTD_isError(o->pending))
                        return -EBADMSG;
                if (out.pos > o->left)
                        return -EFBIG;
                o->left -= out.pos;
                r = out.pos > 0 ? o->fn(o->out, out.pos, o->userdata) : 0;
                if (r < 0)
                        return r;
                full = out.pos == out.size && o->pending != 0;
        }
        return 0;
}

static int open_header(struct opener *o, const struct identities *with) {
        size_t used = 0;
        int r = fill(o, AGE_HEADER_MAX);

        if (r == 0)
                r = age_open_header(o->in, o->n_in, with->v, with->n, &used, &o->stream);
        if (r == 0)
                drop(o, used);
        return r == -EAGAIN ? -EBADMSG : r;
}

/* One byte more than a chunk tells the last one from the others. */
static int open_chunks(struct opener *o) {
        for (bool last = false; !last;) {
                int r = fill(o, SEALED_CHUNK + 1);
                size_t n = MIN(o->n_in, (size_t) SEALED_CHUNK);

                if (r < 0)
                        return r;
                last = o->n_in <= SEALED_CHUNK;
                if (n < AGE_TAG || age_open_chunk(&o->stream, o->in, n, last, o->in) < 0)
                        return -EBADMSG;
                r = decompress(o, o->in, n - AGE_TAG);
                if (r < 0)
                        return r;
                drop(o, n);
        }
        return o->pending == 0 ? 0 : -EBADMSG;
}

int unseal(int fd, const struct identities *with, uint64_t max, unseal_fn fn, void *userdata) {
        _cleanup_free_ struct opener *o = malloc(sizeof(*o));
        int r;

        if (!o)
                return -ENOMEM;
        *o = (struct opener) { .fd = fd, .left = max, .fn = fn, .userdata = userdata, .zstd = ZSTD_createDCtx() };
        r = o->zstd ? open_header(o, with) : -ENOMEM;
        if (r == 0)
                r = open_chunks(o);
        (void) ZSTD_freeDCtx(o->zstd);
        sodium_memzero(o, sizeof(*o));
        return r;
}
