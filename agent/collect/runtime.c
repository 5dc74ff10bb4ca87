/* SPDX-License-Identifier: Apache-2.0 */

#include "agent/collect/runtime.h"

#include <string.h>

/* %s: the id. The star makes a path one that need not be there. Of docker and podman a directory with the log, of
 * containerd what was asked for: its directory has the container's whole tree in it. */
static const char *const patterns[RUNTIME_PATTERNS] = {
        "/var/lib/docker/containers/%.64s*",
        "/var/lib/containers/storage/*-containers/%.64s/userdata",
        "/run/containerd/io.containerd.runtime.v2.task/*/%.64s/config.json",
};

const char *runtime_id(const char *name) {
        const char *p = name;

        while (*p) {
                size_t n = strspn(p, "0123456789abcdef");

                if (n == RUNTIME_ID_SIZE)
                        return p;
                p += n > 0 ? n : 1;
        }
        return NULL;
}

size_t runtime_patterns(const char *cgroup, char ret[static RUNTIME_PATTERNS][WILDCARD_PATH_SIZE]) {
        const char *id = NULL;

        /* a container in a container: the inner one */
        for (const char *p = runtime_id(cgroup); p; p = runtime_id(p + RUNTIME_ID_SIZE))
                id = p;
        for (size_t i = 0; id && i < RUNTIME_PATTERNS; i++)
                (void) snprintf(ret[i], WILDCARD_PATH_SIZE, patterns[i], id); /* NOLINT: of the table */
        return id ? RUNTIME_PATTERNS : 0;
}
