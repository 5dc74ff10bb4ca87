/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/age.h"

#include <string.h>

#include <sodium.h>

#include "policy/base64.h"
#include "policy/bech32.h"

#define RECIPIENT_HRP "age"
#define IDENTITY_HRP  "age-secret-key-"
#define VERSION_LINE  "age-encryption.org/v1\n"
#define STANZA_TYPE   "X25519"
#define MAC_MARK      "---"
#define LINE_DIGITS   64U
#define FILE_KEY      16U
#define WRAPPED       (FILE_KEY + AGE_TAG)
#define VARIANT       sodium_base64_VARIANT_ORIGINAL_NO_PADDING
#define B64_32        (sodium_base64_ENCODED_LEN(32, VARIANT) - 1) /* digits of 32 bytes */

_Static_assert(AGE_TAG == crypto_aead_chacha20poly1305_ietf_ABYTES, "a chunk's tag is Poly1305's");
_Static_assert(WRAPPED == 32, "a wrapped file key is as long as a share, and fits one line");
_Static_assert(AGE_RECIPIENT_SIZE == sizeof(RECIPIENT_HRP "1") + BECH32_DIGITS, "a recipient fits its string");
_Static_assert(sizeof(VERSION_LINE) + AGE_RECIPIENTS_MAX * 128 + 64 + AGE_NONCE < AGE_HEADER_MAX,
               "a header of all recipients fits");

int age_recipient_from_str(const char *s, struct age_recipient *ret) {
        static const uint8_t scalar[32] = { 1 };
        struct age_recipient r;
        uint8_t shared[32];

        if (s[0] != 'a' || bech32_decode(s, RECIPIENT_HRP, r.pub) < 0)
                return -EINVAL;
        /* refuses the points of small order, which share the same secret with everybody */
        if (crypto_scalarmult(shared, scalar, r.pub) != 0)
                return -EINVAL;
        *ret = r;
        return 0;
}

void age_recipient_to_str(const struct age_recipient *r, char ret[static AGE_RECIPIENT_SIZE]) {
        bech32_encode(r->pub, RECIPIENT_HRP, ret);
}

int age_identity_from_str(const char *s, struct age_identity *ret) {
        return s[0] == 'A' ? bech32_decode(s, IDENTITY_HRP, ret->secret) : -EINVAL;
}

void age_identity_public(const struct age_identity *i, struct age_recipient *ret) {
        (void) crypto_scalarmult_base(ret->pub, i->secret);
}

static void hmac(const uint8_t *key, size_t n_key, const void *bytes, size_t n, uint8_t ret[static 32]) {
        crypto_auth_hmacsha256_state state;

        (void) crypto_auth_hmacsha256_init(&state, key, n_key);
        (void) crypto_auth_hmacsha256_update(&state, bytes, n);
        (void) crypto_auth_hmacsha256_final(&state, ret);
        sodium_memzero(&state, sizeof(state));
}

/* HKDF-SHA-256 (RFC 5869) for one block of output, which is all that age takes. libsodium has it from 1.0.19 on. */
static void hkdf(const uint8_t *secret, size_t n_secret, const uint8_t *salt, size_t n_salt, const char *info,
                 uint8_t ret[static 32]) {
        uint8_t prk[32], block[64];
        size_t n = strlen(info);

        hmac(salt, n_salt, secret, n_secret, prk);
        memcpy(block, info, n);
        block[n] = 1;
        hmac(prk, sizeof(prk), block, n + 1, ret);
        sodium_memzero(prk, sizeof(prk));
}

/* The key that wraps the file key for one recipient. -EINVAL when the share is a point of small order. */
static int wrap_key(const uint8_t secret[static 32], const uint8_t theirs[static 32], const uint8_t share[static 32],
                    const uint8_t pub[static 32], uint8_t ret[static 32]) {
        uint8_t salt[64], shared[32];

        if (crypto_scalarmult(shared, secret, theirs) != 0)
                return -EINVAL;
        memcpy(salt, share, 32);
        memcpy(salt + 32, pub, 32);
        hkdf(shared, sizeof(shared), salt, sizeof(salt), "age-encryption.org/v1/X25519", ret);
        sodium_memzero(shared, sizeof(shared));
        return 0;
}

