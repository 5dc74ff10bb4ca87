/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What a container's runtime keeps of it on the host: its log, and how it was started. Whoever contains a container is
 * not asked to list that in the host's policy. By the layouts of docker, podman, cri-o and containerd, for the
 * containers whose 64 hex digits are in the path of a cgroup; all of the host's own files. Pure. */

#include <stddef.h>

#include "policy/wildcard.h"

#define RUNTIME_PATTERNS 3U

/* Patterns as logs.h takes them, none of which has to be there. Returns RUNTIME_PATTERNS, or 0 when the cgroup is no
 * container's. */
size_t runtime_patterns(const char *cgroup, char ret[static RUNTIME_PATTERNS][WILDCARD_PATH_SIZE]);
/* The id in a name: 64 hex digits and not one more. NULL when there is none. */
const char *runtime_id(const char *name);
#define RUNTIME_ID_SIZE 64U
