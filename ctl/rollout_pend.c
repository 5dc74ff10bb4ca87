/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/board.h"
#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/text.h"

#define PATH_SIZE 64U

int rollout_judge(struct rollout *r, const struct bundle_order *o, bool *ret_lacks) {
        struct tally t;
        int e = tally_command(r->trust, &o->env, o->command, &t);

        *ret_lacks = false;
        if (e < 0)
                return why_errno(&r->c->why, e, "signatures");
        if (t.reason == REASON_SIGNATURE || o->env.n_sigs == 0)
                return why_set(&r->c->why, reason_exit(REASON_SIGNATURE),
                               "nothing was sent: it is not signed, or a signature on it does not match");
        if (o->command->verb == VERB_RELEASE && (t.reason != REASON_NONE || t.need == 0))
                return why_set(
                        &r->c->why, reason_exit(REASON_ROLE),
                        "nothing was sent: by the trust root here, version %lld, nobody who signed it may release "
                        "this; if the hosts have a newer one: --trust FILE",
                        (long long) r->trust->version);
        if (o->command->verb == VERB_RELEASE && t.have >= t.need && t.key < 0)
                return why_set(&r->c->why, reason_exit(REASON_FOREIGN_ID),
                               "nothing was sent: its id is of no key that signed it; order it anew");
        if (t.reason != REASON_NONE || t.need == 0 || t.have >= t.need)
                return 0;
        *ret_lacks = true;
        return why_set(&r->c->why, reason_exit(REASON_THRESHOLD),
                       "nothing was sent: %u of the %u people of the role %s that it takes have signed it", t.have,
                       t.need, t.role);
}

static void tell_json(struct rollout *r, const char *path, const char *id, const struct signatures *s, bool hangs) {
        _cleanup_json_ json_t *line =
                json_pack("{s:{s:s,s:s,s:b,s:b,s:i,s:i,s:s,s:i}}", "summary", "file", path, "id", id, "sent", 0,
                          "pending", hangs, "signatures", (int) s->now.have, "needed", (int) s->now.need, "error",
                          r->c->why.text, "exit", CTL_REFUSED);

        exchange_json_line(r->c, line);
        r->c->summarised = true;
}

static void tell(struct rollout *r, const char *path, const struct bundle_order *o, const struct signatures *s,
                 bool hangs) {
        const struct page p = exchange_page(r->c);
        const char *nats = CLEAN(r->c->opt.nats);
        char id[33];

        command_id_to_str(&o->command->id, id);
        if (r->c->opt.json) {
                tell_json(r, path, id, s, hangs);
                return;
        }
        render_verdict(&p, TONE_DOUBT, "NOT SENT", "more people have to sign it");
        render_signatures(&p, &o->env, s);
        render_row(&p, "id", "%s", id);
        render_row(&p, "valid until", "%s", TIME(o->command->exp_ms));
        if (hangs)
                fprintf(p.f,
                        "It waits at the broker. Next, another person with their own key, and then anybody:\n"
                        "  freezectl approve %s --nats %s\n  freezectl send %s --nats %s\n",
                        id, nats, id, nats);
        else
                render_row(&p, "trouble", "the broker does not have it: %s", r->c->why.text);
        fprintf(p.f,
                "It is kept in %s as well, to be carried:\n  freezectl approve %s\n  freezectl send %s --nats %s\n",
                path, path, path, nats);
}

int rollout_pend(struct rollout *r, const struct bundle_order *o) {
        struct quorum q = QUORUM_NULL;
        enum reason reason;
        char path[PATH_SIZE], id[33];

        command_id_to_str(&o->command->id, id);
        (void) snprintf(path, sizeof(path), "./%s-%.8s.json", verb_info(o->command->verb)->id, id);
        int e = quorum_read(r->trust, NULL, o->text, strlen(o->text), order_now_ms(), &q, &reason);
        if (e == 0)
                e = file_create(path, o->text, strlen(o->text), 0644);
        if (e < 0)
                return why_errno(&r->c->why, e, "the order, which was not sent, cannot be kept as %s", path);
        const bool hangs =
                reason == REASON_NONE && board_put(r->carrier, r->trust, &q, order_now_ms(), &r->c->why) == 0;
        tell(r, path, o, &q.s, hangs);
        quorum_done(&q);
        r->c->why.text[0] = '\0';
        return reason_exit(REASON_THRESHOLD);
}
