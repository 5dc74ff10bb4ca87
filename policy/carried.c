/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/carried.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char before[] = "{\"carried\":", after[] = "}";

_Static_assert(sizeof(before) + sizeof(after) - 2 == CARRIED_EXTRA, "what is around it");

int carried_wrap(const char *text, size_t n, char **ret, size_t *ret_n) {
        char *s = malloc(n + CARRIED_EXTRA + 1);

        if (!s)
                return -ENOMEM;
        memcpy(s, before, sizeof(before) - 1);
        memcpy(s + sizeof(before) - 1, text, n);
        memcpy(s + sizeof(before) - 1 + n, after, sizeof(after));
        *ret = s;
        *ret_n = n + CARRIED_EXTRA;
        return 0;
}

bool carried_unwrap(const char **text, size_t *n) {
        if (*n < CARRIED_EXTRA || memcmp(*text, before, sizeof(before) - 1) != 0 || (*text)[*n - 1] != after[0])
                return false;
        *text += sizeof(before) - 1;
        *n -= CARRIED_EXTRA;
        return true;
}
