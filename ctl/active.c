/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/active.h"
#include "ctl/trustfile.h"
#include "policy/dsse.h"

/* of a head, beside its orders */
#define FRAME_SIZE 512U
/* of an order in a head, beside its address */
#define ORDER_SIZE (sizeof("{'digest':'','exp':9007199254740991,'id':'','to':},") + 4 * HERALD_DIGEST_SIZE)

static void done(struct active_order *o) {
        address_done(&o->to);
        free(o->lifted);
}

void active_done(struct active *a) {
        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++) {
                for (size_t i = 0; i < a->by[by].n; i++)
                        done(&a->by[by].v[i]);
                free(a->by[by].v);
                seenset_done(&a->by[by].known);
        }
        seenset_done(&a->in_time);
        *a = ACTIVE_NULL;
}

static bool is_release(const struct active_order *o) {
        return o->n_lifted > 0;
}

/* A release that is over is remembered for as long as there may be a stop order that it ended. */
static bool is_over(const struct active_order *o, int64_t now_ms) {
        return now_ms >= o->exp_ms && (!is_release(o) || now_ms >= o->iat_ms + COMMAND_STOP_LIFE_MS);
}

static bool is_listed(const struct active_order *o, int64_t now_ms) {
        return now_ms < o->exp_ms && !o->released;
}

static bool is_same_part(const struct place_part *a, const struct place_part *b) {
        return a->is_set == b->is_set && (!a->is_set || (memcmp(a->salt, b->salt, sizeof(a->salt)) == 0 &&
                                                         a->from <= b->from && a->below >= b->below));
}

static bool names(const struct address *a, const uint8_t host[static 32]) {
        for (size_t i = 0; i < a->n_hosts; i++)
                if (memcmp(a->hosts[i], host, 32) == 0)
                        return true;
        return false;
}

/* Does all of b hear what is said to a? Nobody here knows who is of which group, so it may be yes where this says no:
 * then an order is listed that no host lacks. */
static bool reaches(const struct address *a, const struct address *b) {
        if (a->to == COMMAND_TO_ALL && !a->part.is_set)
                return true;
        if (a->to != b->to)
                return false;
        if (a->to != COMMAND_TO_HOSTS)
                return strcmp(a->group, b->group) == 0 && (!a->part.is_set || is_same_part(&a->part, &b->part));
        for (size_t i = 0; i < b->n_hosts; i++)
                if (!names(a, b->hosts[i]))
                        return false;
        return true;
}

static void lift(const struct active_order *release, struct active_order *stop) {
        for (size_t i = 0; i < release->n_lifted; i++)
                if (command_id_equal(&release->lifted[i], &stop->id) && reaches(&release->to, &stop->to))
                        stop->released = true;
}

/* Before or after what it is about. Automation lets nothing go. */
static void settle(struct active *a, struct active_order *new) {
        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++) {
                struct active_share *s = &a->by[by];

                if (!is_release(new) && by != ACTIVE_BY_PEOPLE)
                        continue;
                for (size_t i = 0; i < s->n; i++)
                        if (is_release(new) && !is_release(&s->v[i]))
                                lift(new, &s->v[i]);
                        else if (!is_release(new) && is_release(&s->v[i]))
                                lift(&s->v[i], new);
        }
}

static int copy_address(const struct address *from, struct address *ret) {
        struct address to = *from;

        to.hosts = memdup_array(from->hosts, from->n_hosts, sizeof(*from->hosts));
        if (!to.hosts)
                return -ENOMEM;
        *ret = to;
        return 0;
}

static int read_lifted(const struct command *c, struct active_order *o) {
        o->lifted = calloc(c->n_targets, sizeof(*o->lifted));
        if (!o->lifted)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_targets; i++)
                if (c->targets[i].cls == TARGET_HOLD &&
                    command_id_from_str(c->targets[i].name, &o->lifted[o->n_lifted]) == 0)
                        o->n_lifted++;
        return 0;
}

