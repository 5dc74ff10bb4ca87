/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/board.h"
#include "ctl/file.h"
#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/rollout_kept.h"
#include "ctl/text.h"

static int parse_file(const char *path, const char *text, size_t n, struct bundle *ret, struct why *w) {
        enum reason reason = REASON_NONE;
        int r = n > BUNDLE_MAX ? -EFBIG : bundle_parse(text, n, ret, &reason);

        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        if (reason != REASON_NONE)
                return why_set(w, reason_exit(reason), "%s: no signed order (%s): %s", CLEAN(path), reason_id(reason),
                               reason_text(reason));
        return 0;
}

static int take_wave(struct rollout *r, const struct bundle_order *o) {
        struct rollout_wave *w = &r->waves[r->n_waves++];
        uint8_t digest[32];
        bool lacks;

        w->text = strdup(o->text);
        if (!w->text)
                return why_errno(&r->c->why, -ENOMEM, "order");
        w->id = o->command->id;
        w->part.part = o->command->part;
        (void) crypto_hash_sha256(digest, o->env.payload, o->env.n_payload);
        int x = rollout_judge(r, o, &lacks);
        if (x == 0)
                x = rollout_expect(r, w, digest);
        if (x != 0)
                return x;
        w->part.hosts = w->calls.n;
        /* the signature promises that there are no more */
        if (o->command->to != COMMAND_TO_HOSTS && w->calls.n > o->command->max_hosts)
                return why_set(&r->c->why, CTL_REFUSED,
                               "nothing was sent: the order is for at most %u hosts, and the inventory has %zu now; "
                               "give a new one",
                               o->command->max_hosts, w->calls.n);
        return 0;
}

static void name_address(struct rollout *r) {
        const struct command *c = r->cmd;

        if (c->to == COMMAND_TO_ALL)
                (void) snprintf(r->to_text, sizeof(r->to_text), "all");
        else if (c->to == COMMAND_TO_GROUP)
                (void) snprintf(r->to_text, sizeof(r->to_text), "group=%s", c->group);
        else
                (void) snprintf(r->to_text, sizeof(r->to_text), "host=%s", CLEAN(r->to.v[0]->host.name));
}

static int prepare(struct rollout *r) {
        struct why *w = &r->c->why;

        r->cmd = r->bundle.v[0].command;
        if (strcmp(r->cmd->fleet, r->trust->fleet) != 0)
                return why_set(w, reason_exit(REASON_FLEET),
                               "it is an order to the fleet %s, and the trust root is of %s", r->cmd->fleet,
                               r->trust->fleet);
        const struct address to = command_address(r->cmd);
        int x = inventory_expect_address(&r->inventory, &to, &r->to, w);
        for (size_t i = 0; x == 0 && i < r->bundle.n; i++)
                x = take_wave(r, &r->bundle.v[i]);
        if (x != 0)
                return x;
        name_address(r);
        x = rollout_apart(r);
        if (x != 0)
                return x;
        rollout_announce(r);
        x = rollout_confirm(r);
        return x == 0 && !r->carrier ? carrier_open(&r->broker, &r->carrier, w) : x;
}

/* What is kept here, or hangs at the broker. */
static int load_id(struct rollout *r, const struct command_id *id) {
        _cleanup_free_ char *text = NULL;
        struct quorum q = QUORUM_NULL;
        struct why *w = &r->c->why;
        enum reason reason;

        if (rollout_kept_load(id, &r->bundle, r->kept, w) == 0)
                return 0;
        int x = carrier_open(&r->broker, &r->carrier, w);
        if (x == 0)
                x = board_find(r->carrier, r->trust, id, order_now_ms(), &q, w);
        if (x != 0)
                return x;
        int e = dsse_to_json(&q.file.env, &text);
        if (e == 0)
                e = bundle_parse(text, strlen(text), &r->bundle, &reason);
        quorum_done(&q);
        return e < 0 ? why_errno(w, e, "order") : 0;
}

/* What was not begun here is kept from here on. */
static void keep(struct rollout *r) {
        if (r->kept[0] || r->bundle.n != 1)
                return;
        const char *text = r->bundle.v[0].text;
        int e = rollout_keep(&r->bundle.v[0].command->id, text, strlen(text), r->kept);
        if (e < 0 && e != -EEXIST)
                fprintf(stderr, "freezectl: the signed order cannot be kept here (%s)\n", strerror(-e));
}

int rollout_resume(struct ctl *c, const char *word) {
        _cleanup_free_ struct rollout *r = calloc(1, sizeof(*r));
        _cleanup_trust_ struct trust *t = NULL;
        _cleanup_free_ char *text = NULL;
        struct command_id id;
        const bool is_id = command_id_from_str(word, &id) == 0;
        size_t n = 0;
        int e = is_id ? 0 : file_read(word, INVENTORY_FILE_MAX, &text, &n, NULL);

        if (e < 0)
                return why_errno(&c->why, e, "%s", CLEAN(word));
        if (text && rollout_certifies(text, n))
                return rollout_certify(c, word, text, n);
        if (!r)
                return why_errno(&c->why, -ENOMEM, "order");
        r->c = c;
        int x = trustfile_load(&c->opt, &t, &c->why);
        r->trust = t;
        if (x == 0)
                x = rollout_open(r);
        if (x == 0)
                x = is_id ? load_id(r, &id) : parse_file(word, text, n, &r->bundle, &c->why);
        if (x == 0)
                x = prepare(r);
        if (x == 0) {
                keep(r);
                x = rollout_go(r);
        }
        rollout_done(r);
        return x;
}
