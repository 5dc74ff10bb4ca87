/* SPDX-License-Identifier: Apache-2.0 */

/* packet raw|dgram|bypass|ring new|before: whole frames through AF_PACKET, also past the queueing discipline and
 * through a ring in shared memory; over a socket of before the hold or a new one each time. */

#include "tests/escape/routes/kinds.h"

#include <net/if.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#define FRAME 2048

static void *ring;
static unsigned turn;

static int open_socket(const char *how) {
        const struct tpacket_req req = {
                .tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = FRAME, .tp_frame_nr = 2
        };
        struct sockaddr_ll a = { .sll_family = AF_PACKET,
                                 .sll_protocol = 0,
                                 .sll_ifindex = (int) if_nametoindex("host0") };
        int fd = socket(AF_PACKET, (strcmp(how, "dgram") == 0 ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC, 0), one = 1;

        if (fd < 0)
                return -1;
        if (strcmp(how, "bypass") == 0)
                setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                impossible("bind to host0");
        if (strcmp(how, "ring") == 0) {
                turn = 0;
                if (ring)
                        munmap(ring, 4096);
                if (setsockopt(fd, SOL_PACKET, PACKET_TX_RING, &req, sizeof(req)) < 0)
                        impossible("PACKET_TX_RING");
                ring = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                if (ring == MAP_FAILED)
                        impossible("mmap of the ring");
        }
        return fd;
}

static size_t frame(uint8_t *buf) {
        struct ethhdr eth = { .h_proto = htons(ETH_P_IP) };

        memset(eth.h_dest, 0xff, sizeof(eth.h_dest));
        memcpy(buf, &eth, sizeof(eth));
        return sizeof(eth) + ip_packet(AF_INET, buf + sizeof(eth));
}

static void send_frame(int fd, const char *how) {
        struct sockaddr_ll to = { .sll_family = AF_PACKET,
                                  .sll_protocol = htons(ETH_P_IP),
                                  .sll_halen = 6,
                                  .sll_ifindex = (int) if_nametoindex("host0") };
        struct tpacket_hdr *slot = ring ? (void *) ((uint8_t *) ring + turn++ % 2 * FRAME) : NULL;
        uint8_t buf[256];
        size_t n = frame(buf);

        memset(to.sll_addr, 0xff, 6);
        if (strcmp(how, "dgram") == 0) {
                (void) sendto(fd, buf + ETH_HLEN, n - ETH_HLEN, 0, (struct sockaddr *) &to, sizeof(to));
        } else if (slot) {
                memcpy((uint8_t *) slot + TPACKET_HDRLEN - sizeof(struct sockaddr_ll), buf, n);
                slot->tp_len = (unsigned) n;
                slot->tp_status = TP_STATUS_SEND_REQUEST;
                (void) send(fd, NULL, 0, MSG_DONTWAIT);
        } else {
                (void) send(fd, buf, n, 0);
        }
}

int main(int argc, char *argv[]) {
        const char *how = argv[1];
        int fd = open_socket(how);

        if (fd < 0)
                impossible("AF_PACKET");
        for (;; nap_ms(50)) {
                if (argc > 2 && strcmp(argv[2], "new") == 0) {
                        int next = open_socket(how);

                        close(fd);
                        if (next < 0) {
                                ring = NULL;
                                continue;
                        }
                        fd = next;
                }
                send_frame(fd, how);
        }
}
