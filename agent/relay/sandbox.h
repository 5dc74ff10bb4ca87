/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Gives up, for good, what the relay does not need once it runs: writing any file but below one directory, running any
 * program, new privileges, other sockets than TCP, UDP and local ones, and being read by others of its uid. It goes on
 * to make threads and connections, so this leaves more than the gate's sandbox does; who breaks in through the client
 * library can talk to brokers and to the gate, which is what the relay could. */

#include "policy/cleanup.h"

/* dir: the one directory below which files are written, or NULL. Before the first thread. -errno: the process is
 * confined in part and must not go on. */
int sandbox_enter(const char *dir) _warn_unused_;
