/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/answer.h"

#include <string.h>

#include "policy/dsse.h"
#include "policy/reason.h"
#include "policy/schema.h"
#include "policy/sshkey.h"

void answer_done(struct answer *a) {
        json_decref(a->payload);
        *a = ANSWER_NULL;
}

static const char *string_of(const json_t *o, const char *name) {
        const char *s = json_string_value(json_object_get(o, name));

        return s ? s : "";
}

static void read_missing(struct answer *a) {
        const json_t *list = json_object_get(a->payload, "missing"), *v;
        size_t i;

        json_array_foreach(list, i, v) {
                const char *id = json_string_value(v);

                if (id && a->n_missing < ANSWER_MISSING_MAX && command_id_from_str(id, &a->missing[a->n_missing]) == 0)
                        a->n_missing++;
        }
}

/* What names no command, because its bytes could not be read, has nobody to be told to. */
static int read_id(struct answer *a, const char *member) {
        const char *id = string_of(a->payload, member);

        a->attributes = a->kind == ANSWER_RECEIPT && strcmp(id, "attributes") == 0;
        return a->attributes || command_id_from_str(id, &a->id) == 0 ? 0 : -EBADMSG;
}

/* Of something that this version has no name for anything may be true. */
static bool may_pass(const char *id) {
        enum reason reason;

        return !reason_from_id(id, &reason) || reason_may_pass(reason);
}

/* All of it, in a receipt that refuses. */
static bool all_may_pass(const json_t *reasons) {
        const json_t *v;
        size_t i;

        json_array_foreach(reasons, i, v) if (!may_pass(json_string_value(v) ?: "")) return false;
        return json_array_size(reasons) > 0;
}

static bool has_flag(const struct answer *a, enum reason flag) {
        const json_t *v;
        size_t i;

        json_array_foreach(json_object_get(a->payload, "flags"), i, v) {
                const char *s = json_string_value(v);

                if (s && strcmp(s, reason_id(flag)) == 0)
                        return true;
        }
        return false;
}

/* Of a duplicate. One that carries no receipt is of an order that is under way, also where an older agent says that it
 * is final, unless nothing could be recorded of it. */
static bool is_last(const struct answer *a) {
        const json_t *stored = json_object_get(a->payload, "receipt");

        return a->final && ((json_is_object(stored) && !json_is_false(json_object_get(stored, "final"))) ||
                            has_flag(a, REASON_LEDGER));
}

static int read_payload(struct answer *a, bool is_receipt) {
        a->final = !json_is_false(json_object_get(a->payload, "final"));
        a->kind = is_receipt                                           ? ANSWER_RECEIPT
                  : strcmp(string_of(a->payload, "type"), "head") == 0 ? ANSWER_HEAD
                                                                       : ANSWER_REPORT;
        if (a->kind == ANSWER_HEAD)
                read_missing(a);
        if (is_receipt && strcmp(string_of(a->payload, "state"), "duplicate") == 0)
                a->later = !is_last(a);
        a->refused = is_receipt && strcmp(string_of(a->payload, "state"), "refused") == 0;
        a->may_pass = a->refused && all_may_pass(json_object_get(a->payload, "reasons"));
        if (strcmp(string_of(a->payload, is_receipt ? "state" : "type"), is_receipt ? "trusted" : "health") == 0)
                a->root = json_integer_value(json_object_get(json_object_get(a->payload, "trust"), "version"));
        return a->kind == ANSWER_HEAD ? 0 : read_id(a, is_receipt ? "id" : "nonce");
}

static int read_signed(const char *text, size_t n, struct answer *a) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;
        int r;

        r = dsse_parse(text, n, &d, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE || (d.type != DSSE_RECEIPT && d.type != DSSE_REPORT))
                return -EBADMSG;
        r = schema_json((const char *) d.payload, d.n_payload, &a->payload, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE || !json_is_object(a->payload))
                return -EBADMSG;
        return read_payload(a, d.type == DSSE_RECEIPT);
}

int answer_parse(const char *text, size_t n, struct answer *ret) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL;
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;
        int r;

        r = schema_json(text, n, &o, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE)
                return -EBADMSG;
        if (json_object_get(o, "refused")) {
                a = (struct answer) { .kind = ANSWER_REFUSAL, .final = true };
                a.may_pass = may_pass(string_of(o, "refused"));
                a.busy = strcmp(string_of(o, "refused"), reason_id(REASON_BUSY)) == 0;
                a.malformed = strcmp(string_of(o, "refused"), reason_id(REASON_MALFORMED)) == 0;
                a.for_others = strcmp(string_of(o, "refused"), reason_id(REASON_HOST)) == 0;
        } else {
                r = read_signed(text, n, &a);
        }
        if (r < 0)
                return r;
        *ret = a;
        a = ANSWER_NULL;
        return 0;
}

enum errand_verdict answer_verdict(const struct answer *a, enum errand what, enum errand_heard before) {
        const bool question = what == ERRAND_QUERY || what == ERRAND_OWN;

        if (a->busy || a->malformed)
                return a->busy ? ERRAND_AGAIN : ERRAND_BARE;
        /* What the host took is in force, whoever may not give it any more: its last receipt is still to come. */
        if (before == ERRAND_ANSWERED && (a->refused || a->kind == ANSWER_REFUSAL))
                return ERRAND_LATER;
        if (a->may_pass && !question)
                return ERRAND_WAIT;
        return a->later ? ERRAND_LATER : a->final ? ERRAND_DONE : ERRAND_MORE;
}

bool answer_is_new(const struct answer *a, enum errand_heard before) {
        return before == ERRAND_ANSWERED ? !a->refused && !a->later : before == ERRAND_NOTHING || !a->may_pass;
}

static void read_groups(const json_t *list, struct who *w) {
        const json_t *v;
        size_t i;

        json_array_foreach(list, i, v) {
                const char *s = json_string_value(v);

                if (!s || w->n_groups == WHO_GROUPS_MAX || !schema_is_name(s, sizeof(w->groups[0])))
                        continue;
                memcpy(w->groups[w->n_groups++], s, strlen(s) + 1);
        }
}

int answer_who(const struct answer *a, struct who *ret) {
        const char *fleet = string_of(json_object_get(a->payload, "trust"), "fleet");
        struct who w;

        memset(&w, 0, sizeof(w));
        if (a->kind != ANSWER_REPORT || strcmp(string_of(a->payload, "type"), "health") != 0 ||
            sshkey_id_from_str(string_of(a->payload, "host"), w.host) < 0)
                return -EBADMSG;
        if (schema_is_name(fleet, sizeof(w.fleet)))
                memcpy(w.fleet, fleet, strlen(fleet) + 1);
        read_groups(json_object_get(json_object_get(a->payload, "attributes"), "groups"), &w);
        w.carried = json_is_true(json_object_get(json_object_get(a->payload, "agent"), "carried"));
        memcpy(ret, &w, sizeof(w));
        return 0;
}
