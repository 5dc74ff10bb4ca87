/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service that must not be heard: from its first instruction on and every 20 ms it sends its mark to 10.77.0.1, in
 * a UDP packet to PORT and down a TCP connection to the port after it that it opens again whenever it is lost. With an
 * interface it also sends the mark in Ethernet frames, and brings the interface up for that, so that it waits for
 * nobody's network configuration. Linked statically, so that nothing comes before it. PORT is in the environment, 7000
 * when it is not: what a connection needs besides the mark is told by its port.
 *
 *   vm_spam MARK [INTERFACE]
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 20000000
#define ETHERTYPE 0x88b5 /* for local experiments */

static const char *mark;
static int port = 7000;

static struct sockaddr_in to(int to_port) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(to_port) };

        inet_pton(AF_INET, "10.77.0.1", &a.sin_addr);
        return a;
}

static void send_udp(void) {
        const struct sockaddr_in a = to(port);
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        (void) sendto(fd, mark, strlen(mark), MSG_DONTWAIT, (const struct sockaddr *) &a, sizeof(a));
        (void) close(fd);
}

static void send_tcp(void) {
        static int fd = -1;
        const struct sockaddr_in a = to(port + 1);

        if (fd < 0) {
                fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                (void) connect(fd, (const struct sockaddr *) &a, sizeof(a));
        }
        /* also when there was no way to anywhere yet */
        if (send(fd, mark, strlen(mark), MSG_NOSIGNAL) < 0 && errno != EAGAIN) {
                (void) close(fd);
                fd = -1;
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
        if (getenv("PORT"))
                port = atoi(getenv("PORT"));
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
