/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/herald.h"

#include <string.h>

#include <sodium.h>

#include "policy/decide.h"
#include "policy/dsse.h"
#include "policy/schema.h"
#include "policy/trust.h"
#include "policy/verify.h"

bool herald_lists(enum verb_class cls) {
        return cls == VERB_CLASS_STOP || cls == VERB_CLASS_RELEASE;
}

void herald_free(struct herald_head *h) {
        if (!h)
                return;
        for (size_t i = 0; i < h->n_orders; i++)
                address_done(&h->orders[i].to);
        free(h->orders);
        free(h);
}

void herald_freep(struct herald_head **h) {
        herald_free(*h);
}

_Static_assert(sizeof(struct command_id) == HERALD_DIGEST_SIZE, "a digest is read as an id is");

static enum reason read_id(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && command_id_from_str(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_order(const json_t *v, struct herald_order *ret) {
        static const struct schema_field fields[] = {
                { "id", true, read_id, SCHEMA_MEMBER(struct herald_order, id), 0, 0 },
                { "digest", true, read_id, SCHEMA_MEMBER(struct herald_order, digest), 0, 0 },
                { "to", true, address_read, SCHEMA_MEMBER(struct herald_order, to), 0, 0 },
                { "exp", true, schema_int, SCHEMA_MEMBER(struct herald_order, exp_ms), 0, SCHEMA_INT_MAX },
        };

        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

static bool has_twin(const struct herald_order *orders, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (memcmp(orders[i].digest, orders[n].digest, sizeof(orders[i].digest)) == 0)
                        return true;
        return false;
}

/* Each order is the head's as soon as it is begun, so that herald_free finds what it owns. */
static enum reason read_orders(const json_t *v, const struct schema_field *f, void *ret) {
        struct herald_head *h = ret;
        enum reason reason = REASON_NONE;
        const size_t n = json_array_size(v);

        (void) f;
        if (!json_is_array(v))
                return REASON_SCHEMA;
        if (n > HERALD_ORDERS_MAX)
                return REASON_SCHEMA;
        h->orders = calloc(n + 1, sizeof(*h->orders));
        if (!h->orders)
                return REASON_INTERNAL;
        while (reason == REASON_NONE && h->n_orders < n) {
                struct herald_order *o = &h->orders[h->n_orders];

                reason = read_order(json_array_get(v, h->n_orders), o);
                if (reason == REASON_NONE && has_twin(h->orders, h->n_orders))
                        reason = REASON_SCHEMA;
                h->n_orders++;
        }
        return reason;
}

#define MEMBER(name) SCHEMA_MEMBER(struct herald_head, name)

static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "fleet", true, schema_name, MEMBER(fleet), 1, COMMAND_FLEET_MAX },
        { "n", true, schema_int, MEMBER(n), 1, SCHEMA_INT_MAX },
        { "iat", true, schema_int, MEMBER(iat_ms), 0, SCHEMA_INT_MAX },
        { "exp", true, schema_int, MEMBER(exp_ms), 0, SCHEMA_INT_MAX },
        { "trust_version", true, schema_int, MEMBER(trust_version), 1, SCHEMA_INT_MAX },
        { "orders", true, read_orders, SCHEMA_WHOLE, 0, 0 },
};

int herald_parse(const uint8_t *payload, size_t n, struct herald_head **ret, enum reason *ret_reason) {
        _cleanup_herald_ struct herald_head *h = calloc(1, sizeof(*h));
        int r = h ? schema_read(payload, n, DSSE_PAYLOAD_MAX, fields, ELEMENTSOF(fields), h, ret_reason) : -ENOMEM;

        if (r == 0 && *ret_reason == REASON_NONE && (h->exp_ms <= h->iat_ms || h->exp_ms - h->iat_ms > HERALD_LIFE_MS))
                *ret_reason = REASON_SCHEMA;
        if (r == 0 && *ret_reason == REASON_NONE)
                *ret = TAKE_PTR(h);
        return r;
}

static json_t *order_to_json(const struct herald_order *o) {
        _cleanup_json_ json_t *j = json_object();
        char id[33], digest[2 * HERALD_DIGEST_SIZE + 1];
        int r;

        command_id_to_str(&o->id, id);
        sodium_bin2hex(digest, sizeof(digest), o->digest, sizeof(o->digest));
        r = json_object_set_new(j, "id", json_string(id));
        r |= json_object_set_new(j, "digest", json_string(digest));
        r |= json_object_set_new(j, "to", address_to_json(&o->to));
        r |= json_object_set_new(j, "exp", json_integer(o->exp_ms));
        return r == 0 ? TAKE_PTR(j) : NULL;
}

static json_t *root_to_json(const struct herald_head *h) {
        _cleanup_json_ json_t *root = json_object(), *orders = json_array();
        int r = root && orders ? 0 : -1;

        for (size_t i = 0; i < h->n_orders; i++)
                r |= json_array_append_new(orders, order_to_json(&h->orders[i]));
        r |= json_object_set_new(root, "v", json_integer(1));
        r |= json_object_set_new(root, "fleet", json_string(h->fleet));
        r |= json_object_set_new(root, "n", json_integer(h->n));
        r |= json_object_set_new(root, "iat", json_integer(h->iat_ms));
        r |= json_object_set_new(root, "exp", json_integer(h->exp_ms));
        r |= json_object_set_new(root, "trust_version", json_integer(h->trust_version));
        r |= json_object_set(root, "orders", orders);
        return r == 0 ? TAKE_PTR(root) : NULL;
}

static bool can_serialise(const struct herald_head *h) {
        bool can = h->n_orders <= HERALD_ORDERS_MAX && schema_is_name(h->fleet, sizeof(h->fleet));

        for (size_t i = 0; can && i < h->n_orders; i++) {
                const struct address *to = &h->orders[i].to;

                can = (unsigned int) to->to <= COMMAND_TO_ALL && schema_is_text(to->group, sizeof(to->group));
        }
        return can;
}

int herald_to_json(const struct herald_head *h, char **ret) {
        _cleanup_herald_ struct herald_head *back = NULL;
        _cleanup_json_ json_t *root = NULL;
        _cleanup_free_ char *json = NULL;
        enum reason reason;
        int r;

        if (!can_serialise(h))
                return -EINVAL;
        root = root_to_json(h);
        if (!root)
                return -ENOMEM;
        r = schema_dump(root, &json);
        if (r == 0)
                r = herald_parse((const uint8_t *) json, strlen(json), &back, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE)
                return -EINVAL;
        *ret = TAKE_PTR(json);
        return 0;
}

int herald_verify(const struct trust *t, const struct dsse *d, struct herald_head **ret, enum reason *ret_reason) {
        _cleanup_herald_ struct herald_head *h = NULL;
        enum reason reason;
        int r = verify_by_role(t, d, DSSE_HEAD, TRUST_HERALD_ROLE, &reason);

        if (r == 0 && reason == REASON_NONE)
                r = herald_parse(d->payload, d->n_payload, &h, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE && strcmp(h->fleet, t->fleet) != 0)
                reason = REASON_FLEET;
        if (reason == REASON_NONE)
                *ret = TAKE_PTR(h);
        *ret_reason = reason;
        return 0;
}

enum reason herald_life(const struct herald_head *h, const struct herald_clock *c, int64_t *ret_ms) {
        const int64_t now = c->synced ? c->wall_ms : c->floor_ms;

        if (now >= h->exp_ms)
                return REASON_EXPIRED;
        if (c->synced && h->iat_ms > now + DECIDE_AHEAD_MS)
                return REASON_NOT_YET;
        *ret_ms = MIN(h->exp_ms - now, h->exp_ms - h->iat_ms);
        return REASON_NONE;
}
