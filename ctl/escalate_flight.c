/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/escalate.h"
#include "ctl/deliver.h"
#include "ctl/escalate_tell.h"
#include "ctl/order.h"
#include "ctl/times.h"

/* so often an order is sent again that nobody has answered: once it is there, more of it is a duplicate */
#define AGAIN_MS 5000
/* and one that was refused for what may pass, which is told each time */
#define LATER_MS 30000

static void end(struct escalate *x, struct escalate_flight *f) {
        client_done(&f->client);
        *f = x->flights[--x->n_flights];
}

static int begin(struct escalate *x, const struct escalate_record *r) {
        struct escalate_flight *f = &x->flights[x->n_flights];
        _cleanup_command_ struct command *cmd = NULL;
        uint8_t digest[32];
        int n = escalate_order_read(r, &cmd, digest);

        if (n < 0)
                return n;
        *f = (struct escalate_flight) {
                .id = r->id, .client = CLIENT_NULL, .sent = r->loaded || r->again_ms > 0, .troubled = r->again_ms > 0
        };
        command_id_to_str(&r->id, f->name);
        memcpy(f->digest, digest, sizeof(f->digest));
        if (cmd->to == COMMAND_TO_HOSTS) {
                memcpy(f->host[0], cmd->hosts[0], sizeof(f->host[0]));
                f->n_hosts = 1;
        }
        x->n_flights++;
        return 0;
}

static bool is_in_flight(const struct escalate *x, const struct command_id *id) {
        for (size_t i = 0; i < x->n_flights; i++)
                if (command_id_equal(&x->flights[i].id, id))
                        return true;
        return false;
}

/* Nobody will answer this one any more, or need to. */
static void settle(struct escalate *x, struct escalate_flight *f, struct escalate_record *r, int code) {
        free(r->envelope);
        r->envelope = NULL;
        x->worst = MAX(x->worst, code);
        end(x, f);
        escalate_order_keep(x);
}

/* It is asked for once more, and others are sent meanwhile. */
static void later(struct escalate *x, struct escalate_flight *f, struct escalate_record *r, int64_t in_ms) {
        r->again_ms = mono_ms() + in_ms;
        end(x, f);
}

/* refused: nothing of it can have been done. */
static void refuse(struct escalate *x, struct escalate_flight *f, struct escalate_record *r, bool refused) {
        if (r->again_ms == 0)
                escalate_tell_order(x, r, ESCALATE_OUTCOME_WAITING,
                                    "the agent refused it for what may pass; it is sent again until it expires", NULL);
        r->refused = refused;
        later(x, f, r, LATER_MS);
}

static void again(struct escalate *x, struct escalate_flight *f, const struct escalate_record *r, const char *why) {
        client_done(&f->client);
        f->at_ms = mono_ms() + AGAIN_MS;
        /* once: it would be said every five seconds */
        if (!f->troubled)
                escalate_tell_order(x, r, ESCALATE_OUTCOME_WAITING, why, NULL);
        f->troubled = true;
}

static const struct {
        int r;
        const char *text;
} troubles[] = {
        { -ENOENT, "no agent is here; it is sent again until it expires" },
        { -ECONNREFUSED, "no agent listens; it is sent again until it expires" },
        { -ETIMEDOUT, "no answer in time; it is sent again until it expires" },
        { -ECONNRESET, "the agent closed the connection without a final answer; it is sent again until it expires" },
        { -EACCES, "this program may not talk to the agent; it is tried again until the order expires" },
};

static const char *trouble(int r) {
        for (size_t i = 0; i < ELEMENTSOF(troubles); i++)
                if (troubles[i].r == r)
                        return troubles[i].text;
        return "it could not be sent; it is tried again until it expires";
}

