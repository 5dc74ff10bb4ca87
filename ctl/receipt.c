/* SPDX-License-Identifier: Apache-2.0 */

#include <stdarg.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/receipt.h"
#include "ctl/text.h"

#define REFUSED "\"refused\""

static const struct {
        const char *id, *verdict;
        enum ctl_exit code;
} states[_RECEIPT_STATE_MAX] = {
#define X(name, id, verdict, code) [RECEIPT_STATE_##name] = { id, verdict, code },
        RECEIPT_STATE_TABLE(X)
#undef X
};

void receipt_done(struct receipt *r) {
        json_decref(r->payload);
        free(r->signed_text);
        *r = RECEIPT_NULL;
}

/* Everything that is not an answer ends here, without its payload. */
static void _printf_(2, 3) unverified(struct receipt *r, const char *fmt, ...) {
        va_list ap;

        receipt_done(r);
        va_start(ap, fmt);
        (void) vsnprintf(r->text, sizeof(r->text), fmt, ap);
        va_end(ap);
}

static json_t *load(const char *text, size_t n) {
        json_t *o = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);

        if (json_is_object(o))
                return o;
        json_decref(o);
        return NULL;
}

/* {"refused":"<reason id>","text":...}. A reason without effect on the exit code would turn a no into a yes: it becomes
 * INTERNAL. An envelope, whose payload is base64, is not parsed for it: of ten thousand that is a second. */
static bool read_refusal(const char *msg, size_t n, struct receipt *ret) {
        _cleanup_json_ json_t *o = memmem(msg, n, REFUSED, strlen(REFUSED)) ? load(msg, n) : NULL;
        const char *id = member_str(o, "refused");
        enum reason reason;

        if (!*id)
                return false;
        if (!reason_from_id(id, &reason) || reason_exit(reason) == CTL_OK)
                reason = REASON_INTERNAL;
        receipt_done(ret);
        ret->kind = RECEIPT_GATE;
        ret->reason = reason;
        const char *text = member_str(o, "text");
        (void) text_clean(*text ? text : reason_text(reason), ret->text, sizeof(ret->text));
        return true;
}

/* Finds the known host that signed, or says why none did. A host names its key, so only named keys are tried. */
static int find_signer(const struct dsse *d, const struct hosts *known, struct receipt *ret) {
        const struct host *named[DSSE_SIGS_MAX];
        struct sshkey keys[DSSE_SIGS_MAX];
        char id[SSHKEY_ID_SIZE] = "nobody";
        size_t n = 0;
        uint64_t signed_by = 0;
        enum reason reason = REASON_UNTRUSTED;

        for (size_t i = 0; i < d->n_sigs; i++) {
                const struct host *h = hosts_by_id(known, d->sigs[i].keyid);
                sshkey_id_to_str(d->sigs[i].keyid, id);
                if (!h)
                        continue;
                bool twice = false;
                for (size_t j = 0; j < n; j++)
                        twice |= named[j] == h;
                if (twice)
                        continue;
                named[n] = h;
                keys[n++] = h->key;
        }
        int r = n > 0 ? dsse_verify(d, keys, n, &signed_by, &reason) : 0;
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (reason == REASON_NONE && signed_by & UINT64_C(1) << i) {
                        ret->host = named[i];
                        return 0;
                }
        if (reason == REASON_SIGNATURE)
                unverified(ret, "it carries the name of host %s, but the signature is not by that host's key",
                           named[0]->name);
        else
                unverified(ret, "it is signed by %s, which is no known host", id);
        return 0;
}

static bool is_addressed(const struct receipt_want *want, const uint8_t id[static 32]) {
        for (size_t i = 0; i < want->n_hosts; i++)
                if (memcmp(want->hosts[i], id, 32) == 0)
                        return true;
        return want->n_hosts == 0;
}

/* A receipt is about an order by the digest of its bytes; the id is beside it so that people can find it. Only a
 * refusal may lack the id, because the host may not have been able to read it. */
