/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/mounts.c agent/util/io.c agent/util/fault.c */

/* What the kernel says of mounts, whose names their makers choose. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/collect/mounts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct mounts m = { .n = SIZE_MAX };
        int r = mounts_parse((const char *) data, size, &m);

        if (r < 0 && (r != -EBADMSG || m.n != SIZE_MAX))
                abort();
        for (size_t i = 1; r == 0 && i < m.n; i++)
                if (m.ids[i - 1] > m.ids[i])
                        abort();
        if (r == 0)
                mounts_done(&m);
        return 0;
}
