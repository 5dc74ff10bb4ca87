/* SPDX-License-Identifier: GPL-2.0-only */

/* Cuts a whole host off: at the root of the cgroup hierarchy for every socket of every network namespace, and at the
 * way out of each uplink for what no such socket sent: forwarded traffic of containers and virtual machines, packet
 * sockets, tunnels. Both places judge by the same rules, see host_abi.h, so that what was let through for one address
 * does not leave in a tunnel to another. FAIL-CLOSED: whatever cannot be read or understood is dropped. Kernel
 * floor 5.7 (cgroup links). */

#include "bpf/remote.h"

#include <linux/icmpv6.h>

#include "bpf/host_abi.h"
#include "bpf/sockopt.h"

#define PASS 1
#define DENY 0

#define LOOPBACK       1 /* its ifindex in every network namespace */
#define STREAM         1 /* SOCK_STREAM */
#define INET           2
#define INET6          10
#define PACKET         17
#define SOL_PACKET     263
#define QDISC_BYPASS   20
#define SOL_XDP        283
#define HOP_LIMIT_LINK 255
#define MLD2_REPORT    143
/* an ARP packet in an Ethernet frame; LACP's largest */
#define ARP_MAX  64
#define LACP_MAX 128

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct host_policy);
} host_policy SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, HOST_UNITS_MAX);
        __type(key, __u64);
        __type(value, __u32);
} host_units SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, struct isolate_counters);
} host_count SEC(".maps");

struct packet {
        struct remote remote;
        __u16 local_port;
        __u8 hops, icmp6_type;
        __u8 to_link; /* the destination is multicast of this link */
};

static __always_inline const struct host_policy *policy_get(void) {
        __u32 zero = 0;

        return bpf_map_lookup_elem(&host_policy, &zero);
}

static __always_inline int permitted(const struct host_policy *policy, const struct remote *r) {
        for (__u32 i = 0; i < ISOLATE_PERMITS_MAX && i < policy->n_permits; i++)
                if (remote_matches(&policy->permit[i], r))
                        return 1;
        return 0;
}

static __always_inline int is_broker(const struct host_policy *policy, const struct remote *r) {
        for (__u32 i = 0; i < HOST_BROKERS_MAX && i < policy->n_brokers; i++)
                if (remote_matches(&policy->broker[i], r))
                        return 1;
        return 0;
}

static __always_inline int is_own(const struct host_policy *policy, const struct remote *r) {
        for (__u32 i = 0; i < HOST_OWN_MAX && i < policy->n_own; i++)
                if (remote_matches(&policy->own[i], r))
                        return 1;
        return 0;
}

/* Where a DHCP client asks: everyone on the link, or who leased it its address. */
static __always_inline int is_asked(const struct host_policy *policy, const struct remote *r) {
        if (r->addr[0] == 0 && r->addr[1] == 0 && r->addr[2] == bpf_htonl(0xffff) && r->addr[3] == 0xffffffff)
                return 1;
        if (r->addr[0] == bpf_htonl(0xff020000) && r->addr[1] == 0 && r->addr[2] == 0 &&
            r->addr[3] == bpf_htonl(0x00010002))
                return 1;
        for (__u32 i = 0; i < HOST_LEASES_MAX && i < policy->n_leases; i++)
                if (remote_matches(&policy->lease[i], r))
                        return 1;
        return 0;
}

static __always_inline int is_dhcp(__u8 proto, __u16 client, __u16 server) {
        return proto == IPPROTO_UDP && ((client == 68 && server == 67) || (client == 546 && server == 547));
}

/* Whose socket sent or gets the packet, as far as it has one. */
struct owner {
        __u32 may;    /* what its unit may */
        int is_local; /* its cgroup lies below the root that is held */
        int is_root;  /* or is it */
};

static __always_inline struct owner owner_of(struct __sk_buff *skb, const struct host_policy *policy) {
        struct owner o = {};
        __u64 id = 0;

        for (int level = 0; level < HOST_LEVELS_MAX; level++) {
                __u64 above = bpf_skb_ancestor_cgroup_id(skb, level);
                __u32 *unit;

                if (!above)
                        break;
                id = above;
                o.is_local |= id == policy->root_id;
                unit = bpf_map_lookup_elem(&host_units, &id);
                if (unit)
                        o.may |= *unit;
        }
        o.is_root = id == policy->root_id;
        return o;
}

/* The kernel's own sockets are in the root cgroup, where no process of a host is, or were made outside of it. */
static __always_inline int is_kernels(struct __sk_buff *skb, const struct owner *o) {
        return bpf_skb_cgroup_id(skb) && (o->is_root || !o->is_local);
}

