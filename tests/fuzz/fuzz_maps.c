/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/maps.c */
#include <stdint.h>

#include "agent/collect/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is in order, of whole pages, and borrows from the text and nothing else. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *text = (const char *) data;
        _cleanup_free_ struct mapping *maps = NULL;
        size_t n = 0;
        int r = maps_parse(text, size, &maps, &n);

        if (r != 0) {
                if (r != -EBADMSG && r != -E2BIG)
                        __builtin_trap();
                return 0;
        }
        for (size_t i = 0; i < n; i++) {
                const struct mapping *m = &maps[i];

                if (m->start >= m->end || (m->start | m->end) % 4096 != 0 || (i > 0 && m->start < maps[i - 1].end))
                        __builtin_trap();
                if (m->path < text || m->path + m->path_n > text + size || memchr(m->path, '\n', m->path_n))
                        __builtin_trap();
                if (maps_content(m) > MAPS_PRIVATE)
                        __builtin_trap();
        }
        return 0;
}