static void send_one(struct escalate *x, struct escalate_flight *f, struct escalate_record *r) {
        int n = deliver(x->c, r->envelope, &f->client);

        if (n < 0)
                again(x, f, r, trouble(n));
        else {
                f->sent = true;
                r->refused = false;
        }
        /* an agent that takes nothing costs each try its time, and who waits for brokers waits too */
        for (size_t i = 0; n == -ETIMEDOUT && i < x->n_flights; i++)
                if (x->flights[i].client.fd < 0)
                        x->flights[i].at_ms = f->at_ms;
}

/* An order that nobody ever took has not been given: the event may order it again. */
static void expire(struct escalate *x, struct escalate_flight *f, struct escalate_record *r) {
        const struct command_id id = f->id;

        const bool answered = f->answered || r->answered;

        escalate_tell_order(x, r, answered || r->refused ? ESCALATE_OUTCOME_UNFINISHED : ESCALATE_OUTCOME_SILENT,
                            r->refused ? "it expired while the agent refused it for what might have passed"
                            : answered ? "the final receipt did not come"
                            : f->sent  ? "nobody answered before it expired; it may have been carried out"
                                       : "nobody could be reached before it expired",
                            NULL);
        const bool never = r->refused || !f->sent;
        settle(x, f, r, r->refused ? CTL_REFUSED : answered ? CTL_PARTIAL : CTL_SILENT);
        if (never) {
                escalate_state_drop(&x->state, &id);
                escalate_order_keep(x);
        }
}

static void step(struct escalate *x, struct escalate_flight *f) {
        struct escalate_record *r = escalate_state_find(&x->state, &f->id);
        const int64_t now = mono_ms();

        if (!r || !r->envelope)
                end(x, f);
        else if (f->client.fd < 0 && r->exp_ms <= order_now_ms())
                expire(x, f, r);
        else if (f->client.fd < 0 && f->at_ms <= now)
                send_one(x, f, r);
        else if (f->client.fd >= 0 && f->client.deadline_ms <= now)
                again(x, f, r, trouble(-ETIMEDOUT));
}

static bool is_due(const struct escalate_record *r) {
        return r->again_ms <= mono_ms() || r->exp_ms <= order_now_ms();
}

/* asked: those that were answered once, which may be many, and stay so for long. */
static void begin_all(struct escalate *x, bool asked) {
        for (size_t i = 0; i < x->state.n && x->n_flights < ESCALATE_FLIGHTS_MAX; i++) {
                struct escalate_record *r = &x->state.v[i];

                if (!r->envelope || (r->again_ms > 0) != asked || !is_due(r) || escalate_fleet_has(x, r->host) ||
                    is_in_flight(x, &r->id))
                        continue;
                if (begin(x, r) < 0) {
                        escalate_tell_order(x, r, ESCALATE_OUTCOME_LOST,
                                            "the signed order in the state file cannot be read", NULL);
                        free(r->envelope);
                        r->envelope = NULL;
                        continue;
                }
                step(x, &x->flights[x->n_flights - 1]);
        }
}

/* Forwards over the array would miss what takes the place of one that ended. */
void escalate_flight_all(struct escalate *x) {
        if (x->c->opt.dry_run)
                return;
        for (size_t i = x->n_flights; i-- > 0;)
                step(x, &x->flights[i]);
        begin_all(x, false);
        begin_all(x, true);
}

/* Of those that were taken, the first waits no more: others need its place. */
static void make_room(struct escalate *x) {
        size_t n = 0, first = x->n_flights;

        for (size_t i = x->n_flights; i-- > 0;)
                if (x->flights[i].answered) {
                        first = i;
                        n++;
                }
        struct escalate_record *r =
                n > ESCALATE_ANSWERED_MAX ? escalate_state_find(&x->state, &x->flights[first].id) : NULL;
        if (r)
                later(x, &x->flights[first], r, LATER_MS);
}

