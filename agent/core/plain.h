/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of a folder of evidence, read by the core. Who took the collector over may have made anything of them: nothing
 * is followed, and nobody is waited for. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* The whole file and its digest; *ret is malloc'ed, without a NUL. -EBADMSG for what is no regular file of at most max
 * bytes, or ends before it should; other -errno. Nothing is touched then. */
int plain_read(int folder, const char *name, size_t max, char **ret, size_t *ret_n,
               uint8_t ret_sha256[static 32]) _warn_unused_;
