/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/exchange.h"
#include "ctl/inside.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/text.h"

#define PATH_SIZE 64U

/* What the same signed bytes are still good for: more signatures, or being sent again. A refusal for any other reason
 * is final. */
static bool is_worth_keeping(int answer, const struct receipt *r) {
        if (answer != 0 || r->kind == RECEIPT_UNVERIFIED)
                return true;
        if (r->kind == RECEIPT_GATE)
                return r->reason == REASON_BUSY;
        const json_t *told = receipt_told(r->payload);
        return receipt_state(told) == RECEIPT_STATE_REFUSED && json_array_size(json_object_get(told, "reasons")) == 1 &&
               strcmp(json_string_value(json_array_get(json_object_get(told, "reasons"), 0)) ?: "", "threshold") == 0;
}

/* Keeps the order in the working directory under a name that is its own. */
static bool keep(struct order *o, char path[static PATH_SIZE]) {
        char id[33];

        if (o->path || !o->file.command)
                return o->path != NULL;
        command_id_to_str(&o->file.command->id, id);
        (void) snprintf(path, PATH_SIZE, "./%s-%.8s.json", verb_info(o->file.command->verb)->id, id);
        int r = file_create(path, o->text, o->n, 0644);
        if (r < 0) {
                fprintf(stderr, "freezectl: the signed order could not be kept as %s: %s (use --out FILE)\n", path,
                        strerror(-r));
                return false;
        }
        o->path = path;
        return true;
}

static void tell_kept(const struct ctl *c, const struct order *o, const struct trust *t, int answer,
                      const struct receipt *r) {
        const struct page p = exchange_page(c);
        bool wants_people = answer == 0 && r->kind == RECEIPT_SIGNED;
        struct signatures s;
        const char *path = CLEAN(o->path);

        if (wants_people && signed_file_count(&o->file, t, &s) >= 0)
                render_signatures(&p, &o->file.env, &s);
        if (wants_people && o->file.command)
                render_row(&p, "valid until", "%s", TIME(o->file.command->exp_ms));
        fprintf(c->out, "The signed order is kept in %s. Next:\n", path);
        if (wants_people)
                fprintf(c->out, "  freezectl approve %s    (another person, with their own key)\n", path);
        fprintf(c->out, "  freezectl send %s\n", path);
}

static void summarise(struct ctl *c, const struct order *o, int answer, const struct receipt *r, int code, bool kept) {
        _cleanup_json_ json_t *more = json_object();
        uint8_t digest[32];
        char hex[TEXT_HEX32_SIZE], id[33];

        (void) crypto_hash_sha256(digest, o->file.env.payload, o->file.env.n_payload);
        (void) json_object_set_new(more, "digest", json_string(text_hex32(digest, hex)));
        if (o->file.command) {
                command_id_to_str(&o->file.command->id, id);
                (void) json_object_set_new(more, "id", json_string(id));
        }
        if (kept)
                (void) json_object_set_new(more, "file", json_string(o->path));
        exchange_json_host(c, answer, r, "receipt");
        exchange_json_summary(c, answer, r, code, more);
}

/* The page of an order that got no final answer. */
static void render_silent(const struct ctl *c, int answer, bool sent, const struct receipt *r) {
        const struct page p = exchange_page(c);

        if (r->kind == RECEIPT_SIGNED) {
                render_receipt(&p, r);
                render_verdict(&p, TONE_DOUBT, "UNFINISHED", "the state above is proven, the evidence is not: %s",
                               c->why.text);
                render_row(&p, "next", "send the same signed file again later: the host answers with its last receipt");
                return;
        }
        render_verdict(&p, TONE_BAD, answer == CTL_SILENT ? "SILENT" : "FAILED", "%s", c->why.text);
        render_row(&p, "next", "%s", sent ? render_advice(REASON_SILENT) : "nothing was sent, so nothing has happened");
}

/* The order goes out all the same: what has to stop is stopped, and only the answer waits. */
static void warn_inside(const struct command *cmd) {
        const struct target *t = cmd ? inside_any(cmd) : NULL;

        if (t)
                fprintf(stderr,
                        "freezectl: this session is inside %s and will be frozen with it before it can show the "
                        "answer: "
                        "ask for it with `freezectl status` from another session\n",
                        CLEAN(t->name));
}

int order_deliver(struct ctl *c, struct order *o, const struct hosts *known, const struct trust *t) {
        struct receipt r = RECEIPT_NULL;
        const struct command *cmd = o->file.command;
        uint8_t digest[32];
        char id[33] = "", path[PATH_SIZE];

        (void) crypto_hash_sha256(digest, o->file.env.payload, o->file.env.n_payload);
        if (cmd)
                command_id_to_str(&cmd->id, id);
        else if (o->file.trust)
                (void) sodium_bin2hex(id, sizeof(id), digest, sizeof(id) / 2);
        const struct attributes *a = o->file.attributes;
        const uint8_t(*hosts)[32] = cmd && cmd->to == COMMAND_TO_HOSTS ? (const uint8_t(*)[32]) cmd->hosts
                                    : a                                ? &a->key.id
                                                                       : NULL;
        struct exchange x = {
                o->text,
                o->n,
                known,
                { .type = DSSE_RECEIPT,
                  .id = *id ? id : NULL,
                  .digest = digest,
                  .hosts = hosts,
                  .n_hosts = !hosts ? 0
                             : a    ? 1
                                    : cmd->n_hosts },
                false,
        };
        warn_inside(cmd);
        int answer = exchange_run(c, &x, &r);
        int code = answer != 0 ? answer : receipt_exit(&r);
        const struct page p = exchange_page(c);

        if (!c->opt.json && answer != 0)
                render_silent(c, answer, x.sent, &r);
        else if (!c->opt.json)
                render_receipt(&p, &r);
        bool kept = is_worth_keeping(answer, &r) && keep(o, path);
        if (!c->opt.json && kept)
                tell_kept(c, o, t, answer, &r);
        summarise(c, o, answer, &r, code, kept);
        c->why.text[0] = '\0';
        receipt_done(&r);
        return code;
}