/* A TCP socket, or one that is not yet or no longer a whole socket. */
static __always_inline int is_stream(struct __sk_buff *skb) {
        struct bpf_sock *sk = skb->sk, *full;

        if (!sk)
                return 0;
        if (sk->family != INET && sk->family != INET6)
                return 0;
        full = bpf_sk_fullsock(sk);
        return !full || (full->type == STREAM && full->protocol == IPPROTO_TCP);
}

static __always_inline void read_ports(struct __sk_buff *skb, __u32 offset, int out, struct packet *ret) {
        __be16 ports[2];

        if (ret->remote.proto != IPPROTO_TCP && ret->remote.proto != IPPROTO_UDP)
                return;
        if (bpf_skb_load_bytes_relative(skb, offset, ports, sizeof(ports), BPF_HDR_START_NET))
                return;
        ret->remote.port = bpf_ntohs(ports[out ? 1 : 0]);
        ret->local_port = bpf_ntohs(ports[out ? 0 : 1]);
}

static __always_inline int read_v4(struct __sk_buff *skb, int out, struct packet *ret) {
        struct iphdr ip;

        if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) || ip.ihl < IP_WORDS)
                return 0;
        remote_set_v4(&ret->remote, out ? ip.daddr : ip.saddr);
        /* As in isolate.bpf.c: options are not walked, a later fragment has no ports. */
        if (ip.ihl > IP_WORDS)
                return 1;
        ret->remote.proto = ip.protocol;
        if (!(bpf_ntohs(ip.frag_off) & FRAGMENT_OFFSET))
                read_ports(skb, sizeof(ip), out, ret);
        return 1;
}

static __always_inline int read_v6(struct __sk_buff *skb, int out, struct packet *ret) {
        struct ipv6hdr ip;
        __u8 report[9]; /* an MLD report comes behind a hop-by-hop header of eight bytes */

        if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
                return 0;
        __builtin_memcpy(ret->remote.addr, out ? &ip.daddr : &ip.saddr, sizeof(ret->remote.addr));
        ret->remote.proto = ip.nexthdr;
        ret->hops = ip.hop_limit;
        ret->to_link = ip.daddr.in6_u.u6_addr8[0] == 0xff && ip.daddr.in6_u.u6_addr8[1] == 0x02;
        read_ports(skb, sizeof(ip), out, ret);
        if (ip.nexthdr == IPPROTO_ICMPV6)
                (void) bpf_skb_load_bytes_relative(skb, sizeof(ip), &ret->icmp6_type, 1, BPF_HDR_START_NET);
        else if (ip.nexthdr == IPPROTO_HOPOPTS && ip.hop_limit == 1 &&
                 !bpf_skb_load_bytes_relative(skb, sizeof(ip), report, sizeof(report), BPF_HDR_START_NET) &&
                 report[0] == IPPROTO_ICMPV6 && report[1] == 0)
                ret->icmp6_type = report[8];
        return 1;
}

static __always_inline int is_discovery(const struct packet *p) {
        return p->hops == HOP_LIMIT_LINK && p->icmp6_type >= 133 && p->icmp6_type <= 137;
}

static __always_inline int is_listening(const struct packet *p) {
        return p->to_link && (p->icmp6_type == MLD2_REPORT || p->icmp6_type == 131 || p->icmp6_type == 132);
}

static __always_inline int judge(struct __sk_buff *skb, const struct host_policy *policy, int out) {
        struct packet p = {};
        int known = 0;
        struct owner o;

        if (!policy)
                return DENY;
        if (skb->protocol == bpf_htons(ETH_P_IP))
                known = read_v4(skb, out, &p);
        else if (skb->protocol == bpf_htons(ETH_P_IPV6))
                known = read_v6(skb, out, &p);
        if (!known)
                return DENY;
        if (permitted(policy, &p.remote))
                return PASS;
        o = owner_of(skb, policy);
        if (o.may & HOST_ANSWERS && p.remote.proto == IPPROTO_TCP && is_stream(skb))
                return PASS;
        if (o.may & HOST_ASKS && is_stream(skb) && is_broker(policy, &p.remote))
                return PASS;
        if (o.may & HOST_CONFIGURES && is_dhcp(p.remote.proto, p.local_port, p.remote.port) &&
            (!out || policy->n_leases == 0 || is_asked(policy, &p.remote)))
                return PASS; /* FAIL-OPEN where nobody knows who leased it: not every client survives a refusal */
        if (o.may & HOST_CONFIGURES && p.icmp6_type == 133 && p.hops == HOP_LIMIT_LINK && p.to_link)
                return PASS;
        return (is_discovery(&p) || is_listening(&p)) && is_kernels(skb, &o);
}

static __always_inline int count(int verdict, int out) {
        __u32 zero = 0;
        struct isolate_counters *c = bpf_map_lookup_elem(&host_count, &zero);

        if (c && verdict == PASS)
                *(out ? &c->passed_out : &c->passed_in) += 1;
        else if (c)
                *(out ? &c->dropped_out : &c->dropped_in) += 1;
        return verdict;
}

