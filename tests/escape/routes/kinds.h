/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The kinds of socket that a route may have: opened and pointed at the witness, and used once. */

#include "tests/escape/escape.h"

#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#ifndef AF_SMC
#define AF_SMC 43
#endif
#define TEST_PROTOCOL 253 /* RFC 3692 */
#define PATIENCE_MS   100

struct kind {
        const char *name;
        int type, protocol, protocol6;
        enum {
                TO_PORT, /* connected, the mark is the payload */
                UNNAMED, /* not connected: each send names its destination */
                PING,    /* connected, an echo request carries the mark */
                HEADERS, /* an IP header of our own */
        } how;
        bool family; /* protocol is an address family that speaks IP addresses */
};

static const struct kind kinds[] = {
        { "tcp", SOCK_STREAM, 0, 0, TO_PORT, false },
        { "udp", SOCK_DGRAM, 0, 0, UNNAMED, false },
        { "udp-connected", SOCK_DGRAM, 0, 0, TO_PORT, false },
        { "udplite", SOCK_DGRAM, IPPROTO_UDPLITE, IPPROTO_UDPLITE, TO_PORT, false },
        { "mptcp", SOCK_STREAM, IPPROTO_MPTCP, IPPROTO_MPTCP, TO_PORT, false },
        { "sctp", SOCK_STREAM, IPPROTO_SCTP, IPPROTO_SCTP, TO_PORT, false },
        { "dccp", SOCK_DCCP, IPPROTO_DCCP, IPPROTO_DCCP, TO_PORT, false },
        { "smc", SOCK_STREAM, AF_SMC, 0, TO_PORT, true },
        { "ping", SOCK_DGRAM, IPPROTO_ICMP, IPPROTO_ICMPV6, PING, false },
        { "icmp", SOCK_RAW, IPPROTO_ICMP, IPPROTO_ICMPV6, PING, false },
        { "raw", SOCK_RAW, TEST_PROTOCOL, TEST_PROTOCOL, TO_PORT, false },
        { "hdrincl", SOCK_RAW, IPPROTO_RAW, IPPROTO_RAW, HEADERS, false },
};

static inline const struct kind *kind_named(const char *name) {
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
                if (strcmp(kinds[i].name, name) == 0)
                        return &kinds[i];
        errno = 0;
        impossible("no such kind");
        return NULL;
}

static inline socklen_t kind_address(const struct kind *k, int af, struct sockaddr_storage *ret) {
        socklen_t n = outside(af, ret);

        if (k->type == SOCK_RAW || k->how == PING)
                ((struct sockaddr_in *) ret)->sin_port = 0; /* a raw IPv6 socket takes a protocol for it */
        return n;
}

/* A socket of that kind, pointed nowhere yet. -1 with errno. */
static inline int kind_make(const struct kind *k, int af) {
        const struct timeval patience = { 0, PATIENCE_MS * 1000 };
        int fd = k->family ? socket(k->protocol, k->type | SOCK_CLOEXEC, af == AF_INET6)
                           : socket(af, k->type | SOCK_CLOEXEC, af == AF_INET6 ? k->protocol6 : k->protocol);

        if (fd < 0)
                return -1;
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        if (k->protocol == IPPROTO_UDPLITE)
                setsockopt(fd, IPPROTO_UDPLITE, 10, &(int) { 8 }, sizeof(int));
        return fd;
}

/* Connects it if its kind is. Takes fd, and gives it back; -1 with errno. */
static inline int kind_point(const struct kind *k, int fd, int af) {
        struct sockaddr_storage to;
        const socklen_t n = kind_address(k, af, &to);

        if (fd >= 0 && k->how != UNNAMED && k->how != HEADERS && connect(fd, (struct sockaddr *) &to, n) < 0) {
                int error = errno;

                close(fd);
                errno = error;
                return -1;
        }
        return fd;
}

static inline int kind_open(const struct kind *k, int af) {
        return kind_point(k, kind_make(k, af), af);
}

static inline uint16_t ip_sum(const void *p, size_t n) {
        const uint16_t *w = p;
        uint32_t sum = 0;

        for (size_t i = 0; i < n / 2; i++)
                sum += w[i];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t) ~sum;
}

static inline size_t ping_packet(int af, uint8_t *buf) {
        struct icmphdr h = { .type = af == AF_INET6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO };

        memcpy(buf, &h, sizeof(h));
        memcpy(buf + sizeof(h), mark(), 12);
        h.checksum = ip_sum(buf, sizeof(h) + 12);
        memcpy(buf, &h, sizeof(h));
        return sizeof(h) + 12;
}

/* A UDP datagram in an IP packet. The witness needs no checksum of UDP over IPv4. */
static inline size_t ip_packet(int af, uint8_t *buf) {
        const size_t header = af == AF_INET6 ? 40 : 20, length = header + 8 + 12;
        struct udphdr u = { .uh_sport = htons(9),
                            .uh_dport = htons((uint16_t) (ESCAPE_PORT + escape_number())),
                            .uh_ulen = htons(8 + 12) };
        struct iphdr ip = {
                .version = 4, .ihl = 5, .tot_len = htons((uint16_t) length), .ttl = 64, .protocol = IPPROTO_UDP
        };

        memset(buf, 0, length);
        if (af == AF_INET6) {
                buf[0] = 0x60;
                buf[5] = 8 + 12;
                buf[6] = IPPROTO_UDP;
                buf[7] = 64;
                inet_pton(AF_INET6, "fd77::2", buf + 8);
                inet_pton(AF_INET6, ESCAPE_OUTSIDE6, buf + 24);
        } else {
                inet_pton(AF_INET, "10.77.0.2", &ip.saddr);
                inet_pton(AF_INET, ESCAPE_OUTSIDE4, &ip.daddr);
                ip.check = ip_sum(&ip, sizeof(ip));
                memcpy(buf, &ip, sizeof(ip));
        }
        memcpy(buf + header, &u, sizeof(u));
        memcpy(buf + header + 8, mark(), 12);
        return length;
}

/* Sends the mark once. */
static inline ssize_t kind_send(const struct kind *k, int fd, int af) {
        struct sockaddr_storage to;
        uint8_t buf[128];
        socklen_t n = kind_address(k, af, &to);

        switch (k->how) {
        case UNNAMED:
                return sendto(fd, mark(), strlen(mark()), MSG_NOSIGNAL, (struct sockaddr *) &to, n);
        case HEADERS:
                return sendto(fd, buf, ip_packet(af, buf), MSG_NOSIGNAL, (struct sockaddr *) &to, n);
        case PING:
                return send(fd, buf, ping_packet(af, buf), MSG_NOSIGNAL);
        default:
                return send(fd, mark(), strlen(mark()), MSG_NOSIGNAL | MSG_DONTWAIT);
        }
}
