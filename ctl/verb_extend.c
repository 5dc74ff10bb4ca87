/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/ctl.h"
#include "ctl/order.h"

int verb_extend(struct ctl *c, char **words, size_t n) {
        char(*targets)[TARGET_STR_SIZE] = NULL, **list = NULL;
        int x = 0;

        if (c->opt.lease_ms == 0)
                return why_set(&c->why, CTL_USAGE, "how long from now? give --lease D, as in --lease 15m");
        targets = calloc(n, sizeof(*targets));
        list = calloc(n, sizeof(*list));
        if (!targets || !list)
                x = why_errno(&c->why, -ENOMEM, "extend");
        for (size_t i = 0; x == 0 && i < n; i++) {
                list[i] = targets[i];
                x = order_hold_target(words[i], targets[i], &c->why);
        }
        if (x == 0)
                x = order_run(c, VERB_EXTEND, false, list, n);
        free(list);
        free(targets);
        return x;
}
