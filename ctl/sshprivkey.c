/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/sshprivkey.h"
#include "ctl/wire.h"

#define HEAD  "-----BEGIN OPENSSH PRIVATE KEY-----\n"
#define TAIL  "-----END OPENSSH PRIVATE KEY-----\n"
#define MAGIC "openssh-key-v1" /* and its NUL */
#define BLOCK 8U               /* what the cipher "none" pads to */

static const char *const problem_texts[_SSHPRIVKEY_MAX] = {
#define X(name, text) [SSHPRIVKEY_##name] = text,
        SSHPRIVKEY_PROBLEM_TABLE(X)
#undef X
};

const char *sshprivkey_problem_text(enum sshprivkey_problem p) {
        return problem_texts[p < _SSHPRIVKEY_MAX ? p : SSHPRIVKEY_DAMAGED];
}

/* The body: comparing the two check words is what tells a wrong passphrase from a right one elsewhere; here it finds
 * damage. */
static enum sshprivkey_problem parse_body(struct wire w, const struct sshkey *public,
                                          struct wire *ret_seed_and_public) {
        uint32_t check[2];
        struct wire type, pub, sec, comment;

        if (wire_u32(&w, &check[0]) < 0 || wire_u32(&w, &check[1]) < 0 || check[0] != check[1] ||
            wire_string(&w, &type) < 0)
                return SSHPRIVKEY_DAMAGED;
        if (wire_string(&w, &pub) < 0 || wire_string(&w, &sec) < 0 || wire_string(&w, &comment) < 0)
                return SSHPRIVKEY_DAMAGED;
        if (type.n != strlen(SSHKEY_TYPE) || memcmp(type.p, SSHKEY_TYPE, type.n) != 0)
                return SSHPRIVKEY_DAMAGED;
        if (pub.n != 32 || sec.n != SSHPRIVKEY_SECRET_SIZE || memcmp(pub.p, public->pub, 32) != 0)
                return SSHPRIVKEY_DAMAGED;
        if (w.n >= BLOCK)
                return SSHPRIVKEY_DAMAGED;
        for (size_t i = 0; i < w.n; i++)
                if (w.p[i] != i + 1)
                        return SSHPRIVKEY_DAMAGED;
        *ret_seed_and_public = sec;
        return SSHPRIVKEY_NONE;
}

static enum sshprivkey_problem parse_blob(struct wire w, struct sshkey *ret_public, struct wire *ret_secret) {
        struct wire cipher, kdf, options, blob, body;
        uint32_t n_keys;

        if (w.n < sizeof(MAGIC) || memcmp(w.p, MAGIC, sizeof(MAGIC)) != 0)
                return SSHPRIVKEY_FORMAT;
        w.p += sizeof(MAGIC);
        w.n -= sizeof(MAGIC);
        if (wire_string(&w, &cipher) < 0 || wire_string(&w, &kdf) < 0 || wire_string(&w, &options) < 0 ||
            wire_u32(&w, &n_keys) < 0 || n_keys != 1 || wire_string(&w, &blob) < 0 || wire_string(&w, &body) < 0 ||
            w.n > 0)
                return SSHPRIVKEY_DAMAGED;
        if (cipher.n != 4 || memcmp(cipher.p, "none", 4) != 0)
                return SSHPRIVKEY_ENCRYPTED;
        if (kdf.n != 4 || memcmp(kdf.p, "none", 4) != 0 || options.n != 0)
                return SSHPRIVKEY_DAMAGED;

        struct wire type, rest = blob;
        if (wire_string(&rest, &type) < 0)
                return SSHPRIVKEY_DAMAGED;
        if (type.n != strlen(SSHKEY_TYPE) || memcmp(type.p, SSHKEY_TYPE, type.n) != 0)
                return SSHPRIVKEY_KIND;
        struct sshkey public;
        if (sshkey_from_blob(blob.p, blob.n, &public) < 0 || body.n % BLOCK != 0)
                return SSHPRIVKEY_DAMAGED;
        enum sshprivkey_problem p = parse_body(body, &public, ret_secret);
        if (p == SSHPRIVKEY_NONE)
                *ret_public = public;
        return p;
}

int sshprivkey_parse(const char *text, size_t n, uint8_t secret[static SSHPRIVKEY_SECRET_SIZE],
                     struct sshkey *ret_public, enum sshprivkey_problem *ret_problem) {
        const size_t head = strlen(HEAD), tail = strlen(TAIL);

        if (n > SSHPRIVKEY_FILE_MAX || n < head + tail || memcmp(text, HEAD, head) != 0) {
                *ret_problem = SSHPRIVKEY_FORMAT;
                return 0;
        }
        if (memcmp(text + n - tail, TAIL, tail) != 0) {
                *ret_problem = SSHPRIVKEY_DAMAGED;
                return 0;
        }

        uint8_t *blob = sodium_malloc(n);
        if (!blob)
                return -ENOMEM;
        size_t n_blob;
        enum sshprivkey_problem p = SSHPRIVKEY_DAMAGED;
        struct wire sec;
        struct sshkey public;
        if (sodium_base642bin(blob, n, text + head, n - head - tail, "\n", &n_blob, NULL,
                              sodium_base64_VARIANT_ORIGINAL) == 0)
                p = parse_blob((struct wire) { blob, n_blob }, &public, &sec);

        /* the public half has to be that of the seed, or every signature would leak the seed to whoever gets two of
         * them */
        uint8_t pub[32], *both = p == SSHPRIVKEY_NONE ? sodium_malloc(SSHPRIVKEY_SECRET_SIZE) : NULL;
        if (p == SSHPRIVKEY_NONE && !both) {
                sodium_free(blob);
                return -ENOMEM;
        }
        if (both) {
                (void) crypto_sign_seed_keypair(pub, both, sec.p);
                if (sodium_memcmp(both, sec.p, SSHPRIVKEY_SECRET_SIZE) != 0 || memcmp(pub, public.pub, 32) != 0)
                        p = SSHPRIVKEY_DAMAGED;
                else {
                        memcpy(secret, both, SSHPRIVKEY_SECRET_SIZE);
                        *ret_public = public;
                }
                sodium_free(both);
        }
        sodium_free(blob);
        *ret_problem = p;
        return 0;
}
