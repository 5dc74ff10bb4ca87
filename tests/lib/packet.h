/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Packets that no socket here would send, for the kernel to run a program on. Included after cage.h. */

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>

#define ETH_SIZE   14
#define PACKET_MAX 256

struct packet {
        uint8_t b[PACKET_MAX];
        size_t n;
};

static inline void packet_add(struct packet *p, const void *bytes, size_t n) {
        assert_true(p->n + n <= sizeof(p->b));
        memcpy(p->b + p->n, bytes, n);
        p->n += n;
}

/* What a case does not say is as usual: a TCP segment from 10.0.0.9:1234 to 10.0.0.5:443, and the like in IPv6. */
#define SPORT   1234
#define DPORT   443
#define NO_PORT (-1)

static inline uint16_t port_of(int port, uint16_t usual) {
        return htons(port == NO_PORT ? 0 : port ? (uint16_t) port : usual);
}

struct v4 {
        const char *src, *dst;
        uint8_t proto, ihl;
        uint16_t fragment;
        int sport, dport;
        size_t cut; /* bytes after the Ethernet header */
};

static inline struct packet make_v4(const struct v4 *f) {
        struct packet p = { .n = ETH_SIZE };
        const uint8_t ihl = f->ihl ? f->ihl : 5;
        struct iphdr ip = { .version = 4,
                            .ihl = ihl & 0xf,
                            .ttl = 64,
                            .protocol = f->proto ? f->proto : IPPROTO_TCP,
                            .frag_off = htons(f->fragment) };
        const uint16_t ports[] = { port_of(f->sport, SPORT), port_of(f->dport, DPORT) };
        static const uint8_t fill[40];

        p.b[12] = 0x08;
        ip.saddr = wire_addr(f->src ? f->src : "10.0.0.9", 0).v4.sin_addr.s_addr;
        ip.daddr = wire_addr(f->dst ? f->dst : "10.0.0.5", 0).v4.sin_addr.s_addr;
        ip.tot_len = htons((uint16_t) (ihl * 4 + 24));
        packet_add(&p, &ip, sizeof(ip));
        if (ip.ihl > 5)
                packet_add(&p, fill, (ip.ihl - 5U) * 4);
        packet_add(&p, ports, sizeof(ports));
        packet_add(&p, fill, 20);
        if (f->cut)
                p.n = ETH_SIZE + f->cut;
        return p;
}

struct v6 {
        const char *src, *dst;
        uint8_t proto;
        bool extended; /* a header of type extension stands before the proto's */
        uint8_t extension, hops;
        int sport, dport; /* of ICMP: sport is type and code */
        size_t cut;
};

static inline struct packet make_v6(const struct v6 *f) {
        struct packet p = { .n = ETH_SIZE };
        const uint8_t proto = f->proto ? f->proto : IPPROTO_TCP;
        struct ip6_hdr ip = { .ip6_hlim = f->hops ? f->hops : 64,
                              .ip6_plen = htons(32),
                              .ip6_nxt = f->extended ? f->extension : proto };
        const uint8_t extension[8] = { proto };
        const uint16_t ports[] = { port_of(f->sport, SPORT), port_of(f->dport, DPORT) };
        static const uint8_t fill[40];

        p.b[12] = 0x86;
        p.b[13] = 0xdd;
        ip.ip6_vfc = 0x60;
        ip.ip6_src = wire_addr(f->src ? f->src : "fd00::9", 0).v6.sin6_addr;
        ip.ip6_dst = wire_addr(f->dst ? f->dst : "fd00::5", 0).v6.sin6_addr;
        packet_add(&p, &ip, sizeof(ip));
        if (f->extended)
                packet_add(&p, extension, sizeof(extension));
        packet_add(&p, ports, sizeof(ports));
        packet_add(&p, fill, 20);
        if (f->cut)
                p.n = ETH_SIZE + f->cut;
        return p;
}

#define V4(...) (&(const struct v4) { __VA_ARGS__ })
#define V6(...) (&(const struct v6) { __VA_ARGS__ })
