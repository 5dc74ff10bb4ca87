/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What tools put into their events comes from those whom they watch: names of files, arguments, bytes that were
 * written. A strict reader refuses the whole event for one of these that is not UTF-8, is a NUL or half a surrogate
 * pair, and then whoever is watched can decide that nothing is seen. So that is replaced by U+FFFD, which can be no
 * part of a target, before the event is read; an integer beyond 64 bits becomes a string of its digits. Pure. */

#include <stdbool.h>
#include <stddef.h>

#include "policy/cleanup.h"

/* as it stands in a mended string */
#define ESCALATE_MEND_MARK "\357\277\275"

/* What is read takes some hundred bytes for each object and some ten for each of its members, and either can be written
 * in two: so they are counted before. Ten thousand alerts of Alertmanager are less than half of this. */
#define ESCALATE_MEND_WEIGHT_MAX    1000000U
#define ESCALATE_MEND_OBJECT_WEIGHT 5U

/* *ret is malloc'ed and NUL-terminated; *ret_mended: it is not what was given. -ENOMEM; -E2BIG: it weighs more than
 * that. */
int escalate_mend(const char *bytes, size_t n, char **ret, size_t *ret_n, bool *ret_mended) _warn_unused_;