static __always_inline int count_refused(void) {
        __u32 zero = 0;
        struct isolate_counters *c = bpf_map_lookup_elem(&host_count, &zero);

        if (c)
                c->refused++;
        return DENY;
}

/* One that calls from its unit's own cgroup: nobody makes others below the relay's. */
static __always_inline int asks(void) {
        __u64 id = bpf_get_current_cgroup_id();
        __u32 *unit = bpf_map_lookup_elem(&host_units, &id);

        return unit && *unit & HOST_ASKS;
}

/* Where nothing of a packet is known yet. Identity lets answer, not ask; but for the relay, which asks the brokers. */
static __always_inline int judge_call(const struct remote *r) {
        const struct host_policy *policy = policy_get();

        if (policy && r->proto == IPPROTO_TCP && asks() && is_broker(policy, r))
                return PASS;

        /* DHCP's packets are judged by who sends them */
        if (policy && (permitted(policy, r) || is_own(policy, r) || is_dhcp(r->proto, 68, r->port) ||
                       is_dhcp(r->proto, 546, r->port)))
                return PASS;
        return count_refused();
}

SEC("cgroup/connect4")
int host_connect4(struct bpf_sock_addr *ctx) {
        struct remote r = { .port = bpf_ntohs((__u16) ctx->user_port), .proto = ctx->protocol };

        remote_set_v4(&r, ctx->user_ip4);
        return judge_call(&r);
}

SEC("cgroup/connect6")
int host_connect6(struct bpf_sock_addr *ctx) {
        struct remote r = { .port = bpf_ntohs((__u16) ctx->user_port), .proto = ctx->protocol };

        r.addr[0] = ctx->user_ip6[0];
        r.addr[1] = ctx->user_ip6[1];
        r.addr[2] = ctx->user_ip6[2];
        r.addr[3] = ctx->user_ip6[3];
        return judge_call(&r);
}

/* A packet socket that passes the queueing disciplines by passes the uplink's program by as well, and AF_XDP passes
 * everything by: neither can be set up from now on. Those from before are the netdev egress rules' part, and a gap. */
SEC("cgroup/setsockopt")
int host_setsockopt(struct bpf_sockopt *ctx) {
        if ((ctx->level == SOL_PACKET && ctx->optname == QDISC_BYPASS) || ctx->level == SOL_XDP)
                return count_refused();
        sockopt_leave(ctx);
        return PASS;
}

/* The mark tells the netdev egress rules that the packet was judged here, and so is no packet socket's. */
SEC("cgroup_skb/egress")
int host_egress(struct __sk_buff *skb) {
        const struct host_policy *policy = policy_get();

        if (skb->ifindex == LOOPBACK)
                return PASS;
        if (!policy || count(judge(skb, policy, 1), 1) == DENY)
                return DENY;
        skb->mark = policy->mark;
        return PASS;
}

SEC("cgroup_skb/ingress")
int host_ingress(struct __sk_buff *skb) {
        return skb->ifindex == LOOPBACK ? PASS : count(judge(skb, policy_get(), 0), 0);
}

/* A packet socket says itself what it sends: only those who configure the network are believed. */
static __always_inline int judge_packet_socket(struct __sk_buff *skb) {
        const struct host_policy *policy = policy_get();
        struct packet p = {};

        if (!policy || !(owner_of(skb, policy).may & HOST_CONFIGURES))
                return DENY;
        if (skb->protocol == bpf_htons(ETH_P_ARP) || skb->protocol == bpf_htons(ETH_P_PAE))
                return PASS;
        return skb->protocol == bpf_htons(ETH_P_IP) && read_v4(skb, 1, &p) &&
               is_dhcp(p.remote.proto, p.local_port, p.remote.port) && is_asked(policy, &p.remote);
}

static __always_inline int judge_uplink(struct __sk_buff *skb) {
        struct bpf_sock *sk = skb->sk;

        if (sk && sk->family == PACKET)
                return judge_packet_socket(skb);
        if (skb->protocol == bpf_htons(ETH_P_ARP))
                return skb->len <= ARP_MAX;
        if (skb->protocol == bpf_htons(ETH_P_SLOW))
                return !sk && skb->len <= LACP_MAX;
        return judge(skb, policy_get(), 1);
}

/* TCX_NEXT and TC_ACT_UNSPEC are -1: whoever else is attached has its say; TCX_DROP and TC_ACT_SHOT are 2. */
SEC("tc")
int host_uplink(struct __sk_buff *skb) {
        return count(judge_uplink(skb), 1) == PASS ? -1 : 2;
}

char LICENSE[] SEC("license") = "GPL";