/* Makes room for it, and knows it from now on. */
static int expect(struct active_share *s, const uint8_t digest[static 32]) {
        struct active_order *v = s->v;

        if ((s->n & (s->n - 1)) == 0)
                v = reallocarray(s->v, s->n ? 2 * s->n : 1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        s->v = v;
        return seenset_add(&s->known, digest, sizeof(v->digest)) < 0 ? -ENOMEM : 0;
}

static int append(struct active *a, size_t by, const struct command *c, const uint8_t digest[static 32]) {
        const struct address to = command_address(c);
        struct active_share *s = &a->by[by];
        struct active_order o = { .id = c->id, .iat_ms = c->iat_ms, .exp_ms = c->exp_ms };
        int r = copy_address(&to, &o.to);

        memcpy(o.digest, digest, sizeof(o.digest));
        /* with step it leaves the hold as one */
        if (r == 0 && verb_info(c->verb)->cls == VERB_CLASS_RELEASE && !c->step)
                r = read_lifted(c, &o);
        if (r == 0)
                r = expect(s, digest);
        if (r < 0) {
                done(&o);
                return r;
        }
        settle(a, &o);
        s->v[s->n++] = o;
        return 0;
}

/* Whose it is; _ACTIVE_BY_MAX: it is not known. */
static size_t whose(const struct active *a, const uint8_t digest[static 32]) {
        size_t by = 0;

        while (by < _ACTIVE_BY_MAX &&
               !seenset_has(&a->by[by].known, digest, sizeof(((struct active_order *) NULL)->digest)))
                by++;
        return by;
}

/* Automation's copy of what people ordered came first: it is theirs. */
static int give_to_people(struct active *a, size_t by, const uint8_t digest[static 32]) {
        struct active_share *from = &a->by[by], *to = &a->by[ACTIVE_BY_PEOPLE];
        size_t i = 0;

        while (i < from->n && memcmp(from->v[i].digest, digest, sizeof(from->v[i].digest)) != 0)
                i++;
        int r = i < from->n ? expect(to, digest) : 0;
        if (r < 0 || i == from->n)
                return r;
        to->v[to->n++] = from->v[i];
        from->n--;
        memmove(&from->v[i], &from->v[i + 1], (from->n - i) * sizeof(*from->v));
        from->next = from->n > 0 ? (from->next - (i < from->next)) % from->n : 0;
        return 0;
}

/* Whom rules of automation name, or those that are not. */
static uint64_t people_of(const struct trust *t, bool automation) {
        uint64_t people = 0;

        for (size_t i = 0; i < t->n_rules; i++)
                if (trust_rule_is_automation(&t->rules[i]) == automation)
                        people |= t->roles[t->rules[i].role].people;
        return people;
}

/* Whose signatures are on it, if they are: what automation signed is heard again and again, and is not verified for
 * that. */
static bool claims_people(const struct trust *t, const struct dsse *d) {
        const uint64_t people = people_of(t, false);
        bool does = false;

        for (size_t i = 0; i < d->n_sigs; i++)
                for (size_t k = 0; k < t->n_keys; k++)
                        does |= (people & UINT64_C(1) << t->keys[k].person) &&
                                memcmp(d->sigs[i].keyid, t->keys[k].key.id, sizeof(d->sigs[i].keyid)) == 0;
        return does;
}

/* As a host judges it that has this trust root: who may not give it gives nothing. */
static int judge(const struct trust *t, const struct dsse *d, struct command **ret, size_t *ret_by,
                 enum reason *ret_reason) {
        struct tally tally = { 0 };
        enum reason reason;
        int r;

        if (d->type != DSSE_COMMAND) {
                *ret_reason = REASON_TYPE;
                return 0;
        }
        /* only for the people that it takes; the bytes are parsed when they are known to be of some of them */
        r = tally_role(t, d, TRUST_ROOT_ROLE, &tally);
        if (r == 0 && tally.reason != REASON_NONE) {
                *ret_reason = tally.reason;
                return 0;
        }
        if (r == 0)
                r = command_parse(d->payload, d->n_payload, ret, &reason);
        if (r < 0)
                return r;
        *ret_reason = reason;
        if (reason != REASON_NONE)
                return 0;
        r = tally_command(t, d, *ret, &tally);
        if (strcmp((*ret)->fleet, t->fleet) != 0)
                *ret_reason = REASON_FLEET;
        else if (tally.need == 0)
                *ret_reason = REASON_ROLE;
        else if (tally.have < tally.need)
                *ret_reason = REASON_THRESHOLD;
        else if (tally.key < 0)
                *ret_reason = REASON_FOREIGN_ID;
        else
                *ret_by = tally.automation ? ACTIVE_BY_KEY((size_t) tally.key) : ACTIVE_BY_PEOPLE;
        return r;
}

static size_t places_of_key(const struct trust *t) {
        const uint64_t people = people_of(t, true);
        size_t keys = 0;

        for (size_t i = 0; i < t->n_keys; i++)
                keys += (people & UINT64_C(1) << t->keys[i].person) != 0;
        return ACTIVE_AUTOMATION_MAX / MAX(keys, (size_t) 1);
}

static bool is_full(const struct active *a, const struct trust *t, size_t by) {
        size_t n = 0;

        for (size_t i = 0; i < _ACTIVE_BY_MAX; i++)
                n += a->by[i].n;
        return n >= ACTIVE_MAX || (by != ACTIVE_BY_PEOPLE && a->by[by].n >= places_of_key(t));
}

/* A release as well: whoever has one that nobody sent could bring it now. */
static bool is_late(const struct active *a, const struct command *c, const uint8_t digest[static 32], int64_t now_ms) {
        return now_ms >= c->exp_ms && !seenset_has(&a->in_time, digest, sizeof(((struct active_order *) NULL)->digest));
}

int active_add(struct active *a, const struct trust *t, const char *text, size_t n, int64_t now_ms,
               enum reason *ret_reason) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_command_ struct command *c = NULL;
        size_t by = ACTIVE_BY_PEOPLE;
        uint8_t digest[32];
        int r = dsse_parse(text, n, &d, ret_reason);

        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        (void) crypto_hash_sha256(digest, d.payload, d.n_payload);
        const size_t owner = whose(a, digest);
        if (owner == ACTIVE_BY_PEOPLE || (owner != _ACTIVE_BY_MAX && !claims_people(t, &d)))
                return 0;
        r = judge(t, &d, &c, &by, ret_reason);
        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        if (owner != _ACTIVE_BY_MAX)
                return by == ACTIVE_BY_PEOPLE ? give_to_people(a, owner, digest) : 0;
        const enum verb_class cls = verb_info(c->verb)->cls;
        if (c->plan || !herald_lists(cls))
                *ret_reason = REASON_TYPE;
        else if (is_late(a, c, digest, now_ms))
                *ret_reason = REASON_EXPIRED;
        else if (cls == VERB_CLASS_RELEASE && now_ms >= t->expires_ms)
                *ret_reason = REASON_ROOT_EXPIRED;
        if (*ret_reason != REASON_NONE)
                return 0;
        return is_full(a, t, by) ? -ENOSPC : append(a, by, c, digest);
}

