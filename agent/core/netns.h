/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The network namespaces of the host: those of its processes, and those that have a name in /run/netns. One that is
 * only kept open by a descriptor, with no process in it, is not found. */

#include <stdint.h>

#include "policy/cleanup.h"

/* Calls fn in each namespace, our own first, with its inode; the process is in its own again afterwards. The first
 * -errno of fn, or of what could not be entered; goes on after it. */
int netns_each(int (*fn)(uint64_t inode, void *userdata), void *userdata) _warn_unused_;
