/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* The other end of a packet or a call, and the permits that it is compared with. */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/isolate_abi.h"

#define FRAGMENT_OFFSET 0x1fff
#define IP_WORDS        (sizeof(struct iphdr) / 4)

struct remote {
        __be32 addr[4];
        __u16 port;   /* 0: unknown, matches only a permit for any port */
        __be16 local; /* only told, never judged */
        __u8 proto;
};

/* One branch in all: the verifier walks every branch of every entry, and loading a hold's programs has to stay cheap.
 */
static __always_inline int remote_matches(const struct isolate_permit *p, const struct remote *r) {
        __u32 differs = 0;

        differs |= (r->addr[0] & p->mask[0]) ^ p->addr[0];
        differs |= (r->addr[1] & p->mask[1]) ^ p->addr[1];
        differs |= (r->addr[2] & p->mask[2]) ^ p->addr[2];
        differs |= (r->addr[3] & p->mask[3]) ^ p->addr[3];
        differs |= (r->port & p->port_mask) ^ p->port;
        differs |= (r->proto & p->proto_mask) ^ p->proto;
        return !differs;
}

static __always_inline void remote_set_v4(struct remote *r, __be32 addr) {
        r->addr[0] = 0;
        r->addr[1] = 0;
        r->addr[2] = bpf_htonl(0xffff);
        r->addr[3] = addr;
}
