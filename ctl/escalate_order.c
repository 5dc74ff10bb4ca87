/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/escalate.h"
#include "ctl/escalate_tell.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/order_sign.h"
#include "ctl/times.h"

const uint8_t *escalate_order_host(const struct escalate *x, const struct escalate_draft *d) {
        static const uint8_t nobody[32];

        if (d->to != COMMAND_TO_HOSTS)
                return NULL;
        if (d->host)
                return d->host->key.id;
        return x->me ? x->me->key.id : nobody;
}

int escalate_order_read(const struct escalate_record *r, struct command **ret, uint8_t ret_digest[static 32]) {
        _cleanup_(dsse_done) struct dsse env = DSSE_NULL;
        enum reason reason;
        int n = dsse_parse(r->envelope, strlen(r->envelope), &env, &reason);

        if (n >= 0 && reason == REASON_NONE)
                n = command_parse(env.payload, env.n_payload, ret, &reason);
        if (n < 0 || reason != REASON_NONE)
                return n < 0 ? n : -EBADMSG;
        (void) crypto_hash_sha256(ret_digest, env.payload, env.n_payload);
        return 0;
}

void escalate_order_keep(struct escalate *x) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (x->c->opt.dry_run)
                return;
        escalate_state_forget(&x->state, order_now_ms());
        r = escalate_state_to_json(&x->state, &text);
        if (r >= 0)
                r = file_replace(x->state_path, text, strlen(text), 0600);
        if ((r < 0) != x->state_failed)
                escalate_tell(x, r < 0 ? ESCALATE_OUTCOME_STATE_NOT_KEPT : ESCALATE_OUTCOME_STATE_KEPT,
                              r < 0 ? "a crash now would forget what was ordered, and orders that nobody answered yet"
                                    : "",
                              json_pack("{s:s, s:s*}", "file", x->state_path, "error", r < 0 ? strerror(-r) : NULL));
        x->state_failed = r < 0;
}

static int fill(const struct escalate *x, const struct escalate_draft *d, const struct escalate_event *e,
                struct command *cmd) {
        const char *fleet = x->c->opt.fleet ? x->c->opt.fleet : x->trust->fleet;
        const uint8_t *host = escalate_order_host(x, d);

        cmd->targets = calloc(d->n_targets, sizeof(*cmd->targets));
        cmd->hosts = calloc(1, sizeof(*cmd->hosts));
        if (!cmd->targets || !cmd->hosts)
                return -ENOMEM;
        memcpy(cmd->targets, d->targets, d->n_targets * sizeof(*cmd->targets));
        cmd->n_targets = d->n_targets;
        cmd->to = d->to;
        if (host) {
                memcpy(cmd->hosts[0], host, sizeof(cmd->hosts[0]));
                cmd->n_hosts = 1;
        } else
                cmd->max_hosts = (uint32_t) d->n_hosts;
        (void) snprintf(cmd->group, sizeof(cmd->group), "%s", d->group);
        (void) snprintf(cmd->fleet, sizeof(cmd->fleet), "%s", fleet);
        (void) snprintf(cmd->incident, sizeof(cmd->incident), "%s", d->incident);
        (void) snprintf(cmd->reason, sizeof(cmd->reason), "%s: %s (event %s, rule %s)", escalate_source_id(e->source),
                        *e->title ? e->title : "an event", e->id, d->rule->name);
        order_name(&x->signers, &cmd->id);
        cmd->verb = d->rule->verb;
        cmd->severity = d->rule->severity;
        cmd->lease_ms = d->rule->lease_ms;
        cmd->profile = d->rule->profile;
        cmd->iat_ms = order_now_ms();
        cmd->exp_ms = cmd->iat_ms + (x->c->opt.expires_ms ? x->c->opt.expires_ms : ORDER_LIFE_MS);
        cmd->root_version = x->trust ? x->trust->version : 0;
        return 0;
}

static int add(struct escalate *x, const struct escalate_draft *d, const struct escalate_event *e,
               const struct command *cmd, char **envelope) {
        const uint8_t *host = escalate_order_host(x, d);
        struct escalate_record r = { .id = cmd->id,
                                     .n_hosts = d->n_hosts,
                                     .at_ms = cmd->iat_ms,
                                     .cool_ms = cmd->iat_ms + d->rule->cooldown_ms,
                                     .exp_ms = cmd->exp_ms,
                                     .envelope = *envelope };

        memcpy(r.key, e->key, sizeof(r.key));
        memcpy(r.subject, d->subject, sizeof(r.subject));
        if (host)
                memcpy(r.host, host, sizeof(r.host));
        strcpy(r.rule, d->rule->name);
        strcpy(r.incident, d->incident);
        strcpy(r.event, e->id);
        int n = escalate_state_add(&x->state, &r);
        if (n < 0)
                return why_errno(&x->c->why, n, "order");
        *envelope = NULL;
        return 0;
}

int escalate_order(struct escalate *x, const struct escalate_draft *d, const struct escalate_event *e) {
        _cleanup_command_ struct command *cmd = calloc(1, sizeof(*cmd));
        _cleanup_free_ char *envelope = NULL;
        int r = cmd ? fill(x, d, e, cmd) : -ENOMEM, code;
        char id[33];

        if (r < 0)
                return why_errno(&x->c->why, r, "order");
        /* a rehearsal counts as the real thing would, and signs nothing */
        code = x->c->opt.dry_run ? 0 : order_sign(&x->signers, cmd, &envelope, NULL, &x->c->why);
        if (code == 0)
                code = add(x, d, e, cmd, &envelope);
        if (code != 0)
                return code;
        json_t *more = escalate_tell_draft(d);
        command_id_to_str(&cmd->id, id);
        if (!x->c->opt.dry_run) {
                escalate_order_keep(x);
                (void) json_object_set_new(more, "order", json_string(id));
        }
        escalate_tell_event(x, e, d->rule, x->c->opt.dry_run ? ESCALATE_OUTCOME_WOULD_ORDER : ESCALATE_OUTCOME_ORDERED,
                            "", more);
        return 0;
}
