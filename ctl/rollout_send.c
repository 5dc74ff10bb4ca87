/* SPDX-License-Identifier: Apache-2.0 */

#include <signal.h>
#include <string.h>

#include "ctl/rollout.h"
#include "ctl/text.h"
#include "ctl/times.h"

/* makes threads worth their making, and is shown soon enough */
#define ANSWERS_MAX 128

/* Set by a signal. One at a time: the second one ends the program. */
static volatile sig_atomic_t asked_to_stop;

static void on_stop(int sig) {
        (void) sig;
        asked_to_stop = 1;
}

void rollout_catch(void) {
        static const int stops[] = { SIGINT, SIGTERM, SIGHUP };
        const struct sigaction to = { .sa_handler = on_stop, .sa_flags = (int) SA_RESETHAND };

        for (size_t i = 0; i < ELEMENTSOF(stops); i++) {
                struct sigaction is;

                if (sigaction(stops[i], NULL, &is) == 0 && is.sa_handler != SIG_IGN)
                        (void) sigaction(stops[i], &to, NULL);
        }
}

bool rollout_is_stopped(void) {
        return asked_to_stop;
}

int rollout_next(struct rollout *r, int64_t left_ms, struct carrier_event **ret) {
        struct carrier_event *e = NULL;
        struct why *w = &r->c->why;
        int k = carrier_next(r->carrier, (int) MIN(left_ms, INT64_C(1000)), &e);

        while (e && e->kind == CARRIER_LOST) {
                r->lost++;
                free(e);
                k = carrier_next(r->carrier, 0, &e);
        }
        int x = k < 0 ? carrier_failed(r->carrier, k, w) : 0;

        if (e && e->kind == CARRIER_CLOSED)
                x = why_set(w, CTL_MACHINE, "%s", CLEAN(e->text));
        else if (e && e->kind == CARRIER_DENIED)
                x = why_set(w, CTL_MACHINE, "the broker does not permit it: %s", CLEAN(e->text));
        else if (e && e->kind == CARRIER_MESSAGE)
                *ret = TAKE_PTR(e);
        free(e);
        return x;
}

int rollout_hear(struct rollout *r, const char *subject) {
        int e = carrier_hear(r->carrier, subject);

        return e < 0 ? carrier_failed(r->carrier, e, &r->c->why) : carrier_permitted(r->carrier, &r->c->why);
}

static int say(const struct rollout *r, const struct rollout_wave *w, const struct subject *s) {
        char subject[SUBJECT_SIZE];
        int e = subject_build(s, subject);

        return e < 0 ? e : carrier_say(r->carrier, subject, NULL, w->text, strlen(w->text));
}

/* Under the group's or all hosts' subject, or each host's own: it is told how. */
static int each_subject(const struct rollout *r, const struct rollout_wave *w,
                        int (*how)(const struct rollout *r, const struct rollout_wave *w, const struct subject *s)) {
        static const enum subject_kind kinds[] = { [COMMAND_TO_HOSTS] = SUBJECT_CMD_HOST,
                                                   [COMMAND_TO_GROUP] = SUBJECT_CMD_GROUP,
                                                   [COMMAND_TO_ALL] = SUBJECT_CMD_ALL };
        const size_t n = r->to.to.to == COMMAND_TO_HOSTS ? r->to.to.n_hosts : 1;
        struct subject s = { .kind = kinds[r->to.to.to], .id = w->id };
        int e = 0;

        memcpy(s.fleet, r->trust->fleet, sizeof(s.fleet));
        memcpy(s.group, r->to.to.group, sizeof(s.group));
        for (size_t i = 0; e == 0 && i < n; i++) {
                if (r->to.to.to == COMMAND_TO_HOSTS)
                        memcpy(s.host, r->to.to.hosts[i], sizeof(s.host));
                e = how(r, w, &s);
        }
        return e;
}

static int publish(const struct rollout *r, const struct rollout_wave *w) {
        struct subject s = { .kind = SUBJECT_TRUST };

        if (r->lines)
                return rollout_certify_say(r);
        if (!r->root)
                return each_subject(r, w, say);
        memcpy(s.fleet, r->trust->fleet, sizeof(s.fleet));
        s.version = r->root->trust->version;
        return say(r, w, &s);
}

static int say_instead(const struct rollout *r, const struct rollout_wave *w, const struct subject *s) {
        const struct command *c = r->cmd;
        struct subject instead = *s;
        int e = 0;

        for (size_t i = 0; e == 0 && i < c->n_targets; i++)
                if (command_id_from_str(c->targets[i].name, &instead.id) == 0)
                        e = say(r, w, &instead);
        return e;
}

