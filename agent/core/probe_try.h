/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What the self-test's child tries with sockets that belong to a cgroup, and how it knows that silence means dropped.
 * Nobody else on the host can speak to its receivers, which are connected to the one socket they listen to, so none can
 * fill them and have a leak look blocked. */

#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>

#include "agent/core/probe.h"

/* The sockets that belong to one cgroup, and their other ends, which do not. */
struct insiders {
        uint64_t cgroup_id; /* 0: free */
        uint64_t age;
        int fresh4, fresh6;             /* never connected: connect(2) on them is refused again and again */
        int stream;                     /* connected before the hold */
        int datagram;                   /* connected before the hold */
        int inbound;                    /* bound, waits for a datagram from outside */
        int permits[PROBE_PERMITS_MAX]; /* each good for one attempt; -EBADF when used */
        int stream_peer, datagram_peer;
        bool baseline;
};

#define INSIDERS_NULL                                                               \
        ((struct insiders) { .fresh4 = -EBADF,                                      \
                             .fresh6 = -EBADF,                                      \
                             .stream = -EBADF,                                      \
                             .datagram = -EBADF,                                    \
                             .inbound = -EBADF,                                     \
                             .permits = { [0 ... PROBE_PERMITS_MAX - 1] = -EBADF }, \
                             .stream_peer = -EBADF,                                 \
                             .datagram_peer = -EBADF })

/* Sockets of no cgroup that is tested. */
struct outside {
        int mark_out, mark_in; /* connected to each other: the fence */
        int control;           /* sends to `inbound` */
        int nowhere;           /* has the port that new connections are tried to; nobody listens there */
        struct sockaddr_in nowhere4;
        struct sockaddr_in6 nowhere6;
        cpu_set_t cpus; /* where the child may run */
};

void insiders_done(struct insiders *i);

/* A socket bound to a port of the kernel's choice at the self-test's address, which *ret gets. -errno. */
int probe_bound(int type, struct sockaddr_in *ret) _warn_unused_;
/* -EADDRNOTAVAIL, and o is not to be used. */
int outside_open(struct outside *o) _warn_unused_;

/* Whether each path carries a byte now, before anything is held. */
bool probe_baseline(const struct outside *o, const struct insiders *i);
/* Tries everything; uses up the sockets for permits. Blocks up to PROBE_PERMIT_MS when there are any. */
void probe_try(const struct outside *o, struct insiders *i, const struct permit *permits, size_t n,
               struct probe_report *ret);
