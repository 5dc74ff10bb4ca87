/* SPDX-License-Identifier: Apache-2.0 */

#include <limits.h>
#include <string.h>

#include <openssl/evp.h>

#include "ctl/extract.h"
#include "ctl/file.h"
#include "ctl/member.h"
#include "policy/dsse.h"

#define FILE_BYTES_MAX (64U * 1024 * 1024)
#define HASH_SIZE      32U

/* An envelope holds what it says in base64. */
static bool says(const json_t *o, const char *member, const char *hold) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        const char *envelope = member_str(o, member);
        enum reason reason;

        return *envelope && dsse_parse(envelope, strlen(envelope), &d, &reason) == 0 && reason == REASON_NONE &&
               memmem(d.payload, d.n_payload, hold, strlen(hold)) != NULL;
}

static bool is_about(const char *body, size_t n, const json_t *o, const char *hold) {
        return memmem(body, n, hold, strlen(hold)) || says(o, "envelope", hold) || says(o, "receipt", hold);
}

static bool is_hashed(const uint8_t *body, size_t n) {
        uint8_t is[HASH_SIZE];
        EVP_MD_CTX *hash = EVP_MD_CTX_new();
        const bool ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                        EVP_DigestUpdate(hash, "", 1) == 1 && EVP_DigestUpdate(hash, body, n) == 1 &&
                        EVP_DigestFinal_ex(hash, is, NULL) == 1;

        EVP_MD_CTX_free(hash);
        return ok && memcmp(is, body + n, sizeof(is)) == 0;
}

int extract_records(const uint8_t *p, size_t n, const char *hold, extract_fn fn, void *userdata, bool *ret_bad) {
        *ret_bad = false;
        while (n >= 4) {
                const size_t size = (size_t) p[0] << 24 | (size_t) p[1] << 16 | (size_t) p[2] << 8 | p[3];
                const char *body = (const char *) p + 4;
                _cleanup_json_ json_t *o = NULL;
                int r = 0;

                if (size == 0)
                        return 0;
                *ret_bad =
                        size > n - 4 || n - 4 - size < HASH_SIZE || memchr(body, '\n', size) || !is_hashed(p + 4, size);
                if (!*ret_bad) {
                        o = json_loadb(body, size, JSON_REJECT_DUPLICATES, NULL);
                        *ret_bad = !json_is_object(o);
                }
                if (*ret_bad)
                        return 0;
                if (is_about(body, size, o, hold))
                        r = fn(body, size, o, userdata);
                if (r < 0)
                        return r;
                p += 4 + size + HASH_SIZE;
                n -= 4 + size + HASH_SIZE;
        }
        return 0;
}

int extract_read(const char *dir, const char *hold, extract_fn fn, void *userdata, uint64_t *ret_bad) {
        *ret_bad = 0;
        for (unsigned i = 1;; i++) {
                _cleanup_free_ char *bytes = NULL;
                char path[PATH_MAX];
                bool bad = false;
                size_t n = 0;
                int r;

                if ((size_t) snprintf(path, sizeof(path), "%s/%08u.log", dir, i) >= sizeof(path))
                        return -ENAMETOOLONG;
                r = file_read(path, FILE_BYTES_MAX, &bytes, &n, NULL);
                if (r == -ENOENT && i > 1)
                        return 0;
                if (r == 0)
                        r = extract_records((const uint8_t *) bytes, n, hold, fn, userdata, &bad);
                if (r < 0)
                        return r;
                *ret_bad += bad;
        }
}
