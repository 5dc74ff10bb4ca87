/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the threads of several groups of processes have open, as /proc tells: sockets, by inode, and network namespaces.
 * What belongs to whom is a list of claims; a socket that two groups share is claimed twice. */

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/core/ways.h"
#include "policy/cleanup.h"
#include "policy/reason.h"

/* namespaces that are held open at a time; one more is a gap */
#define DESCRIPTORS_NETNS_MAX 1024U
/* so many more than it had may be found of a process that is making threads: who makes them as fast as they are read
 * would never end */
#define DESCRIPTORS_THREADS_MORE 4096U

struct claim {
        uint64_t key;
        uint32_t group;
};

struct claims {
        struct claim *v;
        size_t n;
};

struct netns {
        struct stat st;
        int fd;
};

struct descriptors {
        struct claims sockets; /* inode -> group, once sorted */
        struct claims users;   /* index in netns -> group */
        struct netns *netns;   /* the first is our own, with fd < 0 when it cannot be opened */
        size_t n_netns;
};

/* -ENOMEM. */
int claims_add(struct claims *c, uint64_t key, uint32_t group) _warn_unused_;
void claims_sort(struct claims *c);
/* The first claim on the key in what is sorted, NULL when there is none; the others follow it up to the end of v. */
const struct claim *claims_find(const struct claims *c, uint64_t key);

/* Our own network namespace alone. -errno, after which it is there all the same, and cannot be entered. */
int descriptors_begin(struct descriptors *ret) _warn_unused_;
/* Adds what the processes have. Tells SOCKETS_LEFT and NETNS for what cannot be read, and LOADED_BPF
 * when one of them has a BPF program or link open; who has ended has nothing. What a service that was held as it
 * started has of the service manager's, whose copy it is until it executes its own program, is the manager's. Adds to
 * ways; NULL when nobody isolates them yet, or they are not to be asked. */
reason_set descriptors_add(struct descriptors *d, const pid_t *pids, size_t n, uint32_t group, struct ways *ways);
void descriptors_done(struct descriptors *d);
