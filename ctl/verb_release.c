/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/exchange.h"
#include "ctl/member.h"
#include "ctl/order.h"
#include "ctl/text.h"

struct list {
        char (*targets)[TARGET_STR_SIZE];
        char **v;
        size_t n;
};

static void list_done(struct list *l) {
        free(l->targets);
        free(l->v);
}

/* Room for n holds. */
static int list_init(struct list *l, size_t n, struct why *w) {
        l->targets = calloc(MAX(n, 1U), sizeof(*l->targets));
        l->v = calloc(MAX(n, 1U), sizeof(*l->v));
        return l->targets && l->v ? 0 : why_errno(w, -ENOMEM, "release");
}

static int list_add(struct list *l, const char *hold, struct why *w) {
        l->v[l->n] = l->targets[l->n];
        return order_hold_target(hold, l->targets[l->n++], w);
}

/* The incident's holds as the host reports them. What is signed afterwards are their ids: a hold that is made in
 * between stays. */
static int expand(struct ctl *c, struct list *l, const json_t *report) {
        json_t *holds = json_object_get(report, "holds"), *h;
        const int64_t omitted = member_int(report, "omitted", 0);
        size_t i;

        if (omitted > 0) /* FAIL-CLOSED: they may be of the incident */
                return why_set(&c->why, CTL_REFUSED,
                               "%" PRId64
                               " more holds had no room in the host's answer and may be of incident %s: name the "
                               "holds. `freezectl status` lists those that had room, receipts have the ids of the "
                               "others",
                               omitted, CLEAN(c->opt.incident));
        int x = list_init(l, json_array_size(holds), &c->why);
        if (x != 0)
                return x;
        json_array_foreach(holds, i, h) {
                if (strcmp(member_str(h, "incident"), c->opt.incident) != 0)
                        continue;
                x = list_add(l, member_str(h, "id"), &c->why);
                if (x != 0)
                        return x;
        }
        if (l->n == 0)
                return why_set(&c->why, CTL_REFUSED,
                               "nothing is held for incident %s; `freezectl status` lists what is",
                               CLEAN(c->opt.incident));
        return 0;
}

static int expand_incident(struct ctl *c, struct list *l) {
        _cleanup_(hosts_done) struct hosts known = HOSTS_NULL;
        struct receipt r = RECEIPT_NULL;

        int x = hosts_load(&c->opt, &known, &c->why);
        if (x == 0)
                x = exchange_query(c, "status", NULL, &known, &r);
        if (x == 0 && r.kind == RECEIPT_GATE)
                x = why_set(&c->why, receipt_exit(&r), "the gate refused to ask for the holds (%s): %s",
                            reason_id(r.reason), r.text);
        else if (x == 0 && r.kind != RECEIPT_SIGNED)
                x = why_set(&c->why, CTL_MACHINE, "the list of holds cannot be believed: %s", r.text);
        if (x == 0)
                x = expand(c, l, r.payload);
        receipt_done(&r);
        return x;
}

int verb_release(struct ctl *c, char **words, size_t n) {
        _cleanup_(list_done) struct list l = { 0 };
        int x;

        if (n == 0 && !c->opt.incident)
                return why_set(&c->why, CTL_USAGE,
                               "release what? name holds (`freezectl status` lists them), or --incident ID for all of "
                               "its holds");
        if (n == 0 && c->opt.nats)
                return why_set(&c->why, CTL_USAGE,
                               "with --nats name the holds: each order of a rollout makes one of its own id");
        if (n == 0)
                x = expand_incident(c, &l);
        else
                x = list_init(&l, n, &c->why);
        for (size_t i = 0; x == 0 && i < n; i++)
                x = list_add(&l, words[i], &c->why);
        return x != 0 ? x : order_run(c, VERB_RELEASE, false, l.v, l.n);
}
