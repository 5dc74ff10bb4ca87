/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/status.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "agent/core/attempts.h"
#include "agent/core/awaiting.h"
#include "agent/core/certified.h"
#include "agent/core/epochkey.h"
#include "agent/core/fence.h"
#include "agent/core/fit.h"
#include "agent/core/layers.h"
#include "agent/core/receipt.h"
#include "agent/core/report_json.h"
#include "agent/core/retain.h"
#include "agent/core/watch.h"
#include "agent/util/alive.h"
#include "agent/util/clock.h"
#include "agent/util/io.h"
#include "agent/util/version.h"
#include "policy/schema.h"

int status_report_send(struct agent *a, json_t *report, const struct answer *to) {
        _cleanup_json_ json_t *owned = report;
        _cleanup_free_ char *text = NULL, *envelope = NULL;
        int r;

        r = owned ? fit_dump(owned, FIT_REPORT_MAX, &text) : -ENOMEM;
        if (r < 0)
                return r;
        r = hostkey_envelope(a->key, DSSE_REPORT, text, &envelope);
        if (r == 0)
                link_answer(to, envelope, false);
        return r;
}

json_t *status_report_new(struct agent *a, const char *type, const struct frame *f) {
        json_t *o = receipt_plain(a, NULL, NULL, NULL, "report", 0);
        char nonce[2 * FRAME_NONCE_SIZE + 1];

        if (f)
                (void) sodium_bin2hex(nonce, sizeof(nonce), f->payload, FRAME_NONCE_SIZE);
        if (!o || json_object_set_new(o, "type", json_string(type)) < 0 ||
            (f && json_object_set_new(o, "nonce", json_string(nonce)) < 0)) {
                json_decref(o);
                return NULL;
        }
        (void) json_object_del(o, "state");
        (void) json_object_del(o, "reasons");
        (void) json_object_del(o, "flags");
        return o;
}

struct closely {
        struct agent *agent;
        json_t *targets;
};

static void add_target(const struct site *s, const struct proof *p, const struct hold *h, void *userdata) {
        (void) json_array_append_new(userdata, receipt_site(s, p, h));
}

/* Before somebody releases it. */
static void add_target_closely(const struct site *s, const struct proof *p, const struct hold *h, void *userdata) {
        struct closely *c = userdata;
        json_t *o = receipt_site(s, p, h);

        if (p->present && site_freezes(s, h->verb))
                (void) awaiting_add(c->agent, s, p->pids, p->n_pids, o);
        (void) json_array_append_new(c->targets, o);
}

/* closely: also what takes a look at each of its processes. */
static json_t *hold_json(struct agent *a, const struct hold *h, bool closely) {
        json_t *o, *targets = json_array(), *receipt = record_receipt(a, &h->id), *tried = attempts_to_json(a, &h->id);
        struct closely c = { .agent = a, .targets = targets };
        reason_set gaps;
        const enum hold_state state = closely ? prove_hold(a, h, add_target_closely, &c, &gaps)
                                              : prove_hold(a, h, add_target, targets, &gaps);
        json_t *repaired = watch_hold_to_json(a, &h->id);
        char id[33];

        command_id_to_str(&h->id, id);
        o = json_pack("{ss ss ss ss so so ss ss sI sI}", "id", id, "verb", verb_info(h->verb)->id, "state",
                      hold_state_id(state), "recorded", hold_state_id(h->state), "reasons", reasons_to_json(gaps, 0),
                      "targets", targets, "incident", h->incident, "severity", severity_id(h->severity), "made_ms",
                      (json_int_t) h->made_ms, "held_ms", (json_int_t) h->held_ms);
        if (o && h->lease_left_ms != INT64_MAX)
                (void) json_object_set_new(o, "lease_left_ms", json_integer(MAX(h->lease_left_ms, 0)));
        if (o && tried)
                (void) json_object_set(o, "tried", tried);
        json_decref(tried);
        if (o && receipt)
                (void) json_object_set(o, "receipt", receipt);
        if (o && repaired)
                (void) json_object_set_new(o, "repaired", repaired);
        json_decref(receipt);
        return o;
}

/* Programs that are in force and that nobody remembers having ordered: pins of a hold that the ledger does not know. */
struct orphans {
        struct agent *a;
        json_t *(*describe)(const struct agent *a, const struct command_id *hold);
        json_t *array;
        const struct command_id *only; /* NULL: all of them */
};

static bool is_asked_about(const struct orphans *x, const struct command_id *hold) {
        return !x->only || command_id_equal(x->only, hold);
}

