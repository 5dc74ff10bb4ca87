/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A pack: small objects as one POSIX ustar archive. Read are only archives as the collector writes them, regular files
 * with names of ours; whatever else one says is not believed. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"

/* A negative return stops and is returned. */
typedef int (*unpack_fn)(const char *name, const uint8_t *bytes, size_t n, void *userdata);

/* Calls found for each member, in order. -EBADMSG for what is no such archive, after those before it. */
int unpack(const uint8_t *bytes, size_t n, unpack_fn found, void *userdata) _warn_unused_;
