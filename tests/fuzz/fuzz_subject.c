/* SPDX-License-Identifier: Apache-2.0 */

/* What a broker says a message came under. What is taken is spelt in the one way there is, and has the pattern that a
 * host would have subscribed to. */

#include <stdint.h>
#include <string.h>

#include "policy/subject.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        char text[SUBJECT_SIZE], pattern[SUBJECT_SIZE];
        struct subject s;

        if (subject_parse((const char *) data, size, &s) < 0)
                return 0;
        CHECK(subject_build(&s, text) == 0);
        CHECK(strlen(text) == size && memcmp(text, data, size) == 0);
        s.id = (struct command_id) {};
        s.attributes = false;
        s.version = 0;
        if (subject_pattern(&s, pattern) == 0) {
                const size_t n = strlen(pattern) - 1;

                CHECK(pattern[n] == '*' && memcmp(pattern, text, n) == 0 && !strchr(text + n, '.'));
        }
        return 0;
}
