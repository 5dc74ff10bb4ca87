/* SPDX-License-Identifier: Apache-2.0 */

/* hotplug INTERFACE MARK: waits for an interface of that name to appear, without ever sleeping, brings it up and sends
 * frames with the mark through it for two seconds, as fast as it goes. Prints how many the kernel took, and how many
 * microseconds after the interface was there the last of them was. */

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#define FOR_US (2 * 1000 * 1000)

static int64_t now_us(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_MONOTONIC, &t);
        return t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

int main(int argc, char **argv) {
        const int fd = socket(AF_PACKET, SOCK_RAW, 0);
        struct ifreq up = { .ifr_flags = IFF_UP };
        struct sockaddr_ll to = { .sll_family = AF_PACKET };
        char frame[60] = { 2, [6] = 2, [12] = (char) 0x88, [13] = (char) 0xb5 };
        int64_t start, last = 0;
        long n = 0;

        if (argc != 3 || fd < 0)
                return 1;
        (void) snprintf(up.ifr_name, sizeof(up.ifr_name), "%s", argv[1]);
        (void) snprintf(frame + 14, sizeof(frame) - 14, "%s", argv[2]);
        while (!(to.sll_ifindex = (int) if_nametoindex(argv[1])))
                ;
        start = now_us();
        if (ioctl(fd, SIOCSIFFLAGS, &up) < 0 || bind(fd, (const struct sockaddr *) &to, sizeof(to)) < 0)
                return 1;
        while (now_us() - start < FOR_US)
                if (send(fd, frame, sizeof(frame), 0) > 0) {
                        n++;
                        last = now_us() - start;
                }
        return printf("%ld %lld\n", n, (long long) last) < 0;
}
