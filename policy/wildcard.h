/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The patterns of the host's policy: `*` stands for any run of characters, `?` for one, everything else for itself. */

#include <stdbool.h>

#include "policy/cleanup.h"

#define WILDCARD_PATH_SIZE 256U

/* True when the name is one that the pattern stands for. In time of at most the product of their lengths. */
bool wildcard_matches(const char *pattern, const char *name);
/* True for an absolute path, other than "/", each of whose names may be a pattern: text without control characters,
 * shorter than WILDCARD_PATH_SIZE, without `//`, `.`, `..` or a `/` at the end. */
bool wildcard_path_ok(const char *path);
