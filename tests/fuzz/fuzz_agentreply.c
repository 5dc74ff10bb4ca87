/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/sshagent.c ctl/wire.c ctl/text.c */

/* What an ssh-agent answers: a forwarded one may be on a machine that is not ours any more. */

#include <string.h>

#include "ctl/sshagent.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static struct sshagent_key keys[SSHAGENT_KEYS_MAX];
        uint8_t sig[64];
        size_t n = SSHAGENT_KEYS_MAX + 1;

        int r = sshagent_parse_keys(data, size, keys, &n);
        CHECK(r == 0 || r == -EPROTO || r == -EACCES);
        CHECK((r == 0) == (n <= SSHAGENT_KEYS_MAX));
        for (size_t i = 0; r == 0 && i < n; i++) {
                struct sshkey again;
                sshkey_from_raw(keys[i].key.pub, &again);
                CHECK(memcmp(&again, &keys[i].key, sizeof(again)) == 0);
                CHECK(memchr(keys[i].comment, '\0', sizeof(keys[i].comment)));
                for (const char *p = keys[i].comment; *p; p++)
                        CHECK((unsigned char) *p >= 0x20 && *p != 0x7f);
        }
        r = sshagent_parse_signature(data, size, sig);
        CHECK(r == 0 || r == -EPROTO || r == -EACCES);
        return 0;
}
