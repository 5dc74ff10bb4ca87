/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/receipt.h"

#include <sodium.h>
#include <string.h>

#include "agent/core/fit.h"
#include "agent/core/preserved.h"
#include "agent/core/radius.h"
#include "agent/core/report_json.h"
#include "agent/core/watch.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "policy/schema.h"

/* a service of thousands is not listed one by one */
#define PIDS_LISTED 128U

#define GAPS  (1U << REASON_KIND_GAP | 1U << REASON_KIND_REFUSE | 1U << REASON_KIND_WAIT)
#define FLAGS (1U << REASON_KIND_FLAG | 1U << REASON_KIND_NOTE)

/* Sets a member, or drops the whole object when memory is out: half a receipt is none. */
static void put(json_t **o, const char *name, json_t *value) {
        if (!*o || !value || json_object_set_new(*o, name, value) < 0) {
                json_decref(*o);
                *o = NULL;
        }
}

static json_t *hex(const uint8_t *bytes, size_t n) {
        char text[65];

        return json_string(sodium_bin2hex(text, sizeof(text), bytes, n));
}

static json_t *head_json(const struct agent *a) {
        struct ledger_head head = { 0 };
        json_t *o = json_object();

        if (a->ledger)
                head = ledger_head(a->ledger);
        put(&o, "n", json_integer((json_int_t) head.n));
        put(&o, "hash", hex(head.hash, sizeof(head.hash)));
        return o;
}

json_t *receipt_plain(struct agent *a, const struct command_id *id, const uint8_t *digest, const char *verb,
                      const char *state, reason_set reasons) {
        char host[SSHKEY_ID_SIZE], id_text[33];
        json_t *o = json_object();

        sshkey_id_to_str(hostkey_public(a->key)->id, host);
        put(&o, "v", json_integer(1));
        put(&o, "type", json_string("receipt"));
        put(&o, "fleet", json_string(a->trust ? a->trust->fleet : ""));
        put(&o, "host", json_string(host));
        if (id) {
                command_id_to_str(id, id_text);
                put(&o, "id", json_string(id_text));
        }
        if (digest)
                put(&o, "digest", hex(digest, 32));
        if (verb)
                put(&o, "verb", json_string(verb));
        put(&o, "state", json_string(state));
        put(&o, "reasons", reasons_to_json(reasons, GAPS));
        put(&o, "flags", reasons_to_json(reasons | heard_notes(a), FLAGS));
        put(&o, "boot_id", hex(a->boot_id, sizeof(a->boot_id)));
        put(&o, "wall_ms", json_integer(clock_wall_ms()));
        put(&o, "ledger", head_json(a));
        return o;
}

json_t *receipt_links(const struct isolate_link links[static _ISOLATE_HOOK_MAX]) {
        json_t *array = json_array();

        for (size_t k = 0; array && k < _ISOLATE_HOOK_MAX; k++)
                if (links[k].link_id != 0)
                        (void) json_array_append_new(array, json_pack("{ss sI sI sI}", "hook", isolate_hook_id(k),
                                                                      "link_id", (json_int_t) links[k].link_id,
                                                                      "prog_id", (json_int_t) links[k].prog_id,
                                                                      "cgroup_id", (json_int_t) links[k].cgroup_id));
        return array;
}

static json_t *permitted_json(const struct proof *p) {
        json_t *array = json_array();

        for (size_t k = 0; array && k < p->selftest.n_permits; k++) {
                char net[PERMIT_STR_SIZE];

                permit_net_to_str(&p->permits[k], net, sizeof(net));
                (void) json_array_append_new(array, json_pack("{ss si ss}", "net", net, "port", p->permits[k].port,
                                                              "result", probe_result_id(p->selftest.permits[k])));
        }
        return array;
}