static void header_mac(const uint8_t file_key[static FILE_KEY], const uint8_t *header, size_t n,
                       uint8_t ret[static 32]) {
        uint8_t key[32];

        hkdf(file_key, FILE_KEY, (const uint8_t *) "", 0, "header", key);
        hmac(key, sizeof(key), header, n, ret);
        sodium_memzero(key, sizeof(key));
}

static void stream_begin(const uint8_t file_key[static FILE_KEY], const uint8_t nonce[static AGE_NONCE],
                         struct age_stream *ret) {
        hkdf(file_key, FILE_KEY, nonce, AGE_NONCE, "payload", ret->key);
        ret->chunk = 0;
}

static char *put_base64(char *p, const uint8_t bytes[static 32]) {
        (void) sodium_bin2base64(p, B64_32 + 1, bytes, 32, VARIANT);
        return p + B64_32;
}

static char *put_stanza(char *p, const struct age_recipient *to, const uint8_t ephemeral[static 32],
                        const uint8_t file_key[static FILE_KEY]) {
        static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
        uint8_t share[32], key[32], wrapped[WRAPPED];

        (void) crypto_scalarmult_base(share, ephemeral);
        /* cannot fail: a recipient of small order is none (age_recipient_from_str) */
        (void) wrap_key(ephemeral, to->pub, share, to->pub, key);
        (void) crypto_aead_chacha20poly1305_ietf_encrypt(wrapped, NULL, file_key, FILE_KEY, NULL, 0, NULL, nonce, key);
        sodium_memzero(key, sizeof(key));
        p = stpcpy(p, "-> " STANZA_TYPE " ");
        p = put_base64(p, share);
        *p++ = '\n';
        p = put_base64(p, wrapped);
        *p++ = '\n';
        return p;
}

size_t age_seal_header(const struct age_recipient *to, size_t n, const struct age_fresh *fresh, uint8_t *ret,
                       struct age_stream *ret_stream) {
        char *start = (char *) ret, *p = stpcpy(start, VERSION_LINE);
        uint8_t mac[32];

        for (size_t i = 0; i < n; i++)
                p = put_stanza(p, &to[i], fresh->ephemeral[i], fresh->file_key);
        p = stpcpy(p, MAC_MARK);
        header_mac(fresh->file_key, ret, (size_t) (p - start), mac);
        *p++ = ' ';
        p = put_base64(p, mac);
        *p++ = '\n';
        memcpy(p, fresh->nonce, AGE_NONCE);
        stream_begin(fresh->file_key, fresh->nonce, ret_stream);
        return (size_t) (p - start) + AGE_NONCE;
}

/* 11 bytes of counter, big-endian, and whether it is the last. */
static void chunk_nonce(struct age_stream *s, bool last, uint8_t ret[static 12]) {
        uint64_t v = s->chunk++;

        memset(ret, 0, 12);
        for (size_t i = 10; i > 2; i--, v >>= 8)
                ret[i] = (uint8_t) v;
        ret[11] = last;
}

void age_seal_chunk(struct age_stream *s, const uint8_t *plain, size_t n, bool last, uint8_t *ret) {
        uint8_t nonce[12];

        chunk_nonce(s, last, nonce);
        (void) crypto_aead_chacha20poly1305_ietf_encrypt(ret, NULL, plain, n, NULL, 0, NULL, nonce, s->key);
}

int age_open_chunk(struct age_stream *s, const uint8_t *sealed, size_t n, bool last, uint8_t *ret) {
        uint8_t nonce[12];

        chunk_nonce(s, last, nonce);
        return crypto_aead_chacha20poly1305_ietf_decrypt(ret, NULL, NULL, sealed, n, NULL, 0, nonce, s->key) == 0
                       ? 0
                       : -EBADMSG;
}

/* A line of the header, without its newline. */
struct line {
        const char *s;
        size_t n;
};

struct reader {
        const char *at, *end;
};

static int next_line(struct reader *x, struct line *ret) {
        const char *newline = memchr(x->at, '\n', (size_t) (x->end - x->at));

        if (!newline)
                return -EAGAIN;
        *ret = (struct line) { x->at, (size_t) (newline - x->at) };
        x->at = newline + 1;
        return 0;
}

static bool starts_with(const struct line *l, const char *s) {
        size_t n = strlen(s);
        return l->n >= n && memcmp(l->s, s, n) == 0;
}

