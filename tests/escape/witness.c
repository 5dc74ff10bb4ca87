/* SPDX-License-Identifier: Apache-2.0 */

/* witness [uN|tN]...: stands outside and counts what reaches it, by route, in the tally. It sees every frame, so a
 * route may use any protocol, and it answers TCP, so that connections come about. What counts as a sign of route N:
 *   - its mark anywhere in a frame
 *   - a TCP SYN, FIN or payload, or UDP, for one of its ports. Not an RST: that is how a destroyed connection looks
 *   - TCP from one of its ports to 10.77.0.200, who never goes on with what it began
 *   - an ARP request or neighbour solicitation for 10.77.0.N or fd77::N, an IGMP report for 239.77.0.N: nobody has
 *     these addresses, and to ask for one tells the number of it
 * uN and tN: knocks at that route's UDP or TCP port every 20 ms, for services that answer. sN: begins a connection to
 * its TCP port every 200 ms, in the name of 10.77.0.200, and leaves it at that. */

#include "tests/escape/escape.h"

#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define MARK        "escape-"
#define INSIDE      "10.77.0.2"
#define NOBODY      "10.77.0.200"
#define SLOW_BYTES  512
#define CONNECTIONS 4096

static struct tally *tally;
static int slow[CONNECTIONS], n_slow;
static struct knock {
        int n, fd;
        char how;
} knocks[ESCAPE_ROUTES];
static int n_knocks;

static uint64_t arrived_us;

static void see(int n, const char *how) {
        if (n <= 0 || n >= ESCAPE_ROUTES)
                return;
        escape_count(&tally[n], how);
        tally[n].last_us = arrived_us;
}

static int route_of_port(int port) {
        const int n = port - (port < ESCAPE_SLOW_PORT ? ESCAPE_PORT : ESCAPE_SLOW_PORT);

        return n > 0 && n < ESCAPE_ROUTES ? n : 0;
}

static void see_tcp(const struct tcphdr *t, size_t segment) {
        const bool tells = t->syn || t->fin || segment > t->doff * 4U;

        if (!t->rst && tells)
                see(route_of_port(ntohs(t->dest)), t->syn ? "syn" : t->fin ? "fin" : "tcp");
}

static void see_transport(int protocol, const uint8_t *p, size_t n, size_t length) {
        if (protocol == IPPROTO_TCP && n >= sizeof(struct tcphdr))
                see_tcp((const struct tcphdr *) p, length);
        else if (protocol == IPPROTO_UDP && n >= sizeof(struct udphdr))
                see(route_of_port(ntohs(((const struct udphdr *) p)->dest)), "udp");
        else if (protocol == IPPROTO_ICMPV6 && n >= 24 && p[0] == 135 && p[8] == 0xfd && p[9] == 0x77)
                see(p[22] << 8 | p[23], "solicitation");
}

static void see_v4(const uint8_t *p, size_t n) {
        static const uint8_t group[] = { 239, 77, 0 };
        const struct iphdr *ip = (const struct iphdr *) p;
        const uint8_t *found;

        if (n < sizeof(*ip) || n < ip->ihl * 4U)
                return;
        if (ip->protocol == IPPROTO_IGMP) {
                found = memmem(p + ip->ihl * 4U, n - ip->ihl * 4U, group, sizeof(group));
                see(found && found + 3 < p + n ? found[3] : 0, "igmp");
                return;
        }
        see_transport(ip->protocol, p + ip->ihl * 4U, n - ip->ihl * 4U, ntohs(ip->tot_len) - ip->ihl * 4U);
        if (ip->protocol == IPPROTO_TCP && ip->daddr == inet_addr(NOBODY) && n >= ip->ihl * 4U + sizeof(struct tcphdr))
                see(route_of_port(ntohs(((const struct tcphdr *) (p + ip->ihl * 4U))->source)), "syn-ack");
}

static void see_v6(const uint8_t *p, size_t n) {
        const struct ip6_hdr *ip = (const struct ip6_hdr *) p;

        if (n >= sizeof(*ip))
                see_transport(ip->ip6_nxt, p + sizeof(*ip), n - sizeof(*ip), ntohs(ip->ip6_plen));
}

