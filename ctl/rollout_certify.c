/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/rollout.h"
#include "ctl/text.h"

/* what stands for the id of a command in the receipts */
#define RECEIPT_ID "attributes"

bool rollout_certifies(const char *text, size_t n) {
        for (const char *p = text, *end = text + n, *eol; p < end; p = eol + 1) {
                _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
                enum reason reason;

                eol = memchr(p, '\n', (size_t) (end - p));
                if (!eol)
                        eol = end;
                if (dsse_parse(p, (size_t) (eol - p), &d, &reason) == 0 && reason == REASON_NONE)
                        return d.type == DSSE_ATTRIBUTES;
        }
        return false;
}

/* Attributes that hosts are certain to refuse are not sent. */
static int parse(struct rollout *r, const char *path, size_t n) {
        struct inventory *i = &r->inventory;
        struct why *w = &r->c->why;
        int e = inventory_parse(r->trust, r->lines, n, i);

        if (e < 0)
                return why_errno(w, e, "%s", CLEAN(path));
        if (i->n > 0 || i->n_bad == 0)
                return 0;
        return why_set(w, reason_exit(i->bad[0].reason), "nothing was sent: %s, line %zu (%s): %s", CLEAN(path),
                       i->bad[0].line, reason_id(i->bad[0].reason), reason_text(i->bad[0].reason));
}

/* The hosts and the keys that they answer by are those of the file itself: a registrar vouches for both. */
static int prepare(struct rollout *r, const char *path, size_t n) {
        struct rollout_wave *w = &r->waves[0];
        int x = rollout_open(r);

        if (x == 0)
                x = parse(r, path, n);
        if (x == 0)
                x = inventory_expect(&r->inventory, "all", 0, &r->to, &r->c->why);
        if (x != 0)
                return x;
        (void) snprintf(r->to_text, sizeof(r->to_text), "each host its own");
        r->n_waves = 1;
        w->part.hosts = r->to.n;
        int e = rollcall_init(&w->calls, r->to.v, r->to.n, RECEIPT_ID, NULL);
        if (e < 0)
                return why_errno(&r->c->why, e, "attributes");
        rollout_announce(r);
        x = rollout_confirm(r);
        return x == 0 ? carrier_open(&r->broker, &r->carrier, &r->c->why) : x;
}

int rollout_certify_say(const struct rollout *r) {
        struct subject s = { .kind = SUBJECT_CMD_HOST, .attributes = true };
        char subject[SUBJECT_SIZE];
        int e = 0;

        memcpy(s.fleet, r->trust->fleet, sizeof(s.fleet));
        for (size_t i = 0; e == 0 && i < r->to.n; i++) {
                const struct inventory_host *h = r->to.v[i];
                memcpy(s.host, h->host.key.id, sizeof(s.host));
                e = subject_build(&s, subject);
                if (e == 0)
                        e = carrier_say(r->carrier, subject, NULL, r->lines + h->from, h->size);
        }
        return e;
}

int rollout_certify(struct ctl *c, const char *path, const char *text, size_t n) {
        _cleanup_free_ struct rollout *r = calloc(1, sizeof(*r));
        _cleanup_trust_ struct trust *t = NULL;

        if (!r)
                return why_errno(&c->why, -ENOMEM, "attributes");
        if (c->opt.inventory)
                return why_set(&c->why, CTL_USAGE, "%s says itself which hosts it is for: without --inventory",
                               CLEAN(path));
        r->c = c;
        r->lines = text;
        int x = trustfile_load(&c->opt, &t, &c->why);
        r->trust = t;
        if (x == 0)
                x = prepare(r, path, n);
        if (x == 0)
                x = rollout_go(r);
        rollout_done(r);
        return x;
}