static json_t *selftest_json(const struct proof *p) {
        const struct probe_report *t = &p->selftest;
        json_t *o = json_pack("{sb ss ss ss ss}", "baseline", t->baseline, "new", probe_result_id(t->new_connection),
                              "open", probe_result_id(t->open_stream), "datagram", probe_result_id(t->open_datagram),
                              "inbound", probe_result_id(t->inbound));

        put(&o, "permitted", permitted_json(p));
        return o;
}

static json_t *pids_json(const struct proof *p) {
        json_t *array = json_array();

        for (size_t k = 0; array && k < MIN(p->n_pids, PIDS_LISTED); k++)
                (void) json_array_append_new(array, json_integer(p->pids[k]));
        return array;
}

static void put_isolation(json_t **o, const struct proof *p) {
        put(o, "links", receipt_links(p->links));
        if (p->foreign.n > 0)
                put(o, "foreign", foreign_to_json(&p->foreign));
        put(o, "sockets",
            json_pack("{sI sI sI sI}", "destroyed", (json_int_t) p->sockets.destroyed, "left",
                      (json_int_t) p->sockets.left, "foreign", (json_int_t) p->sockets.foreign, "listeners",
                      (json_int_t) p->sockets.listeners));
        put(o, "counted",
            json_pack("{sI sI sI sI sI}", "refused", (json_int_t) p->counted.refused, "dropped_out",
                      (json_int_t) p->counted.dropped_out, "dropped_in", (json_int_t) p->counted.dropped_in,
                      "passed_out", (json_int_t) p->counted.passed_out, "passed_in",
                      (json_int_t) p->counted.passed_in));
        if (p->tested)
                put(o, "selftest", selftest_json(p));
}

static json_t *uplink_json(const struct uplink *u) {
        const char *by = u->link_id ? "tcx" : u->prog_id ? "clsact" : "none";

        return json_pack("{ss sI sI ss sI sI sb sI}", "name", u->name, "ifindex", (json_int_t) u->ifindex, "netns",
                         (json_int_t) u->netns, "by", by, "link_id", (json_int_t) u->link_id, "prog_id",
                         (json_int_t) u->prog_id, "direct", u->direct, "xdp", (json_int_t) u->xdp_prog);
}

static bool is_closed(const struct uplink *u) {
        return u->prog_id != 0 && u->direct && u->xdp_prog == 0;
}

static json_t *uplinks_json(const struct uplinks *u) {
        json_t *array = json_array();

        for (int closed = 0; closed < 2; closed++)
                for (size_t i = 0; array && i < u->n && json_array_size(array) < UPLINKS_TOLD_MAX; i++)
                        if (is_closed(&u->v[i]) == closed)
                                (void) json_array_append_new(array, uplink_json(&u->v[i]));
        return array;
}

json_t *receipt_site(const struct site *s, const struct proof *p, const struct hold *h) {
        _cleanup_free_ char *path = paths_to_text(s->path);
        char name[TARGET_STR_SIZE];
        json_t *o = json_object();

        target_to_str(&s->target, name, sizeof(name));
        put(&o, "target", json_string(name));
        put(&o, "gaps", reasons_to_json(p->gaps, 0));
        if (s->several.n > 0)
                put(&o, "several", paths_to_json(&s->several));
        if (p->elsewhere.processes > 0)
                put(&o, "elsewhere", elsewhere_to_json(&p->elsewhere));
        if (p->fence != FENCE_NONE)
                put(&o, "fence", json_string(fence_state_id(p->fence)));
        if (s->missing != REASON_NONE)
                return o;
        put(&o, "cgroup", path ? json_string(path) : NULL);
        put(&o, "cgroup_id", json_integer((json_int_t) s->cgroup_id));
        put(&o, "present", json_boolean(p->present));
        if (verb_info(h->verb)->freezes && p->subtree.thawed.n > 0)
                put(&o, "thawed", paths_to_json(&p->subtree.thawed));
        put(&o, "pids", pids_json(p));
        put(&o, "pids_total", json_integer((json_int_t) p->n_pids));
        if (site_freezes(s, h->verb))
                put(&o, "frozen", json_boolean(p->frozen));
        if (p->unfrozen.n > 0)
                put(&o, "unfrozen", unfrozen_to_json(&p->unfrozen));
        if (site_isolates(s, h->verb))
                put_isolation(&o, p);
        if (site_is_host(s)) {
                put(&o, "uplinks", uplinks_json(&p->uplinks));
                put(&o, "uplinks_total", json_integer((json_int_t) p->uplinks.n));
        }
        return o;
}

