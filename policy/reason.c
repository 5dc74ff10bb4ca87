/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/reason.h"

#include <stddef.h>
#include <string.h>

static const struct {
        const char *id;
        const char *text;
        enum reason_kind kind;
        int exit_code;
} reasons[_REASON_MAX] = {
#define X(name, id, kind, exit_code, text) [REASON_##name] = { id, text, REASON_KIND_##kind, exit_code },
        REASON_TABLE(X)
#undef X
};

static bool is_known(enum reason r) {
        return (unsigned int) r < _REASON_MAX;
}

const char *reason_id(enum reason r) {
        return is_known(r) ? reasons[r].id : NULL;
}

const char *reason_text(enum reason r) {
        return reasons[is_known(r) ? r : REASON_INTERNAL].text;
}

enum reason_kind reason_kind(enum reason r) {
        /* FAIL-CLOSED: what cannot be named counts as a refusal. */
        return is_known(r) ? reasons[r].kind : REASON_KIND_REFUSE;
}

bool reason_may_pass(enum reason r) {
        return !is_known(r) || reasons[r].kind == REASON_KIND_WAIT || reasons[r].kind == REASON_KIND_FLAG;
}

int reason_exit(enum reason r) {
        return reasons[is_known(r) ? r : REASON_INTERNAL].exit_code;
}

bool reason_from_id(const char *id, enum reason *ret) {
        for (size_t i = 0; i < _REASON_MAX; i++)
                if (strcmp(reasons[i].id, id) == 0) {
                        *ret = (enum reason) i;
                        return true;
                }
        return false;
}

bool reason_set_has_kind(reason_set set, enum reason_kind kind) {
        for (size_t i = 0; i < _REASON_MAX; i++)
                if ((set & reason_bit((enum reason) i)) && reasons[i].kind == kind)
                        return true;
        return false;
}