/* The orphan's entry, made when it is the first thing that is found of it. Borrowed. */
static json_t *orphan_entry(const struct orphans *x, const struct command_id *hold) {
        json_t *one;
        char id[33];
        size_t i;

        command_id_to_str(hold, id);
        json_array_foreach(x->array, i, one) {
                const json_t *its = json_is_object(one) ? json_object_get(one, "id") : one;

                if (strcmp(json_string_value(its), id) == 0)
                        return one;
        }
        one = x->describe(x->a, hold);
        return json_array_append_new(x->array, one) < 0 ? NULL : one;
}

static int add_orphan(const struct command_id *hold, void *userdata) {
        struct orphans *x = userdata;

        if (is_asked_about(x, hold) && !hold_set_find(x->a->holds, hold))
                (void) orphan_entry(x, hold);
        return 0;
}

/* A unit that systemd does not start because of such a hold. */
static int add_fence(const struct command_id *hold, const char *unit, void *userdata) {
        json_t *targets =
                is_asked_about(userdata, hold) ? json_object_get(orphan_entry(userdata, hold), "targets") : NULL;
        _cleanup_free_ char *name = NULL;

        if (targets && asprintf(&name, "%s:%s", target_class_id(TARGET_UNIT), unit) >= 0)
                (void) json_array_append_new(
                        targets, json_pack("{ss s[s]}", "target", name, "gaps", reason_id(REASON_UNKNOWN_HOLD)));
        return 0;
}

static int each_orphan(struct orphans *x) {
        int r = isolate_each(x->a->isolate, add_orphan, x);

        return r < 0 ? r : fence_each_orphan(x->a, add_fence, x);
}

static json_t *orphan_id(const struct agent *a, const struct command_id *hold) {
        char id[33];

        (void) a;
        command_id_to_str(hold, id);
        return json_string(id);
}

/* A hold like the others for whoever reads the list, but never `contained`: what it was to hold is not known. */
static json_t *orphan_hold(const struct agent *a, const struct command_id *hold) {
        uint64_t ids[COMMAND_TARGETS_MAX];
        const size_t n = isolate_cgroups(a->isolate, hold, ids, ELEMENTSOF(ids));
        json_t *targets = json_array();
        char id[33];

        for (size_t i = 0; i < n; i++) {
                struct isolate_link links[_ISOLATE_HOOK_MAX];

                isolate_read(a->isolate, hold, ids[i], links);
                (void) json_array_append_new(targets, json_pack("{sI so so}", "cgroup_id", (json_int_t) ids[i], "links",
                                                                receipt_links(links), "gaps",
                                                                json_pack("[s]", reason_id(REASON_UNKNOWN_HOLD))));
        }
        command_id_to_str(hold, id);
        return json_pack("{ss ss ss ss s[s] so}", "id", id, "verb", "unknown", "state", hold_state_id(HOLD_PARTIAL),
                         "recorded", "unknown", "reasons", reason_id(REASON_UNKNOWN_HOLD), "targets", targets);
}

int status_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        json_t *report = status_report_new(a, "status", f), *holds = json_array(), *ended = NULL;
        struct command_id only;
        struct orphans orphans = { .a = a, .describe = orphan_hold, .array = holds };
        const bool one = f->n_payload > FRAME_NONCE_SIZE;
        char asked[33];

        if (one) {
                memcpy(only.b, f->payload + FRAME_NONCE_SIZE, sizeof(only.b));
                /* so that nobody in between can ask about another hold, and pass the answer off as one about all */
                orphans.only = &only;
                command_id_to_str(&only, asked);
                if (report)
                        (void) json_object_set_new(report, "hold", json_string(asked));
        }
        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);

                if (!one || command_id_equal(&h->id, &only))
                        (void) json_array_append_new(holds, hold_json(a, h, one));
        }
        if (each_orphan(&orphans) < 0)
                (void) json_array_append_new(holds, json_pack("{ss ss s[s]}", "id", "unreadable", "state",
                                                              hold_state_id(HOLD_PARTIAL), "reasons",
                                                              reason_id(REASON_INTERNAL)));
        /* a hold that is over has its last receipt to show */
        if (one && json_array_size(holds) == 0)
                ended = record_receipt(a, &only);
        if (report && ended)
                (void) json_object_set_new(report, "ended", ended);
        if (report)
                (void) json_object_set_new(report, "head", heard_to_json(a));
        if (!report || json_object_set_new(report, "holds", holds) < 0) {
                json_decref(report);
                report = NULL;
        }
        return status_report_send(a, report, to);
}

static json_int_t rss_kb(void) {
        _cleanup_free_ char *text = NULL;
        const char *line;

        if (io_read_file(AT_FDCWD, "/proc/self/status", 16384, &text, NULL) < 0)
                return 0;
        line = strstr(text, "VmRSS:");
        return line ? strtoll(line + strlen("VmRSS:"), NULL, 10) : 0;
}

