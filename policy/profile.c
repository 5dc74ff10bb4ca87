/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/profile.h"

#include <string.h>

static const struct profile_info infos[_PROFILE_MAX] = {
#define X(name, id_, memory_, window, deadline, bytes, text_) \
        [PROFILE_##name] = { .id = (id_),                     \
                             .text = (text_),                 \
                             .memory = (memory_),             \
                             .budget = { .window_ms = (window), .deadline_ms = (deadline), .max_bytes = (bytes) } },
        PROFILE_TABLE(X)
#undef X
};

const struct profile_info *profile_info(enum profile p) {
        return &infos[p];
}

bool profile_from_id(const char *id, enum profile *ret) {
        for (size_t i = 0; i < _PROFILE_MAX; i++)
                if (strcmp(id, infos[i].id) == 0) {
                        *ret = (enum profile) i;
                        return true;
                }
        return false;
}
