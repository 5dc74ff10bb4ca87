/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/preserved.h"

#include "agent/util/collect_abi.h"

static const char *const state_ids[_PRESERVE_STATE_MAX] = {
#define X(name, id) [PRESERVE_##name] = id,
        PRESERVE_STATE_TABLE(X)
#undef X
};

const char *preserved_state_id(enum preserve_state s) {
        return s < _PRESERVE_STATE_MAX ? state_ids[s] : NULL;
}

json_t *preserved_flags_to_json(uint32_t flags) {
        static const struct {
                uint32_t flag;
                const char *id;
        } ids[] = {
#define X(name, bit, id) { COLLECT_##name, id },
                COLLECT_FLAG_TABLE(X)
#undef X
        };
        _cleanup_json_ json_t *a = json_array();

        for (size_t i = 0; a && i < ELEMENTSOF(ids); i++)
                if ((flags & ids[i].flag) && json_array_append_new(a, json_string(ids[i].id)) < 0)
                        return NULL;
        return TAKE_PTR(a);
}
