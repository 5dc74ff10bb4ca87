/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
#pragma once

/* Shared by the isolation programs and the core.
 *
 * One loaded set of programs serves one hold. It is attached (MULTI) to each cgroup of the hold; several holds on one
 * cgroup are several sets, the kernel runs all of them and every one must allow, so the strictest wins and each can
 * leave without the others noticing.
 *
 * The policy map has one entry. All zero, which is how the kernel makes it, permits nothing. The core writes it once
 * and freezes the map before the first attach; from then on not even root can widen it.
 *
 *   n = 0                                             nothing in, nothing out
 *   { 10.0.0.5/32, tcp, 443 }                         segments to 10.0.0.5:443 and back from there
 *   { fd00::/8, any protocol, any port }              everything to and from that network
 *
 * Sockets other than of TCP and UDP (raw, ping, SCTP, MPTCP, ...) can be made only where a permit is for any protocol:
 * no other permit could be meant for them. Those that exist are the packet hooks' part.
 *
 * The port is always the remote one. Loopback is not special: a proxy on 127.0.0.1 is a way out.
 */

#include <linux/types.h>

#define ISOLATE_PERMITS_MAX 128

struct isolate_permit {
        __be32 addr[4]; /* v4-mapped for IPv4 */
        __be32 mask[4];
        __u16 port;      /* host order */
        __u16 port_mask; /* 0xffff, or 0 for any port */
        __u8 proto;
        __u8 proto_mask; /* 0xff, or 0 for any protocol */
        __u8 pad[2];
};

struct isolate_policy {
        __u32 n;
        __u32 any_protocol; /* a permit is for every protocol: sockets of any kind can be made */
        struct isolate_permit permit[ISOLATE_PERMITS_MAX];
};

/* Per CPU, one entry: what the hooks decided since the hold began. */
struct isolate_counters {
        __u64 refused;                 /* socket, connect, sendmsg and bind calls */
        __u64 dropped_out, dropped_in; /* packets */
        __u64 passed_out, passed_in;
};

#ifdef __cplusplus
#define isolate_assert static_assert
#else
#define isolate_assert _Static_assert
#endif
isolate_assert(sizeof(struct isolate_permit) == 40, "isolate_permit has no padding");
isolate_assert(sizeof(struct isolate_counters) == 40, "isolate_counters has no padding");