json_t *receipt_missing_site(const struct site *s) {
        char name[TARGET_STR_SIZE];
        json_t *o;

        target_to_str(&s->target, name, sizeof(name));
        o = json_pack("{ss ss}", "target", name, "missing", reason_id(s->missing));
        if (s->several.n > 0)
                put(&o, "several", paths_to_json(&s->several));
        return o;
}

json_t *receipt_missing(const struct sites *sites) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < sites->n; i++)
                (void) json_array_append_new(array, receipt_missing_site(&sites->v[i]));
        return array;
}

static json_t *phases_json(const struct phases *p) {
        json_t *o = json_object();

        for (size_t k = 0; k < _PHASE_MAX; k++)
                if (p->us[k] > 0)
                        put(&o, phase_id(k), json_integer(p->us[k]));
        put(&o, "total", json_integer(p->mark - p->start));
        return o;
}

json_t *receipt_of_proof(struct agent *a, const struct proven *p) {
        struct recorded *r = proven_recorded(p);
        const struct hold *h = hold_set_find(a->holds, recorded_id(r));
        const struct sites *sites = recorded_sites(a, r);
        json_t *o, *array = json_array(), *repaired;

        if (!h || !sites) {
                json_decref(array);
                return NULL;
        }
        o = receipt_plain(a, recorded_id(r), recorded_digest(r), verb_info(h->verb)->id, hold_state_id(proven_state(p)),
                          proven_gaps(p) | recorded_flags(r));
        for (size_t i = 0; array && i < sites->n; i++) {
                const struct proof *proof = proven_site(p, i);
                json_t *site = receipt_site(&sites->v[i], proof, h);

                if (site && proof->fresh)
                        radius_add(a, site, &sites->v[i], &proof->subtree, proof->pids, proof->n_pids, &proof->sockets,
                                   sites->n <= RADIUS_ASKED_MAX);
                (void) json_array_append_new(array, site);
        }
        put(&o, "targets", array);
        put(&o, "phases_us", phases_json(recorded_phases(r)));
        repaired = watch_hold_to_json(a, &h->id);
        if (repaired)
                put(&o, "repaired", repaired);
        put(&o, "incident", json_string(h->incident));
        put(&o, "severity", json_string(severity_id(h->severity)));
        if (h->lease_left_ms != INT64_MAX)
                put(&o, "lease_ms", json_integer(h->lease_left_ms));
        return o;
}

json_t *receipt_of_refusal(struct agent *a, const struct command *c, const uint8_t *digest, const struct decision *d) {
        json_t *o = receipt_plain(a, c ? &c->id : NULL, digest, c ? verb_info(c->verb)->id : NULL, "refused",
                                  reason_bit(d->reason) | d->flags);

        /* a FLAG can be what a release is refused for: it is the reason then, whatever its kind */
        put(&o, "reasons", json_pack("[s]", reason_id(d->reason)));
        if (d->reason == REASON_THRESHOLD) {
                put(&o, "have", json_integer(d->have));
                put(&o, "need", json_integer(d->need));
        }
        return o;
}

json_t *receipt_of_duplicate(struct agent *a, const struct command *c, const uint8_t *digest) {
        json_t *stored = record_receipt(a, &c->id);
        json_t *o = receipt_plain(a, &c->id, digest, verb_info(c->verb)->id, "duplicate", 0);
        const struct hold *h = hold_set_find(a->holds, &c->id);

        if (verb_info(c->verb)->cls == VERB_CLASS_STOP)
                put(&o, "hold", json_string(h ? "active" : "ended"));
        if (stored)
                put(&o, "receipt", stored);
        return o;
}

