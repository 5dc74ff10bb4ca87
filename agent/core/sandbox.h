/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the core takes from itself, over and above what its unit takes from it. */

#include "policy/cleanup.h"

/* No socket of a network family can be made any more, by the core or by anything that it starts; the self-test's child
 * has to be forked before. 0 or -errno. */
int sandbox_no_network(void) _warn_unused_;
