/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/ctl.h"
#include "ctl/order.h"
#include "ctl/text.h"

int verb_plan(struct ctl *c, char **words, size_t n) {
        enum verb verb;

        if (!verb_from_id(words[0], &verb) || verb_class_is_of_holds(verb_info(verb)->cls))
                return why_set(&c->why, CTL_USAGE, "plan wants contain, isolate, freeze or snapshot, not \"%s\"",
                               CLEAN(words[0]));
        return order_run(c, verb, true, words + 1, n - 1);
}
