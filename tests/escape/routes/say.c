/* SPDX-License-Identifier: Apache-2.0 */

/* say [KIND]: says the mark once, and ends. For scripts, and for whatever can be made to run a program. ESCAPE_N may be
 * the second argument, where there is no environment. */

#include "tests/escape/routes/kinds.h"

int main(int argc, char *argv[]) {
        const struct kind *k = kind_named(argc > 1 ? argv[1] : "udp");
        int fd;

        if (argc > 2)
                setenv("ESCAPE_N", argv[2], 1);
        fd = kind_open(k, AF_INET);
        return fd < 0 || kind_send(k, fd, AF_INET) < 0;
}
