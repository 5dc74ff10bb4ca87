/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Only the service manager makes what lies in nothing but slices. What lies in a unit was named by whoever is in it,
 * and may be called like another. */

#include <string.h>

/* The last name of a cgroup's path, when all before it are slices; NULL for any other. */
static inline const char *slices_unit(const char *path) {
        const char *part = path + 1, *end;

        for (; (end = strchr(part, '/')); part = end + 1)
                if (end - part < 7 || strncmp(end - 6, ".slice", 6) != 0)
                        return NULL;
        return part;
}