/* Returns 0 when more is to come. */
static int judge_signed(struct escalate *x, struct escalate_flight *f, struct escalate_record *r,
                        const struct receipt *a) {
        const enum reason refusal = receipt_refusal(receipt_told(a->payload));

        /* who took it did not refuse it: when it came again, something else had changed */
        if (refusal != REASON_NONE && r->answered) {
                later(x, f, r, LATER_MS);
                return 0;
        }
        if (reason_may_pass(refusal)) {
                refuse(x, f, r, true);
                return 0;
        }
        f->answered = r->answered = true;
        if (receipt_is_final(a))
                return 1;
        if (receipt_state(a->payload) == RECEIPT_STATE_DUPLICATE) {
                /* what follows goes to who sent it first */
                later(x, f, r, AGAIN_MS);
                return 0;
        }
        client_rearm(&f->client, x->c->opt.timeout_ms ? x->c->opt.timeout_ms : FINAL_TIMEOUT_MS);
        make_room(x);
        return 0;
}

static int judge(struct escalate *x, struct escalate_flight *f, struct escalate_record *r, const struct receipt *a,
                 const char *msg, size_t n) {
        if (a->kind == RECEIPT_SIGNED) {
                escalate_tell_receipt(x, r, a, msg, n);
                return judge_signed(x, f, r, a);
        }
        if (a->kind == RECEIPT_GATE && a->reason == REASON_BUSY) {
                again(x, f, r, "the gate is limiting this client; it is sent again");
                return 0;
        }
        if (a->kind == RECEIPT_GATE && (r->answered || reason_may_pass(a->reason))) {
                /* what failed on the way may have been recorded before */
                refuse(x, f, r, !r->answered && a->reason != REASON_INTERNAL);
                return 0;
        }
        escalate_tell_order(x, r, a->kind == RECEIPT_GATE ? ESCALATE_OUTCOME_REFUSED : ESCALATE_OUTCOME_UNVERIFIED,
                            a->text,
                            a->kind == RECEIPT_GATE ? json_pack("{s:[s]}", "reasons", reason_id(a->reason)) : NULL);
        return 1;
}

void escalate_flight_hear(struct escalate *x, struct escalate_flight *f) {
        struct escalate_record *r = escalate_state_find(&x->state, &f->id);
        const struct receipt_want want = { .type = DSSE_RECEIPT,
                                           .id = f->name,
                                           .digest = f->digest,
                                           .hosts = f->n_hosts ? (const uint8_t(*)[32]) f->host : NULL,
                                           .n_hosts = f->n_hosts };
        struct receipt a = RECEIPT_NULL;
        _cleanup_free_ char *msg = NULL;
        size_t size;

        if (!r) {
                end(x, f);
                return;
        }
        int n = client_recv(&f->client, &msg, &size);
        if (n >= 0)
                n = receipt_read(msg, size, &x->known, &want, &a);
        if (n < 0)
                again(x, f, r, trouble(n));
        else if (judge(x, f, r, &a, msg, size) != 0)
                settle(x, f, r, receipt_exit(&a));
        receipt_done(&a);
}

int escalate_flight_wait(const struct escalate *x) {
        int64_t next = INT64_MAX;

        for (size_t i = 0; i < x->n_flights; i++) {
                const struct escalate_flight *f = &x->flights[i];

                next = MIN(next, f->client.fd >= 0 ? f->client.deadline_ms : f->at_ms);
        }
        /* without room it is the flights that end first */
        for (size_t i = 0; i < x->state.n && x->n_flights < ESCALATE_FLIGHTS_MAX; i++)
                if (x->state.v[i].envelope && x->state.v[i].again_ms > 0 && !is_in_flight(x, &x->state.v[i].id))
                        next = MIN(next, x->state.v[i].again_ms);
        return next == INT64_MAX ? -1 : (int) MIN(MAX(next - mono_ms(), 0), 60000);
}

bool escalate_flight_is_idle(const struct escalate *x) {
        for (size_t i = 0; i < x->state.n; i++)
                if (x->state.v[i].envelope)
                        return false;
        return true;
}
