/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/ctl.h"
#include "ctl/order.h"

/* contain, isolate, freeze and snapshot differ in nothing but the verb that is signed. */
int verb_contain(struct ctl *c, char **words, size_t n) {
        enum verb verb;

        if (!verb_from_id(c->verb->name, &verb))
                return why_set(&c->why, CTL_MACHINE, "%s: the protocol has no such verb", c->verb->name);
        return order_run(c, verb, false, words, n);
}
