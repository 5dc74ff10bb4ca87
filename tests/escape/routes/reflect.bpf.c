/* SPDX-License-Identifier: GPL-2.0-only */

/* Answers UDP in the kernel: whoever knocks at the route's port gets the mark back, whatever the service that loaded
 * this is kept from. Loaded by reflect.c. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct answer {
        __u16 port;
        char mark[12];
};
const volatile struct answer answer;

/* 1 when the frame is now an answer */
static __always_inline int turn_round(void *data, void *end) {
        struct ethhdr *eth = data;
        struct iphdr *ip = (void *) (eth + 1);
        struct udphdr *udp = (void *) (ip + 1);
        char *payload = (void *) (udp + 1);
        unsigned char mac[ETH_ALEN];
        __be32 addr;

        if ((void *) (payload + sizeof(answer.mark)) > end || eth->h_proto != bpf_htons(ETH_P_IP) ||
            ip->protocol != IPPROTO_UDP || ip->ihl != 5 || udp->dest != bpf_htons(answer.port))
                return 0;
        __builtin_memcpy(mac, eth->h_dest, ETH_ALEN);
        __builtin_memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
        __builtin_memcpy(eth->h_source, mac, ETH_ALEN);
        addr = ip->saddr;
        ip->saddr = ip->daddr;
        ip->daddr = addr;
        udp->dest = udp->source;
        udp->source = bpf_htons(answer.port);
        udp->check = 0;
        for (int i = 0; i < (int) sizeof(answer.mark); i++)
                payload[i] = answer.mark[i];
        return 1;
}

SEC("xdp")
int reflect_xdp(struct xdp_md *ctx) {
        return turn_round((void *) (long) ctx->data, (void *) (long) ctx->data_end) ? XDP_TX : XDP_PASS;
}

SEC("tc")
int reflect_tc(struct __sk_buff *ctx) {
        if (bpf_skb_pull_data(ctx, 60) || !turn_round((void *) (long) ctx->data, (void *) (long) ctx->data_end))
                return TC_ACT_OK;
        return bpf_redirect(ctx->ifindex, 0);
}

char LICENSE[] SEC("license") = "GPL";
