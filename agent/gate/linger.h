/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A client can send descriptors along. The gate takes none, but what the kernel then lets go of may be the last
 * reference, and whoever lets go of that waits for the file's closing: for a TCP socket that was told to linger as long
 * as its sender likes. Kernels from 6.16 on refuse such a message at its sender. Elsewhere, and of who connected before
 * the gate first ran, a signal ends the wait. */

#include <stdbool.h>

#include "policy/cleanup.h"

/* No call between linger_begin() and linger_end() waits longer. */
#define LINGER_US (5LL * 1000)

/* Who connects to listen_fd from now on cannot send descriptors, if this kernel knows that; and catches the signal.
 * -errno. */
int linger_prepare(int listen_fd) _warn_unused_;

/* Around whatever may drop what a client sent: reading, or closing its socket. They do not nest. */
void linger_begin(void);
/* True when something was waited for. */
bool linger_end(void);
