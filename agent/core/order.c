/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/order.h"

#include <string.h>

#include "agent/core/anew.h"
#include "agent/core/keep.h"
#include "agent/core/fence.h"
#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/refusal.h"
#include "agent/core/snapshot.h"
#include "agent/core/watch.h"
#include "agent/util/alive.h"
#include "agent/util/log.h"
#include "agent/util/message_id.h"

struct forgotten {
        const struct agent *a;
        uint64_t cgroup_id;
        bool found;
};

static int find_forgotten(const struct command_id *hold, void *userdata) {
        struct forgotten *f = userdata;
        uint64_t ids[COMMAND_TARGETS_MAX];
        const bool active = hold_set_find(f->a->holds, hold);
        const size_t n = active ? 0 : isolate_cgroups(f->a->isolate, hold, ids, ELEMENTSOF(ids));

        /* one that froze it, and died before it could record that this is where its target is now */
        f->found |= active && isolate_marked(f->a->isolate, hold, f->cgroup_id);
        for (size_t i = 0; i < n; i++)
                f->found |= ids[i] == f->cgroup_id;
        return 0;
}

void order_inherit_was_frozen(const struct agent *a, struct site *s) {
        struct forgotten forgotten = { .a = a, .cgroup_id = s->cgroup_id };

        if (s->target.cls == TARGET_PID) /* what its hold holds is made for it */
                return;

        for (size_t i = 0; i < hold_set_count(a->holds); i++) {
                const struct hold *h = hold_set_at(a->holds, i);
                const struct sites *sites = verb_info(h->verb)->freezes ? held_find(&a->held, &h->id) : NULL;

                for (size_t k = 0; sites && k < sites->n; k++)
                        if (&sites->v[k] != s && sites->v[k].missing == REASON_NONE &&
                            sites->v[k].cgroup_id == s->cgroup_id) {
                                s->was_frozen = sites->v[k].was_frozen;
                                return;
                        }
        }
        /* what the ledger forgot was ours all the same */
        if (s->was_frozen && isolate_each(a->isolate, find_forgotten, &forgotten) == 0 && forgotten.found)
                s->was_frozen = false;
}

enum reason order_nothing_to_hold(const struct sites *s) {
        for (size_t i = 0; i < s->n; i++)
                if (s->v[i].missing == REASON_NONE)
                        return REASON_NONE;
        return s->v[0].missing;
}

/* From targets to sites. Refuses, and answers, when not one of them can be held: *ret_refused. */
static int resolve(struct agent *a, const struct authorised *authorised, struct sites *ret, reason_set *notes,
                   bool *ret_refused, const struct answer *to) {
        const struct command *c = authorised_command(authorised);
        const bool holds = verb_info(c->verb)->cls == VERB_CLASS_STOP;
        struct resolver resolver = agent_resolver(a, holds ? &c->id : NULL);
        int r;

        resolver.freezes = verb_info(c->verb)->freezes;
        r = resolve_targets(&resolver, c->targets, c->n_targets, ret, notes);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ret->n; i++)
                order_inherit_was_frozen(a, &ret->v[i]);
        *ret_refused = order_nothing_to_hold(ret) != REASON_NONE;
        return *ret_refused ? refusal_of_targets(a, authorised, ret, to) : 0;
}

void order_tell_systemd(struct agent *a, struct proven *p) {
        struct recorded *r = proven_recorded(p);
        struct sites *sites = recorded_sites(a, r);

        if (!verb_info(recorded_verb(r))->freezes)
                return;
        for (size_t i = 0; sites && i < sites->n; i++) {
                const char *unit = site_freezable_unit(&sites->v[i]);
                const struct proof *proof = proven_site(p, i);

                if (!unit || !proof || !proof->frozen)
                        continue;
                guard_let_manager(a, sites->v[i].cgroup_id, true);
                if (systemd_unit_frozen(a->systemd, unit, true) < 0)
                        recorded_add_flags(r, reason_bit(REASON_SYSTEMD_UNAWARE));
                guard_let_manager(a, sites->v[i].cgroup_id, false);
                if (systemd_unit_watchdog(a->systemd, unit) > 0)
                        recorded_add_flags(r, reason_bit(REASON_WATCHDOG));
                alive();
        }
}

static void log_outcome(const struct proven *p) {
        const struct recorded *r = proven_recorded(p);
        const bool held = proven_state(p) == HOLD_HELD;
        char id[33];

        command_id_to_str(recorded_id(r), id);
        log_event(held ? LOG_NOTICE : LOG_WARNING, held ? MESSAGE_ID_HOLD_MADE : MESSAGE_ID_HOLD_PARTIAL,
                  LOG_FIELDS(.command_id = id, .hold = id, .stage = "prove"), "%s: %s", verb_info(recorded_verb(r))->id,
                  hold_state_id(proven_state(p)));
}

int order_conclude(struct agent *a, struct proven *p, const char *of, bool final, json_t **ret_receipt, char **ret) {
        const struct recorded *r = proven_recorded(p);
        struct sites *sites = recorded_sites(a, r);
        _cleanup_json_ json_t *receipt = receipt_of_proof(a, p);
        _cleanup_free_ char *envelope = NULL;
        struct outcome o = { .id = recorded_id(r),
                             .of = of,
                             .settle = true,
                             .state = proven_state(p),
                             .reasons = proven_gaps(p) | recorded_flags(r) };
        const struct hold *h = hold_set_find(a->holds, o.id);
        const bool news = !h || h->state != o.state;
        int e;

        if (sites)
                sites_close(sites);
        e = receipt_conclude(a, receipt, final, &o, &envelope);
        if (e < 0)
                return e;
        if (news)
                log_outcome(p);
        keep_update(a);
        *ret_receipt = TAKE_PTR(receipt);
        *ret = TAKE_PTR(envelope);
        return 0;
}