static json_t *agent_json(const struct agent *a) {
        /* carried: it takes what says so. The relay may be of a newer version than an agent that nobody restarted. */
        return json_pack("{ss si sI sI sb}", "version", AGENT_VERSION, "pid", (int) getpid(), "uptime_ms",
                         (json_int_t) (clock_boot_ms() - a->started_ms), "rss_kb", rss_kb(), "carried", true);
}

/* To whom evidence is sealed; nobody: none is taken. */
static json_t *recipients_json(const struct trust *t) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < t->n_recipients; i++) {
                char s[AGE_RECIPIENT_SIZE];

                age_recipient_to_str(&t->recipients[i], s);
                (void) json_array_append_new(array, json_string(s));
        }
        return array;
}

static json_t *trust_json(const struct agent *a) {
        char sha256[65];

        if (!a->trust)
                return json_pack("{ss}", "state", reason_id(REASON_NO_TRUST));
        (void) sodium_bin2hex(sha256, sizeof(sha256), a->trust_payload, sizeof(a->trust_payload));
        return json_pack("{ss so sI ss sI ss}", "sha256", sha256, "recipients", recipients_json(a->trust), "version",
                         (json_int_t) a->trust->version, "fleet", a->trust->fleet, "expires_ms",
                         (json_int_t) a->trust->expires_ms, "state",
                         MAX(floor_now(&a->floor), clock_wall_ms()) < a->trust->expires_ms
                                 ? "valid"
                                 : reason_id(REASON_ROOT_EXPIRED));
}

static json_t *ledger_json(const struct agent *a) {
        const struct ledger_head head = a->ledger ? ledger_head(a->ledger) : (struct ledger_head) { 0 };

        return json_pack("{sb sI sI sI sI}", "ok", agent_ledger_ok(a), "n", (json_int_t) head.n, "room",
                         (json_int_t) (a->ledger ? ledger_room(a->ledger) : 0), "epoch",
                         (json_int_t) epochkey_epoch(a->epoch)->number, "checkpoint", (json_int_t) a->checkpoint_n);
}

static json_t *holds_json(struct agent *a) {
        struct orphans x = { .a = a, .describe = orphan_id, .array = json_array() };
        size_t in_full = 0;
        reason_set gaps;

        for (size_t i = 0; i < hold_set_count(a->holds); i++)
                in_full += prove_hold(a, hold_set_at(a->holds, i), NULL, NULL, &gaps) == HOLD_HELD;
        if (each_orphan(&x) < 0)
                (void) json_array_append_new(x.array, json_string("unreadable"));
        return json_pack("{sI sI so}", "active", (json_int_t) hold_set_count(a->holds), "partial",
                         (json_int_t) (hold_set_count(a->holds) - in_full), "orphans", x.array);
}

static json_t *counters_json(const struct agent *a) {
        const struct counters *c = &a->counters;

        return json_pack("{sI sI sI sI sI sI sI sI sI}", "commands", (json_int_t) c->commands, "refusals",
                         (json_int_t) c->refusals, "for_others", (json_int_t) c->for_others, "duplicates",
                         (json_int_t) c->duplicates, "holds", (json_int_t) c->holds, "releases",
                         (json_int_t) c->releases, "lapses", (json_int_t) c->lapses, "reinforced",
                         (json_int_t) c->reinforced, "malformed", (json_int_t) c->malformed);
}

int health_answer(struct agent *a, const struct frame *f, const struct answer *to) {
        json_t *report = status_report_new(a, "health", f);
        int r = report ? 0 : -ENOMEM;

        if (r == 0)
                /* o: the update takes every reference over, whether it succeeds or not */
                r = json_object_update_new(
                        report,
                        json_pack("{so so so so so so so so so so so so so}", "agent", agent_json(a), "layers",
                                  layers_to_json(a), "trust", trust_json(a), "policy",
                                  json_pack("{ss}", "state", a->policy_state), "ledger", ledger_json(a), "clock",
                                  json_pack("{sb sI}", "synced", clock_synced(), "floor_ms",
                                            (json_int_t) floor_now(&a->floor)),
                                  "systemd", json_pack("{si}", "version", systemd_version(a->systemd)), "holds",
                                  holds_json(a), "counters", counters_json(a), "watch", watch_to_json(a), "evidence",
                                  retain_to_json(a), "head", heard_to_json(a), "attributes", certified_to_json(a)));
        if (r < 0) {
                json_decref(report);
                report = NULL;
        }
        return status_report_send(a, report, to);
}
