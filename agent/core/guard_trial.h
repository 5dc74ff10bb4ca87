/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Whether the guard's programs run. That one could be attached does not tell: a kernel without bpf in its list of
 * security modules attaches it, too, and never calls it. So a process of its own makes, for each, one call that the
 * program is asked for, first plainly and then with the program told to refuse this process everything. */

#include <stdint.h>

#include "bpf/guard_abi.h"
#include "policy/cleanup.h"

/* dir: a directory for a file that is made, renamed and removed. map: descriptor of any map. Writes the hooks that
 * were seen to refuse: bit 1 << enum guard_hook. -errno when nothing could be tried. */
int guard_trial(volatile struct guard_state *guard, const char *dir, int map, uint32_t *ret) _warn_unused_;
