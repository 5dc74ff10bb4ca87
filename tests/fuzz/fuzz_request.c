/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/gate/request.c */

/* What anyone on the host may send to the gate. Besides not crashing: what is taken becomes a frame that the core can
 * read and that says the same, and what is refused is refused for a reason of the bytes. */

#include <string.h>

#include "agent/gate/request.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

static bool is_for_hosts(enum dsse_type t) {
        return t == DSSE_COMMAND || t == DSSE_ATTRIBUTES || t == DSSE_HEAD || t == DSSE_TRUST;
}

static void check_frame(const struct request *r) {
        static uint8_t buf[FRAME_MAX];
        struct frame f, back;
        size_t n;

        request_to_frame(r, 0x01020304, &f);
        CHECK(frame_pack(&f, buf, sizeof(buf), &n) == 0);
        CHECK(frame_unpack(buf, n, &back) == 0);
        CHECK(frame_is_from_gate(back.kind) && back.kind == r->kind && back.number == 0x01020304 && !back.more);
        CHECK(back.n_payload == f.n_payload && memcmp(back.payload, f.payload, f.n_payload) == 0);
        CHECK(back.n_sigs == r->envelope.n_sigs);
        CHECK(memcmp(back.sigs, r->envelope.sigs, back.n_sigs * sizeof(back.sigs[0])) == 0);
        CHECK(back.carried == r->carried && (r->kind == FRAME_COMMAND || !r->carried));
        if (r->kind == FRAME_COMMAND)
                CHECK(back.type == r->envelope.type && is_for_hosts(back.type) && back.n_payload > 0);
        else
                CHECK(!r->envelope.payload &&
                      (back.n_payload == 16 || (back.n_payload == 32 && back.kind == FRAME_STATUS)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(request_done) struct request r = REQUEST_NULL;
        enum reason reason = _REASON_MAX;

        CHECK(request_parse((const char *) data, size, &r, &reason) == 0);
        if (reason == REASON_NONE) {
                CHECK(r.kind == FRAME_COMMAND || size <= REQUEST_QUERY_MAX);
                check_frame(&r);
                return 0;
        }
        CHECK(reason == REASON_OVERSIZE || reason == REASON_MALFORMED || reason == REASON_ENCODING ||
              reason == REASON_TYPE);
        CHECK(r.kind == _FRAME_KIND_MAX && !r.envelope.payload);
        return 0;
}
