/* SPDX-License-Identifier: GPL-2.0-only */

/* Cuts a cgroup off from the network: new connections, unconnected sends, binds and sockets of uncommon kinds are
 * refused with EPERM at once, packets of any socket that belongs to the cgroup are dropped both ways, except to and
 * from the permitted addresses. FAIL-CLOSED: whatever cannot be read or understood is not permitted. Kernel floor 5.7
 * (cgroup links). None of the programs sleeps. */

#include <linux/in6.h>

#include "bpf/remote.h"
#include "bpf/sockopt.h"

#define PASS 1
#define DENY 0
/* the C library has them */
#define AF_INET     2
#define AF_INET6    10
#define SOCK_STREAM 1
#define SOCK_DGRAM  2
#define SOL_IP      0
#define SOL_IPV6    41

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct isolate_policy);
} isolate_policy SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct isolate_counters);
} isolate_count SEC(".maps");

/* Set before loading. */
const volatile struct isolate_question isolate_question;

#include "bpf/attempts.bpf.h"

static __always_inline struct isolate_counters *counters(void) {
        __u32 zero = 0;

        return bpf_map_lookup_elem(&isolate_count, &zero);
}

static __always_inline int permitted(const struct remote *r) {
        __u32 zero = 0;
        const struct isolate_policy *policy = bpf_map_lookup_elem(&isolate_policy, &zero);

        if (!policy)
                return DENY;
        for (__u32 i = 0; i < ISOLATE_PERMITS_MAX && i < policy->n; i++)
                if (remote_matches(&policy->permit[i], r))
                        return PASS;
        return DENY;
}

static __always_inline int refuse(struct isolate_attempt *a) {
        struct isolate_counters *c = counters();

        if (c)
                c->refused++;
        tell_call(a);
        return DENY;
}

/* What is left without it could only send what the packet hooks drop: this takes the tools away. MPTCP is among them
 * because its further paths are opened by the kernel, at the peer's word. A kernel's own socket is not seen. */
SEC("cgroup/sock_create")
int isolate_create(struct bpf_sock *ctx) {
        __u32 zero = 0;
        const struct isolate_policy *policy = bpf_map_lookup_elem(&isolate_policy, &zero);
        struct isolate_attempt a = { .hook = ISOLATE_CREATE };

        if (ctx->type == SOCK_STREAM && ctx->protocol == IPPROTO_TCP)
                return PASS;
        if (ctx->type == SOCK_DGRAM && ctx->protocol == IPPROTO_UDP)
                return PASS;
        if (policy && policy->any_protocol)
                return PASS;
        a.family = ctx->family;
        a.type = ctx->type;
        a.proto = ctx->protocol;
        return refuse(&a);
}

static __always_inline int judge_call(struct bpf_sock_addr *ctx, const struct remote *r, __u8 hook) {
        struct isolate_attempt a = { .hook = hook };

        if (permitted(r) == PASS)
                return PASS;
        __builtin_memcpy(a.addr, r->addr, sizeof(a.addr));
        a.port = r->port;
        a.proto = ctx->protocol;
        a.family = ctx->family;
        a.type = ctx->type;
        return refuse(&a);
}

static __always_inline int judge_call4(struct bpf_sock_addr *ctx, __u8 hook) {
        struct remote r = { .port = bpf_ntohs((__u16) ctx->user_port), .proto = ctx->protocol };

        remote_set_v4(&r, ctx->user_ip4);
        return judge_call(ctx, &r, hook);
}

static __always_inline int judge_call6(struct bpf_sock_addr *ctx, __u8 hook) {
        struct remote r = { .port = bpf_ntohs((__u16) ctx->user_port), .proto = ctx->protocol };

        r.addr[0] = ctx->user_ip6[0];
        r.addr[1] = ctx->user_ip6[1];
        r.addr[2] = ctx->user_ip6[2];
        r.addr[3] = ctx->user_ip6[3];
        return judge_call(ctx, &r, hook);
}

SEC("cgroup/connect4")
int isolate_connect4(struct bpf_sock_addr *ctx) {
        return judge_call4(ctx, ISOLATE_CONNECT4);
}

SEC("cgroup/connect6")
int isolate_connect6(struct bpf_sock_addr *ctx) {
        return judge_call6(ctx, ISOLATE_CONNECT6);
}

/* Sees only sends that name a destination; connected sockets are the packet hooks' part. */
SEC("cgroup/sendmsg4")
int isolate_sendmsg4(struct bpf_sock_addr *ctx) {
        return judge_call4(ctx, ISOLATE_SENDMSG4);
}

SEC("cgroup/sendmsg6")
int isolate_sendmsg6(struct bpf_sock_addr *ctx) {
        return judge_call6(ctx, ISOLATE_SENDMSG6);
}

/* No new listener while held, whoever it is for. */
static __always_inline int judge_bind(struct bpf_sock_addr *ctx, __u8 hook) {
        struct isolate_attempt a = { .hook = hook };

        a.local_port = bpf_ntohs((__u16) ctx->user_port);
        a.proto = ctx->protocol;
        a.family = ctx->family;
        a.type = ctx->type;
        return refuse(&a);
}

