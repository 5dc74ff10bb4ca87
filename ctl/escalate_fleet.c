/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/brokerfile.h"
#include "ctl/courier.h"
#include "ctl/escalate.h"
#include "ctl/escalate_fleet.h"
#include "ctl/escalate_tell.h"
#include "ctl/inventory.h"
#include "ctl/order.h"
#include "ctl/rollcall.h"
#include "ctl/text.h"
#include "ctl/times.h"
#include "ctl/trustfile.h"

/* orders whose answers are awaited at the same time; the others wait in the state */
#define AWAY_MAX 64U
/* so often an order is given again of which some hosts are silent: it may have been lost, or what they said */
#define AGAIN_MS 30000
/* when more was given than the socket takes, or answers were lost */
#define SOON_MS 1000
/* then it is looked for events of other kinds */
#define TURN_MAX   64U
#define LISTED_MAX 20U

struct away {
        struct command_id id;
        char subject[SUBJECT_SIZE];
        struct rollcall calls;
        int64_t at_ms, begun_ms; /* CLOCK_MONOTONIC: to be given; what answers are measured from */
        bool given, sent, troubled;
};

enum link {
        UNKNOWN, /* the first connection is being made */
        UP,
        DOWN,
};

struct escalate_fleet {
        struct broker broker;
        struct inventory inventory;
        struct hosts names;
        struct courier *courier; /* NULL: a rehearsal */
        enum link link;
        struct away v[AWAY_MAX];
        size_t n;
};

static int compare_names(const void *x, const void *y) {
        const struct host *a = x, *b = y;

        return strcmp(a->name, b->name);
}

/* A name that two hosts have names neither. */
static int read_names(struct escalate_fleet *f) {
        const struct inventory *i = &f->inventory;
        _cleanup_free_ struct host *v = calloc(MAX(i->n, (size_t) 1), sizeof(*v));
        struct hosts *ret = &f->names;

        ret->v = calloc(MAX(i->n, (size_t) 1), sizeof(*ret->v));
        if (!v || !ret->v)
                return -ENOMEM;
        for (size_t k = 0; k < i->n; k++)
                v[k] = i->v[k].host;
        if (i->n > 0)
                qsort(v, i->n, sizeof(*v), compare_names);
        for (size_t k = 0; k < i->n; k++)
                if ((k == 0 || compare_names(&v[k - 1], &v[k]) != 0) &&
                    (k + 1 == i->n || compare_names(&v[k], &v[k + 1]) != 0))
                        ret->v[ret->n++] = v[k];
        return 0;
}

int escalate_fleet_start(struct escalate *x) {
        const struct options *o = &x->c->opt;
        struct escalate_fleet *f = x->fleet = calloc(1, sizeof(*f));
        struct why *w = &x->c->why;
        int r;

        if (!f)
                return why_errno(w, -ENOMEM, "--nats");
        if (!x->trust)
                return why_set(w, CTL_MACHINE,
                               "--nats needs a trust root to know the inventory's hosts by: there is "
                               "no %s here, give --trust FILE",
                               TRUSTFILE_PATH);
        int code = brokerfile_load(o->nats, &f->broker, w);
        if (code == 0)
                code = inventory_load(o->inventory, x->trust, &f->inventory, w);
        if (code != 0)
                return code;
        r = read_names(f);
        if (r >= 0 && !o->dry_run)
                r = courier_start(&f->broker, x->trust->fleet, &f->courier);
        return r < 0 ? why_errno(w, r, "--nats") : 0;
}

void escalate_fleet_freep(struct escalate_fleet **fp) {
        struct escalate_fleet *f = *fp;

        if (!f)
                return;
        courier_freep(&f->courier);
        for (size_t i = 0; i < f->n; i++)
                rollcall_done(&f->v[i].calls);
        hosts_done(&f->names);
        inventory_done(&f->inventory);
        free(f);
        *fp = NULL;
}

const struct hosts *escalate_fleet_names(const struct escalate_fleet *f) {
        return &f->names;
}

int escalate_fleet_fd(const struct escalate_fleet *f) {
        return f && f->courier ? courier_fd(f->courier) : -1;
}

bool escalate_fleet_has(const struct escalate *x, const uint8_t *host) {
        return x->fleet && !(host && x->me && memcmp(host, x->me->key.id, sizeof(x->me->key.id)) == 0);
}

