/* SPDX-License-Identifier: Apache-2.0 */

/* What a log sends to its witness, and proofs of one record. The first byte chooses which. What is taken writes out as
 * the very same bytes. */

#include <string.h>

#include "policy/tlog.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void try_request(const char *bytes, size_t n) {
        _cleanup_free_ char *back = NULL;
        struct tlog_request q;
        size_t n_back;

        if (tlog_request_parse(bytes, n, &q) < 0)
                return;
        CHECK(q.proof.n < MERKLE_PROOF_MAX && q.n_note > 0 && q.note + q.n_note == bytes + n);
        /* a note is text: what has a NUL in it is none, and is not written whole */
        if (memchr(q.note, '\0', q.n_note))
                return;
        CHECK(tlog_request_to_str(&q, &back, &n_back) == 0);
        CHECK(n_back == n && memcmp(back, bytes, n) == 0);
}

static void try_proof(const char *bytes, size_t n) {
        _cleanup_(tlog_proof_done) struct tlog_proof p = { .extra = NULL };
        _cleanup_free_ char *back = NULL;
        size_t n_back;

        if (tlog_proof_parse(bytes, n, &p) < 0)
                return;
        CHECK(p.extra && p.extra[p.n_extra] == 0 && p.n_note > 0 && p.note + p.n_note == bytes + n);
        if (memchr(p.note, '\0', p.n_note))
                return;
        CHECK(tlog_proof_to_str(&p, &back, &n_back) == 0);
        CHECK(n_back == n && memcmp(back, bytes, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static void (*const tries[])(const char *, size_t) = { try_request, try_proof };

        if (size > 0)
                tries[data[0] % ELEMENTSOF(tries)]((const char *) data + 1, size - 1);
        return 0;
}
