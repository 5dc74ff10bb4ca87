/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Reading an answer whose members may be absent: a newer host says more, an older one less, and showing what is there
 * is always better than showing nothing. Never for deciding what to trust. A NULL object has no members. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/cleanup.h"
#include "policy/reason.h"

/* "" when absent or not text; borrowed. */
const char *member_str(const json_t *o, const char *name);
/* absent when it is not an integer. */
int64_t member_int(const json_t *o, const char *name, int64_t absent);
/* True only for true. */
bool member_is_true(const json_t *o, const char *name);
/* True only for false: absent is not false. */
bool member_is_false(const json_t *o, const char *name);
/* The array's reasons as a set; *ret_unknown counts the entries that this version does not know. */
reason_set member_reasons(const json_t *o, const char *array, size_t *ret_unknown);
