/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/bundle.h"

static void order_done(struct bundle_order *o) {
        free(o->text);
        dsse_done(&o->env);
        command_free(o->command);
        *o = (struct bundle_order) { .env = DSSE_NULL };
}

void bundle_done(struct bundle *b) {
        for (size_t i = 0; i < b->n; i++)
                order_done(&b->v[i]);
        b->n = 0;
}

static bool is_alike_permit(const struct permit *a, const struct permit *b) {
        return memcmp(a->addr, b->addr, sizeof(a->addr)) == 0 && a->prefix == b->prefix && a->port == b->port &&
               a->proto == b->proto;
}

bool bundle_is_alike(const struct command *a, const struct command *b) {
        if (a->verb != b->verb || strcmp(a->fleet, b->fleet) != 0 || a->plan != b->plan || a->step != b->step ||
            a->lease_ms != b->lease_ms || a->to != b->to || strcmp(a->group, b->group) != 0 ||
            a->n_hosts != b->n_hosts || a->n_targets != b->n_targets || a->n_permits != b->n_permits)
                return false;
        for (size_t i = 0; i < a->n_hosts; i++)
                if (memcmp(a->hosts[i], b->hosts[i], sizeof(a->hosts[i])) != 0)
                        return false;
        for (size_t i = 0; i < a->n_targets; i++)
                if (memcmp(&a->targets[i], &b->targets[i], sizeof(a->targets[i])) != 0)
                        return false;
        for (size_t i = 0; i < a->n_permits; i++)
                if (!is_alike_permit(&a->permits[i], &b->permits[i]))
                        return false;
        return true;
}

static bool follows(const struct command *a, const struct command *b) {
        return bundle_is_alike(a, b) && !command_id_equal(&a->id, &b->id) && a->part.is_set && b->part.is_set &&
               memcmp(a->part.salt, b->part.salt, sizeof(a->part.salt)) == 0 && a->part.below == b->part.from;
}

/* One line; b owns what it has of it from the start. */
static int add(struct bundle *b, const char *line, size_t n, enum reason *ret_reason) {
        struct bundle_order *o = &b->v[b->n];
        int r;

        if (b->n == ELEMENTSOF(b->v)) {
                *ret_reason = REASON_LIMIT;
                return 0;
        }
        *o = (struct bundle_order) { .env = DSSE_NULL, .text = strndup(line, n) };
        b->n++;
        r = o->text ? dsse_parse(line, n, &o->env, ret_reason) : -ENOMEM;
        if (r < 0 || *ret_reason != REASON_NONE)
                return r;
        if (o->env.type != DSSE_COMMAND) {
                *ret_reason = REASON_TYPE;
                return 0;
        }
        r = command_parse(o->env.payload, o->env.n_payload, &o->command, ret_reason);
        if (r == 0 && *ret_reason == REASON_NONE && b->n > 1 && !follows(o[-1].command, o->command))
                *ret_reason = REASON_SCHEMA;
        return r;
}

int bundle_parse(const char *text, size_t n, struct bundle *ret, enum reason *ret_reason) {
        struct bundle b = { .n = 0 };
        enum reason reason = REASON_NONE;
        int r = 0;

        for (size_t at = 0; r == 0 && reason == REASON_NONE && at < n;) {
                const char *newline = memchr(text + at, '\n', n - at);
                const size_t length = newline ? (size_t) (newline - text) - at : n - at;
                if (length > 0)
                        r = add(&b, text + at, length, &reason);
                at += length + 1;
        }
        if (r == 0 && reason == REASON_NONE && b.n == 0)
                reason = REASON_MALFORMED;
        if (r < 0 || reason != REASON_NONE)
                bundle_done(&b);
        else
                *ret = b;
        if (r == 0)
                *ret_reason = reason;
        return r;
}
