/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <time.h>

#include "ctl/escalate_tell.h"
#include "ctl/escalate_template.h"
#include "ctl/exchange.h"
#include "ctl/member.h"
#include "ctl/order.h"
#include "policy/schema.h"

#define TIME_SIZE 32U

static void set(json_t *o, const char *name, const char *value) {
        if (value && *value)
                (void) json_object_set_new(o, name, json_string(value));
}

/* A line that is not whole is not worth less than none: what memory lacks for is left out. */
static void line(const struct escalate *x, json_t *o, enum escalate_outcome outcome, const char *why, json_t *more) {
        (void) json_object_set_new(o, "outcome", json_string(escalate_outcome_id(outcome)));
        set(o, "why", why);
        if (more)
                (void) json_object_update(o, more);
        json_decref(more);
        exchange_json_line(x->c, o);
        (void) fflush(x->c->out);
        json_decref(o);
}

void escalate_tell_event(const struct escalate *x, const struct escalate_event *e, const struct escalate_rule *r,
                         enum escalate_outcome outcome, const char *why, json_t *more) {
        json_t *o = json_object();

        set(o, "event", e->id);
        set(o, "source", escalate_source_id(e->source));
        set(o, "title", e->title);
        set(o, "rule", r ? r->name : NULL);
        line(x, o, outcome, why, more);
}

void escalate_tell_order(const struct escalate *x, const struct escalate_record *r, enum escalate_outcome outcome,
                         const char *why, json_t *more) {
        json_t *o = json_object();
        char id[33];

        command_id_to_str(&r->id, id);
        set(o, "order", id);
        set(o, "rule", r->rule);
        set(o, "incident", r->incident);
        set(o, "event", r->event);
        line(x, o, outcome, why, more);
}

void escalate_tell(const struct escalate *x, enum escalate_outcome outcome, const char *why, json_t *more) {
        line(x, json_object(), outcome, why, more);
}

json_t *escalate_tell_draft(const struct escalate_draft *d) {
        json_t *o = json_object(), *targets = json_array();
        char text[TARGET_STR_SIZE];

        set(o, "verb", verb_info(d->rule->verb)->id);
        for (size_t i = 0; i < d->n_targets; i++) {
                target_to_str(&d->targets[i], text, sizeof(text));
                (void) json_array_append_new(targets, json_string(text));
        }
        (void) json_object_set_new(o, "targets", targets);
        if (d->to == COMMAND_TO_GROUP)
                set(o, "group", d->group);
        else
                set(o, "to", d->to == COMMAND_TO_ALL ? "all" : d->host ? d->host->name : "local");
        if (d->to != COMMAND_TO_HOSTS)
                (void) json_object_set_new(o, "max_hosts", json_integer(d->n_hosts));
        set(o, "severity", severity_id(d->rule->severity));
        if (d->rule->lease_ms > 0)
                (void) json_object_set_new(o, "lease_ms", json_integer(d->rule->lease_ms));
        set(o, "incident", d->incident);
        return o;
}

static const char *now_text(char ret[static TIME_SIZE]) {
        const int64_t now = order_now_ms();
        const time_t t = (time_t) (now / 1000);
        struct tm tm;
        size_t n = gmtime_r(&t, &tm) ? strftime(ret, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm) : 0;

        (void) snprintf(ret + n, TIME_SIZE - n, ".%03dZ", (int) (now % 1000));
        return ret;
}

/* CloudEvents 1.0. The same answer, sent again, has the same id: whoever collects them can know it. */
static json_t *cloudevent(const struct escalate *x, const struct escalate_record *r, const struct receipt *answer,
                          json_t *envelope, const char *id) {
        const json_t *told = receipt_told(answer->payload);
        char key[SSHKEY_ID_SIZE], source[COMMAND_FLEET_MAX + SSHKEY_ID_SIZE + 32], type[64], order[33], time[TIME_SIZE];

        sshkey_id_to_str(answer->host->key.id, key);
        command_id_to_str(&r->id, order);
        (void) snprintf(source, sizeof(source), "urn:freezed:%s:%s", x->trust ? x->trust->fleet : "-", key);
        (void) snprintf(type, sizeof(type), "freezed.order.%.40s", member_str(told, "state"));
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "specversion", "1.0", "id", id,
                         "source", source, "type", type, "subject", order, "time", now_text(time), "datacontenttype",
                         "application/json", "rule", r->rule, "incident", r->incident, "cause", r->event, "data",
                         envelope);
}

static void tell_cloudevent(const struct escalate *x, const struct escalate_record *r, const struct receipt *answer,
                            const char *envelope, size_t n) {
        _cleanup_json_ json_t *data = NULL, *o = NULL;
        char order[33], id[48];
        char *text = NULL;
        enum reason reason;

        if (schema_json(envelope, n, &data, &reason) < 0 || !data)
                return;
        command_id_to_str(&r->id, order);
        (void) snprintf(id, sizeof(id), "%s/%s", order, receipt_is_final(answer) ? "final" : "first");
        o = cloudevent(x, r, answer, data, id);
        if (!o)
                return;
        if (x->c->opt.json) {
                exchange_json_line(x->c, o);
                (void) fflush(x->c->out);
        }
        if (x->hook && schema_dump(o, &text) >= 0)
                escalate_hook_put(x->hook, id, text);
}

void escalate_tell_receipt(const struct escalate *x, const struct escalate_record *r, const struct receipt *answer,
                           const char *envelope, size_t n) {
        const json_t *told = receipt_told(answer->payload);
        json_t *more = json_object();

        set(more, "host", answer->host->name);
        set(more, "state", member_str(told, "state"));
        (void) json_object_set(more, "reasons", json_object_get(told, "reasons"));
        (void) json_object_set_new(more, "final", json_boolean(receipt_is_final(answer)));
        escalate_tell_order(x, r,
                            receipt_state(told) == RECEIPT_STATE_REFUSED ? ESCALATE_OUTCOME_REFUSED
                                                                         : ESCALATE_OUTCOME_RECEIPT,
                            "", more);
        tell_cloudevent(x, r, answer, envelope, n);
}
