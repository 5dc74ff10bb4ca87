/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The interfaces of the network namespace that the caller is in, but for the loopback: all of them, as many as there
 * are. Whoever makes more must not be the reason that others stay open, or that a hold does not end. */

#include "agent/core/uplink.h"

/* Their names, indices and XDP programs, and netns as the namespace of each. Listed before anything is done: a dump
 * does not stand changes. -errno; *ret then has what was heard of until then. Owned by the caller. */
int uplink_list(uint64_t netns, struct uplink **ret, size_t *ret_n) _warn_unused_;
