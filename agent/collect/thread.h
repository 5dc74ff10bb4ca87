/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The registers of a frozen thread. It is seized without a signal (ptrace(2), PTRACE_SEIZE), stops within the freezer,
 * is read and let go, and is frozen all the while; a thread that runs would be stopped, so none is asked. */

#include <sys/types.h>

#include "agent/collect/elfcore.h"
#include "agent/collect/target.h"

/* Adds the notes of a thread: NT_PRSTATUS, NT_PRFPREG and what else of registers its machine has. -errno, and then no
 * note is there: -ETIME when it does not stop, -ESRCH when it is not the process's any more. One that waits for its
 * vfork(2) to end is frozen and never stops, and a service can have thousands of them: what is waited for such is taken
 * from *patience_us, and when that is used up next to no time is given to any. */
#define THREAD_PATIENCE_US (1000LL * 1000)
int thread_add_notes(const struct process *p, pid_t tid, int64_t *patience_us, struct notes *b) _warn_unused_;