static void see_frame(const uint8_t *p, size_t n, int protocol) {
        static const uint8_t net[] = { 10, 77, 0 };
        const uint8_t *text = memmem(p, n, MARK, strlen(MARK));

        if (text && text + strlen(MARK) + 4 <= p + n) {
                see(atoi((const char *) text + strlen(MARK)), "mark");
                return;
        }
        if (n < ETH_HLEN)
                return;
        if (protocol == ETH_P_ARP && n >= 42 && p[21] == ARPOP_REQUEST && memcmp(p + 38, net, 3) == 0 && p[41] > 2)
                see(p[41], "arp");
        else if (protocol == ETH_P_IP)
                see_v4(p + ETH_HLEN, n - ETH_HLEN);
        else if (protocol == ETH_P_IPV6)
                see_v6(p + ETH_HLEN, n - ETH_HLEN);
}

/* When the kernel took the frame, on the clock of the tally: on a busy machine that is not when we get to read it. */
static uint64_t arrival(struct msghdr *m) {
        const uint64_t now = escape_now_us();
        struct timespec real, taken;

        clock_gettime(CLOCK_REALTIME, &real);
        for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
                if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS) {
                        memcpy(&taken, CMSG_DATA(c), sizeof(taken));
                        return now - (uint64_t) ((real.tv_sec - taken.tv_sec) * 1000000 +
                                                 (real.tv_nsec - taken.tv_nsec) / 1000);
                }
        return now;
}

static void sniff(int fd) {
        static uint8_t frame[1 << 16];
        char control[256];
        struct sockaddr_ll from;
        struct iovec iov = { frame, sizeof(frame) - 1 };

        for (;;) {
                struct msghdr m = { .msg_name = &from,
                                    .msg_namelen = sizeof(from),
                                    .msg_iov = &iov,
                                    .msg_iovlen = 1,
                                    .msg_control = control,
                                    .msg_controllen = sizeof(control) };
                const ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);

                if (n <= 0)
                        return;
                frame[n] = 0; /* atoi() ends there */
                arrived_us = arrival(&m);
                if (from.sll_pkttype != PACKET_OUTGOING)
                        see_frame(frame, (size_t) n, ntohs(from.sll_protocol));
        }
}

static int add(int epoll, int fd, uint64_t tag) {
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                         &(struct epoll_event) { EPOLLIN, { .u64 = tag << 32 | (uint32_t) fd } });
}

enum tag {
        TAG_SNIFF,
        TAG_LISTEN,
        TAG_LISTEN_SLOW,
        TAG_READ,
};

static void bind_port(int epoll, int type, int protocol, int port, enum tag tag) {
        const int small = 4096, one = 1;
        int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
        struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t) port) };

        /* the kernel may not have it */
        if (fd < 0 && protocol && errno != EMFILE)
                return;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (tag == TAG_LISTEN_SLOW)
                setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0) ||
            add(epoll, fd, tag) < 0) {
                perror("witness: bind");
                exit(1);
        }
}

static void take(int epoll, int listener, bool slowly) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0)
                return;
        if (slowly && n_slow < CONNECTIONS)
                slow[n_slow++] = fd;
        else if (add(epoll, fd, TAG_READ) < 0)
                close(fd);
}

static void drain(int fd) {
        char buf[1 << 16];
        ssize_t n = read(fd, buf, sizeof(buf));

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED))
                close(fd);
}

static void read_slowly(void) {
        char buf[SLOW_BYTES];

        for (int i = 0; i < n_slow; i++)
                (void) !read(slow[i], buf, sizeof(buf));
}

static uint16_t tcp_sum(const struct iphdr *ip, const struct tcphdr *t) {
        const struct {
                uint32_t from, to;
                uint16_t protocol, n;
                struct tcphdr t;
        } p = { ip->saddr, ip->daddr, htons(IPPROTO_TCP), htons(sizeof(*t)), *t };
        uint16_t w[sizeof(p) / 2];
        uint32_t sum = 0;

        memcpy(w, &p, sizeof(p));
        for (size_t i = 0; i < sizeof(p) / 2; i++)
                sum += w[i];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return (uint16_t) ~sum;
}

