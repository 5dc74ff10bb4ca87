/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A packet socket can hand its packets to the driver directly (PACKET_QDISC_BYPASS), past what an uplink carries for
 * clsact or TCX. The netdev egress hook of nftables (5.16) sees them all the same. Each hold on the host has a table of
 * its own there, freezed_<hold>, with one chain for each interface, which drops what a packet socket sends:
 *
 *   with the mark of the host's programs    goes on: it was judged at the cgroup's hook, where no packet socket is; it
 *                                           may have lost its route in a device that lies over this one
 *   with a route of the kernel's            goes on to the uplink's program: no packet socket has one. Tunnels take the
 *                                           mark off, and up to 6.4 a SYN-ACK over IPv6 passes the cgroup's hook by
 *   ARP no longer than it is, EAPOL, DHCP   goes on to the uplink's program, which knows who may send that
 *   of a process's socket                   dropped
 *   of nobody's socket                      goes on to the uplink's program, which nothing but a packet socket passes
 * by
 *
 * Nobody else's table is touched. All of these work on the network namespace that the caller is in. */

#include "agent/core/uplink.h"

/* Sets `direct` of each interface that the hold's chain is on as it has to be, read back from the kernel. */
void direct_read(const struct command_id *hold, uint32_t mark, struct uplink *v, size_t n);
/* The same reading, after the chain has been made anew wherever it was not as it has to be. */
void direct_cover(const struct command_id *hold, uint32_t mark, struct uplink *v, size_t n);
/* Removes the hold's table. 0, or -EBUSY when it is still there. */
int direct_drop(const struct command_id *hold) _warn_unused_;
/* Has the kernel check such a table on the loopback without making it. 0, -EPROTONOSUPPORT, -EOPNOTSUPP. */
int direct_try(void) _warn_unused_;
