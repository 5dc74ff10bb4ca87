/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/request.h"

#include <string.h>

#include "policy/command.h"

static const struct {
        const char *name;
        enum frame_kind kind;
        bool takes_hold;
} queries[] = {
        { "status", FRAME_STATUS, true },
        { "health", FRAME_HEALTH, false },
};

void request_done(struct request *r) {
        dsse_done(&r->envelope);
        *r = REQUEST_NULL;
}

/* Puts 16 bytes of hex behind what the core is asked. A nonce is written as an id is. */
static bool add_hex(struct request *r, const json_t *hex) {
        struct command_id id;

        if (!json_is_string(hex) || command_id_from_str(json_string_value(hex), &id) < 0)
                return false;
        memcpy(r->question + r->n_question, id.b, sizeof(id.b));
        r->n_question += sizeof(id.b);
        return true;
}

/* root has a member "query". */
static enum reason query_parse(const json_t *root, struct request *ret) {
        const char *name = json_string_value(json_object_get(root, "query"));
        const json_t *hold = json_object_get(root, "hold");
        struct request r = REQUEST_NULL;

        for (size_t i = 0; name && i < ELEMENTSOF(queries); i++)
                if (strcmp(queries[i].name, name) == 0 && (!hold || queries[i].takes_hold))
                        r.kind = queries[i].kind;
        if (r.kind == _FRAME_KIND_MAX || json_object_size(root) != (hold ? 3U : 2U))
                return REASON_MALFORMED;
        if (!add_hex(&r, json_object_get(root, "nonce")) || (hold && !add_hex(&r, hold)))
                return REASON_MALFORMED;
        *ret = r;
        return REASON_NONE;
}

/* What hosts are told; all of it goes to the core by the same frame. */
static bool is_for_hosts(enum dsse_type t) {
        return t == DSSE_COMMAND || t == DSSE_ATTRIBUTES || t == DSSE_HEAD || t == DSSE_TRUST;
}

static int envelope_parse(const char *text, size_t n, bool carried, struct request *ret, enum reason *ret_reason) {
        _cleanup_(request_done) struct request r = REQUEST_NULL;
        enum reason reason;
        int e;

        if (n > DSSE_ENVELOPE_MAX) {
                *ret_reason = REASON_OVERSIZE;
                return 0;
        }
        e = dsse_parse(text, n, &r.envelope, &reason);
        if (e < 0)
                return e;
        if (reason == REASON_NONE && !is_for_hosts(r.envelope.type))
                reason = REASON_TYPE;
        /* Nobody signs nothing, and the frame has no form for it. */
        if (reason == REASON_NONE && r.envelope.n_payload == 0)
                reason = REASON_MALFORMED;
        if (reason == REASON_NONE) {
                *ret = r;
                ret->kind = FRAME_COMMAND;
                ret->carried = carried;
                r = REQUEST_NULL;
        }
        *ret_reason = reason;
        return 0;
}

int request_parse(const char *text, size_t n, struct request *ret, enum reason *ret_reason) {
        const bool carried = carried_unwrap(&text, &n);
        _cleanup_json_ json_t *root = NULL;

        if (!carried && n <= REQUEST_QUERY_MAX)
                root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
        if (!json_object_get(root, "query"))
                return envelope_parse(text, n, carried, ret, ret_reason);
        *ret_reason = query_parse(root, ret);
        return 0;
}

void request_to_frame(const struct request *r, uint32_t number, struct frame *ret) {
        bool is_command = r->kind == FRAME_COMMAND;

        *ret = (struct frame) {
                .kind = r->kind,
                .number = number,
                .carried = r->carried,
                .type = is_command ? r->envelope.type : 0,
                .n_sigs = is_command ? r->envelope.n_sigs : 0,
                .payload = is_command ? r->envelope.payload : r->question,
                .n_payload = is_command ? r->envelope.n_payload : r->n_question,
        };
        memcpy(ret->sigs, r->envelope.sigs, ret->n_sigs * sizeof(ret->sigs[0]));
}

size_t request_refusal(enum reason reason, char ret[static REQUEST_REFUSAL_SIZE]) {
        const char *id = reason_id(reason);
        int n;

        /* The table's texts hold nothing that JSON would have to escape; a test reads every one of them back. */
        n = snprintf(ret, REQUEST_REFUSAL_SIZE, "{\"refused\":\"%s\",\"text\":\"%s\"}",
                     id ? id : reason_id(REASON_INTERNAL), reason_text(reason));
        return n < 0 ? 0 : MIN((size_t) n, REQUEST_REFUSAL_SIZE - 1U);
}
