/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/member.h"
#include "ctl/rollout_look.h"
#include "ctl/times.h"

const char *rollout_look_str(enum rollout_look l) {
        static const char *const words[_ROLLOUT_LOOK_MAX] = {
#define X(name, word) [ROLLOUT_LOOK_##name] = word,
                ROLLOUT_LOOK_TABLE(X)
#undef X
        };

        return words[l];
}

bool rollout_look_is_good(const struct rollout_wave *w) {
        for (size_t i = 0; w->looks && i < w->calls.n; i++)
                if (w->looks[i] != ROLLOUT_LOOK_HELD)
                        return false;
        return true;
}

/* What comes late of the wave itself is not waited for any more. */
static int wait(struct rollout *r) {
        const int64_t end = mono_ms() + r->c->opt.wait_wave_ms;
        int x = 0;

        for (int64_t left; x == 0 && !rollout_is_stopped() && (left = end - mono_ms()) > 0;) {
                struct carrier_event *e = NULL;
                x = rollout_next(r, left, &e);
                free(e);
        }
        return x;
}

static int ask(struct rollout *r, const struct rollout_wave *w, const char *nonce) {
        struct subject s = { .kind = SUBJECT_ASK_HOST };
        char subject[SUBJECT_SIZE], query[160];
        int e = 0;

        (void) snprintf(query, sizeof(query), "{\"query\":\"status\",\"nonce\":\"%s\",\"hold\":\"%s\"}", nonce,
                        w->calls.id);
        memcpy(s.fleet, r->trust->fleet, sizeof(s.fleet));
        for (size_t i = 0; e == 0 && i < w->calls.n; i++) {
                memcpy(s.host, w->calls.v[i].host->key.id, sizeof(s.host));
                e = subject_build(&s, subject);
                if (e == 0)
                        e = carrier_say(r->carrier, subject, NULL, query, strlen(query));
        }
        return e < 0 ? carrier_failed(r->carrier, e, &r->c->why) : 0;
}

static enum rollout_look judge(const json_t *report, const char *hold) {
        json_t *h;
        size_t i;

        json_array_foreach(json_object_get(report, "holds"), i,
                           h) if (strcmp(member_str(h, "id"), hold) == 0) return receipt_state(h) ==
                                RECEIPT_STATE_CONTAINED &&
                        !receipt_contradicts_itself(h)
                ? ROLLOUT_LOOK_HELD
                : ROLLOUT_LOOK_NOT_HELD;
        return ROLLOUT_LOOK_NOT_HELD;
}

/* One message, under the name of a host that is tried and not believed. The first answer of each counts. */
static int take(struct rollout_wave *w, const struct carrier_event *e, const char *nonce, size_t *left) {
        struct receipt got = RECEIPT_NULL;
        struct subject s;

        if (subject_parse(e->subject, strlen(e->subject), &s) < 0 || s.kind != SUBJECT_RSP)
                return 0;
        const struct rollcall_entry *entry = rollcall_find(&w->calls, s.host);
        const size_t i = entry ? (size_t) (entry - w->calls.v) : 0;
        if (!entry || w->looks[i] != ROLLOUT_LOOK_SILENT)
                return 0;
        struct host one = *entry->host;
        const struct hosts known = { &one, 1 };
        const struct receipt_want want = {
                .type = DSSE_REPORT, .report = "status", .nonce = nonce, .hold = w->calls.id
        };
        int r = receipt_read(e->text, e->n, &known, &want, &got);
        if (r == 0 && got.kind == RECEIPT_SIGNED) {
                w->looks[i] = judge(got.payload, w->calls.id);
                (*left)--;
        }
        receipt_done(&got);
        return r;
}

static int listen_to(struct rollout *r, struct rollout_wave *w, const char *nonce) {
        const int64_t end = mono_ms() + (r->c->opt.timeout_ms ? r->c->opt.timeout_ms : ROLLOUT_TIMEOUT_MS);
        size_t silent = w->calls.n;
        int x = 0;

        for (int64_t left; x == 0 && silent > 0 && !rollout_is_stopped() && (left = end - mono_ms()) > 0;) {
                struct carrier_event *e = NULL;
                x = rollout_next(r, left, &e);
                if (e && take(w, e, nonce, &silent) < 0)
                        x = why_errno(&r->c->why, -ENOMEM, "answers");
                free(e);
        }
        return x;
}

int rollout_look(struct rollout *r, struct rollout_wave *w) {
        char answers[SUBJECT_SIZE], hex[33];
        struct command_id nonce;

        if (!r->cmd || r->cmd->plan || verb_info(r->cmd->verb)->cls != VERB_CLASS_STOP)
                return 0;
        int x = wait(r);
        if (x != 0 || rollout_is_stopped())
                return x;
        w->looks = calloc(w->calls.n, sizeof(*w->looks));
        if (!w->looks)
                return why_errno(&r->c->why, -ENOMEM, "answers");
        randombytes_buf(&nonce, sizeof(nonce));
        command_id_to_str(&nonce, hex);
        int e = subject_answers(r->trust->fleet, &nonce, answers);
        if (e < 0)
                return why_errno(&r->c->why, e, "subject");
        x = rollout_hear(r, answers);
        if (x == 0)
                x = ask(r, w, hex);
        return x == 0 ? listen_to(r, w, hex) : x;
}
