/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/anew.h"

#include <string.h>

#include "agent/util/log.h"

uint64_t anew_mark(const struct agent *a) {
        return a->ledger ? ledger_head(a->ledger).n : 0;
}

static bool is_recorded(const struct agent *a, const struct command_id *id) {
        const struct seen *s = hold_set_seen(a->holds, id);

        return s && s->order > 0;
}

/* FAIL-OPEN: a hold that could not be written down would be lost. */
static bool may_end(const struct agent *a) {
        for (size_t i = 0; i < hold_set_count(a->holds); i++)
                if (!is_recorded(a, &hold_set_at(a->holds, i)->id))
                        return false;
        return agent_ledger_ok(a);
}

bool anew_if_due(struct agent *a, int r, const struct command_id *id, uint64_t mark) {
        /* it may have run out for the id, before anything else */
        const bool recorded = hold_set_seen(a->holds, id) ? is_recorded(a, id) : anew_mark(a) > mark;

        if (r != -ENOMEM || !recorded || !may_end(a))
                return false;
        log_event(LOG_CRIT, NULL, LOG_FIELDS(.stage = "pipeline"),
                  "Memory ran out before an order that is recorded was carried through; the core starts anew to finish "
                  "it");
        (void) sd_event_exit(a->event, r);
        return true;
}

void anew_or_refuse(struct agent *a, int r, const struct command_id *id, const struct answer *to) {
        if (!anew_if_due(a, r, id, anew_mark(a)))
                link_refuse(to, REASON_INTERNAL);
}
