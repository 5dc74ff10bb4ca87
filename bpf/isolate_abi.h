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

/* X(NAME, "id", kernel attach type, phase): first calls are refused and nothing comes in, so that no connection is made
 * any more; then the existing sockets are destroyed, while their RST can still leave; then nothing goes out. */
#define ISOLATE_HOOK_TABLE(X)                                        \
        X(CREATE, "sock_create", BPF_CGROUP_INET_SOCK_CREATE, CALLS) \
        X(CONNECT4, "connect4", BPF_CGROUP_INET4_CONNECT, CALLS)     \
        X(CONNECT6, "connect6", BPF_CGROUP_INET6_CONNECT, CALLS)     \
        X(SENDMSG4, "sendmsg4", BPF_CGROUP_UDP4_SENDMSG, CALLS)      \
        X(SENDMSG6, "sendmsg6", BPF_CGROUP_UDP6_SENDMSG, CALLS)      \
        X(BIND4, "bind4", BPF_CGROUP_INET4_BIND, CALLS)              \
        X(BIND6, "bind6", BPF_CGROUP_INET6_BIND, CALLS)              \
        X(SETSOCKOPT, "setsockopt", BPF_CGROUP_SETSOCKOPT, CALLS)    \
        X(EGRESS, "egress", BPF_CGROUP_INET_EGRESS, PACKETS)         \
        X(INGRESS, "ingress", BPF_CGROUP_INET_INGRESS, CALLS)

enum isolate_hook {
#define X(name, ...) ISOLATE_##name,
        ISOLATE_HOOK_TABLE(X)
#undef X
                _ISOLATE_HOOK_MAX,
};

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
        __u8 hold[16]; /* whose set this is */
        __u32 n;
        __u32 any_protocol; /* a permit is for every protocol: sockets of any kind can be made */
        struct isolate_permit permit[ISOLATE_PERMITS_MAX];
};

/* setsockopt() of this, which is nobody's: a socket of a cgroup that has the set refuses it with EPERM, every other
 * does not know it. So the core learns whose any socket is, of whatever kind and in whatever state. Each set has its
 * own, drawn when it is loaded: what others know they could have a socket from outside answer as well. */
struct isolate_question {
        __s32 level; /* never 0 */
        __s32 name;
};

/* Per CPU, one entry: what the hooks decided since the hold began. */
struct isolate_counters {
        __u64 refused;                 /* socket, connect, sendmsg, bind and setsockopt calls */
        __u64 dropped_out, dropped_in; /* packets */
        __u64 passed_out, passed_in;
};

/* What was refused is told in one ring for all sets, pinned at PINS/attempts so that it goes on while the agent is
 * away. One record stands for `times` of the same thing: hook, protocol, remote address, remote port (of a dropped
 * packet that came in: the local port, since the other says nothing) and command.
 *
 * However much is tried, each set tells at most ISOLATE_TELL_PER_S of what goes out, and as much of what comes in, and
 * what is tried again within ISOLATE_REPEAT_NS waits for the next record of the same. What there is no record for is in
 * `missed` of the set's next record, whatever that is about. So all records' times and missed together are all that was
 * refused, but for what came after the last one.
 *
 *   a flood of 1,000,000 connects to one address   { times 1 }, a second later { times 400000 }, ...
 *   a scan of 1,000,000 addresses                  { times 1 } for some of them, { times 1, missed 31000 }, ...
 */
#define ISOLATE_RING_SIZE  (256U * 1024)
#define ISOLATE_TELL_PER_S 32U
#define ISOLATE_TELL_BURST 128U
#define ISOLATE_REPEAT_NS  1000000000ULL
#define ISOLATE_SLOTS      16U /* things whose repetition is noticed, for each processor */

struct isolate_attempt {
        __u64 t_ns;      /* CLOCK_BOOTTIME */
        __u64 cgroup_id; /* of the caller; for a packet that of its socket */
        __u8 hold[16];
        __be32 addr[4]; /* remote; v4-mapped for IPv4; 0 for bind, sock_create and setsockopt */
        __u32 times, missed;
        __u32 tgid;             /* of the caller; 0 for a packet: whoever runs then may have nothing to do with it */
        __u16 port, local_port; /* host order; 0: none or unknown */
        __u16 proto;            /* 262 is MPTCP */
        __u8 hook;              /* enum isolate_hook */
        __u8 family;            /* AF_INET, AF_INET6; 0: neither */
        __u8 type;              /* SOCK_*; 0 for a packet */
        __u8 pad[3];
        char comm[16]; /* whatever the caller calls itself; empty for a packet */
};

/* How a set tells, fixed when it is loaded. */
struct isolate_telling {
        __u64 interval_ns; /* between two records of one direction on one processor, in the long run */
        __u64 burst;       /* and at once */
        __u64 seed;
        __u64 pidns_dev, pidns_ino; /* in which namespace callers have their numbers; ino 0: the first one's */
        __u64 ring;                 /* 0: none, nothing is told */
};

#ifdef __cplusplus
#define isolate_assert static_assert
#else
#define isolate_assert _Static_assert
#endif
isolate_assert(sizeof(struct isolate_permit) == 40, "isolate_permit has no padding");
isolate_assert(sizeof(struct isolate_counters) == 40, "isolate_counters has no padding");
isolate_assert(sizeof(struct isolate_attempt) == 88, "isolate_attempt has no padding");