static bool is_about(const json_t *p, const struct receipt_want *want) {
        char digest[TEXT_HEX32_SIZE];
        const json_t *told = receipt_told(p);
        const char *id = member_str(p, "id");
        bool refused = receipt_state(p) == RECEIPT_STATE_REFUSED;

        (void) text_hex32(want->digest, digest);
        if (strcmp(member_str(p, "digest"), digest) != 0)
                return false;
        /* the end of a hold is stored under its order, which the record of it may not name by its bytes any more */
        if (told != p && *member_str(told, "digest") && strcmp(member_str(told, "digest"), digest) != 0)
                return false;
        if (!want->id || (refused && !*id))
                return true;
        return strcmp(id, want->id) == 0 && (told == p || strcmp(member_str(told, "id"), want->id) == 0);
}

static void judge_payload(const json_t *p, const struct receipt_want *want, struct receipt *ret) {
        char id[SSHKEY_ID_SIZE];

        sshkey_id_to_str(ret->host->key.id, id);
        if (member_int(p, "v", 0) != 1)
                unverified(ret, "it is of a version that this freezectl does not know");
        else if (strcmp(member_str(p, "host"), id) != 0)
                unverified(ret, "host %s signed it in the name of another host", ret->host->name);
        else if (want->type == DSSE_REPORT && strcmp(member_str(p, "type"), want->report) != 0)
                unverified(ret, "host %s answered another question", ret->host->name);
        else if (want->type == DSSE_REPORT && strcmp(member_str(p, "nonce"), want->nonce) != 0)
                unverified(ret,
                           "host %s signed it, but not in answer to this question: it is an old report, played again",
                           ret->host->name);
        else if (want->type == DSSE_REPORT && strcmp(member_str(p, "hold"), want->hold ? want->hold : "") != 0)
                unverified(ret, "host %s was asked something else on the way: not about what you asked",
                           ret->host->name);
        else if (want->type == DSSE_RECEIPT && strcmp(member_str(p, "type"), "receipt") != 0)
                unverified(ret, "host %s answered another question", ret->host->name);
        else if (want->type == DSSE_RECEIPT && !is_about(p, want))
                unverified(ret, "host %s signed a receipt for another order", ret->host->name);
        else if (want->type == DSSE_RECEIPT && receipt_state(p) != RECEIPT_STATE_REFUSED &&
                 !is_addressed(want, ret->host->key.id))
                unverified(ret, "host %s answered, but the order is for another host", ret->host->name);
        else
                ret->kind = RECEIPT_SIGNED;
}

int receipt_read(const char *msg, size_t n, const struct hosts *known, const struct receipt_want *want,
                 struct receipt *ret) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;

        if (read_refusal(msg, n, ret))
                return 0;
        int r = dsse_parse(msg, n, &d, &reason);
        if (r < 0)
                return r;
        receipt_done(ret);
        if (reason != REASON_NONE) {
                unverified(ret, "it is no signed answer (%s)", reason_id(reason));
                return 0;
        }
        if (d.type != want->type) {
                unverified(ret, "it is not of the kind that was asked for");
                return 0;
        }
        r = find_signer(&d, known, ret);
        if (r < 0 || !ret->host)
                return r;
        ret->payload = load((const char *) d.payload, d.n_payload);
        if (!ret->payload)
                unverified(ret, "host %s signed something that is not JSON", ret->host->name);
        else
                judge_payload(ret->payload, want, ret);
        if (ret->kind == RECEIPT_SIGNED)
                ret->signed_text = (char *) TAKE_PTR(d.payload);
        return 0;
}

bool receipt_is_final(const struct receipt *r) {
        if (r->kind != RECEIPT_SIGNED)
                return true;
        const json_t *told = receipt_told(r->payload);
        const bool ended = receipt_state(told) != RECEIPT_STATE_DUPLICATE && !member_is_false(told, "final");
        size_t unknown;
        return !member_is_false(r->payload, "final") &&
               (ended || member_reasons(r->payload, "flags", &unknown) & reason_bit(REASON_LEDGER));
}

enum receipt_state receipt_state(const json_t *payload) {
        const char *id = member_str(payload, "state");
        enum receipt_state s = 0;

