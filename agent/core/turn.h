/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Which of several cores it is that serves. Each has a place in a file beside the socket, which the kernel takes back
 * when it is gone; and it serves only where every other that has one is killed: the kernel keeps it from ending, as one
 * whose disk hangs, and it executes nothing any more. So two that live never serve both, however many are dying. The
 * file is on a file system that is memory, because whoever comes after may not wait for that disk as well. */

#include <sys/types.h>

#include "policy/cleanup.h"

#define TURN_PLACES 16U

struct turn {
        int fd;                   /* has the place until any descriptor of that file is closed here */
        pid_t dying[TURN_PLACES]; /* who had a place besides */
        unsigned n_dying;
};

/* socket: a path whose directory holds the file. -EBUSY when another core lives; -errno when nobody can say. */
int turn_take(const char *socket, struct turn *ret) _warn_unused_;
