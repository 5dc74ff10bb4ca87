/* SPDX-License-Identifier: Apache-2.0 */

/* socket KIND 4|6 new|before|inherited: sends over sockets of that kind: a new one each time, one of before the hold,
 * or one that was made before it in a cgroup of nobody, to which the hold does not reach. */

#include "tests/escape/routes/elsewhere.h"
#include "tests/escape/routes/kinds.h"

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named(argv[1]);
        const int af = argc > 2 && argv[2][0] == '6' ? AF_INET6 : AF_INET;
        const bool fresh = argc < 4 || strcmp(argv[3], "new") == 0;
        int fd;

        if (!fresh && strcmp(argv[3], "inherited") == 0)
                go_elsewhere();
        fd = kind_open(k, af);
        if (!fresh && strcmp(argv[3], "inherited") == 0)
                come_back();
        if (fd < 0)
                impossible("socket");
        for (;; nap_ms(50)) {
                if (fresh) {
                        close(fd);
                        fd = kind_open(k, af);
                }
                (void) kind_send(k, fd, af);
        }
}