/* A stanza's body: lines of 64 digits, and one of fewer that ends it. Only a body that is one line can be ours. */
static int next_body(struct reader *x, struct line *ret_first) {
        struct line l;
        bool first = true;
        int r;

        do {
                r = next_line(x, &l);
                if (r < 0)
                        return r;
                if (l.n > LINE_DIGITS)
                        return -EBADMSG;
                if (first)
                        *ret_first = l;
                first = false;
        } while (l.n == LINE_DIGITS);
        return 0;
}

static int decode_32(const char *s, size_t n, uint8_t ret[static 32]) {
        size_t got;
        return n == B64_32 && base64_decode(s, n, VARIANT, ret, 32, &got) == 0 && got == 32 ? 0 : -EBADMSG;
}

/* Tries all identities on one stanza. *found is set when the file key is there. */
static int try_stanza(const struct line *head, const struct line *body, const struct age_identity *with, size_t n_with,
                      uint8_t file_key[static FILE_KEY], bool *found) {
        static const char start[] = "-> " STANZA_TYPE " ";
        static const uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];
        uint8_t share[32], wrapped[WRAPPED], key[32];

        if (!starts_with(head, start))
                return 0;
        if (decode_32(head->s + strlen(start), head->n - strlen(start), share) < 0 ||
            decode_32(body->s, body->n, wrapped) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < n_with && !*found; i++) {
                struct age_recipient public;

                age_identity_public(&with[i], &public);
                if (wrap_key(with[i].secret, share, share, public.pub, key) < 0)
                        return -EBADMSG;
                *found = crypto_aead_chacha20poly1305_ietf_decrypt(file_key, NULL, NULL, wrapped, sizeof(wrapped), NULL,
                                                                   0, nonce, key) == 0;
        }
        sodium_memzero(key, sizeof(key));
        return 0;
}

/* Reads to the line of the MAC, which it leaves in *ret_mac. */
static int read_stanzas(struct reader *x, const struct age_identity *with, size_t n_with,
                        uint8_t file_key[static FILE_KEY], bool *found, struct line *ret_mac) {
        struct line head, body;
        int r = next_line(x, &head);

        if (r == 0 && (head.n + 1 != strlen(VERSION_LINE) || !starts_with(&head, "age-encryption.org/v1")))
                return -EBADMSG;
        while (r == 0 && (r = next_line(x, &head)) == 0 && starts_with(&head, "-> ")) {
                r = next_body(x, &body);
                if (r == 0)
                        r = try_stanza(&head, &body, with, n_with, file_key, found);
        }
        *ret_mac = head;
        return r;
}

/* A header that is not finished within AGE_HEADER_MAX never is. */
static int unfinished(int r, size_t n) {
        return r == -EAGAIN && n >= AGE_HEADER_MAX ? -EBADMSG : r;
}

int age_open_header(const uint8_t *bytes, size_t n, const struct age_identity *with, size_t n_with, size_t *ret_used,
                    struct age_stream *ret_stream) {
        const char *start = (const char *) bytes;
        struct reader x = { start, start + MIN(n, (size_t) AGE_HEADER_MAX) };
        uint8_t file_key[FILE_KEY], said[32], mac[32];
        const size_t n_mark = strlen(MAC_MARK " ");
        bool found = false;
        struct line l;
        int r = read_stanzas(&x, with, n_with, file_key, &found, &l);

        if (r < 0)
                return unfinished(r, n);
        if (!starts_with(&l, MAC_MARK " ") || decode_32(l.s + n_mark, l.n - n_mark, said) < 0)
                return -EBADMSG;
        if (!found)
                return -EKEYREJECTED;
        header_mac(file_key, bytes, (size_t) (l.s - start) + strlen(MAC_MARK), mac);
        if (sodium_memcmp(mac, said, sizeof(mac)) != 0)
                return -EBADMSG;
        if (x.end - x.at < (ptrdiff_t) AGE_NONCE)
                return unfinished(-EAGAIN, n);
        stream_begin(file_key, (const uint8_t *) x.at, ret_stream);
        sodium_memzero(file_key, sizeof(file_key));
        *ret_used = (size_t) (x.at - start) + AGE_NONCE;
        return 0;
}
