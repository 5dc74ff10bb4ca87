/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What goes first when a host is attacked: the kernel's tables of connections, which go on changing while every process
 * is frozen, and which process, or which thread that has descriptors of its own, holds which end. */

#include "agent/collect/target.h"

#define SOCKET_NETNS_MAX 64U

/* The network namespaces already taken, by the name that the kernel gives them. */
struct socket_seen {
        char names[SOCKET_NETNS_MAX][32];
        size_t n;
};

/* For the processes that are not done yet: the tables of every network namespace that one of their threads is in and
 * that is not in seen, and for each process which descriptor is which file or socket. */
void socket_collect(struct target_set *t, struct store *s, struct socket_seen *seen);
