/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/post.h"
#include "ctl/text.h"
#include "ctl/witness.h"

/* one to learn which size the witness knows, one with the proof from there, one for who was quicker in between */
#define TRIES   3U
#define URL_MAX 2048U

#define HTTP_OK       200L
#define HTTP_CONFLICT 409L

void witnessed_done(struct witnessed *v) {
        free(v->note);
        *v = (struct witnessed) { .note = NULL };
}

struct answer {
        struct post_answer http;
        char body[NOTE_MAX + 1]; /* with a NUL */
};

static int submit(const char *url, const struct chain *c, uint64_t old, int64_t timeout_ms, struct answer *ret,
                  struct why *w) {
        struct tlog_request q = { .old = old, .note = c->note, .n_note = c->n_note };
        _cleanup_free_ char *body = NULL;
        size_t n;

        if (merkle_prove_consistency(c->leaves, c->head.n, old, &q.proof) < 0 || tlog_request_to_str(&q, &body, &n) < 0)
                return why_errno(w, -ENOMEM, "witness");
        ret->http = (struct post_answer) { .body = ret->body, .max = NOTE_MAX };
        return post_send(url, "text/plain; charset=utf-8", body, n, timeout_ms, &ret->http, w);
}

/* The head with whatever lines came back; one of them has to be by a key that is known. */
static int take_signature(const struct chain *c, const struct answer *a, const struct note_key *keys, size_t n_keys,
                          struct witnessed *ret, struct why *w) {
        _cleanup_free_ char *text = NULL;
        struct note note;
        int n = asprintf(&text, "%.*s%s", (int) c->n_note, c->note, a->body);

        if (n < 0)
                return why_errno(w, -ENOMEM, "witness");
        if (note_parse(text, (size_t) n, &note) == 0)
                for (size_t i = 0; i < n_keys; i++) {
                        uint64_t time;

                        if (note_check(&note, &keys[i], &time) != NOTE_SIGNED)
                                continue;
                        *ret = (struct witnessed) { .key = &keys[i],
                                                    .n = c->head.n,
                                                    .time = time,
                                                    .note = TAKE_PTR(text),
                                                    .n_note = (size_t) n };
                        return 0;
                }
        return why_set(w, CTL_REFUSED, "what it answered is not signed by a witness that the trust root names");
}

/* The witness signed another size than was thought: *old is that one, unless this ledger is not that long. */
static int learn(const struct chain *c, const struct answer *a, uint64_t *old, struct why *w) {
        char back[32];
        const uint64_t n = strtoull(a->body, NULL, 10);

        (void) snprintf(back, sizeof(back), "%" PRIu64 "\n", n);
        if (strcmp(a->body, back) != 0)
                return why_set(w, CTL_REFUSED,
                               "the witness saw another head of as many records: this ledger was changed");
        if (n > c->head.n)
                return why_set(w, CTL_REFUSED,
                               "the witness saw %" PRIu64 " records, and %" PRIu64 " are signed here: this ledger was "
                               "rolled back",
                               n, c->head.n);
        if (n == *old)
                return why_set(w, CTL_REFUSED,
                               "the witness saw another head of as many records: this ledger was changed");
        *old = n;
        return 0;
}

static const struct {
        long status;
        const char *text;
        bool unknown; /* it can be told of the host */
} refusals[] = {
        { 403, "the witness does not know this host's key", true },
        { 404, "the witness does not know this host", true },
        { 422, "what the witness saw is not the beginning of this ledger: it was changed", false },
};

static int refused(long status, const char *origin_key, struct why *w) {
        for (size_t i = 0; i < ELEMENTSOF(refusals); i++)
                if (refusals[i].status == status)
                        return why_set(w, CTL_REFUSED, "%s%s%s", refusals[i].text,
                                       refusals[i].unknown ? "; its key, for the witness: " : "",
                                       refusals[i].unknown ? origin_key : "");
        return why_set(w, CTL_REFUSED, "the witness answered with status %ld", status);
}

/* The host's key as a witness is configured with it; who made the head is in its first line and in its signature. */
static void origin_key(const struct chain *c, const uint8_t pub[static 32], char ret[static NOTE_KEY_SIZE]) {
        struct note_key k = { .type = NOTE_ED25519 };

        strcpy(k.name, c->head.origin);
        memcpy(k.pub, pub, sizeof(k.pub));
        note_key_to_str(&k, ret);
}

int witness_ask(const char *url, const struct chain *c, const uint8_t pub[static 32], const struct note_key *keys,
                size_t n_keys, int64_t timeout_ms, struct witnessed *ret, struct why *w) {
        _cleanup_free_ struct answer *a = calloc(1, sizeof(*a));
        const char *slash = *url && url[strlen(url) - 1] == '/' ? "" : "/";
        char path[URL_MAX], key[NOTE_KEY_SIZE];
        uint64_t old = 0;

        if (!a)
                return why_errno(w, -ENOMEM, "witness");
        if ((size_t) snprintf(path, sizeof(path), "%s%sadd-checkpoint", url, slash) >= sizeof(path))
                return why_set(w, CTL_USAGE, "the witness's address is too long");
        for (size_t i = 0; i < MIN(n_keys, CHAIN_WITNESSES_MAX); i++)
                old = MAX(old, MIN(c->witnesses[i].n, c->head.n));
        for (unsigned i = 0; i < TRIES; i++) {
                int x = submit(path, c, old, timeout_ms, a, w);

                if (x == 0 && a->http.status == HTTP_OK)
                        return take_signature(c, a, keys, n_keys, ret, w);
                if (x == 0 && a->http.status != HTTP_CONFLICT) {
                        origin_key(c, pub, key);
                        return refused(a->http.status, key, w);
                }
                if (x == 0)
                        x = learn(c, a, &old, w);
                if (x != 0)
                        return x;
        }
        return why_set(w, CTL_SILENT, "the witness signs for somebody else at the same time; ask again");
}
