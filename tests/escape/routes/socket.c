/* SPDX-License-Identifier: Apache-2.0 */

/* socket KIND 4|6 new|before|inherited|hoarded|kept: sends over sockets of that kind: a new one each time, one of
 * before the hold, or one that was made before it in a cgroup of nobody, to which the hold does not reach; or over many
 * of those, each of which is first put to use when its turn comes. Or it only has one, for an accomplice to take. */

#include "tests/escape/routes/elsewhere.h"
#include "tests/escape/routes/kinds.h"

#include <sys/resource.h>

#define HOARD 4000

static int hoard[HOARD];

static void fill_hoard(const struct kind *k, int af) {
        const struct rlimit many = { HOARD + 100, HOARD + 100 };

        if (setrlimit(RLIMIT_NOFILE, &many) < 0)
                impossible("as many descriptors");
        go_elsewhere();
        for (int i = 0; i < HOARD; i++)
                hoard[i] = kind_make(k, af);
        come_back();
}

static void spend_hoard(const struct kind *k, int af) {
        for (int i = 0; i < HOARD; i++, nap_ms(100)) {
                int fd = kind_point(k, hoard[i], af);

                (void) kind_send(k, fd, af);
                close(fd);
        }
}

static int open_elsewhere(const struct kind *k, int af) {
        int fd;

        go_elsewhere();
        fd = kind_open(k, af);
        come_back();
        return fd;
}

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named(argv[1]);
        const int af = argc > 2 && argv[2][0] == '6' ? AF_INET6 : AF_INET;
        const char *when = argc > 3 ? argv[3] : "new";
        const bool fresh = strcmp(when, "new") == 0;
        int fd;

        if (strcmp(when, "hoarded") == 0) {
                fill_hoard(k, af);
                spend_hoard(k, af);
        }
        fd = strcmp(when, "inherited") == 0 ? open_elsewhere(k, af) : kind_open(k, af);
        if (fd < 0)
                impossible("socket");
        while (strcmp(when, "kept") == 0)
                (void) pause();
        for (;; nap_ms(50)) {
                if (fresh) {
                        close(fd);
                        fd = kind_open(k, af);
                }
                (void) kind_send(k, fd, af);
        }
}
