/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/command.h"

#include <string.h>

#include <sodium.h>

#include "policy/dsse.h"

/* What a verb's class demands of the rest of the command. */
static const struct {
        int64_t lease_min, lease_max, life_max;
} classes[] = {
        [VERB_CLASS_STOP] = { 0, COMMAND_INT_MAX, COMMAND_STOP_LIFE_MS },
        [VERB_CLASS_OBSERVE] = { 0, 0, COMMAND_STOP_LIFE_MS },
        [VERB_CLASS_EXTEND] = { 1, COMMAND_INT_MAX, COMMAND_STOP_LIFE_MS },
        [VERB_CLASS_RELEASE] = { 0, 0, COMMAND_RELEASE_LIFE_MS },
        [VERB_CLASS_KEEP] = { 0, 0, COMMAND_STOP_LIFE_MS },
        [VERB_CLASS_DROP] = { 0, 0, COMMAND_RELEASE_LIFE_MS },
};

struct address command_address(const struct command *c) {
        struct address a = {
                .to = c->to, .hosts = c->hosts, .n_hosts = c->n_hosts, .max_hosts = c->max_hosts, .part = c->part
        };

        memcpy(a.group, c->group, sizeof(a.group));
        return a;
}

void command_free(struct command *c) {
        if (!c)
                return;
        free(c->hosts);
        free(c->targets);
        free(c->permits);
        free(c);
}

void command_freep(struct command **c) {
        command_free(*c);
}

void command_id_to_str(const struct command_id *id, char ret[static 33]) {
        (void) sodium_bin2hex(ret, 33, id->b, sizeof(id->b));
}

int command_id_from_str(const char *s, struct command_id *ret) {
        struct command_id id;

        /* libsodium takes upper-case digits too; one spelling keeps ids comparable as text */
        if (strspn(s, "0123456789abcdef") != 2 * sizeof(id.b) || s[2 * sizeof(id.b)] != '\0')
                return -EINVAL;
        if (sodium_hex2bin(id.b, sizeof(id.b), s, 2 * sizeof(id.b), NULL, NULL, NULL) < 0)
                return -EINVAL;
        *ret = id;
        return 0;
}

