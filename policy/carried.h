/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What somebody brings for others, as the relay does for whoever is at the other end of a broker, is put into one more
 * object than what a client says for itself: {"carried":ENVELOPE}, written just so. It is not signed and need not be:
 * all that it asks for is less of an answer to itself (policy/decide.h, for_others).
 *
 * Pure bytes: what is inside is neither read nor copied by taking it out. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/cleanup.h"

/* by how much it is longer */
#define CARRIED_EXTRA 12U

/* *ret is malloc'ed, *ret_n long and NUL-terminated. -ENOMEM. */
int carried_wrap(const char *text, size_t n, char **ret, size_t *ret_n) _warn_unused_;
/* True when it is such an object: *text and *n are what is inside then, else untouched. */
bool carried_unwrap(const char **text, size_t *n);
