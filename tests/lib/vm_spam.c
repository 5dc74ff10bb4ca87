/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service that must not be heard: from its first instruction on and every 5 ms it sends its mark to 10.77.0.1, in a
 * UDP packet to port 7000 and down a TCP connection to port 7001 that it opens again whenever it is lost. With an
 * interface it also sends the mark in Ethernet frames, and brings the interface up for that, so that it waits for
 * nobody's network configuration. Linked statically, so that nothing comes before it.
 *
 *   vm_spam MARK [INTERFACE]
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 5000000
#define ETHERTYPE 0x88b5 /* for local experiments */

static const char *mark;

static struct sockaddr_in to(int port) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

        inet_pton(AF_INET, "10.77.0.1", &a.sin_addr);
        return a;
}

static void send_udp(void) {
        const struct sockaddr_in a = to(7000);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void) sendto(fd, mark, strlen(mark), MSG_DONTWAIT, (const struct sockaddr *) &a, sizeof(a));
        (void) close(fd);
}

static void send_tcp(void) {
        static int fd = -1;
        const struct sockaddr_in a = to(7001);

        if (fd < 0) {
                fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) connect(fd, (const struct sockaddr *) &a, sizeof(a));
        }
        if (send(fd, mark, strlen(mark), MSG_NOSIGNAL) < 0) {
                socklen_t n = sizeof(int);
                int e = 0;

                if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &n) < 0 || e) {
                        (void) close(fd);
                        fd = -1;
                }
        }
}

static void send_frame(const char *interface) {
        struct ifreq ifr = { 0 };
        struct sockaddr_ll a = { .sll_family = AF_PACKET,
                                 .sll_protocol = htons(ETHERTYPE),
                                 .sll_halen = 6,
                                 .sll_addr = { 255, 255, 255, 255, 255, 255 } };
        int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        strncpy(ifr.ifr_name, interface, IFNAMSIZ - 1);
        if (ioctl(fd, SIOCGIFFLAGS, &ifr) == 0 && !(ifr.ifr_flags & IFF_UP)) {
                ifr.ifr_flags |= IFF_UP;
                (void) ioctl(fd, SIOCSIFFLAGS, &ifr);
        }
        a.sll_ifindex = (int) if_nametoindex(interface);
        (void) sendto(fd, mark, strlen(mark), MSG_DONTWAIT, (const struct sockaddr *) &a, sizeof(a));
        (void) close(fd);
}

int main(int argc, char **argv) {
        mark = argc > 1 ? argv[1] : "mark";
        for (;;) {
                const struct timespec period = { .tv_nsec = PERIOD_NS };

                send_udp();
                send_tcp();
                if (argc > 2)
                        send_frame(argv[2]);
                (void) nanosleep(&period, NULL);
        }
}
