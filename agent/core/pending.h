/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Signals that wait for a frozen process and end it once it runs again. A frozen task takes a plain fatal signal at
 * once and dies; one that dumps core, SIGABRT for one, waits until it is thawed. Whoever releases has to know. */

#include <stdint.h>
#include <sys/types.h>

#include "policy/cleanup.h"

/* Of the status text of one thread, as a mask (bit n - 1 is signal n): those that are pending for it or for its
 * process, neither blocked by it, nor ignored, nor caught, and whose default is to end the process. */
uint64_t pending_fatal_of(const char *status);
/* The same of all threads of a process. 0 for one that is gone. */
uint64_t pending_fatal(pid_t pid);
