/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once

/* Shared by the programs that isolate a whole host and the core.
 *
 * What passes, in this order; whatever matches nothing is dropped:
 * - loopback: all of it. Local processes may talk to each other, and for a host that is no way out
 * - an address of `permit`: both ways, as in isolate_abi.h
 * - a socket of a unit that ANSWERS: TCP, its connections that others made to it. It cannot make any: connect(2) is
 *   refused to everyone whose peer is neither permitted nor the host itself
 * - a socket of a unit that ASKS: TCP with one of `broker`, to which connect(2) is not refused to it
 * - a socket of a unit that CONFIGURES: DHCP between the client's port and the server's, out to everyone on the link or
 *   to a server of `lease`, and to any while there is none, as nobody knows then whom it asks; router solicitations.
 *   From a packet socket ARP and EAPOL, and DHCP to the former alone
 * - a socket of the kernel: neighbour discovery with hop limit 255, multicast listener reports to ff02::/16
 * - no socket, on an uplink: ARP and LACP no longer than they are
 *
 * No packet socket can be told to pass the queueing disciplines by, and no AF_XDP socket can be set up.
 *
 * Both maps are frozen before the first attach: from then on not even root can widen them. When a management unit gets
 * a new cgroup, all links are given the programs of a new set.
 */

#include "bpf/isolate_abi.h"

#define HOST_OWN_MAX   64
#define HOST_UNITS_MAX 256
/* LOCAL_BROKERS_MAX of the policy */
#define HOST_BROKERS_MAX 16
#define HOST_LEASES_MAX  16
/* how deep below the root a unit's cgroup may lie */
#define HOST_LEVELS_MAX 16

/* what a unit's cgroup, and all below it, may do */
#define HOST_ANSWERS    1U
#define HOST_CONFIGURES 2U
#define HOST_ASKS       4U

struct host_policy {
        __u64 root_id; /* of the cgroup that the programs are attached to: the root of the hierarchy */
        __u32 n_permits, n_own;
        __u32 mark; /* of every packet that the program on the way out let through; see agent/core/direct.h */
        __u32 n_brokers;
        __u32 n_leases;
        __u32 unused;
        struct isolate_permit permit[ISOLATE_PERMITS_MAX];
        struct isolate_permit broker[HOST_BROKERS_MAX]; /* of units that ASK: the other end of their TCP connections */
        struct isolate_permit lease[HOST_LEASES_MAX];   /* of units that CONFIGURE: whom they ask besides everyone */
        struct isolate_permit own[HOST_OWN_MAX]; /* addresses of the host: connect(2) to them stays on the loopback */
};
