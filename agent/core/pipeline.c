/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/core/pipeline.h"

#include <sodium.h>
#include <string.h>

#include "agent/core/agent.h"
#include "agent/core/anew.h"
#include "agent/core/certified.h"
#include "agent/core/custody.h"
#include "agent/core/hearing.h"
#include "agent/core/lease.h"
#include "agent/core/order.h"
#include "agent/core/plan.h"
#include "agent/core/receipt.h"
#include "agent/core/refusal.h"
#include "agent/core/release.h"
#include "agent/core/retain.h"
#include "agent/core/rooted.h"
#include "agent/core/status.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* The frame's signatures and payload as the structure that verify takes. The payload is copied: it outlives the receive
 * buffer. */
static int to_dsse(const struct frame *f, struct dsse *ret) {
        struct dsse d = { .type = f->type, .n_payload = f->n_payload, .n_sigs = f->n_sigs };

        d.payload = malloc(f->n_payload + 1);
        if (!d.payload)
                return -ENOMEM;
        memcpy(d.payload, f->payload, f->n_payload);
        d.payload[f->n_payload] = 0;
        memcpy(d.sigs, f->sigs, sizeof(d.sigs));
        *ret = d;
        return 0;
}

static struct facts facts_now(struct agent *a) {
        struct facts f = {
                .wall_ms = clock_wall_ms(),
                .clock_synced = clock_synced(),
                .floor_ms = floor_now(&a->floor),
                .ledger_ok = agent_ledger_ok(a),
                .holds = a->holds,
                .shelf = &a->shelf,
                .attributes = a->attributes,
        };

        memcpy(f.host, hostkey_public(a->key)->id, sizeof(f.host));
        return f;
}

/* What carries a command out, by its class. Each takes the authorisation over and answers. */
static int (*const carry_out[])(struct agent *a, struct authorised *authorised, const struct dsse *d, struct phases *p,
                                const struct answer *to) = {
        [VERB_CLASS_STOP] = order_stop,       [VERB_CLASS_OBSERVE] = order_snapshot,
        [VERB_CLASS_EXTEND] = release_extend, [VERB_CLASS_RELEASE] = release_holds,
        [VERB_CLASS_KEEP] = retain_order,     [VERB_CLASS_DROP] = retain_order,
};

/* The core that has the ledger and cannot end may have recorded this very order; and what evidence there is, only that
 * ledger tells. */
static bool is_in_doubt(const struct agent *a, const struct command *c, const struct decision *decision) {
        if (!a->aside || !c || decision->kind != DECISION_REFUSED)
                return false;
        return decision->reason == REASON_NO_SUCH_EVIDENCE ||
               (decision->reason == REASON_LEDGER && verb_class_lets_go(verb_info(c->verb)->cls));
}

static int judge(struct agent *a, const struct dsse *d, struct phases *p, const struct answer *to) {
        _cleanup_(verified_freep) struct verified *v = NULL;
        _cleanup_(authorised_freep) struct authorised *authorised = NULL;
        _cleanup_command_ struct command *c = NULL;
        struct decision decision = { .kind = DECISION_REFUSED, .reason = REASON_NO_TRUST };
        struct facts facts;
        uint64_t mark;
        int r = 0;

        if (a->trust)
                r = verify_command(a->trust, d, &v, &decision.reason);
        phases_stamp(p, PHASE_VERIFY);
        if (r < 0)
                return r;
        if (!v)
                return refusal_answer(a, NULL, 0, NULL, &decision, to);
        facts = facts_now(a);
        r = decide(v, a->trust, &a->local, &facts, &decision, &authorised, &c);
        phases_stamp(p, PHASE_AUTHORISE);
        if (r < 0)
                return r;
        if (decision.allowed && !c->plan && herald_lists(verb_info(c->verb)->cls))
                heard_arrived(a, &c->id, verified_digest(v));
        if (decision.for_others && to->carried) {
                refusal_for_others(a, to);
                return 0;
        }
        if (decision.kind == DECISION_DUPLICATE)
                return refusal_duplicate(a, c, verified_digest(v), to);
        if (is_in_doubt(a, c, &decision))
                return -ENOTRECOVERABLE;
        if (decision.kind == DECISION_REFUSED)
                return refusal_answer(a, c, verified_people(v), verified_digest(v), &decision, to);
        if (c->plan)
                return plan_answer(a, authorised, to);
        mark = anew_mark(a);
        r = carry_out[verb_info(c->verb)->cls](a, TAKE_PTR(authorised), d, p, to);
        if (anew_if_due(a, r, &c->id, mark))
                return 0;
        /* FAIL-CLOSED: an id that is not remembered was not recorded, so nothing was undone either. The ledger's disk
         * may be full, which is noticed only by trying; that is a refusal like that of a ledger known to be broken. */
        if (r < 0 && r != -ENOMEM && r != -ENOTRECOVERABLE && verb_class_lets_go(verb_info(c->verb)->cls) &&
            !hold_set_seen(a->holds, &c->id)) {
                decision = (struct decision) { .kind = DECISION_REFUSED, .reason = REASON_LEDGER };
                return refusal_answer(a, c, verified_people(v), verified_digest(v), &decision, to);
        }
        return r;
}

static int take(struct agent *a, const struct dsse *d, struct phases *p, const struct answer *to) {
        if (d->type == DSSE_ATTRIBUTES)
                return certified_take(a, d, to);
        if (d->type == DSSE_TRUST)
                return rooted_take(a, d, to);
        if (d->type == DSSE_HEAD)
                return hearing_take(a, d, to);
        return judge(a, d, p, to);
}

/* Its record may turn up at the next start, so that nothing is done about it cannot be said, also when it comes again.
 */
static int take_unless_in_doubt(struct agent *a, const struct dsse *d, struct phases *p, const struct answer *to) {
        uint8_t digest[sizeof(a->doubted_digest)];
        int r;

        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        if (a->doubted && memcmp(digest, a->doubted_digest, sizeof(digest)) == 0)
                return -ENOTRECOVERABLE;
        r = take(a, d, p, to);
        if (r == -ENOTRECOVERABLE) {
                a->doubted = true;
                memcpy(a->doubted_digest, digest, sizeof(digest));
        }
        return r;
}

static int on_command(struct agent *a, const struct frame *f, const struct answer *to) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        struct phases p;
        int r;

        phases_begin(&p);
        a->counters.commands++;
        r = to_dsse(f, &d);
        return r < 0 ? r : take_unless_in_doubt(a, &d, &p, to);
}

/* What the gate may ask. Kinds that only the core sends have no function. */
static int (*const handlers[_FRAME_KIND_MAX])(struct agent *a, const struct frame *f, const struct answer *to) = {
        [FRAME_COMMAND] = on_command,
        [FRAME_STATUS] = status_answer,
        [FRAME_HEALTH] = health_answer,
        [FRAME_CUSTODY] = custody_answer,
};

void pipeline_frame(struct agent *a, const struct frame *f, const struct answer *to) {
        int r;

        agent_tick(a);
        r = handlers[f->kind] ? handlers[f->kind](a, f, to) : -EPROTO;
        lease_arm(a);
        agent_idle_work(a);
        if (r < 0) {
                log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "pipeline"), "A request could not be carried out: %s",
                          strerror(-r));
                link_refuse(to, REASON_INTERNAL);
        }
}
