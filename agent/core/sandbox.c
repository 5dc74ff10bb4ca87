/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/sandbox.h"

#include <sys/socket.h>

#include <seccomp.h>

/* The families that stay: the gate and PID 1, and sock_diag. Everything below and between and above is refused. */
static const int kept[] = { AF_UNIX, AF_NETLINK };

static int refuse_families(scmp_filter_ctx ctx) {
        int r = 0, from = 0;

        for (size_t k = 0; k <= ELEMENTSOF(kept) && r == 0; k++) {
                if (k == ELEMENTSOF(kept))
                        return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                                SCMP_A0(SCMP_CMP_GT, (scmp_datum_t) kept[k - 1]));
                for (int family = from; family < kept[k] && r == 0; family++)
                        r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
                                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) family));
                from = kept[k] + 1;
        }
        return r;
}

int sandbox_no_network(void) {
        scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
        int r;

        if (!ctx)
                return -ENOMEM;
        r = refuse_families(ctx);
        if (r == 0)
                r = seccomp_load(ctx);
        seccomp_release(ctx);
        return r;
}