void receipt_add_flag(json_t *receipt, enum reason reason) {
        json_t *flags = json_object_get(receipt, "flags"), *v;
        size_t i;

        json_array_foreach(flags, i, v) if (strcmp(json_string_value(v), reason_id(reason)) == 0) return;
        (void) json_array_append_new(flags, json_string(reason_id(reason)));
}

void receipt_catch_up(struct agent *a, const struct command_id *id, json_t **receipt) {
        const struct hold *h = hold_set_find(a->holds, id);
        _cleanup_json_ json_t *last = NULL;

        const bool goes_on = h && !hold_is_ending(h);
        const char *verb = json_string_value(json_object_get(*receipt, "verb"));

        if (goes_on && verb && strcmp(verb, verb_info(h->verb)->id) == 0)
                return;
        last = record_receipt(a, id);
        if (last && (goes_on || json_object_get(last, "holds"))) {
                json_decref(*receipt);
                *receipt = TAKE_PTR(last);
                return;
        }
        (void) json_object_set_new(*receipt, "state", json_string(hold_state_id(h ? h->state : HOLD_RELEASED)));
        (void) json_object_set_new(*receipt, "reasons", json_array());
        (void) json_object_del(*receipt, "targets");
        (void) json_object_del(*receipt, "lease_ms");
}

int receipt_add_evidence(json_t *receipt, const struct preserved *p) {
        json_t *o =
                json_pack("{ss ss sI sI sI sI sI}", "state", preserved_state_id(p->state), "folder", p->folder,
                          "objects", (json_int_t) p->objects, "holes", (json_int_t) p->holes, "bytes",
                          (json_int_t) p->bytes, "sealed", (json_int_t) p->sealed, "took_us", (json_int_t) p->took_us);

        put(&o, "flags", preserved_flags_to_json(p->flags));
        if (p->err < 0)
                put(&o, "error", json_string(strerrorname_np(-p->err)));
        if (p->has_manifest)
                put(&o, "manifest_sha256", hex(p->manifest_sha256, sizeof(p->manifest_sha256)));
        if (p->has_statement)
                put(&o, "statement_sha256", hex(p->statement_sha256, sizeof(p->statement_sha256)));
        return !o || json_object_set_new(receipt, "evidence", o) < 0 ? -ENOMEM : 0;
}

int receipt_seal(struct agent *a, json_t *receipt, bool final, char **ret) {
        _cleanup_free_ char *text = NULL;
        int r;

        if (!receipt || json_object_set_new(receipt, "final", json_boolean(final)) < 0)
                return -ENOMEM;
        r = fit_dump(receipt, json_object_get(receipt, "receipt") ? FIT_REPORT_MAX : FIT_RECEIPT_MAX, &text);
        return r < 0 ? r : hostkey_envelope(a->key, DSSE_RECEIPT, text, ret);
}

int receipt_conclude(struct agent *a, json_t *receipt, bool final, struct outcome *o, char **ret) {
        _cleanup_free_ char *envelope = NULL;
        int e, r = receipt_seal(a, receipt, final, &envelope);

        if (r < 0)
                return r;
        o->receipt = envelope;
        o->more = !final;
        e = record_outcome(a, o);
        if (e < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "record", .reason = reason_id(REASON_LEDGER)),
                          "The ledger cannot record what became of a command: %s", strerror(-e));
                receipt_add_flag(receipt, REASON_LEDGER);
                free(TAKE_PTR(envelope));
                r = receipt_seal(a, receipt, final, &envelope);
                if (r < 0)
                        return r;
                o->receipt = envelope;
                record_resealed(a, o);
        }
        *ret = TAKE_PTR(envelope);
        return 0;
}
