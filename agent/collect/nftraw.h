/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The rules of nftables as the kernel tells of them, message by message: less readable than ruleset.h, and it does not
 * depend on a library that whoever made the rules can bring to its end, with a set of a million elements for one. What
 * an expression does is kept in hex, as struct nlattr. Runs in a reader. */

#include "agent/collect/reader.h"

/* False when the collector does not listen any more. */
bool nftraw_copy(struct reader_out *o, const char *source);