/* What the stream keeps of the orders that a release names is the release from now on: it has one message a subject. A
 * host that was away since before the order never sees that, if the broker is honest, even when the release is over.
 * What any broker still plays to it comes after the release, and is superseded.
 * FAIL-CLOSED: not before hosts have said that they take it. One that they refuse would keep the order from whoever has
 * not had it. */
static int take_places(struct rollout *r, const struct rollout_wave *w) {
        if (!r->cmd || r->cmd->verb != VERB_RELEASE || r->cmd->step || r->cmd->plan || w != &r->waves[r->n_waves - 1] ||
            !rollout_takes_places(r))
                return 0;
        if (r->stopped || !rollout_is_taken(r))
                return 0;
        int e = each_subject(r, w, say_instead);
        int x = e < 0 ? carrier_failed(r->carrier, e, &r->c->why) : carrier_permitted(r->carrier, &r->c->why);
        r->placed = x == 0;
        return x;
}

/* Answers that were there together: they are verified on all processors. */
struct answers {
        size_t came; /* of any kind, the last time */
        size_t n;
        struct carrier_event *events[ANSWERS_MAX]; /* owned */
        struct rollcall_message v[ANSWERS_MAX];
};

/* An answer comes under its host's name, which is tried and not believed. */
static void put(struct answers *a, const struct rollout_wave *w, struct carrier_event *e, int64_t at_ms) {
        struct subject s;

        /* All hosts of the group hear each wave's order: one of another wave that refuses it is as it has to be. */
        if (subject_parse(e->subject, strlen(e->subject), &s) < 0 || s.kind != SUBJECT_RSP ||
            !place_is_in(&w->part.part, s.host)) {
                free(e);
                return;
        }
        a->events[a->n] = e;
        a->v[a->n] = (struct rollcall_message) { .text = e->text, .n = e->n, .at_ms = at_ms };
        memcpy(a->v[a->n++].from, s.host, sizeof(a->v->from));
}

/* Waits for one, and takes what there is beside it; so many at most, whatever they are. Where some were lost, more are
 * behind them. */
static int gather(struct rollout *r, const struct rollout_wave *w, int64_t start, int64_t left, struct answers *a) {
        int x = 0;

        for (a->came = 0; x == 0 && a->came < ANSWERS_MAX; a->came++) {
                const size_t lost = r->lost;
                struct carrier_event *e = NULL;
                x = rollout_next(r, a->came == 0 ? left : 0, &e);
                if (!e && r->lost == lost)
                        break;
                if (e)
                        put(a, w, e, mono_ms() - start);
        }
        return x;
}

static int count(struct answers *a, struct rollout_wave *w) {
        const struct rollcall_entry *changed[ANSWERS_MAX];
        int e = rollcall_add(&w->calls, a->v, a->n, changed);

        while (a->n > 0)
                free(a->events[--a->n]);
        return e;
}

/* Who has answered at all gets longer for the rest of it. */
static int64_t limit_of(const struct rollout *r, const struct rollout_wave *w) {
        const struct rollcall *c = &w->calls;

        if (r->c->opt.timeout_ms)
                return r->c->opt.timeout_ms;
        return c->n - c->counts[ROLLCALL_SILENT] > c->finals ? FINAL_TIMEOUT_MS : ROLLOUT_TIMEOUT_MS;
}

/* Who has answered in time is not silent because there was no time to look: what came until the end is still counted,
 * for as long again, which is for a broker that never stops. */
static int listen_to(struct rollout *r, struct rollout_wave *w) {
        const int64_t start = mono_ms();
        struct answers a = { .n = 0 };
        int x = 0;

        while (x == 0 && !asked_to_stop && !rollcall_is_over(&w->calls)) {
                const int64_t limit = limit_of(r, w), left = limit - (mono_ms() - start);
                x = gather(r, w, start, MAX(left, (int64_t) HANDOVER_MS), &a);
                if (count(&a, w) < 0 && x == 0)
                        x = why_errno(&r->c->why, -ENOMEM, "answers");
                rollout_progress(r, w, false);
                if (left <= -limit || (left <= 0 && a.came == 0))
                        break;
        }
        rollout_progress(r, w, true);
        r->stopped = asked_to_stop;
        return x;
}

int rollout_send(struct rollout *r, struct rollout_wave *w) {
        char answers[SUBJECT_SIZE];
        int e = subject_answers(r->trust->fleet, r->lines ? NULL : &w->id, answers);

        if (e < 0)
                return why_errno(&r->c->why, e, "subject");
        int x = rollout_hear(r, answers);
        r->stopped = asked_to_stop;
        if (x != 0 || r->stopped)
                return x;
        e = publish(r, w);
        if (e < 0)
                return carrier_failed(r->carrier, e, &r->c->why);
        w->sent = true;
        x = listen_to(r, w);
        return x == 0 ? take_places(r, w) : x;
}
