/* SPDX-License-Identifier: Apache-2.0 */

/* xdp: frames from memory straight to the device through an AF_XDP socket in copy mode. */

#include "tests/escape/routes/kinds.h"

#include <net/if.h>

#include <linux/if_ether.h>
#include <linux/if_xdp.h>

#define FRAMES 64
#define FRAME  2048

static struct {
        uint8_t *umem;
        uint32_t *tx_producer, *done_producer, *done_consumer;
        struct xdp_desc *tx;
        int fd;
} x;

static void *map(size_t size, off_t at) {
        void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, x.fd, at);

        if (p == MAP_FAILED)
                impossible("mmap of an AF_XDP ring");
        return p;
}

static void open_socket(void) {
        struct xdp_umem_reg reg = { .len = FRAMES * FRAME, .chunk_size = FRAME };
        struct sockaddr_xdp a = { .sxdp_family = AF_XDP,
                                  .sxdp_flags = XDP_COPY,
                                  .sxdp_ifindex = if_nametoindex("host0") };
        struct xdp_mmap_offsets off;
        socklen_t size = sizeof(off);
        const int n = FRAMES;
        uint8_t *ring;

        x.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
        if (x.fd < 0)
                impossible("AF_XDP");
        x.umem = mmap(NULL, FRAMES * FRAME, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        reg.addr = (uintptr_t) x.umem;
        if (setsockopt(x.fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)) < 0 ||
            setsockopt(x.fd, SOL_XDP, XDP_UMEM_FILL_RING, &n, sizeof(n)) < 0 ||
            setsockopt(x.fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, &n, sizeof(n)) < 0 ||
            setsockopt(x.fd, SOL_XDP, XDP_TX_RING, &n, sizeof(n)) < 0 ||
            getsockopt(x.fd, SOL_XDP, XDP_MMAP_OFFSETS, &off, &size) < 0)
                impossible("AF_XDP rings");
        ring = map(off.tx.desc + FRAMES * sizeof(struct xdp_desc), XDP_PGOFF_TX_RING);
        x.tx_producer = (uint32_t *) (ring + off.tx.producer);
        x.tx = (struct xdp_desc *) (ring + off.tx.desc);
        ring = map(off.cr.desc + FRAMES * sizeof(uint64_t), XDP_UMEM_PGOFF_COMPLETION_RING);
        x.done_producer = (uint32_t *) (ring + off.cr.producer);
        x.done_consumer = (uint32_t *) (ring + off.cr.consumer);
        if (bind(x.fd, (struct sockaddr *) &a, sizeof(a)) < 0)
                impossible("bind of AF_XDP to host0");
}

int main(void) {
        struct ethhdr eth = { .h_proto = htons(ETH_P_IP) };

        memset(eth.h_dest, 0xff, sizeof(eth.h_dest));
        open_socket();
        for (uint32_t i = 0;; i++, nap_ms(50)) {
                uint8_t *p = x.umem + i % FRAMES * FRAME;

                memcpy(p, &eth, sizeof(eth));
                x.tx[i % FRAMES] =
                        (struct xdp_desc) { .addr = i % FRAMES * FRAME,
                                            .len = (uint32_t) (ETH_HLEN + ip_packet(AF_INET, p + ETH_HLEN)) };
                __atomic_store_n(x.tx_producer, i + 1, __ATOMIC_RELEASE);
                (void) sendto(x.fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
                *x.done_consumer = __atomic_load_n(x.done_producer, __ATOMIC_ACQUIRE);
        }
}
