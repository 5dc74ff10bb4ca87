/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/maps.c */
#include <stdint.h>

#include "agent/collect/maps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken is in order, of whole pages, and borrows from its line and nothing else. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        const char *line = (const char *) data, *const end = line + size;
        uint64_t after = 0;

        for (const char *stop; line < end && (stop = memchr(line, '\n', (size_t) (end - line))); line = stop + 1) {
                struct mapping m;
                int r = maps_parse_line(line, (size_t) (stop - line), after, &m);

                if (r != 0) {
                        if (r != -EBADMSG)
                                __builtin_trap();
                        return 0;
                }
                if (m.start >= m.end || (m.start | m.end) % 4096 != 0 || m.start < after)
                        __builtin_trap();
                if (m.path < line || m.path + m.path_n != stop)
                        __builtin_trap();
                if (maps_content(&m) > MAPS_PRIVATE)
                        __builtin_trap();
                after = m.end;
        }
        return 0;
}
