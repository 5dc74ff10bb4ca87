/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/bundle.c */

/* A file of signed orders: the input as it is, and each of its lines as the payload of an envelope. What is taken is
 * orders of one thing, with as many ids. */

#include <string.h>

#include "ctl/bundle.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static void try(const char *text, size_t n) {
        struct bundle b;
        enum reason reason;

        CHECK(bundle_parse(text, n, &b, &reason) == 0);
        if (reason != REASON_NONE)
                return;
        CHECK(b.n > 0 && b.n <= WAVES_MAX);
        for (size_t i = 0; i < b.n; i++) {
                CHECK(b.v[i].command && b.v[i].text && bundle_is_alike(b.v[0].command, b.v[i].command));
                CHECK(i == 0 || b.v[i - 1].command->part.below == b.v[i].command->part.from);
        }
        bundle_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        CHECK(f);
        for (size_t at = 0, end; at < size; at = end + 1) {
                _cleanup_free_ char *json = NULL;
                const uint8_t *newline = memchr(data + at, '\n', size - at);
                end = newline ? (size_t) (newline - data) : size;
                const struct dsse d = { .type = DSSE_COMMAND, .payload = (uint8_t *) data + at, .n_payload = end - at };
                CHECK(dsse_to_json(&d, &json) == 0);
                fprintf(f, "%s\n", json);
        }
        CHECK(fclose(f) == 0);
        try((const char *) data, size);
        try(text, n);
        return 0;
}
