/* SPDX-License-Identifier: GPL-2.0-only */
#pragma once

/* What every program at the setsockopt hook has to do with an option that is not its business. */

#include <linux/bpf.h>

/* what the kernel shows of one to a program: a page */
#define OPTION_BYTES_SEEN 4096

/* One that is longer is refused by the kernel, unless its length is set to 0, which leaves it as it was. */
static __always_inline void sockopt_leave(struct bpf_sockopt *ctx) {
        if (ctx->optlen > OPTION_BYTES_SEEN)
                ctx->optlen = 0;
}