/* FAIL-OPEN: one that there is no memory for is too late then, and what it released is listed again. */
void active_anew(struct active *a) {
        struct seenset in_time = a->in_time;

        a->in_time = SEENSET_NULL;
        /* those of the time before are still needed when not all of them was heard again */
        if (in_time.n > ACTIVE_MAX)
                seenset_done(&in_time);
        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++)
                for (size_t i = 0; i < a->by[by].n; i++) {
                        const struct active_order *o = &a->by[by].v[i];
                        if (is_release(o) && seenset_add(&in_time, o->digest, sizeof(o->digest)) < 0)
                                break;
                }
        active_done(a);
        a->in_time = in_time;
}

static void forget(struct active_share *s, int64_t now_ms) {
        size_t kept = 0, next = 0;

        for (size_t i = 0; i < s->n; i++) {
                if (i == s->next)
                        next = kept;
                if (is_over(&s->v[i], now_ms))
                        done(&s->v[i]);
                else
                        s->v[kept++] = s->v[i];
        }
        s->n = kept;
        s->next = kept > 0 ? next % kept : 0;
}

static int know_again(struct active_share *s) {
        int r = 0;

        if (s->n == s->known.n)
                return 0;
        seenset_done(&s->known);
        for (size_t i = 0; r >= 0 && i < s->n; i++)
                r = seenset_add(&s->known, s->v[i].digest, sizeof(s->v[i].digest));
        return r < 0 ? r : 0;
}

int active_forget(struct active *a, int64_t now_ms) {
        int r = 0;

        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++) {
                forget(&a->by[by], now_ms);
                if (know_again(&a->by[by]) < 0)
                        r = -ENOMEM;
        }
        return r;
}

