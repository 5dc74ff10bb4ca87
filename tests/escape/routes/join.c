/* SPDX-License-Identifier: Apache-2.0 */

/* join 4|6: packets that the kernel makes itself when it is asked something, with the number in the question: joining a
 * multicast group sends a report from no socket of ours. */

#include "tests/escape/routes/kinds.h"

#include <net/if.h>

int main(int argc, char *argv[]) {
        const bool six = argc > 1 && argv[1][0] == '6';

        for (;; nap_ms(50)) {
                int fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                struct ipv6_mreq m6 = { .ipv6mr_interface = if_nametoindex("host0") };
                struct ip_mreqn m4 = { .imr_ifindex = (int) if_nametoindex("host0") };
                char text[64];

                snprintf(text, sizeof(text), "239.77.0.%d", escape_number());
                inet_pton(AF_INET, text, &m4.imr_multiaddr);
                /* the mark's own bytes are the group */
                memcpy(&m6.ipv6mr_multiaddr, mark(), 12);
                memmove(m6.ipv6mr_multiaddr.s6_addr + 2, mark(), 12);
                m6.ipv6mr_multiaddr.s6_addr[0] = 0xff;
                m6.ipv6mr_multiaddr.s6_addr[1] = 0x05;
                if (six)
                        setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &m6, sizeof(m6));
                else
                        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m4, sizeof(m4));
                nap_ms(20);
                close(fd);
        }
}
