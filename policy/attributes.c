/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/attributes.h"

#include <string.h>

#include "policy/schema.h"
#include "policy/trust.h"
#include "policy/verify.h"

_Static_assert(ATTRIBUTES_NAME_MAX == COMMAND_FLEET_MAX, "what commands call a fleet and a group fits");

/* As it is written: whose it is comes twice. */
struct written {
        struct attributes a;
        uint8_t host[32];
};

static enum reason read_host(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && sshkey_id_from_str(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_key(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && sshkey_from_line(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_groups(const json_t *v, const struct schema_field *f, void *ret) {
        struct attributes *a = &((struct written *) ret)->a;

        (void) f;
        if (!json_is_array(v))
                return REASON_SCHEMA;
        if (json_array_size(v) > ATTRIBUTES_GROUPS_MAX)
                return REASON_SCHEMA;
        for (size_t i = 0; i < json_array_size(v); i++) {
                const char *s = json_string_value(json_array_get(v, i));

                if (!s || !schema_is_name(s, sizeof(a->groups[0])))
                        return REASON_SCHEMA;
                memcpy(a->groups[a->n_groups++], s, strlen(s) + 1);
        }
        return schema_has_twins(a->groups, a->n_groups, sizeof(a->groups[0])) ? REASON_SCHEMA : REASON_NONE;
}

#define MEMBER(name) SCHEMA_MEMBER(struct written, name)

static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "fleet", true, schema_name, MEMBER(a.fleet), 1, ATTRIBUTES_NAME_MAX },
        { "host", true, read_host, MEMBER(host), 0, 0 },
        { "key", true, read_key, MEMBER(a.key), 0, 0 },
        { "name", true, schema_name, MEMBER(a.name), 1, ATTRIBUTES_NAME_MAX },
        { "groups", true, read_groups, SCHEMA_WHOLE, 0, 0 },
        { "n", true, schema_int, MEMBER(a.n), 1, SCHEMA_INT_MAX },
        { "iat", true, schema_int, MEMBER(a.iat_ms), 0, SCHEMA_INT_MAX },
};

int attributes_parse(const uint8_t *payload, size_t n, struct attributes *ret, enum reason *ret_reason) {
        struct written w = { 0 };
        int r = schema_read(payload, n, DSSE_PAYLOAD_MAX, fields, ELEMENTSOF(fields), &w, ret_reason);

        if (r == 0 && *ret_reason == REASON_NONE && memcmp(w.host, w.a.key.id, sizeof(w.host)) != 0)
                *ret_reason = REASON_SCHEMA;
        if (r == 0 && *ret_reason == REASON_NONE)
                *ret = w.a;
        return r;
}

static json_t *root_to_json(const struct attributes *a) {
        _cleanup_json_ json_t *root = json_object(), *groups = json_array();
        char id[SSHKEY_ID_SIZE], line[SSHKEY_LINE_SIZE];
        int r = root && groups ? 0 : -1;

        sshkey_id_to_str(a->key.id, id);
        sshkey_to_line(&a->key, line);
        for (size_t i = 0; i < a->n_groups; i++)
                r |= json_array_append_new(groups, json_string(a->groups[i]));
        r |= json_object_set_new(root, "v", json_integer(1));
        r |= json_object_set_new(root, "fleet", json_string(a->fleet));
        r |= json_object_set_new(root, "host", json_string(id));
        r |= json_object_set_new(root, "key", json_string(line));
        r |= json_object_set_new(root, "name", json_string(a->name));
        r |= json_object_set(root, "groups", groups);
        r |= json_object_set_new(root, "n", json_integer(a->n));
        r |= json_object_set_new(root, "iat", json_integer(a->iat_ms));
        return r == 0 ? TAKE_PTR(root) : NULL;
}

static bool can_serialise(const struct attributes *a) {
        bool can = a->n_groups <= ATTRIBUTES_GROUPS_MAX && schema_is_name(a->fleet, sizeof(a->fleet)) &&
                   schema_is_name(a->name, sizeof(a->name));

        for (size_t i = 0; can && i < a->n_groups; i++)
                can = schema_is_name(a->groups[i], sizeof(a->groups[i]));
        return can;
}

int attributes_to_json(const struct attributes *a, char **ret) {
        _cleanup_json_ json_t *root = NULL;
        _cleanup_free_ char *json = NULL;
        struct attributes back;
        enum reason reason;
        int r;

        if (!can_serialise(a))
                return -EINVAL;
        root = root_to_json(a);
        if (!root)
                return -ENOMEM;
        r = schema_dump(root, &json);
        if (r == 0)
                r = attributes_parse((const uint8_t *) json, strlen(json), &back, &reason);
        if (r < 0)
                return r;
        if (reason != REASON_NONE)
                return -EINVAL;
        *ret = TAKE_PTR(json);
        return 0;
}

int attributes_verify(const struct trust *t, const struct dsse *d, struct attributes *ret, enum reason *ret_reason) {
        struct attributes a;
        enum reason reason;
        int r = verify_by_role(t, d, DSSE_ATTRIBUTES, TRUST_REGISTRAR_ROLE, &reason);

        if (r == 0 && reason == REASON_NONE)
                r = attributes_parse(d->payload, d->n_payload, &a, &reason);
        if (r < 0)
                return r;
        if (reason == REASON_NONE && strcmp(a.fleet, t->fleet) != 0)
                reason = REASON_FLEET;
        if (reason == REASON_NONE)
                *ret = a;
        *ret_reason = reason;
        return 0;
}

bool attributes_is_of(const struct attributes *a, const char *group) {
        for (size_t i = 0; i < a->n_groups; i++)
                if (strcmp(a->groups[i], group) == 0)
                        return true;
        return false;
}
