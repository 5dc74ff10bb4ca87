/* SPDX-License-Identifier: Apache-2.0 */

#include <stdbool.h>
#include <string.h>

#include "ctl/sums.h"
#include "ctl/unpack.h"

#define BLOCK   512U
#define SIZE_AT 124U
#define MAGIC   257U

/* A name of ours, and the size in octal digits. */
static bool parse_header(const uint8_t *h, char name[static SUMS_NAME_MAX + 1], uint64_t *ret_n) {
        uint64_t n = 0;

        if (memcmp(h + MAGIC, "ustar", 6) != 0 || memchr(h, '\0', SUMS_NAME_MAX + 1) == NULL)
                return false;
        (void) snprintf(name, SUMS_NAME_MAX + 1, "%s", (const char *) h);
        for (size_t i = SIZE_AT; i < SIZE_AT + 11; i++) {
                if (h[i] < '0' || h[i] > '7')
                        return false;
                n = n * 8 + (uint64_t) (h[i] - '0');
        }
        *ret_n = n;
        return sums_name_ok(name) && !strchr(name, '/');
}

int unpack(const uint8_t *bytes, size_t n, unpack_fn found, void *userdata) {
        static const uint8_t end[BLOCK];
        char name[SUMS_NAME_MAX + 1];
        uint64_t size;
        int r = 0;

        for (size_t at = 0; r == 0; at += BLOCK + (size_t) ((size + BLOCK - 1) / BLOCK * BLOCK)) {
                if (at > n || n - at < BLOCK)
                        return -EBADMSG;
                if (memcmp(bytes + at, end, BLOCK) == 0)
                        return 0;
                if (!parse_header(bytes + at, name, &size) || size > n - at - BLOCK)
                        return -EBADMSG;
                r = found(name, bytes + at + BLOCK, (size_t) size, userdata);
        }
        return r;
}
