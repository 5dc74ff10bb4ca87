/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_played.h"

#include <string.h>

#include "agent/core/certified.h"
#include "agent/core/plan.h"
#include "agent/core/preserved.h"
#include "agent/core/prove.h"
#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/status.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

#define PIDS 4U

void (*fleet_played_say)(void *userdata, const char *envelope);
void *fleet_played_userdata;

/* --- what the linker puts in the place of the core's */

void __wrap_link_answer(const struct answer *to, const char *envelope, bool more);
void __wrap_link_refuse(const struct answer *to, enum reason reason);
void __wrap_lease_arm(struct agent *a);
void __wrap_agent_idle_work(struct agent *a);
void __wrap_log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...);
void __wrap_log_lossy(struct log_limit *limit, int priority, const char *message_id, const struct log_fields *fields,
                      const char *fmt, ...);
json_t *__wrap_record_receipt(struct agent *a, const struct command_id *id);
int __wrap_order_stop(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                      const struct answer *to);
int __wrap_release_holds(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                         const struct answer *to);
int __wrap_plan_answer(struct agent *a, const struct authorised *authorised, const struct answer *to);
int __wrap_status_answer(struct agent *a, const struct frame *f, const struct answer *to);
int __wrap_health_answer(struct agent *a, const struct frame *f, const struct answer *to);

void __wrap_link_answer(const struct answer *to, const char *envelope, bool more) {
        (void) to;
        (void) more;
        fleet_played_say(fleet_played_userdata, envelope);
}

void __wrap_link_refuse(const struct answer *to, enum reason reason) {
        (void) to;
        (void) reason;
}

void __wrap_lease_arm(struct agent *a) {
        (void) a;
}

void __wrap_agent_idle_work(struct agent *a) {
        (void) a;
}

void __wrap_log_event(int priority, const char *message_id, const struct log_fields *fields, const char *fmt, ...) {
        (void) priority;
        (void) message_id;
        (void) fields;
        (void) fmt;
}

void __wrap_log_lossy(struct log_limit *limit, int priority, const char *message_id, const struct log_fields *fields,
                      const char *fmt, ...) {
        (void) limit;
        (void) priority;
        (void) message_id;
        (void) fields;
        (void) fmt;
}

json_t *__wrap_record_receipt(struct agent *a, const struct command_id *id) {
        const struct fleet_core *c = (const struct fleet_core *) a;

        return c->last && command_id_equal(&c->last_id, id) ? json_incref(c->last) : NULL;
}

/* --- orders */

static int seal(struct agent *a, const struct command_id *id, json_t *receipt, bool final, const struct answer *to) {
        struct fleet_core *c = (struct fleet_core *) a;
        _cleanup_free_ char *envelope = NULL;
        int r = receipt_seal(a, receipt, final, &envelope);

        if (r < 0)
                return r;
        json_decref(c->last);
        c->last = json_incref(receipt);
        c->last_id = *id;
        link_answer(to, envelope, !final);
        return 0;
}

static json_t *held(const struct target *target, const struct hold *h) {
        static pid_t pids[PIDS] = { 4711, 4712, 4713, 4714 };
        struct site s = SITE_NULL;
        struct proof p = { .pids = pids,
                           .n_pids = PIDS,
                           .present = true,
                           .frozen = true,
                           .tested = true,
                           .selftest = { .baseline = true,
                                         .new_connection = PROBE_BLOCKED,
                                         .open_stream = PROBE_BLOCKED,
                                         .open_datagram = PROBE_BLOCKED,
                                         .inbound = PROBE_BLOCKED },
                           .sockets.destroyed = 8,
                           .sockets.listeners = 1 };
        char path[] = "/system.slice/web.service";

        s.target = *target;
        s.path = path;
        s.cgroup_id = 123456;
        for (size_t k = 0; k < _ISOLATE_HOOK_MAX; k++)
                p.links[k] = (struct isolate_link) { (uint32_t) (200 + k), (uint32_t) (100 + k), s.cgroup_id };
        return receipt_site(&s, &p, h);
}

static int make_hold(struct agent *a, const struct authorised *authorised) {
        const struct command *c = authorised_command(authorised);
        const struct account_charge charge = { .floor_ms = floor_now(&a->floor) };
        int r = hold_set_begin(a->holds, c, authorised_automation(authorised) ? &charge : NULL, clock_wall_ms());

        if (r == 0)
                r = hold_set_see(a->holds, &c->id, authorised_digest(authorised), c->exp_ms);
        return r == 0 ? hold_set_settle(a->holds, &c->id, HOLD_HELD, authorised_flags(authorised)) : r;
}

