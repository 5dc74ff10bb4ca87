/* SPDX-License-Identifier: GPL-2.0-only */

/* Whatever arrives at the socket in the map goes back over it, with the mark in its first bytes. Loaded by sockmap.c.
 */

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile char answer[12];

struct {
        __uint(type, BPF_MAP_TYPE_SOCKMAP);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u64);
} sockets SEC(".maps");

SEC("sk_skb/stream_verdict")
int send_back(struct __sk_buff *skb) {
        char mark[sizeof(answer)];

        for (int i = 0; i < (int) sizeof(mark); i++)
                mark[i] = answer[i];
        if (bpf_skb_pull_data(skb, sizeof(mark)) || bpf_skb_store_bytes(skb, 0, mark, sizeof(mark), 0))
                return SK_DROP;
        return (int) bpf_sk_redirect_map(skb, &sockets, 0, 0);
}

char LICENSE[] SEC("license") = "GPL";
