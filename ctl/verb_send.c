/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/text.h"

/* The file goes out as it is. What this freezectl cannot read it sends all the same: the host is the judge. */
int verb_send(struct ctl *c, char **words, size_t n) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        _cleanup_(order_done) struct order o = ORDER_NULL;
        _cleanup_trust_ struct trust *t = NULL;

        (void) n;
        if (c->opt.nats)
                return rollout_resume(c, words[0]);
        o.path = words[0];
        int x = signed_file_load(words[0], &o.file, &o.text, &o.n, &c->why);
        if (x != 0)
                return x;
        if (o.file.env.type == DSSE_TRUST)
                return why_set(&c->why, CTL_USAGE, "%s is a trust root: freezectl trust send %s", CLEAN(words[0]),
                               CLEAN(words[0]));
        if (o.file.env.type == DSSE_HEAD)
                return why_set(&c->why, CTL_USAGE, "%s is a head: heralds send them, and relays", CLEAN(words[0]));
        if (o.file.env.n_sigs == 0)
                return why_set(&c->why, CTL_USAGE, "%s is not signed yet: freezectl sign %s", CLEAN(words[0]),
                               CLEAN(words[0]));
        x = hosts_load(&c->opt, &known, &c->why);
        if (x != 0)
                return x;
        /* only to name people: an order that is signed must not be stopped by a trust root that cannot be read here */
        if (trustfile_load(&c->opt, &t, &c->why) != 0)
                c->why.text[0] = '\0';
        return order_deliver(c, &o, &known, t);
}
