/* SPDX-License-Identifier: Apache-2.0 */

/* tun new|before: a network device of its own, and packets written to it that the host then forwards: traffic of no
 * socket. */

#include "tests/escape/routes/kinds.h"

#include <net/if.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

static int open_tun(void) {
        struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
        char command[256];
        int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

        snprintf(r.ifr_name, sizeof(r.ifr_name), "esc%d", escape_number());
        if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0) {
                close(fd);
                return -1;
        }
        snprintf(command, sizeof(command), "ip addr add 10.78.%d.1/24 dev %s; ip link set %s up", escape_number(),
                 r.ifr_name, r.ifr_name);
        (void) !system(command);
        return fd;
}

/* from a neighbour on that device to the witness */
static size_t forwarded(uint8_t *buf) {
        size_t n = ip_packet(AF_INET, buf);
        struct iphdr ip;
        char from[64];

        memcpy(&ip, buf, sizeof(ip));
        snprintf(from, sizeof(from), "10.78.%d.2", escape_number());
        inet_pton(AF_INET, from, &ip.saddr);
        ip.check = 0;
        ip.check = ip_sum(&ip, sizeof(ip));
        memcpy(buf, &ip, sizeof(ip));
        return n;
}

int main(int argc, char *argv[]) {
        const bool fresh = argc > 1 && strcmp(argv[1], "new") == 0;
        uint8_t buf[256];
        int fd;

        if (system("mkdir -p /dev/net; test -e /dev/net/tun || mknod /dev/net/tun c 10 200; "
                   "mount -o remount,rw,bind /proc/sys 2>/dev/null; sysctl -qw net.ipv4.ip_forward=1 "
                   "net.ipv4.conf.all.rp_filter=0") < 0)
                impossible("sh");
        fd = open_tun();
        if (fd < 0)
                impossible("/dev/net/tun");
        for (;; nap_ms(50)) {
                if (fresh) {
                        close(fd);
                        fd = open_tun();
                        nap_ms(20);
                }
                (void) !write(fd, buf, forwarded(buf));
        }
}
