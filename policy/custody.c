/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/custody.h"

#include <string.h>

enum offset { AT_NONCE = 0, AT_HOLD = 16, AT_SHA256 = 32, AT_ACT = 64 };

static const char *const ids[_CUSTODY_ACT_MAX] = {
#define X(name, id) [CUSTODY_##name] = id,
        CUSTODY_ACT_TABLE(X)
#undef X
};

void custody_pack(const struct custody *c, uint8_t ret[static CUSTODY_SIZE]) {
        memcpy(ret + AT_NONCE, c->nonce, sizeof(c->nonce));
        memcpy(ret + AT_HOLD, c->hold, sizeof(c->hold));
        memcpy(ret + AT_SHA256, c->sha256, sizeof(c->sha256));
        ret[AT_ACT] = (uint8_t) c->act;
}

int custody_unpack(const uint8_t *bytes, size_t n, struct custody *ret) {
        if (n != CUSTODY_SIZE || bytes[AT_ACT] >= _CUSTODY_ACT_MAX)
                return -EBADMSG;
        memcpy(ret->nonce, bytes + AT_NONCE, sizeof(ret->nonce));
        memcpy(ret->hold, bytes + AT_HOLD, sizeof(ret->hold));
        memcpy(ret->sha256, bytes + AT_SHA256, sizeof(ret->sha256));
        ret->act = bytes[AT_ACT];
        return 0;
}

const char *custody_act_id(enum custody_act a) {
        return ids[a];
}
