/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The text of cgroup.procs: one decimal process id a line. */

#include <stddef.h>
#include <sys/types.h>

#include "policy/cleanup.h"

/* Calls found for each id in order. 0 is given for a process that this pid namespace cannot name, as the kernel writes
 * it. Anything but digits and newlines, a number beyond the kernel's largest pid, or a last line without newline:
 * -EBADMSG, after the ids before it. */
#define PIDLIST_MAX_PID (1 << 22)
int pidlist_parse(const char *text, size_t n, void (*found)(pid_t pid, void *userdata), void *userdata) _warn_unused_;
