/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What those who run on in an isolated cgroup have open that is a way out of it: PACKET_SOCKETS for frames of their own
 * making and for kinds of sockets that have no packet hooks, FOREIGN_SOCKET for a socket of another cgroup. Each socket
 * is asked whose it is, because sock_diag lists neither raw nor ping sockets, nor those that are neither bound nor
 * connected yet. */

#include <stddef.h>
#include <stdint.h>

#include "bpf/isolate_abi.h"
#include "policy/reason.h"

struct ways {
        struct isolate_question question; /* all zero: every socket that could be asked is anyone's */
        const uint64_t *spare; /* inodes that are not asked: the self-test's, which it speaks to the core through */
        size_t n_spare;
        reason_set open;    /* whatever else is in force */
        reason_set guarded; /* unless the guard is live, which sees each send */
};

/* The socket that the process of pidfd has open as n; pidfd may be negative. */
void ways_add_socket(struct ways *w, int pidfd, int n, uint64_t inode);
/* What is open as name in a directory of descriptors, and has a name below /dev. */
void ways_add_device(struct ways *w, int dir, const char *name);
