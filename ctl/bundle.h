/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The signed orders of one rollout, as a file has them: an envelope a line, a line for each wave, the first one first.
 * A file with one order that people signed is one, too. Whoever made the file, its orders are one thing: the same verb
 * on the same targets for the same hosts, and their parts of the fleet follow one another. Nothing about signatures is
 * checked. Pure but for the allocation. */

#include <stdbool.h>
#include <stddef.h>

#include "ctl/waves.h"
#include "policy/command.h"
#include "policy/dsse.h"

#define BUNDLE_MAX (WAVES_MAX * (DSSE_ENVELOPE_MAX + 1U))

struct bundle_order {
        char *text; /* the envelope as it came; owned */
        struct dsse env;
        struct command *command; /* owned */
};

struct bundle {
        struct bundle_order v[WAVES_MAX];
        size_t n;
};

/* 0 with *ret_reason NONE and at least one order; 0 with a reason (those of dsse.h and command.h, TYPE for what is no
 * order, SCHEMA for orders that do not belong together, LIMIT for too many) and *ret untouched; -ENOMEM. */
int bundle_parse(const char *text, size_t n, struct bundle *ret, enum reason *ret_reason) _warn_unused_;
void bundle_done(struct bundle *b);

/* Do both order the same of the same hosts? Whoever orders it, when, why, and of which part of the fleet is no matter.
 */
bool bundle_is_alike(const struct command *a, const struct command *b);
