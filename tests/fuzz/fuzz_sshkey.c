/* SPDX-License-Identifier: Apache-2.0 */

/* Keys as text (trust root, .pub file), as blob (ssh-agent) and fingerprints. The first byte chooses which. What is
 * taken writes out as something that reads back the same, and for blobs and fingerprints, which have one spelling,
 * as the very same bytes. */

#include <string.h>

#include "policy/sshkey.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void try_line(const char *text, const uint8_t *bytes, size_t n) {
        char line[SSHKEY_LINE_SIZE];
        struct sshkey k, back;

        (void) bytes, (void) n;
        if (sshkey_from_line(text, &k) < 0)
                return;
        sshkey_to_line(&k, line);
        CHECK(strlen(line) == SSHKEY_LINE_SIZE - 1);
        CHECK(sshkey_from_line(line, &back) == 0 && memcmp(&k, &back, sizeof(k)) == 0);
        CHECK(strncmp(text, SSHKEY_TYPE, strlen(SSHKEY_TYPE)) == 0 && strstr(text, line + strlen(SSHKEY_TYPE " ")));
}

static void try_blob(const char *text, const uint8_t *bytes, size_t n) {
        uint8_t blob[SSHKEY_BLOB_SIZE];
        struct sshkey k;

        (void) text;
        if (sshkey_from_blob(bytes, n, &k) < 0)
                return;
        sshkey_to_blob(&k, blob);
        CHECK(n == sizeof(blob) && memcmp(blob, bytes, n) == 0);
}

static void try_id(const char *text, const uint8_t *bytes, size_t n) {
        char str[SSHKEY_ID_SIZE];
        uint8_t id[32];

        (void) bytes, (void) n;
        if (sshkey_id_from_str(text, id) < 0)
                return;
        sshkey_id_to_str(id, str);
        CHECK(strcmp(str, text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static void (*const tries[])(const char *, const uint8_t *, size_t) = { try_line, try_blob, try_id };
        _cleanup_free_ char *text = NULL;

        if (size < 1)
                return 0;
        text = calloc(1, size);
        CHECK(text);
        memcpy(text, data + 1, size - 1);
        tries[data[0] % ELEMENTSOF(tries)](text, data + 1, size - 1);
        return 0;
}
