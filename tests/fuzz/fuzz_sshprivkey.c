/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/sshprivkey.c ctl/wire.c */

/* A private key file, which somebody may have been handed. The first byte chooses between the file as it is, and a blob
 * that is armoured here so that the fuzzer gets past base64. What parses is a working key: its public half is that of
 * its seed. */

#include <string.h>

#include <sodium.h>

#include "ctl/sshprivkey.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void check(const char *text, size_t n) {
        uint8_t secret[SSHPRIVKEY_SECRET_SIZE], sig[64];
        enum sshprivkey_problem problem = _SSHPRIVKEY_MAX;
        struct sshkey k;

        CHECK(sshprivkey_parse(text, n, secret, &k, &problem) == 0 && problem < _SSHPRIVKEY_MAX);
        CHECK(sshprivkey_problem_text(problem));
        if (problem != SSHPRIVKEY_NONE)
                return;
        (void) crypto_sign_detached(sig, NULL, (const uint8_t *) "x", 1, secret);
        CHECK(crypto_sign_verify_detached(sig, (const uint8_t *) "x", 1, k.pub) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const char head[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n",
                          tail[] = "\n-----END OPENSSH PRIVATE KEY-----\n";

        CHECK(sodium_init() >= 0);
        if (size < 1)
                return 0;
        if (data[0] & 1) {
                check((const char *) data + 1, size - 1);
                return 0;
        }
        size_t room = strlen(head) + sodium_base64_ENCODED_LEN(size - 1, sodium_base64_VARIANT_ORIGINAL) + sizeof(tail);
        char *text = malloc(room);
        CHECK(text);
        memcpy(text, head, strlen(head));
        (void) sodium_bin2base64(text + strlen(head), room - strlen(head), data + 1, size - 1,
                                 sodium_base64_VARIANT_ORIGINAL);
        memcpy(text + strlen(text), tail, sizeof(tail));
        check(text, strlen(text));
        free(text);
        return 0;
}