SEC("cgroup/bind4")
int isolate_bind4(struct bpf_sock_addr *ctx) {
        return judge_bind(ctx, ISOLATE_BIND4);
}

SEC("cgroup/bind6")
int isolate_bind6(struct bpf_sock_addr *ctx) {
        return judge_bind(ctx, ISOLATE_BIND6);
}

/* Multicast membership, of any kind and direction. */
static __always_inline int is_membership(__s32 level, __s32 name) {
        if (level == SOL_IP)
                return (name >= IP_ADD_MEMBERSHIP && name <= IP_MSFILTER) ||
                       (name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER);
        return level == SOL_IPV6 &&
               (name == IPV6_ADD_MEMBERSHIP || name == IPV6_DROP_MEMBERSHIP || name == IPV6_JOIN_ANYCAST ||
                name == IPV6_LEAVE_ANYCAST || (name >= MCAST_JOIN_GROUP && name <= MCAST_MSFILTER));
}

/* The kernel itself reports a membership to the network, from a socket of its own, and the group's address is whatever
 * the caller wants to say. */
SEC("cgroup/setsockopt")
int isolate_setsockopt(struct bpf_sockopt *ctx) {
        struct isolate_attempt a = { .hook = ISOLATE_SETSOCKOPT };
        __u32 zero = 0;
        const struct isolate_policy *policy = bpf_map_lookup_elem(&isolate_policy, &zero);

        if (ctx->level == isolate_question.level && ctx->optname == isolate_question.name)
                return DENY;
        if (is_membership(ctx->level, ctx->optname) && !(policy && policy->any_protocol))
                return refuse(&a);
        sockopt_leave(ctx);
        return PASS;
}

/* The remote port stands first in the TCP and UDP header on the way in and second on the way out. */
static __always_inline void read_ports(struct __sk_buff *skb, __u32 offset, int out, struct remote *r) {
        __be16 ports[2];

        if (r->proto != IPPROTO_TCP && r->proto != IPPROTO_UDP)
                return;
        if (bpf_skb_load_bytes(skb, offset, ports, sizeof(ports)))
                return;
        r->port = bpf_ntohs(ports[out ? 1 : 0]);
        r->local = ports[out ? 0 : 1];
}

static __always_inline int read_v4(struct __sk_buff *skb, int out, struct remote *ret) {
        struct iphdr ip;

        if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) || ip.ihl < IP_WORDS)
                return 0;
        remote_set_v4(ret, out ? ip.daddr : ip.saddr);
        /* Options are not walked, and a source route names another end than the header does: like IPv6's extension
         * headers, they pass only where every protocol and port does. */
        if (ip.ihl > IP_WORDS)
                return 1;
        ret->proto = ip.protocol;
        /* A later fragment has no ports: it passes only where every port does. */
        if (!(bpf_ntohs(ip.frag_off) & FRAGMENT_OFFSET))
                read_ports(skb, sizeof(ip), out, ret);
        return 1;
}

static __always_inline int read_v6(struct __sk_buff *skb, int out, struct remote *ret) {
        struct ipv6hdr ip;

        if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)))
                return 0;
        __builtin_memcpy(ret->addr, out ? &ip.daddr : &ip.saddr, sizeof(ret->addr));
        /* Extension headers are not walked: such a packet passes only where every protocol and port does. */
        ret->proto = ip.nexthdr;
        read_ports(skb, sizeof(ip), out, ret);
        return 1;
}

static __always_inline void tell_packet(struct __sk_buff *skb, const struct remote *r, int out, __u8 family) {
        struct isolate_attempt a = { .hook = out ? ISOLATE_EGRESS : ISOLATE_INGRESS, .family = family };

        if (!isolate_telling.ring)
                return;
        __builtin_memcpy(a.addr, r->addr, sizeof(a.addr));
        a.proto = r->proto;
        a.port = r->port;
        a.local_port = bpf_ntohs(r->local);
        a.cgroup_id = bpf_skb_cgroup_id(skb);
        tell(&a);
}

static __always_inline int judge_packet(struct __sk_buff *skb, int out) {
        struct isolate_counters *c = counters();
        struct remote r = {};
        int verdict = DENY, known = 0;
        __u8 family = 0;

        if (skb->protocol == bpf_htons(ETH_P_IP))
                known = read_v4(skb, out, &r), family = AF_INET;
        else if (skb->protocol == bpf_htons(ETH_P_IPV6))
                known = read_v6(skb, out, &r), family = AF_INET6;
        if (known)
                verdict = permitted(&r);
        if (c) {
                if (verdict == PASS)
                        *(out ? &c->passed_out : &c->passed_in) += 1;
                else
                        *(out ? &c->dropped_out : &c->dropped_in) += 1;
        }
        if (verdict == DENY)
                tell_packet(skb, &r, out, family);
        return verdict;
}

SEC("cgroup_skb/egress")
int isolate_egress(struct __sk_buff *skb) {
        return judge_packet(skb, 1);
}

SEC("cgroup_skb/ingress")
int isolate_ingress(struct __sk_buff *skb) {
        return judge_packet(skb, 0);
}

char LICENSE[] SEC("license") = "GPL";
