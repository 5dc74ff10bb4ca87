/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The signed orders of rollouts that are not over, where the operator's state is: ID.jsonl, a bundle, with the id of
 * its first order. They are on the disk before the first byte is sent, so that whatever ends freezectl loses no order
 * and no id: the same bytes go out again, and hosts that have had them answer with the receipt that they stored. */

#include <limits.h>

#include "ctl/bundle.h"
#include "ctl/why.h"

/* ret: where it is. -ENOENT when this operator has no place for it; else -errno. */
int rollout_keep(const struct command_id *id, const char *text, size_t n, char ret[static PATH_MAX]) _warn_unused_;
/* Reads the one that has an order of that id. 0, or an exit code. */
int rollout_kept_load(const struct command_id *id, struct bundle *ret, char ret_path[static PATH_MAX],
                      struct why *w) _warn_unused_;
/* Finds one that orders what cmd does and that is not over at now_ms; those that are long over are removed on the way.
 * False: there is none. */
bool rollout_kept_find(const struct command *cmd, int64_t now_ms, struct command_id *ret, int64_t *ret_iat_ms);
