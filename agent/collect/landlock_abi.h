/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Landlock's interface (Documentation/userspace-api/landlock.rst) as far as it is newer than Debian 12's headers, and
 * as a table by the ABI version that brought each right: a kernel refuses a ruleset with a right that it does not
 * know. */

#include <stdint.h>

#include <linux/landlock.h>

#define LANDLOCK_FS_TRUNCATE       (1ULL << 14)
#define LANDLOCK_FS_IOCTL_DEV      (1ULL << 15)
#define LANDLOCK_NET_BIND_TCP      (1ULL << 0)
#define LANDLOCK_NET_CONNECT_TCP   (1ULL << 1)
#define LANDLOCK_SCOPE_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNALS     (1ULL << 1)

/* struct landlock_ruleset_attr; a shorter one is passed to older kernels. */
struct landlock_attr {
        uint64_t fs;
        uint64_t net;
        uint64_t scoped;
};
