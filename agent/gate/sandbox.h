/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Gives up, for good, everything that the gate does not need once its descriptors are open: new files, new sockets
 * other than accepted ones, new processes, new privileges, executable memory, and being read by others of its uid. */

#include "policy/cleanup.h"

/* Confines this process to n_fds descriptors and the system calls of a running gate; every other one fails with EPERM.
 * Landlock, where the kernel has it, takes the file system away a second time. -errno: the process is confined in part
 * and must not go on. */
int sandbox_enter(unsigned int n_fds) _warn_unused_;
