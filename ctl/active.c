/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/active.h"
#include "ctl/trustfile.h"
#include "policy/dsse.h"

/* of a head, beside its orders */
#define FRAME_SIZE 512U
/* of an order in a head, beside its address: id, exp and what is around them */
#define ORDER_SIZE 96U

static void done(struct active_order *o) {
        address_done(&o->to);
        free(o->lifted);
}

void active_done(struct active *a) {
        for (size_t i = 0; i < a->n; i++)
                done(&a->v[i]);
        free(a->v);
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

/* Before or after what it is about. */
static void settle(struct active *a, struct active_order *new) {
        for (size_t i = 0; i < a->n; i++)
                if (is_release(new) && !is_release(&a->v[i]))
                        lift(new, &a->v[i]);
                else if (!is_release(new) && is_release(&a->v[i]))
                        lift(&a->v[i], new);
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

static int append(struct active *a, const struct command *c, const uint8_t digest[static 32]) {
        const struct address to = command_address(c);
        struct active_order o = { .id = c->id, .iat_ms = c->iat_ms, .exp_ms = c->exp_ms }, *v = a->v;
        int r = copy_address(&to, &o.to);

        memcpy(o.digest, digest, sizeof(o.digest));
        /* with step it leaves the hold as one */
        if (r == 0 && verb_info(c->verb)->cls == VERB_CLASS_RELEASE && !c->step)
                r = read_lifted(c, &o);
        if (r == 0 && (a->n & (a->n - 1)) == 0)
                v = reallocarray(a->v, a->n ? 2 * a->n : 1, sizeof(*v));
        if (r < 0 || !v) {
                done(&o);
                return -ENOMEM;
        }
        a->v = v;
        settle(a, &o);
        a->v[a->n++] = o;
        return 0;
}

/* As a host judges it that has this trust root: who may not give it gives nothing. */
static int judge(const struct trust *t, const struct dsse *d, struct command **ret, enum reason *ret_reason) {
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
        return r;
}

static bool is_known(const struct active *a, const uint8_t digest[static 32]) {
        for (size_t i = 0; i < a->n; i++)
                if (memcmp(a->v[i].digest, digest, sizeof(a->v[i].digest)) == 0)
                        return true;
        return false;
}

int active_add(struct active *a, const struct trust *t, const char *text, size_t n, int64_t now_ms,
               enum reason *ret_reason) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_command_ struct command *c = NULL;
        uint8_t digest[32];
        int r = dsse_parse(text, n, &d, ret_reason);

        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        (void) crypto_hash_sha256(digest, d.payload, d.n_payload);
        if (is_known(a, digest))
                return 0;
        r = judge(t, &d, &c, ret_reason);
        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        const enum verb_class cls = verb_info(c->verb)->cls;
        const struct active_order probe = { .iat_ms = c->iat_ms,
                                            .exp_ms = c->exp_ms,
                                            .n_lifted = cls == VERB_CLASS_RELEASE };
        if (c->plan || (cls != VERB_CLASS_STOP && cls != VERB_CLASS_RELEASE))
                *ret_reason = REASON_TYPE;
        else if (is_over(&probe, now_ms))
                *ret_reason = REASON_EXPIRED;
        else if (a->n >= ACTIVE_MAX)
                *ret_reason = REASON_LIMIT;
        return *ret_reason == REASON_NONE ? append(a, c, digest) : 0;
}

void active_forget(struct active *a, int64_t now_ms) {
        size_t kept = 0, next = 0;

        for (size_t i = 0; i < a->n; i++) {
                if (i == a->next)
                        next = kept;
                if (is_over(&a->v[i], now_ms))
                        done(&a->v[i]);
                else
                        a->v[kept++] = a->v[i];
        }
        a->n = kept;
        a->next = kept > 0 ? next % kept : 0;
}

size_t active_count(const struct active *a, int64_t now_ms) {
        size_t n = 0;

        for (size_t i = 0; i < a->n; i++)
                n += is_listed(&a->v[i], now_ms);
        return n;
}

static int size_of(const struct active_order *o, size_t *ret) {
        _cleanup_json_ json_t *to = address_to_json(&o->to);

        if (!to)
                return -ENOMEM;
        *ret = json_dumpb(to, NULL, 0, JSON_COMPACT) + ORDER_SIZE;
        return 0;
}

/* A head has no id twice. */
static bool has(const struct herald_head *h, const struct command_id *id) {
        for (size_t i = 0; i < h->n_orders; i++)
                if (command_id_equal(&h->orders[i].id, id))
                        return true;
        return false;
}

int active_list(struct active *a, int64_t now_ms, struct herald_head *h) {
        size_t used = FRAME_SIZE, size = 0, i, twin = a->n;
        int r;

        h->orders = calloc(HERALD_ORDERS_MAX, sizeof(*h->orders));
        h->n_orders = 0;
        if (!h->orders)
                return -ENOMEM;
        for (i = 0; i < a->n && h->n_orders < HERALD_ORDERS_MAX; i++) {
                const struct active_order *o = &a->v[(a->next + i) % a->n];
                if (!is_listed(o, now_ms))
                        continue;
                if (has(h, &o->id)) {
                        twin = MIN(twin, i);
                        continue;
                }
                r = size_of(o, &size);
                if (r < 0)
                        return r;
                if (used + size > DSSE_PAYLOAD_MAX)
                        break;
                used += size;
                r = copy_address(&o->to, &h->orders[h->n_orders].to);
                if (r < 0)
                        return r;
                h->orders[h->n_orders].id = o->id;
                h->orders[h->n_orders++].exp_ms = o->exp_ms;
        }
        a->next = a->n > 0 ? (a->next + MIN(i, twin)) % a->n : 0;
        return 0;
}