/* An order that the kernel has carried out, while systemd is being told. */
struct fencing {
        struct agent *agent;
        struct proven *proven;
        json_t *receipt; /* the first one */
        struct answer to;
};

static void fencing_free(void *userdata) {
        struct fencing *f = userdata;

        proven_free(f->proven);
        json_decref(f->receipt);
        free(f);
}

/* A release came before systemd was told of the hold, so there is nothing left to prove or to preserve. */
static int answer_overtaken(struct fencing *f, const struct command_id *id, bool snapshots) {
        struct outcome o = { .id = id, .of = "order" };
        _cleanup_free_ char *envelope = NULL;
        int r;

        receipt_catch_up(f->agent, id, &f->receipt);
        if (snapshots)
                receipt_add_flag(f->receipt, REASON_NO_EVIDENCE);
        r = receipt_conclude(f->agent, f->receipt, true, &o, &envelope);
        if (r == 0)
                link_answer(&f->to, envelope, false);
        return r;
}

static int answer_fenced(struct fencing *f, const struct command_id *id, bool told) {
        const struct hold *h = hold_set_find(f->agent->holds, id);
        const bool snapshots = verb_info(recorded_verb(proven_recorded(f->proven)))->snapshots;
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        int r;

        if (!h || hold_is_ending(h) || h->verb != recorded_verb(proven_recorded(f->proven)))
                return answer_overtaken(f, id, snapshots);
        prove_fences(f->agent, f->proven, told);
        r = order_conclude(f->agent, f->proven, "order", !snapshots, &receipt, &envelope);
        if (r == 0 && snapshots)
                return snapshot_of_hold(f->agent, id, receipt, &f->to);
        if (r == 0)
                link_answer(&f->to, envelope, false);
        return r;
}

static void on_fenced(int r, void *userdata) {
        struct fencing *f = userdata;
        const struct command_id id = *recorded_id(proven_recorded(f->proven));

        r = answer_fenced(f, &id, r == 0);
        if (r < 0)
                anew_or_refuse(f->agent, r, &id, &f->to);
        fencing_free(f);
}

/* One after the other: systemd is told in a tenth of a second, and the snapshot's receipt tells of that as well. What
 * is in a frozen process's memory does not go away meanwhile. */
static int order_fence(struct agent *a, struct proven **proven, json_t *receipt, const struct answer *to) {
        struct fencing *f = malloc(sizeof(*f));
        int r;

        if (!f)
                return -ENOMEM;
        *f = (struct fencing) { .agent = a, .proven = TAKE_PTR(*proven), .receipt = json_incref(receipt), .to = *to };
        fence_raise(a, recorded_id(proven_recorded(f->proven)));
        r = fence_tell(a, on_fenced, fencing_free, f);
        if (r < 0)
                fencing_free(f);
        return r;
}

int order_stop(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
               const struct answer *to) {
        const bool snapshots = verb_info(authorised_command(authorised)->verb)->snapshots;
        _cleanup_(proven_freep) struct proven *proven = NULL;
        _cleanup_(sites_done) struct sites sites = { 0 };
        _cleanup_json_ json_t *receipt = NULL;
        _cleanup_free_ char *envelope = NULL;
        struct recorded *recorded;
        struct enforced *enforced;
        reason_set notes = 0;
        bool refused, more;
        int r = resolve(a, authorised, &sites, &notes, &refused, to);

        if (r < 0 || refused) {
                authorised_free(authorised);
                return r;
        }
        phases_stamp(p, PHASE_RESOLVE);
        /* before the self-test, which can be seen in there */
        watch_begin(a, &sites, authorised_command(authorised)->verb);
        enforce_begin(a, authorised_command(authorised), &sites);
        r = record_order(a, authorised, d, &sites, p, &recorded);
        if (r < 0) {
                watch_update(a);
                return r;
        }
        recorded_add_flags(recorded, notes | watch_notes(a));
        r = enforce_apply(a, recorded, &enforced);
        if (r == 0)
                r = prove(a, enforced, &proven);
        if (r < 0)
                return r;
        order_tell_systemd(a, proven);
        more = snapshots || proven_awaits_fence(proven);
        r = order_conclude(a, proven, "order", !more, &receipt, &envelope);
        if (r < 0)
                return r;
        a->counters.holds++;
        link_answer(to, envelope, more);
        if (proven_awaits_fence(proven))
                return order_fence(a, &proven, receipt, to);
        return snapshots ? snapshot_of_hold(a, recorded_id(proven_recorded(proven)), receipt, to) : 0;
}

int order_snapshot(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                   const struct answer *to) {
        const struct command *c = authorised_command(authorised);
        _cleanup_(sites_done) struct sites sites = { 0 }, none = { 0 };
        _cleanup_(recorded_freep) struct recorded *recorded = NULL;
        _cleanup_json_ json_t *receipt = NULL;
        reason_set notes = 0;
        bool refused;
        int r = resolve(a, authorised, &sites, &notes, &refused, to);

        if (r < 0 || refused) {
                authorised_free(authorised);
                return r;
        }
        phases_stamp(p, PHASE_RESOLVE);
        r = record_order(a, authorised, d, &none, p, &recorded);
        if (r < 0)
                return r;
        c = recorded_command(recorded);
        receipt = receipt_plain(a, &c->id, recorded_digest(recorded), verb_info(c->verb)->id, "snapshot",
                                recorded_flags(recorded) | notes);
        if (!receipt || json_object_set_new(receipt, "incident", json_string(c->incident)) < 0)
                return -ENOMEM;
        return snapshot_of_sites(a, &c->id, c->incident, &sites, receipt, to);
}
