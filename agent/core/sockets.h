/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Destroys the connections of a target with SOCK_DESTROY (sock_diag(7), CONFIG_INET_DIAG_DESTROY), in every network
 * namespace that its processes use, so that both ends learn at once that it is over. What is destroyed: TCP in any
 * state but LISTEN and TIME_WAIT, and connected UDP. Listeners and unconnected UDP sockets stay, because a service
 * whose listener was destroyed could not be given back by a release; while it is held nothing reaches them.
 *
 * A socket belongs to the target when its cgroup is one of the target's, or when a process of the target has it open:
 * the kernel binds a socket to the cgroup that created it, so inherited and passed ones carry another cgroup and the
 * packet hooks do not see them. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/core/descriptors.h"
#include "policy/cleanup.h"
#include "policy/permit.h"
#include "policy/reason.h"

/* What of the whole host is spared: what stays on it, the connections that others made to those who answer them, and
 * those to brokers of who asks them. */
struct sockets_host {
        const struct permit *own; /* addresses of the host */
        size_t n_own;
        const uint64_t *answers; /* cgroups, sorted */
        size_t n_answers;
        const struct permit *brokers; /* whom those of asks may be connected to */
        size_t n_brokers;
        const uint64_t *asks;
        size_t n_asks;
};

/* One target. */
struct sockets_scope {
        const uint64_t *cgroup_ids; /* the target's cgroup and its descendants, sorted */
        size_t n_cgroup_ids;
        const pid_t *pids;
        size_t n_pids;
        const struct sockets_host *host; /* not NULL: every socket belongs to it, and cgroup_ids do not matter */
        const uint64_t *spare_inodes;    /* sockets of the self-test that have to live on */
        const uint64_t
                *own_inodes; /* and those that are destroyed with the others, but not counted among the target's */
        size_t n_inodes;     /* of each */
        bool ask_ways;       /* it is isolated and runs on */
        struct isolate_question question; /* how its sockets are asked then */
};

#define SOCKETS_PORTS_MAX 16U

struct sockets_result {
        unsigned destroyed;
        unsigned left;    /* connections that were only looked at, or that the kernel did not destroy */
        unsigned foreign; /* sockets of any kind that a process holds and that belong to another cgroup */
        unsigned listeners;
        uint16_t ports[SOCKETS_PORTS_MAX]; /* that they listen on, the first of them, each once */
        size_t n_ports;
        reason_set gaps;  /* SOCKETS_LEFT, FOREIGN_SOCKET, NETNS, LOADED_BPF */
        struct ways ways; /* further gaps, when they were asked for */
};

/* Destroys what belongs to n targets, in one walk through the sockets of each namespace: the walk is the costly part,
 * 0.4 ms however few sockets there are. destroy false only looks, which is also how to see what is there afterwards.
 * ret[n]: a connection that two targets share is destroyed, and counted, for one. Never fails: what could not be done
 * is a gap. Blocks for netlink dumps of all sockets of each namespace. */
void sockets_destroy(const struct sockets_scope *scopes, size_t n, bool destroy, struct sockets_result *ret);
