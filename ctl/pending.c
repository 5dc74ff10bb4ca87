/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/board.h"
#include "ctl/brokerfile.h"
#include "ctl/exchange.h"
#include "ctl/order.h"
#include "ctl/pending.h"
#include "ctl/text.h"

static int open_carrier(struct ctl *c, const struct trust *t, struct carrier **ret) {
        struct broker b;

        if (!t)
                return why_set(&c->why, CTL_MACHINE, "there is no %s here: give --trust FILE", TRUSTFILE_PATH);
        int x = brokerfile_load(c->opt.nats, &b, &c->why);
        return x == 0 ? carrier_open(&b, ret, &c->why) : x;
}

int pending_get(struct ctl *c, const struct trust *t, const struct command_id *id, struct signed_file *ret) {
        _cleanup_(carrier_freep) struct carrier *carrier = NULL;
        struct quorum q = QUORUM_NULL;

        int x = open_carrier(c, t, &carrier);
        if (x == 0)
                x = board_find(carrier, t, id, order_now_ms(), &q, &c->why);
        if (x == 0)
                *ret = q.file;
        return x;
}

int pending_put(struct ctl *c, const struct trust *t, struct signed_file *f) {
        _cleanup_(carrier_freep) struct carrier *carrier = NULL;
        struct quorum q = { .file = *f };

        int x = open_carrier(c, t, &carrier);
        if (x == 0)
                x = board_put(carrier, t, &q, order_now_ms(), &c->why);
        *f = q.file;
        return x;
}

static json_t *people(const struct trust *t, uint64_t bits) {
        json_t *a = json_array();

        for (size_t i = 0; i < t->n_people; i++)
                if (bits & UINT64_C(1) << i)
                        (void) json_array_append_new(a, json_string(t->people[i]));
        return a;
}

static json_t *targets(const struct command *c) {
        json_t *a = json_array();

        for (size_t i = 0; i < c->n_targets; i++) {
                char text[TARGET_STR_SIZE];
                target_to_str(&c->targets[i], text, sizeof(text));
                (void) json_array_append_new(a, json_string(text));
        }
        return a;
}

static void tell_json(struct ctl *c, const struct trust *t, const struct quorum *q) {
        const struct command *cmd = q->file.command;
        const struct address to = command_address(cmd);
        char id[33];

        command_id_to_str(&cmd->id, id);
        _cleanup_json_ json_t *o =
                json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:i,s:I,s:s}", "id", id, "verb", verb_info(cmd->verb)->id, "to",
                          address_to_json(&to), "targets", targets(cmd), "signed_by", people(t, q->s.now.people),
                          "may_sign", people(t, quorum_may_sign(q, t)), "missing", (int) quorum_missing(q),
                          "expires_ms", (json_int_t) cmd->exp_ms, "reason", cmd->reason);
        exchange_json_line(c, o);
}

static void tell_may_sign(const struct page *p, const struct trust *t, uint64_t bits) {
        const char *label = "may sign";

        for (size_t i = 0; i < t->n_people; i++)
                if (bits & UINT64_C(1) << i) {
                        render_row(p, label, "%s", t->people[i]);
                        label = NULL;
                }
}

static void tell_one(struct ctl *c, const struct trust *t, const struct quorum *q) {
        const struct page p = exchange_page(c);
        const struct command *cmd = q->file.command;
        const unsigned missing = quorum_missing(q);
        char id[33];

        command_id_to_str(&cmd->id, id);
        render_verdict(&p, missing ? TONE_DOUBT : TONE_GOOD, missing ? "PENDING" : "COMPLETE", "%s, %u missing: %s",
                       verb_info(cmd->verb)->id, missing, CLEAN(cmd->reason));
        for (size_t i = 0; i < cmd->n_targets; i++) {
                char text[TARGET_STR_SIZE];
                target_to_str(&cmd->targets[i], text, sizeof(text));
                render_row(&p, i == 0 ? "targets" : NULL, "%s", CLEAN(text));
        }
        render_signatures(&p, &q->file.env, &q->s);
        if (missing)
                tell_may_sign(&p, t, quorum_may_sign(q, t));
        render_row(&p, "valid until", "%s", TIME(cmd->exp_ms));
        render_row(&p, "next", "freezectl %s %s --nats %s", missing ? "approve" : "send", id, CLEAN(c->opt.nats));
}

static int tell_summary(struct ctl *c, const struct board *b) {
        const int code = b->more ? CTL_PARTIAL : CTL_OK;
        size_t missing = 0;

        for (size_t i = 0; i < b->n; i++)
                missing += quorum_missing(&b->v[i]) > 0;
        if (c->opt.json) {
                _cleanup_json_ json_t *o =
                        json_pack("{s:{s:I,s:I,s:I,s:I,s:b,s:i}}", "summary", "pending", (json_int_t) missing,
                                  "complete", (json_int_t) (b->n - missing), "expired", (json_int_t) b->expired,
                                  "forged", (json_int_t) b->forged, "more", b->more, "exit", code);
                exchange_json_line(c, o);
                c->summarised = true;
                return code;
        }
        fprintf(c->out, "%zu lack signatures, %zu are complete", missing, b->n - missing);
        if (b->expired > 0)
                fprintf(c->out, ", %zu have expired", b->expired);
        if (b->forged > 0)
                fprintf(c->out, "; %zu not shown: nobody signed them who may order such a thing", b->forged);
        fputs(b->more ? "; and there is more\n" : "\n", c->out);
        return code;
}

int pending_list(struct ctl *c, const struct trust *t) {
        _cleanup_(carrier_freep) struct carrier *carrier = NULL;
        _cleanup_(board_freep) struct board *b = NULL;

        int x = open_carrier(c, t, &carrier);
        if (x == 0)
                x = board_read(carrier, t, order_now_ms(), &b, &c->why);
        if (x != 0)
                return x;
        for (size_t i = 0; i < b->n; i++)
                if (c->opt.json)
                        tell_json(c, t, &b->v[i]);
                else
                        tell_one(c, t, &b->v[i]);
        return tell_summary(c, b);
}
