/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The network namespaces that the targets' processes use: those that a thread is in, those that are open as a
 * descriptor, and those that a socket belongs to which a process has open. The last is how a connection is hidden from
 * whoever reads /proc/PID/net: the socket is made in a namespace that no process is in any more. */

#include "agent/collect/target.h"

#define NETNS_MAX  64U
#define NETNS_NAME 32U

struct netns {
        char name[NETNS_NAME]; /* "net:[4026531840]" */
        int fd;
        pid_t pid; /* who was found to use it */
        bool frozen;
};

struct netns_set {
        struct netns v[NETNS_MAX];
        size_t n;
};

/* Of the processes in the set. Needs CAP_SYS_PTRACE, and CAP_NET_ADMIN to be told of a socket's namespace; what cannot
 * be looked into is a hole. A socket that is only on its way in a message, or registered with an io_uring, is not
 * found. */
void netns_find(struct netns_set *set, const struct target_set *t, struct store *s);
bool netns_has(const struct netns_set *set, const char *name);
void netns_done(struct netns_set *set);