bool command_id_equal(const struct command_id *a, const struct command_id *b) {
        return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

bool command_id_is_none(const struct command_id *id) {
        return sodium_is_zero(id->b, sizeof(id->b)) == 1;
}

#define OF_KEY (sizeof(struct command_id) / 2)

bool command_id_is_of_key(const struct command_id *id, const uint8_t key[static 32]) {
        return memcmp(id->b + OF_KEY, key, sizeof(id->b) - OF_KEY) == 0;
}

void command_id_be_of_key(struct command_id *id, const uint8_t key[static 32]) {
        memcpy(id->b + OF_KEY, key, sizeof(id->b) - OF_KEY);
}

static enum reason read_id(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && command_id_from_str(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_verb(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && verb_from_id(s, ret) ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_severity(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && severity_from_id(s, ret) ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_target(const json_t *v, void *ret) {
        const char *s = json_string_value(v);

        return s && target_from_str(s, ret) == 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_targets(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_list list = { sizeof(struct target), 1, COMMAND_TARGETS_MAX, true, read_target };
        struct command *c = ret;
        void *p = NULL;
        enum reason reason = schema_array(v, &list, &p, &c->n_targets);

        (void) f;
        c->targets = p;
        return reason;
}

#define MEMBER(name) SCHEMA_MEMBER(struct command, name)

static enum reason read_to(const json_t *v, const struct schema_field *f, void *ret) {
        struct command *c = ret;
        struct address a = { 0 };
        enum reason reason = address_read(v, f, &a);

        c->to = a.to;
        c->hosts = a.hosts;
        c->n_hosts = a.n_hosts;
        memcpy(c->group, a.group, sizeof(c->group));
        c->max_hosts = a.max_hosts;
        c->part = a.part;
        return reason;
}

static enum reason read_permits(const json_t *v, const struct schema_field *f, void *ret) {
        struct command *c = ret;

        (void) f;
        return permits_from_json(v, COMMAND_PERMITS_MAX, &c->permits, &c->n_permits);
}

static enum reason read_snapshot(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && profile_from_id(s, ret) ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_args(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = {
                { "permitted", false, read_permits, SCHEMA_WHOLE, 0, 0 },
                { "lease_ms", false, schema_int, MEMBER(lease_ms), 0, COMMAND_INT_MAX },
                { "snapshot", false, read_snapshot, MEMBER(profile), 0, 0 },
                { "step", false, schema_bool, MEMBER(step), 0, 0 },
        };

        (void) f;
        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

/* Consumes between min and max characters of the set. */
static bool take(const char **s, const char *set, size_t min, size_t max) {
        size_t n = strspn(*s, set);

        *s += n;
        return n >= min && n <= max;
}

/* An incident names a folder: letters, digits, digits. */
static enum reason read_incident(const json_t *v, const struct schema_field *f, void *ret) {
        enum reason reason = schema_text(v, f, ret);
        const char *s = ret;

        if (reason != REASON_NONE || *s == '\0')
                return reason;
        if (take(&s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", 2, 8) && take(&s, "-", 1, 1) && take(&s, "0123456789", 8, 8) &&
            take(&s, "-", 1, 1) && take(&s, "0123456789", 3, 6) && *s == '\0')
                return REASON_NONE;
        return REASON_SCHEMA;
}

static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "fleet", true, schema_name, MEMBER(fleet), 1, COMMAND_FLEET_MAX },
        { "id", true, read_id, MEMBER(id), 0, 0 },
        { "verb", true, read_verb, MEMBER(verb), 0, 0 },
        { "to", true, read_to, SCHEMA_WHOLE, 0, 0 },
        { "targets", true, read_targets, SCHEMA_WHOLE, 0, 0 },
        { "args", false, read_args, SCHEMA_WHOLE, 0, 0 },
        { "iat", true, schema_int, MEMBER(iat_ms), 0, COMMAND_INT_MAX },
        { "exp", true, schema_int, MEMBER(exp_ms), 0, COMMAND_INT_MAX },
        { "seq", false, schema_int, MEMBER(seq), 0, COMMAND_INT_MAX },
        { "root_version", false, schema_int, MEMBER(root_version), 0, COMMAND_INT_MAX },
        { "severity", true, read_severity, MEMBER(severity), 0, 0 },
        { "incident", false, read_incident, MEMBER(incident), 0, COMMAND_INCIDENT_MAX },
        { "reason", true, schema_text, MEMBER(reason), 1, COMMAND_REASON_MAX },
        { "drill", false, schema_bool, MEMBER(drill), 0, 0 },
        { "plan", false, schema_bool, MEMBER(plan), 0, 0 },
};

/* What no field can tell alone. */
static bool fits_together(const struct command *c) {
        const struct verb_info *verb = verb_info(c->verb);

        if (c->exp_ms <= c->iat_ms || c->exp_ms - c->iat_ms > classes[verb->cls].life_max)
                return false;
        if (c->lease_ms < classes[verb->cls].lease_min || c->lease_ms > classes[verb->cls].lease_max)
                return false;
        if (c->n_permits > 0 && !verb->isolates)
                return false;
        if (c->profile != PROFILE_DEFAULT && !verb->snapshots)
                return false;
        if (c->step && verb->cls != VERB_CLASS_RELEASE)
                return false;
        for (size_t i = 0; i < c->n_targets; i++)
                if ((c->targets[i].cls == TARGET_HOLD) != verb_class_is_of_holds(verb->cls))
                        return false;
        return true;
}

int command_parse(const uint8_t *payload, size_t n, struct command **ret, enum reason *ret_reason) {
        _cleanup_command_ struct command *c = calloc(1, sizeof(*c));
        int r = c ? schema_read(payload, n, DSSE_PAYLOAD_MAX, fields, ELEMENTSOF(fields), c, ret_reason) : -ENOMEM;

        if (r == 0 && *ret_reason == REASON_NONE && !fits_together(c))
                *ret_reason = REASON_SCHEMA;
        if (r == 0 && *ret_reason == REASON_NONE)
                *ret = TAKE_PTR(c);
        return r;
}

/* What serialising relies on; command_parse judges the rest of it afterwards. */
static bool can_serialise(const struct command *c) {
        if ((unsigned int) c->verb >= _VERB_MAX || (unsigned int) c->severity >= _SEVERITY_MAX ||
            (unsigned int) c->to > COMMAND_TO_ALL || (unsigned int) c->profile >= _PROFILE_MAX)
                return false;
        if (!schema_is_text(c->fleet, sizeof(c->fleet)) || !schema_is_text(c->group, sizeof(c->group)) ||
            !schema_is_text(c->incident, sizeof(c->incident)) || !schema_is_text(c->reason, sizeof(c->reason)))
                return false;
        for (size_t i = 0; i < c->n_targets; i++)
                if ((unsigned int) c->targets[i].cls >= _TARGET_MAX ||
                    !schema_is_text(c->targets[i].name, sizeof(c->targets[i].name)))
                        return false;
        return true;
}

static json_t *targets_to_json(const struct command *c) {
        _cleanup_json_ json_t *array = json_array();
        int r = array ? 0 : -1;

        for (size_t i = 0; i < c->n_targets; i++) {
                char s[TARGET_STR_SIZE];

                target_to_str(&c->targets[i], s, sizeof(s));
                r |= json_array_append_new(array, json_string(s));
        }
        return r == 0 ? TAKE_PTR(array) : NULL;
}

static json_t *args_to_json(const struct command *c) {
        _cleanup_json_ json_t *args = json_object();
        int r = args ? 0 : -1;

        if (c->n_permits > 0)
                r |= json_object_set_new(args, "permitted", permits_to_json(c->permits, c->n_permits));
        if (c->lease_ms != 0)
                r |= json_object_set_new(args, "lease_ms", json_integer(c->lease_ms));
        if (c->profile != PROFILE_DEFAULT)
                r |= json_object_set_new(args, "snapshot", json_string(profile_info(c->profile)->id));
        if (c->step)
                r |= json_object_set_new(args, "step", json_true());
        return r == 0 ? TAKE_PTR(args) : NULL;
}

static json_t *root_to_json(const struct command *c) {
        _cleanup_json_ json_t *root = json_object();
        char id[33];
        int r;

        const struct address to = command_address(c);

        command_id_to_str(&c->id, id);
        r = json_object_set_new(root, "v", json_integer(1));
        r |= json_object_set_new(root, "fleet", json_string(c->fleet));
        r |= json_object_set_new(root, "id", json_string(id));
        r |= json_object_set_new(root, "verb", json_string(verb_info(c->verb)->id));
        r |= json_object_set_new(root, "to", address_to_json(&to));
        r |= json_object_set_new(root, "targets", targets_to_json(c));
        r |= json_object_set_new(root, "args", args_to_json(c));
        r |= json_object_set_new(root, "iat", json_integer(c->iat_ms));
        r |= json_object_set_new(root, "exp", json_integer(c->exp_ms));
        r |= json_object_set_new(root, "seq", json_integer(c->seq));
        r |= json_object_set_new(root, "root_version", json_integer(c->root_version));
        r |= json_object_set_new(root, "severity", json_string(severity_id(c->severity)));
        r |= json_object_set_new(root, "incident", json_string(c->incident));
        r |= json_object_set_new(root, "reason", json_string(c->reason));
        r |= json_object_set_new(root, "drill", json_boolean(c->drill));
        r |= json_object_set_new(root, "plan", json_boolean(c->plan));
        return r == 0 ? TAKE_PTR(root) : NULL;
}

int command_to_json(const struct command *c, char **ret) {
        _cleanup_command_ struct command *back = NULL;
        _cleanup_json_ json_t *root = NULL;
        _cleanup_free_ char *json = NULL;
        enum reason reason;
        int r;

        if (!can_serialise(c))
                return -EINVAL;
        root = root_to_json(c);
        if (!root)
                return -ENOMEM;
        r = schema_dump(root, &json);
        if (r < 0)
                return r;

        /* The ranges are stated once, in the table that reads them. */
        r = command_parse((const uint8_t *) json, strlen(json), &back, &reason);
        if (r < 0)
                return r;
        /* A protocol that JSON has no word for would come back as any protocol. */
        if (reason != REASON_NONE ||
            (c->n_permits > 0 && memcmp(back->permits, c->permits, c->n_permits * sizeof(*c->permits)) != 0))
                return -EINVAL;
        *ret = TAKE_PTR(json);
        return 0;
}