size_t active_count(const struct active *a, int64_t now_ms) {
        size_t n = 0;

        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++)
                for (size_t i = 0; i < a->by[by].n; i++)
                        n += is_listed(&a->by[by].v[i], now_ms);
        return n;
}

static int size_of(const struct active_order *o, size_t *ret) {
        _cleanup_json_ json_t *to = address_to_json(&o->to);

        if (!to)
                return -ENOMEM;
        *ret = json_dumpb(to, NULL, 0, JSON_COMPACT) + ORDER_SIZE;
        return 0;
}

/* What the orders of a head take so far, and may. */
struct room {
        size_t used, bytes, orders;
};

/* 1: it is in; 0: there is no room for it. The first one may take it all: some are that large, and would never be in a
 * head. */
static int put(const struct active_order *o, struct room *room, struct herald_head *h) {
        const size_t bytes = h->n_orders > 0 ? room->bytes : DSSE_PAYLOAD_MAX;
        struct herald_order *to = &h->orders[h->n_orders];
        size_t size = 0;
        int r = size_of(o, &size);

        if (r < 0 || h->n_orders >= room->orders || room->used + size > bytes)
                return r;
        r = copy_address(&o->to, &to->to);
        if (r < 0)
                return r;
        to->id = o->id;
        to->exp_ms = o->exp_ms;
        memcpy(to->digest, o->digest, sizeof(to->digest));
        room->used += size;
        h->n_orders++;
        return 1;
}

/* With which its part goes on, or NULL: it has been through. */
static const struct active_order *next_of(struct active_share *s, int64_t now_ms) {
        for (; s->left > 0; s->left--) {
                if (is_listed(&s->v[s->next], now_ms))
                        return &s->v[s->next];
                s->next = (s->next + 1) % s->n;
        }
        return NULL;
}

/* 1: the next one of it is in; 0: it has been through, or there is no room for that. */
static int put_next(struct active_share *s, int64_t now_ms, struct room *room, struct herald_head *h) {
        const struct active_order *o = next_of(s, now_ms);
        int r = o ? put(o, room, h) : 0;

        if (r > 0) {
                s->next = (s->next + 1) % s->n;
                s->left--;
        }
        return r;
}

static int list_people(struct active *a, int64_t now_ms, struct room *room, struct herald_head *h) {
        int r;

        do
                r = put_next(&a->by[ACTIVE_BY_PEOPLE], now_ms, room, h);
        while (r > 0);
        return r;
}

/* One of each key, and again, until there is room for no more. Who was first in this head is last in the next. */
static int list_automation(struct active *a, int64_t now_ms, struct room *room, struct herald_head *h) {
        const size_t from = h->n_orders, turn = a->turn;

        for (size_t before = SIZE_MAX; before != h->n_orders;) {
                before = h->n_orders;
                for (size_t i = 0; i < TRUST_KEYS_MAX; i++) {
                        const size_t key = (turn + i) % TRUST_KEYS_MAX;
                        int r = put_next(&a->by[ACTIVE_BY_KEY(key)], now_ms, room, h);
                        if (r < 0)
                                return r;
                        if (r > 0 && h->n_orders == from + 1)
                                a->turn = (key + 1) % TRUST_KEYS_MAX;
                }
        }
        return 0;
}

int active_list(struct active *a, int64_t now_ms, struct herald_head *h) {
        /* how much of a head is full when a share is through; whoever comes last has what nobody needed */
        static const struct {
                int (*list)(struct active *a, int64_t now_ms, struct room *room, struct herald_head *h);
                unsigned quarters;
        } turns[] = { { list_people, 3 }, { list_automation, 4 }, { list_people, 4 } };
        struct room room = { .used = FRAME_SIZE };
        int r = 0;

        h->orders = calloc(HERALD_ORDERS_MAX, sizeof(*h->orders));
        h->n_orders = 0;
        if (!h->orders)
                return -ENOMEM;
        for (size_t by = 0; by < _ACTIVE_BY_MAX; by++)
                a->by[by].left = a->by[by].n;
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(turns); i++) {
                room.bytes = DSSE_PAYLOAD_MAX / 4 * turns[i].quarters;
                room.orders = HERALD_ORDERS_MAX / 4 * turns[i].quarters;
                r = turns[i].list(a, now_ms, &room, h);
        }
        return MIN(r, 0);
}