/* From another port each time. The kernel fills in the rest of the header. */
static void begin_connection(struct knock *k) {
        static uint16_t turn;
        struct {
                struct iphdr ip;
                struct tcphdr t;
        } p = { { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_TCP },
                { .source = htons((uint16_t) (30000 + turn++ % 10000)),
                  .dest = htons((uint16_t) (ESCAPE_PORT + k->n)),
                  .doff = 5,
                  .syn = 1,
                  .window = htons(1024) } };
        struct sockaddr_in to = { .sin_family = AF_INET };

        inet_pton(AF_INET, NOBODY, &p.ip.saddr);
        inet_pton(AF_INET, INSIDE, &p.ip.daddr);
        to.sin_addr.s_addr = p.ip.daddr;
        p.t.check = tcp_sum(&p.ip, &p.t);
        if (k->fd < 0)
                k->fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
        (void) sendto(k->fd, &p, sizeof(p), 0, (struct sockaddr *) &to, sizeof(to));
}

static void knock(struct knock *k, unsigned round) {
        struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t) (ESCAPE_PORT + k->n)) };
        char buf[4096];
        ssize_t n;

        if (k->how == 's') {
                if (round % 10 == 0)
                        begin_connection(k);
                return;
        }
        inet_pton(AF_INET, INSIDE, &to.sin_addr);
        if (k->fd < 0) {
                k->fd = socket(AF_INET, (k->how == 't' ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) !connect(k->fd, (struct sockaddr *) &to, sizeof(to));
        }
        /* long enough for an answer to be written in place */
        (void) !send(k->fd, "knock...............knock", 25, MSG_NOSIGNAL);
        n = recv(k->fd, buf, sizeof(buf), 0);
        if (k->how == 't' && (n == 0 || (n < 0 && errno != EAGAIN))) {
                close(k->fd);
                k->fd = -1;
        }
}

static void handle(int epoll, uint64_t data) {
        const int fd = (int) (uint32_t) data;
        const enum tag tag = data >> 32;

        if (tag == TAG_SNIFF)
                sniff(fd);
        else if (tag == TAG_READ)
                drain(fd);
        else
                take(epoll, fd, tag == TAG_LISTEN_SLOW);
}

int main(int argc, char *argv[]) {
        const int epoll = epoll_create1(EPOLL_CLOEXEC), big = 16 << 20, one = 1;
        int sniffer = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));
        /* four for each route, and who calls on them */
        const struct rlimit files = { 16 * ESCAPE_ROUTES, 16 * ESCAPE_ROUTES };
        struct epoll_event events[64];
        uint64_t due = 0;
        unsigned round = 0;

        (void) setrlimit(RLIMIT_NOFILE, &files);
        tally = escape_tally();
        if (!tally || sniffer < 0 || add(epoll, sniffer, TAG_SNIFF) < 0) {
                perror("witness");
                return 1;
        }
        setsockopt(sniffer, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
        setsockopt(sniffer, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
        for (int n = 1; n < ESCAPE_ROUTES; n++) {
                bind_port(epoll, SOCK_STREAM, 0, ESCAPE_PORT + n, TAG_LISTEN);
                bind_port(epoll, SOCK_STREAM, 0, ESCAPE_SLOW_PORT + n, TAG_LISTEN_SLOW);
                bind_port(epoll, SOCK_STREAM, IPPROTO_SCTP, ESCAPE_PORT + n, TAG_LISTEN);
                bind_port(epoll, SOCK_DGRAM, 0, ESCAPE_PORT + n, TAG_READ);
        }
        for (int i = 1; i < argc && n_knocks < ESCAPE_ROUTES; i++)
                knocks[n_knocks++] = (struct knock) { atoi(argv[i] + 1), -1, argv[i][0] };
        for (;;) {
                int n = epoll_wait(epoll, events, 64, 20);

                for (int i = 0; i < n; i++)
                        handle(epoll, events[i].data.u64);
                if (escape_now_us() < due)
                        continue;
                due = escape_now_us() + 20000;
                read_slowly();
                for (int i = 0; i < n_knocks; i++)
                        knock(&knocks[i], round);
                round++;
        }
}