/* Whom an order is for, of those in the inventory; ret has room for all of them. */
static size_t expect(const struct inventory *i, enum command_to to, const uint8_t *host, const char *group,
                     const struct inventory_host **ret) {
        size_t n = 0;

        for (size_t k = 0; k < i->n; k++) {
                const struct inventory_host *h = &i->v[k];

                if (to == COMMAND_TO_ALL || (to == COMMAND_TO_GROUP && inventory_is_of(h, group)) ||
                    (to == COMMAND_TO_HOSTS && memcmp(host, h->host.key.id, sizeof(h->host.key.id)) == 0))
                        ret[n++] = h;
        }
        return n;
}

const char *escalate_fleet_expect(const struct escalate *x, struct escalate_draft *d) {
        const struct inventory *i = x->fleet ? &x->fleet->inventory : NULL;
        _cleanup_free_ const struct inventory_host **v = NULL;

        if (!i || d->to == COMMAND_TO_HOSTS)
                return NULL;
        v = calloc(MAX(i->n, (size_t) 1), sizeof(*v));
        if (!v)
                return "out of memory";
        const size_t n = expect(i, d->to, NULL, d->group, v);
        if (n == 0)
                return "no host of the inventory is meant by this";
        if (n > (uint64_t) d->rule->max_hosts)
                return "this is for more hosts of the inventory than the rule's max_hosts";
        d->n_hosts = (int64_t) n;
        return NULL;
}

static void end(struct escalate_fleet *f, struct away *a) {
        rollcall_done(&a->calls);
        *a = f->v[--f->n];
}

static struct away *find(struct escalate_fleet *f, const struct command_id *id) {
        for (size_t i = 0; i < f->n; i++)
                if (command_id_equal(&f->v[i].id, id))
                        return &f->v[i];
        return NULL;
}

/* As escalate_flight.c's: the order itself says what was asked. -ENOENT: the inventory has nobody who is meant. */
static int begin(struct escalate *x, const struct escalate_record *r) {
        struct escalate_fleet *f = x->fleet;
        _cleanup_free_ const struct inventory_host **v = calloc(MAX(f->inventory.n, (size_t) 1), sizeof(*v));
        _cleanup_command_ struct command *cmd = NULL;
        struct away *a = &f->v[f->n];
        uint8_t digest[32];
        char id[33];
        size_t n = 0;
        int e = v ? escalate_order_read(r, &cmd, digest) : -ENOMEM;

        if (e >= 0) {
                *a = (struct away) { .id = r->id, .begun_ms = mono_ms(), .given = r->loaded };
                e = subject_command(cmd, a->subject);
        }
        if (e >= 0)
                n = expect(&f->inventory, cmd->to, cmd->n_hosts > 0 ? cmd->hosts[0] : NULL, cmd->group, v);
        if (e >= 0 && n == 0)
                return -ENOENT;
        command_id_to_str(&r->id, id);
        if (e >= 0)
                e = rollcall_init(&a->calls, v, n, id, digest);
        if (e >= 0)
                f->n++;
        return e;
}

/* How it stands: the four classes, and by name who is silent. */
static json_t *figures(const struct away *a) {
        const struct rollcall *c = &a->calls;
        json_t *o = json_object(), *silent = json_array();

        (void) json_object_set_new(o, "hosts", json_integer((json_int_t) c->n));
        for (enum rollcall_class k = 0; k < _ROLLCALL_CLASS_MAX; k++)
                (void) json_object_set_new(o, rollcall_class_str(k), json_integer((json_int_t) c->counts[k]));
        (void) json_object_set_new(o, "ignored", json_integer((json_int_t) c->strays));
        for (size_t i = 0; i < c->n && json_array_size(silent) < LISTED_MAX; i++)
                if (c->v[i].class == ROLLCALL_SILENT)
                        (void) json_array_append_new(silent, json_string(c->v[i].host->name));
        (void) json_object_set_new(o, "silent_hosts", silent);
        return o;
}

static void settle(struct escalate *x, struct away *a, struct escalate_record *r, enum escalate_outcome outcome,
                   const char *why) {
        escalate_tell_order(x, r, outcome, why, figures(a));
        x->worst = MAX(x->worst, rollcall_exit(&a->calls));
        free(r->envelope);
        r->envelope = NULL;
        end(x->fleet, a);
        escalate_order_keep(x);
}