static json_t *receipt_of_hold(struct agent *a, const struct authorised *authorised) {
        const struct command *c = authorised_command(authorised);
        const struct hold *h = hold_set_find(a->holds, &c->id);
        json_t *receipt = receipt_plain(a, &c->id, authorised_digest(authorised), verb_info(c->verb)->id, "contained",
                                        authorised_flags(authorised)),
               *targets = json_array();

        for (size_t i = 0; i < c->n_targets; i++)
                (void) json_array_append_new(targets, held(&c->targets[i], h));
        (void) json_object_set_new(receipt, "targets", targets);
        (void) json_object_set_new(receipt, "phases_us",
                                   json_pack("{si si si si si si si}", "verify", 97, "authorise", 34, "record", 768,
                                             "enter", 1086, "freeze", 114, "prove", 736, "total", 4892));
        (void) json_object_set_new(receipt, "incident", json_string(c->incident));
        (void) json_object_set_new(receipt, "severity", json_string(severity_id(c->severity)));
        return receipt;
}

int __wrap_order_stop(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                      const struct answer *to) {
        const struct preserved evidence = { .state = PRESERVE_COMPLETE,
                                            .folder = "/var/lib/freezed/evidence/incident/20261121T000000Z",
                                            .counted = true,
                                            .objects = 120,
                                            .bytes = 40000000,
                                            .sealed = 9000000,
                                            .has_manifest = true,
                                            .has_statement = true,
                                            .took_us = 900000 };
        const struct command *c = authorised_command(authorised);
        const bool snapshots = verb_info(c->verb)->snapshots;
        int r = make_hold(a, authorised);

        (void) d;
        (void) p;
        if (r == 0) {
                _cleanup_json_ json_t *receipt = receipt_of_hold(a, authorised);
                r = seal(a, &c->id, receipt, !snapshots, to);
                if (r == 0 && snapshots)
                        r = receipt_add_evidence(receipt, &evidence);
                if (r == 0 && snapshots)
                        r = seal(a, &c->id, receipt, true, to);
        }
        authorised_free(authorised);
        return r;
}

int __wrap_release_holds(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                         const struct answer *to) {
        const struct command *c = authorised_command(authorised);
        _cleanup_json_ json_t *receipt = receipt_plain(a, &c->id, authorised_digest(authorised), verb_info(c->verb)->id,
                                                       "released", authorised_flags(authorised));
        size_t n;
        const struct command_id *holds = authorised_holds(authorised, &n);
        int r;

        (void) d;
        (void) p;
        for (size_t i = 0; i < n; i++)
                if (hold_set_release(a->holds, &holds[i], &c->id) == 0)
                        (void) !hold_set_end(a->holds, &holds[i]);
        r = hold_set_see(a->holds, &c->id, authorised_digest(authorised), c->exp_ms);
        if (r == 0)
                r = seal(a, &c->id, receipt, true, to);
        authorised_free(authorised);
        return r;
}

int __wrap_plan_answer(struct agent *a, const struct authorised *authorised, const struct answer *to) {
        const struct command *c = authorised_command(authorised);
        _cleanup_json_ json_t *receipt = receipt_plain(a, &c->id, authorised_digest(authorised), verb_info(c->verb)->id,
                                                       "planned", authorised_flags(authorised));

        return seal(a, &c->id, receipt, true, to);
}

/* --- questions */

static json_t *holds_json(const struct agent *a) {
        json_t *array = json_array();

        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                char id[33];

                command_id_to_str(&h->id, id);
                (void) json_array_append_new(array, json_pack("{ss ss ss s[] s[] ss ss}", "id", id, "verb",
                                                              verb_info(h->verb)->id, "state", hold_state_id(h->state),
                                                              "reasons", "targets", "incident", h->incident, "severity",
                                                              severity_id(h->severity)));
        }
        return array;
}

static int report(struct agent *a, const char *type, const struct frame *f, const struct answer *to) {
        json_t *o = status_report_new(a, type, f);

        if (!o || json_object_set_new(o, "holds", holds_json(a)) < 0 ||
            json_object_set_new(o, "attributes", certified_to_json(a)) < 0 ||
            json_object_set_new(o, "head", heard_to_json(a)) < 0) {
                json_decref(o);
                return -ENOMEM;
        }
        return status_report_send(a, o, to);
}

int __wrap_status_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        return report(a, "status", f, to);
}

int __wrap_health_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        return report(a, "health", f, to);
}
