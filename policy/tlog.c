/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/tlog.h"

#include <inttypes.h>

#include <sodium.h>

#include "policy/base64.h"

#define VARIANT sodium_base64_VARIANT_ORIGINAL
#define MAGIC   "c2sp.org/tlog-proof@v1"
#define N_HASH  44U

/* What is left to be read. */
struct lines {
        const char *at, *end;
};

/* The next line without its newline; false at the end, or where there is none. */
static bool next(struct lines *l, const char **ret, size_t *ret_n) {
        const char *newline = memchr(l->at, '\n', (size_t) (l->end - l->at));

        if (!newline)
                return false;
        *ret = l->at;
        *ret_n = (size_t) (newline - l->at);
        l->at = newline + 1;
        return true;
}

/* "WORD NUMBER", in the one way to write it. */
static bool read_number(struct lines *l, const char *word, uint64_t *ret) {
        char back[64];
        const char *line;
        size_t n;
        uint64_t v;

        if (!next(l, &line, &n) || n <= strlen(word) + 1 || n >= sizeof(back) || line[strlen(word) + 1] < '0' ||
            line[strlen(word) + 1] > '9')
                return false;
        v = strtoull(line + strlen(word) + 1, NULL, 10);
        if ((size_t) snprintf(back, sizeof(back), "%s %" PRIu64, word, v) != n || memcmp(back, line, n) != 0)
                return false;
        *ret = v;
        return true;
}

/* Hashes, one a line, up to the empty line. */
static bool read_hashes(struct lines *l, size_t max, struct merkle_proof *ret) {
        const char *line;
        size_t n;

        while (next(l, &line, &n)) {
                size_t got = 0;

                if (n == 0)
                        return true;
                if (n != N_HASH || ret->n == max ||
                    base64_decode(line, n, VARIANT, ret->hashes[ret->n], MERKLE_HASH_SIZE, &got) < 0 ||
                    got != MERKLE_HASH_SIZE)
                        return false;
                ret->n++;
        }
        return false;
}

static void write_hashes(FILE *f, const struct merkle_proof *p) {
        for (size_t i = 0; i < p->n; i++) {
                char base64[N_HASH + 1];

                (void) sodium_bin2base64(base64, sizeof(base64), p->hashes[i], MERKLE_HASH_SIZE, VARIANT);
                (void) fprintf(f, "%s\n", base64);
        }
}

/* Closes the stream; what came of it is the caller's. */
static int finish(FILE *f, char **text, size_t *n, char **ret, size_t *ret_n) {
        const bool bad = ferror(f);

        if (fclose(f) != 0 || bad) {
                free(*text);
                return -ENOMEM;
        }
        *ret = *text;
        *ret_n = *n;
        return 0;
}

int tlog_request_parse(const char *bytes, size_t n, struct tlog_request *ret) {
        struct lines l = { .at = bytes, .end = bytes + n };
        struct tlog_request q = { .old = 0 };

        /* the witness's protocol knows no longer proof */
        if (n > TLOG_REQUEST_MAX || !read_number(&l, "old", &q.old) ||
            !read_hashes(&l, MERKLE_PROOF_MAX - 1, &q.proof) || l.at == l.end)
                return -EBADMSG;
        q.note = l.at;
        q.n_note = (size_t) (l.end - l.at);
        *ret = q;
        return 0;
}

int tlog_request_to_str(const struct tlog_request *q, char **ret, size_t *ret_n) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return -ENOMEM;
        (void) fprintf(f, "old %" PRIu64 "\n", q->old);
        write_hashes(f, &q->proof);
        (void) fprintf(f, "\n%.*s", (int) q->n_note, q->note);
        return finish(f, &text, &n, ret, ret_n);
}

void tlog_proof_done(struct tlog_proof *p) {
        free(p->extra);
        *p = (struct tlog_proof) { .extra = NULL };
}

/* The line is there in all of ours: without the record nobody knows what the leaf is. */
static int read_extra(struct lines *l, uint8_t **ret, size_t *ret_n) {
        static const char word[] = "extra ";
        _cleanup_free_ uint8_t *bytes = NULL;
        const char *line;
        size_t n;

        if (!next(l, &line, &n) || n < sizeof(word) - 1 || memcmp(line, word, sizeof(word) - 1) != 0)
                return -EBADMSG;
        line += sizeof(word) - 1;
        n -= sizeof(word) - 1;
        bytes = malloc(n / 4 * 3 + 1);
        if (!bytes)
                return -ENOMEM;
        if (base64_decode(line, n, VARIANT, bytes, n / 4 * 3, ret_n) < 0 || *ret_n > TLOG_EXTRA_MAX)
                return -EBADMSG;
        bytes[*ret_n] = '\0';
        *ret = TAKE_PTR(bytes);
        return 0;
}

int tlog_proof_parse(const char *bytes, size_t n, struct tlog_proof *ret) {
        struct lines l = { .at = bytes, .end = bytes + n };
        _cleanup_(tlog_proof_done) struct tlog_proof p = { .extra = NULL };
        const char *line;
        size_t n_line;
        int r;

        if (n > TLOG_PROOF_MAX || !next(&l, &line, &n_line) || n_line != strlen(MAGIC) ||
            memcmp(line, MAGIC, n_line) != 0)
                return -EBADMSG;
        r = read_extra(&l, &p.extra, &p.n_extra);
        if (r < 0)
                return r;
        if (!read_number(&l, "index", &p.index) || !read_hashes(&l, MERKLE_PROOF_MAX, &p.proof) || l.at == l.end)
                return -EBADMSG;
        p.note = l.at;
        p.n_note = (size_t) (l.end - l.at);
        *ret = p;
        p.extra = NULL;
        return 0;
}

int tlog_proof_to_str(const struct tlog_proof *p, char **ret, size_t *ret_n) {
        const size_t size = sodium_base64_encoded_len(p->n_extra, VARIANT);
        _cleanup_free_ char *base64 = malloc(size);
        char *text = NULL;
        size_t n = 0;
        FILE *f = base64 ? open_memstream(&text, &n) : NULL;

        if (!f)
                return -ENOMEM;
        (void) fprintf(f, MAGIC "\nextra %s\nindex %" PRIu64 "\n",
                       sodium_bin2base64(base64, size, p->extra, p->n_extra, VARIANT), p->index);
        write_hashes(f, &p->proof);
        (void) fprintf(f, "\n%.*s", (int) p->n_note, p->note);
        return finish(f, &text, &n, ret, ret_n);
}
