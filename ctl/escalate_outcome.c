/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/escalate_outcome.h"

static const struct {
        const char *id, *text;
} outcomes[_ESCALATE_OUTCOME_MAX] = {
#define X(name, id, text) [ESCALATE_OUTCOME_##name] = { id, text },
        ESCALATE_OUTCOME_TABLE(X)
#undef X
};

const char *escalate_outcome_id(enum escalate_outcome o) {
        return outcomes[o].id;
}

const char *escalate_outcome_text(enum escalate_outcome o) {
        return outcomes[o].text;
}