        while (s < _RECEIPT_STATE_MAX && strcmp(states[s].id, id) != 0)
                s++;
        return s;
}

const char *receipt_verdict(enum receipt_state s) {
        return s < _RECEIPT_STATE_MAX ? states[s].verdict : "NOT UNDERSTOOD";
}

enum reason receipt_refusal(const json_t *payload) {
        size_t unknown;
        const reason_set set = member_reasons(payload, "reasons", &unknown);

        if (receipt_state(payload) != RECEIPT_STATE_REFUSED)
                return REASON_NONE;
        for (enum reason r = 0; unknown == 0 && r < _REASON_MAX; r++)
                if (set & reason_bit(r))
                        return r;
        return _REASON_MAX;
}

const json_t *receipt_told(const json_t *payload) {
        const json_t *stored = json_object_get(payload, "receipt");

        return receipt_state(payload) == RECEIPT_STATE_DUPLICATE && json_is_object(stored) ? stored : payload;
}

static bool target_leaks(const json_t *t, bool freezes) {
        const char *path;
        json_t *result;

        if (json_array_size(json_object_get(t, "gaps")) > 0 || (freezes && member_is_false(t, "frozen")))
                return true;
        json_object_foreach(json_object_get(t, "selftest"), path,
                            result) if (json_is_string(result) &&
                                        strcmp(json_string_value(result), "leak") == 0) return true;
        return false;
}

bool receipt_contradicts_itself(const json_t *payload) {
        json_t *t;
        size_t i, unknown;
        enum verb verb;

        if (receipt_state(payload) != RECEIPT_STATE_CONTAINED)
                return false;
        bool freezes = verb_from_id(member_str(payload, "verb"), &verb) && verb_info(verb)->freezes;
        if (reason_set_has_kind(member_reasons(payload, "reasons", &unknown), REASON_KIND_GAP))
                return true;
        json_array_foreach(json_object_get(payload, "targets"), i, t) if (target_leaks(t, freezes)) return true;
        return false;
}

/* The first reason, in table order, that is more than a note. FAIL-CLOSED: one that this version does not know counts
 * as a gap. */
static int reasons_exit(const json_t *payload) {
        size_t unknown;
        reason_set set = member_reasons(payload, "reasons", &unknown);

        for (enum reason r = 0; r < _REASON_MAX; r++)
                if (set & reason_bit(r) && reason_exit(r) != CTL_OK)
                        return reason_exit(r);
        return unknown > 0 ? CTL_PARTIAL : CTL_OK;
}

/* A plan in which a target is missing is a plan that would fail. */
static int plan_exit(const json_t *payload) {
        size_t i;
        json_t *t;
        enum reason r;

        json_array_foreach(json_object_get(payload, "targets"), i,
                           t) if (*member_str(t, "missing")) return reason_from_id(member_str(t, "missing"), &r) &&
                        reason_exit(r) != CTL_OK
                ? reason_exit(r)
                : CTL_REFUSED;
        return reasons_exit(payload);
}

int receipt_exit(const struct receipt *r) {
        if (r->kind == RECEIPT_GATE)
                return reason_exit(r->reason);
        if (r->kind != RECEIPT_SIGNED)
                return CTL_MACHINE;

        const json_t *told = receipt_told(r->payload);
        enum receipt_state s = receipt_state(told);
        int by_reason = reasons_exit(told);
        if (s >= _RECEIPT_STATE_MAX)
                return CTL_MACHINE;
        if (s == RECEIPT_STATE_REFUSED)
                return by_reason == CTL_MACHINE ? CTL_MACHINE : CTL_REFUSED;
        if (states[s].code != CTL_OK)
                return states[s].code;
        /* what came of it is not known here */
        if (told != r->payload && member_is_false(told, "final"))
                return CTL_PARTIAL;
        if (s == RECEIPT_STATE_PLANNED)
                return plan_exit(told);
        /* a hold that was made once and is over now holds nothing, however it ended */
        if (strcmp(member_str(r->payload, "hold"), "ended") == 0)
                return reason_exit(REASON_NO_HOLD);
        return receipt_contradicts_itself(told) ? CTL_PARTIAL : by_reason;
}
