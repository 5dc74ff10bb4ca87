/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/text.h"

/* A trust root is for everybody, and has the id by which hosts answer: how the SHA-256 of its payload begins. */
static int prepare(struct rollout *r) {
        const struct dsse *d = &r->root->env;
        struct rollout_wave *w = &r->waves[0];
        uint8_t digest[32];

        int x = rollout_open(r);
        if (x == 0)
                x = inventory_expect(&r->inventory, "all", 0, &r->to, &r->c->why);
        if (x != 0)
                return x;
        (void) snprintf(r->to_text, sizeof(r->to_text), "all");
        (void) crypto_hash_sha256(digest, d->payload, d->n_payload);
        memcpy(w->id.b, digest, sizeof(w->id.b));
        r->n_waves = 1;
        w->part.hosts = r->to.n;
        int e = dsse_to_json(d, &w->text);
        if (e < 0)
                return why_errno(&r->c->why, e, "trust root");
        x = rollout_expect(r, w, digest);
        if (x != 0)
                return x;
        rollout_announce(r);
        x = rollout_confirm(r);
        return x == 0 ? carrier_open(&r->broker, &r->carrier, &r->c->why) : x;
}

int rollout_root(struct ctl *c, const struct signed_file *f, const struct trust *t) {
        _cleanup_free_ struct rollout *r = calloc(1, sizeof(*r));

        if (!r)
                return why_errno(&c->why, -ENOMEM, "trust root");
        r->c = c;
        r->trust = t ? t : f->trust;
        r->root = f;
        int x = prepare(r);
        if (x == 0)
                x = rollout_go(r);
        rollout_done(r);
        return x;
}