static void expire(struct escalate *x, struct away *a, struct escalate_record *r) {
        const struct command_id id = a->id;
        const bool refused = a->calls.counts[ROLLCALL_REFUSED] == a->calls.n;
        const bool answered = a->calls.counts[ROLLCALL_SILENT] < a->calls.n, untaken = !a->given || refused;

        settle(x, a, r, answered ? ESCALATE_OUTCOME_UNFINISHED : ESCALATE_OUTCOME_SILENT,
               rollcall_is_over(&a->calls) ? "it expired while a host refused it for what might have passed"
               : answered                  ? "it expired before each host had answered to the end"
               : !a->given                 ? "no broker could be reached before it expired"
                                           : "nobody answered before it expired; it may have been carried out");
        if (untaken) {
                escalate_state_drop(&x->state, &id);
                escalate_order_keep(x);
        }
}

/* once: it would be said every time */
static void trouble(struct escalate *x, struct away *a, const struct escalate_record *r, const char *why) {
        if (!a->troubled)
                escalate_tell_order(x, r, ESCALATE_OUTCOME_WAITING, why, NULL);
        a->troubled = true;
}

static void give(struct escalate *x, struct away *a, const struct escalate_record *r, int64_t now) {
        int e = courier_give(x->fleet->courier, a->subject, r->envelope, strlen(r->envelope));

        a->at_ms = now + (e < 0 ? SOON_MS : AGAIN_MS);
        a->given = a->given || e >= 0;
        if (e < 0)
                trouble(x, a, r, "too much waits for the broker; it is given again until it expires");
}

static void step(struct escalate *x, struct away *a) {
        struct escalate_record *r = escalate_state_find(&x->state, &a->id);
        const int64_t now = mono_ms(), wall = order_now_ms();
        const struct rollcall *c = &a->calls;
        const bool unfinished = c->n - c->counts[ROLLCALL_SILENT] > c->finals;

        if (!r || !r->envelope)
                end(x->fleet, a);
        else if (rollcall_stands(c))
                settle(x, a, r, ESCALATE_OUTCOME_DONE, "");
        else if (r->exp_ms + (unfinished ? FINAL_TIMEOUT_MS : 0) <= wall)
                expire(x, a, r);
        else if (x->fleet->link == DOWN)
                trouble(x, a, r, "no broker is there; it is given to one that is back until it expires");
        else if (x->fleet->link == UP && a->at_ms <= now && r->exp_ms > wall)
                give(x, a, r, now);
}

void escalate_fleet_all(struct escalate *x) {
        struct escalate_fleet *f = x->fleet;

        if (!f || !f->courier)
                return;
        for (size_t i = f->n; i-- > 0;)
                step(x, &f->v[i]);
        for (size_t i = 0; i < x->state.n && f->n < AWAY_MAX; i++) {
                struct escalate_record *r = &x->state.v[i];

                if (!r->envelope || !escalate_fleet_has(x, r->host) || find(f, &r->id))
                        continue;
                int e = begin(x, r);
                if (e < 0) {
                        escalate_tell_order(x, r, ESCALATE_OUTCOME_LOST,
                                            e == -ENOENT ? "no host of the inventory is meant by it any more"
                                                         : "the signed order in the state file cannot be read",
                                            NULL);
                        free(r->envelope);
                        r->envelope = NULL;
                        continue;
                }
                step(x, &f->v[f->n - 1]);
        }
}

/* The envelope as it came is what others are told, so it is read a second time, by the key that it was believed by. */
static void tell_answer(struct escalate *x, const struct away *a, const struct escalate_record *r,
                        const struct rollcall_entry *entry, const struct courier_event *e) {
        struct host one = *entry->host;
        const struct hosts known = { &one, 1 };
        const struct receipt_want want = { .type = DSSE_RECEIPT,
                                           .id = a->calls.id,
                                           .digest = a->calls.digest,
                                           .hosts = (const uint8_t(*)[32]) & one.key.id,
                                           .n_hosts = 1 };
        struct receipt answer = RECEIPT_NULL;

        if (receipt_read(e->text, e->n, &known, &want, &answer) == 0 && answer.kind == RECEIPT_SIGNED)
                escalate_tell_receipt(x, r, &answer, e->text, e->n);
        receipt_done(&answer);
}

