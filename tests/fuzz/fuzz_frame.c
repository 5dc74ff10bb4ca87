/* SPDX-License-Identifier: Apache-2.0 */

/* What the core gets from the gate, which may have been taken over. A frame that unpacks is within the table, and
 * packs to the very bytes that it came from: there is one message for one meaning, and no byte that nobody looks at. */

#include <string.h>

#include "policy/frame.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

/* The sizes once more, in other words than the table's. */
static bool size_is_right(const struct frame *f) {
        switch (f->kind) {
        case FRAME_COMMAND:
                return f->n_payload > 0 && f->n_payload <= DSSE_PAYLOAD_MAX;
        case FRAME_STATUS:
                return f->n_payload == 16 || f->n_payload == 32;
        case FRAME_HEALTH:
                return f->n_payload == 16;
        case FRAME_KEYS:
                return f->n_payload % 64 == 0 && f->n_payload / 64 <= DSSE_KEYS_MAX;
        case FRAME_REPLY:
                return f->n_payload > 0 && f->n_payload <= FRAME_REPLY_MAX;
        default:
                return f->n_payload == 1 && reason_id(f->payload[0]) && f->payload[0] != REASON_NONE;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ uint8_t *again = NULL;
        struct frame f = { .kind = _FRAME_KIND_MAX };
        size_t n = 0;
        int r;

        r = frame_unpack(data, size, &f);
        CHECK(r == 0 || r == -EBADMSG);
        if (r < 0) {
                CHECK(f.kind == _FRAME_KIND_MAX);
                return 0;
        }
        CHECK(f.kind < _FRAME_KIND_MAX && f.type < _DSSE_TYPE_MAX && f.n_sigs <= DSSE_SIGS_MAX && size <= FRAME_MAX);
        CHECK(f.payload + f.n_payload == data + size && size_is_right(&f));
        CHECK(f.kind == FRAME_COMMAND || (f.n_sigs == 0 && f.type == 0));
        CHECK(f.kind == FRAME_REPLY || !f.more);
        CHECK(f.kind == FRAME_COMMAND || !f.carried);

        again = malloc(size);
        CHECK(again);
        CHECK(frame_pack(&f, again, size - 1, &n) == -EMSGSIZE);
        CHECK(frame_pack(&f, again, size, &n) == 0 && n == size && memcmp(again, data, n) == 0);
        return 0;
}
