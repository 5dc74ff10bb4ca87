/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/sshkey.h"

#include <string.h>

#include <sodium.h>

#include "policy/base64.h"

#define ID_PREFIX "SHA256:"

/* Everything of the blob but the key itself is constant: both lengths and the type name. */
static const uint8_t blob_head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9', 0, 0, 0, 32 };

_Static_assert(sizeof(blob_head) + 32 == SSHKEY_BLOB_SIZE, "the blob is the head and the key");
_Static_assert(sodium_base64_ENCODED_LEN(SSHKEY_BLOB_SIZE, sodium_base64_VARIANT_ORIGINAL) == 68 + 1,
               "the blob's base64 needs no padding and fits the line");
_Static_assert(sodium_base64_ENCODED_LEN(32, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 43 + 1,
               "the digest's base64 fits the id");

void sshkey_from_raw(const uint8_t pub[static 32], struct sshkey *ret) {
        uint8_t blob[SSHKEY_BLOB_SIZE];

        memmove(ret->pub, pub, sizeof(ret->pub));
        sshkey_to_blob(ret, blob);
        (void) crypto_hash_sha256(ret->id, blob, sizeof(blob));
}

int sshkey_from_line(const char *line, struct sshkey *ret) {
        const size_t n_type = strlen(SSHKEY_TYPE), n_line = strlen(line);
        uint8_t blob[SSHKEY_BLOB_SIZE];
        const char *b64;
        size_t n_b64, n_blob;

        for (size_t i = 0; i < n_line; i++)
                if (((unsigned char) line[i] < ' ' && line[i] != '\t' && !(line[i] == '\n' && i + 1 == n_line)) ||
                    line[i] == 0x7f)
                        return -EINVAL;

        if (strncmp(line, SSHKEY_TYPE, n_type) != 0)
                return -EINVAL;
        b64 = line + n_type + strspn(line + n_type, " \t");
        if (b64 == line + n_type)
                return -EINVAL;
        n_b64 = strcspn(b64, " \t\n");

        if (base64_decode(b64, n_b64, sodium_base64_VARIANT_ORIGINAL, blob, sizeof(blob), &n_blob) < 0)
                return -EINVAL;
        return sshkey_from_blob(blob, n_blob, ret);
}

int sshkey_from_blob(const uint8_t *blob, size_t n, struct sshkey *ret) {
        if (n != SSHKEY_BLOB_SIZE || memcmp(blob, blob_head, sizeof(blob_head)) != 0)
                return -EINVAL;
        sshkey_from_raw(blob + sizeof(blob_head), ret);
        return 0;
}

void sshkey_to_blob(const struct sshkey *k, uint8_t ret[static SSHKEY_BLOB_SIZE]) {
        memcpy(ret, blob_head, sizeof(blob_head));
        memcpy(ret + sizeof(blob_head), k->pub, sizeof(k->pub));
}

void sshkey_to_line(const struct sshkey *k, char ret[static SSHKEY_LINE_SIZE]) {
        const size_t n_head = strlen(SSHKEY_TYPE " ");
        uint8_t blob[SSHKEY_BLOB_SIZE];

        sshkey_to_blob(k, blob);
        memcpy(ret, SSHKEY_TYPE " ", n_head);
        (void) sodium_bin2base64(ret + n_head, SSHKEY_LINE_SIZE - n_head, blob, sizeof(blob),
                                 sodium_base64_VARIANT_ORIGINAL);
}

void sshkey_id_to_str(const uint8_t id[static 32], char ret[static SSHKEY_ID_SIZE]) {
        const size_t n_head = strlen(ID_PREFIX);

        memcpy(ret, ID_PREFIX, n_head);
        (void) sodium_bin2base64(ret + n_head, SSHKEY_ID_SIZE - n_head, id, 32,
                                 sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
}

int sshkey_id_from_str(const char *s, uint8_t ret[static 32]) {
        const size_t n_head = strlen(ID_PREFIX);
        uint8_t id[32];
        size_t n;

        if (strncmp(s, ID_PREFIX, n_head) != 0)
                return -EINVAL;
        if (base64_decode(s + n_head, strlen(s + n_head), sodium_base64_VARIANT_ORIGINAL_NO_PADDING, id, sizeof(id),
                          &n) < 0 ||
            n != sizeof(id))
                return -EINVAL;
        memcpy(ret, id, sizeof(id));
        return 0;
}
