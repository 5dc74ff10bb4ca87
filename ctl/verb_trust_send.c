/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/text.h"

/* The host is the judge, with the trust root that it has; what is certain to be refused is not sent. */
static int judge(struct ctl *c, const char *path, const struct signed_file *f, const struct trust *t) {
        struct signatures s;
        int r = signed_file_count(f, t, &s);

        if (r < 0)
                return why_errno(&c->why, r, "signatures");
        if (t && strcmp(t->fleet, f->trust->fleet) != 0)
                return why_set(&c->why, reason_exit(REASON_FLEET), "%s is of the fleet %s, and here is %s", CLEAN(path),
                               f->trust->fleet, t->fleet);
        if (!s.enough)
                return why_set(&c->why, reason_exit(REASON_TRUST_CHAIN),
                               "nothing was sent: it lacks signatures of root people%s: freezectl sign %s",
                               s.before ? " of this version or the one before" : "", CLEAN(path));
        return 0;
}

int verb_trust_send(struct ctl *c, char **words, size_t n) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        _cleanup_(order_done) struct order o = ORDER_NULL;
        _cleanup_trust_ struct trust *t = NULL;

        (void) n;
        o.path = words[0];
        int x = signed_file_load(words[0], &o.file, &o.text, &o.n, &c->why);
        if (x == 0 && !o.file.trust)
                x = why_set(&c->why, CTL_USAGE, "%s is no trust root", CLEAN(words[0]));
        if (x == 0)
                x = trustfile_load(&c->opt, &t, &c->why);
        if (x == 0)
                x = judge(c, words[0], &o.file, t);
        if (x != 0 || c->opt.nats)
                return x != 0 ? x : rollout_root(c, &o.file, t);
        x = hosts_load(&c->opt, &known, &c->why);
        return x != 0 ? x : order_deliver(c, &o, &known, t);
}