static void hear_answer(struct escalate *x, const struct courier_event *e) {
        struct away *a = find(x->fleet, &e->subject.id);
        const struct escalate_record *r = a ? escalate_state_find(&x->state, &a->id) : NULL;
        const struct rollcall_entry *changed = NULL;

        if (!r)
                return;
        const size_t strays = a->calls.strays;
        struct rollcall_message m = { .text = e->text, .n = e->n, .at_ms = mono_ms() - a->begun_ms };
        memcpy(m.from, e->subject.host, sizeof(m.from));
        if (rollcall_add(&a->calls, &m, 1, &changed) < 0)
                a->at_ms = mono_ms() + SOON_MS;
        if (changed && rollcall_may_pass(changed))
                trouble(x, a, r, "a host refused it for what may pass; it is given again until it expires");
        if (changed)
                tell_answer(x, a, r, changed, e);
        else if (strays == 0 && a->calls.strays > 0)
                escalate_tell_order(x, r, ESCALATE_OUTCOME_UNVERIFIED, a->calls.stray, NULL);
}

static void hear_link(struct escalate *x, const struct courier_event *e) {
        struct escalate_fleet *f = x->fleet;
        const enum link now = e->kind == COURIER_UP ? UP : DOWN;

        if (now != f->link)
                escalate_tell(x, now == UP ? ESCALATE_OUTCOME_BROKER_UP : ESCALATE_OUTCOME_BROKER_DOWN, CLEAN(e->text),
                              NULL);
        f->link = now;
        /* what was said while nobody listened is said again */
        for (size_t i = 0; now == UP && i < f->n; i++)
                f->v[i].at_ms = 0;
}

static void hear_lost(struct escalate *x) {
        struct escalate_fleet *f = x->fleet;

        escalate_tell(x, ESCALATE_OUTCOME_ANSWERS_LOST,
                      "answers came faster than they were taken: they are asked for again", NULL);
        for (size_t i = 0; i < f->n; i++)
                f->v[i].at_ms = MIN(f->v[i].at_ms, mono_ms() + SOON_MS);
}

static void hear(struct escalate *x, const struct courier_event *e) {
        struct away *a = e->kind == COURIER_SENT ? find(x->fleet, &e->subject.id) : NULL;
        const struct escalate_record *r = a && !a->sent ? escalate_state_find(&x->state, &a->id) : NULL;

        if (e->kind == COURIER_ANSWER)
                hear_answer(x, e);
        else if (e->kind == COURIER_UP || e->kind == COURIER_DOWN)
                hear_link(x, e);
        else if (e->kind == COURIER_LOST)
                hear_lost(x);
        else if (e->kind == COURIER_DENIED)
                escalate_tell(x, ESCALATE_OUTCOME_BROKER_DENIED, CLEAN(e->text), NULL);
        if (r) {
                a->sent = true;
                escalate_tell_order(x, r, ESCALATE_OUTCOME_SENT, "",
                                    json_pack("{s:I}", "hosts", (json_int_t) a->calls.n));
        }
}

int escalate_fleet_hear(struct escalate *x) {
        for (unsigned i = 0; i < TURN_MAX; i++) {
                _cleanup_free_ struct courier_event *e = NULL;
                int r = courier_take(x->fleet->courier, &e);

                if (r == -EPIPE)
                        return r;
                if (!e)
                        break;
                hear(x, e);
        }
        return 0;
}

int escalate_fleet_wait(const struct escalate *x) {
        const struct escalate_fleet *f = x->fleet;
        const int64_t wall = order_now_ms(), now = mono_ms();
        int64_t wait = INT64_MAX;

        for (size_t i = 0; f && i < f->n; i++) {
                const struct escalate_record *r = escalate_state_find((struct escalate_state *) &x->state, &f->v[i].id);

                /* what has expired is given no more */
                if (f->link == UP && !(r && r->exp_ms <= wall))
                        wait = MIN(wait, f->v[i].at_ms - now);
                if (r)
                        wait = MIN(wait, r->exp_ms > wall ? r->exp_ms - wall : SOON_MS);
        }
        return wait == INT64_MAX ? -1 : (int) MIN(MAX(wait, 0), 60000);
}
