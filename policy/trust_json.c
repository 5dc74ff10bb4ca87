/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/trust.h"

#include <string.h>

#include "policy/schema.h"

#define RULE_K_MAX DSSE_SIGS_MAX

_Static_assert(_SEVERITY_MAX <= 32 && _TARGET_MAX <= 32,
               "sets of severities and of target classes are one 32-bit word");

static int person_find(const struct trust *t, const char *name) {
        for (size_t i = 0; i < t->n_people; i++)
                if (strcmp(t->people[i], name) == 0)
                        return (int) i;
        return -ENOENT;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* The member names of an object in byte order, so that indices do not depend on how the file was written. */
static enum reason names_sorted(const json_t *object, size_t max, const char **ret, size_t *ret_n) {
        const char *name;
        json_t *value;
        size_t n = 0;

        if (!json_is_object(object))
                return REASON_SCHEMA;
        if (json_object_size(object) > max)
                return REASON_SCHEMA;
        json_object_foreach((json_t *) object, name, value) {
                if (!schema_is_name(name, TRUST_NAME_MAX + 1))
                        return REASON_SCHEMA;
                ret[n++] = name;
        }
        qsort(ret, n, sizeof(*ret), compare_names);
        *ret_n = n;
        return REASON_NONE;
}

/* The keys of the person that is being added, which is the last one. */
static enum reason read_keys(const json_t *v, const struct schema_field *f, void *ret) {
        struct trust *t = ret;

        (void) f;
        if (json_array_size(v) == 0)
                return REASON_SCHEMA;
        for (size_t i = 0; i < json_array_size(v); i++) {
                const char *line = json_string_value(json_array_get(v, i));
                struct trust_key *key = &t->keys[t->n_keys];

                if (t->n_keys == TRUST_KEYS_MAX)
                        return REASON_SCHEMA;
                if (!line || sshkey_from_line(line, &key->key) < 0)
                        return REASON_SCHEMA;
                key->person = (uint8_t) (t->n_people - 1);
                for (size_t k = 0; k < t->n_keys; k++)
                        if (memcmp(t->keys[k].key.pub, key->key.pub, sizeof(key->key.pub)) == 0)
                                return REASON_SCHEMA;
                t->n_keys++;
        }
        return REASON_NONE;
}

static enum reason read_people(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_field fields[] = {
                { "keys", true, read_keys, SCHEMA_WHOLE, 0, 0 },
        };
        const char *names[TRUST_PEOPLE_MAX];
        struct trust *t = ret;
        enum reason reason;
        size_t n = 0;

        (void) f;
        reason = names_sorted(v, ELEMENTSOF(names), names, &n);
        for (size_t i = 0; reason == REASON_NONE && i < n; i++) {
                memcpy(t->people[t->n_people++], names[i], strlen(names[i]) + 1);
                reason = schema_object(json_object_get(v, names[i]), fields, ELEMENTSOF(fields), t);
        }
        return reason == REASON_NONE && n == 0 ? REASON_SCHEMA : reason;
}

/* A role's people as bits; 0 when the list is not one of different people that exist. */
static uint64_t people_from_json(const struct trust *t, const json_t *v) {
        uint64_t people = 0;

        for (size_t i = 0; i < json_array_size(v); i++) {
                const char *name = json_string_value(json_array_get(v, i));
                int person = name ? person_find(t, name) : -EINVAL;

                if (person < 0 || people & UINT64_C(1) << person)
                        return 0;
                people |= UINT64_C(1) << person;
        }
        return people;
}

static enum reason read_roles(const json_t *v, const struct schema_field *f, void *ret) {
        const char *names[TRUST_ROLES_MAX];
        struct trust *t = ret;
        enum reason reason;
        size_t n = 0;

        (void) f;
        reason = names_sorted(v, ELEMENTSOF(names), names, &n);
        for (size_t i = 0; reason == REASON_NONE && i < n; i++) {
                struct trust_role *role = &t->roles[t->n_roles++];

                memcpy(role->name, names[i], strlen(names[i]) + 1);
                role->people = people_from_json(t, json_object_get(v, names[i]));
                if (role->people == 0)
                        reason = REASON_SCHEMA;
        }
        return reason;
}

static enum reason read_verb(const json_t *v, const struct schema_field *f, void *ret) {
        const char *s = json_string_value(v);

        (void) f;
        return s && verb_from_id(s, ret) ? REASON_NONE : REASON_SCHEMA;
}

static bool severity_bit(const char *s, uint32_t *ret) {
        enum severity severity;

        if (!severity_from_id(s, &severity))
                return false;
        *ret = UINT32_C(1) << severity;
        return true;
}

static bool target_bit(const char *s, uint32_t *ret) {
        enum target_class cls;

        if (!target_class_from_id(s, &cls))
                return false;
        *ret = UINT32_C(1) << cls;
        return true;
}

static enum reason read_bits(const json_t *v, bool (*bit_from_id)(const char *, uint32_t *), uint32_t *ret) {
        uint32_t bits = 0, bit;

        for (size_t i = 0; i < json_array_size(v); i++) {
                const char *s = json_string_value(json_array_get(v, i));

                if (!s || !bit_from_id(s, &bit) || bits & bit)
                        return REASON_SCHEMA;
                bits |= bit;
        }
        *ret = bits;
        return bits != 0 ? REASON_NONE : REASON_SCHEMA;
}

static enum reason read_severities(const json_t *v, const struct schema_field *f, void *ret) {
        (void) f;
        return read_bits(v, severity_bit, ret);
}

static enum reason read_targets(const json_t *v, const struct schema_field *f, void *ret) {
        (void) f;
        return read_bits(v, target_bit, ret);
}

/* A rule as it is written: its role still a name. */
struct written_rule {
        char role[TRUST_NAME_MAX + 1];
        struct trust_rule rule;
};

static enum reason read_rule(const json_t *v, void *ret) {
        static const struct schema_field fields[] = {
                { "verb", true, read_verb, SCHEMA_MEMBER(struct written_rule, rule.verb), 0, 0 },
                { "role", true, schema_name, SCHEMA_MEMBER(struct written_rule, role), 1, TRUST_NAME_MAX },
                { "k", true, schema_int, SCHEMA_MEMBER(struct written_rule, rule.k), 1, RULE_K_MAX },
                { "max_lease_ms", true, schema_int, SCHEMA_MEMBER(struct written_rule, rule.max_lease_ms), 0,
                  SCHEMA_INT_MAX },
                { "severities", true, read_severities, SCHEMA_MEMBER(struct written_rule, rule.severities), 0, 0 },
                { "targets", true, read_targets, SCHEMA_MEMBER(struct written_rule, rule.targets), 0, 0 },
                { "max_hosts", false, schema_int, SCHEMA_MEMBER(struct written_rule, rule.max_hosts), 1, UINT32_MAX },
        };

        return schema_object(v, fields, ELEMENTSOF(fields), ret);
}

/* A rule that could never be met, or would promise what the verb does not have, is a mistake of its writer. */
static bool rule_fits(const struct trust *t, const struct trust_rule *rule) {
        enum verb_class cls = verb_info(rule->verb)->cls;
        bool has_lease = cls == VERB_CLASS_STOP || cls == VERB_CLASS_EXTEND;
        uint32_t hold = UINT32_C(1) << TARGET_HOLD;

        if (rule->k > __builtin_popcountll(t->roles[rule->role].people) || (rule->max_lease_ms > 0 && !has_lease))
                return false;
        return verb_class_is_of_holds(cls) ? rule->targets == hold : !(rule->targets & hold);
}

static enum reason read_rules(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_list list = { sizeof(struct written_rule), 0, TRUST_RULES_MAX, false, read_rule };
        _cleanup_free_ void *p = NULL;
        struct trust *t = ret;
        enum reason reason = schema_array(v, &list, &p, &t->n_rules);
        const struct written_rule *rules = p;

        (void) f;
        for (size_t i = 0; reason == REASON_NONE && i < t->n_rules; i++) {
                int role = trust_role_find(t, rules[i].role);

                if (role < 0)
                        return REASON_SCHEMA;
                t->rules[i] = rules[i].rule;
                t->rules[i].role = (uint8_t) role;
                if (!rule_fits(t, &t->rules[i]))
                        return REASON_SCHEMA;
        }
        return reason;
}

static enum reason read_recipients(const json_t *v, const struct schema_field *f, void *ret) {
        struct trust *t = ret;

        (void) f;
        if (json_array_size(v) == 0)
                return REASON_SCHEMA;
        if (json_array_size(v) > AGE_RECIPIENTS_MAX)
                return REASON_SCHEMA;
        for (size_t i = 0; i < json_array_size(v); i++) {
                const char *s = json_string_value(json_array_get(v, i));

                if (!s || age_recipient_from_str(s, &t->recipients[t->n_recipients++]) < 0)
                        return REASON_SCHEMA;
        }
        return schema_has_twins(t->recipients, t->n_recipients, sizeof(t->recipients[0])) ? REASON_SCHEMA : REASON_NONE;
}

static enum reason read_witnesses(const json_t *v, const struct schema_field *f, void *ret) {
        struct trust *t = ret;

        (void) f;
        if (json_array_size(v) == 0)
                return REASON_SCHEMA;
        if (json_array_size(v) > TRUST_WITNESSES_MAX)
                return REASON_SCHEMA;
        for (size_t i = 0; i < json_array_size(v); i++) {
                const char *s = json_string_value(json_array_get(v, i));
                struct note_key *k = &t->witnesses[t->n_witnesses++];

                if (!s || note_key_from_str(s, k) < 0 || k->type != NOTE_COSIGNATURE)
                        return REASON_SCHEMA;
        }
        return schema_has_twins(t->witnesses, t->n_witnesses, sizeof(t->witnesses[0])) ? REASON_SCHEMA : REASON_NONE;
}

#define MEMBER(name) SCHEMA_MEMBER(struct trust, name)

/* In this order: roles name people, rules name roles. */
static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "fleet", true, schema_name, MEMBER(fleet), 1, COMMAND_FLEET_MAX },
        { "version", true, schema_int, MEMBER(version), 1, SCHEMA_INT_MAX },
        { "iat", true, schema_int, MEMBER(iat_ms), 0, SCHEMA_INT_MAX },
        { "expires", true, schema_int, MEMBER(expires_ms), 0, SCHEMA_INT_MAX },
        { "root_threshold", true, schema_int, MEMBER(root_k), 1, RULE_K_MAX },
        { "people", true, read_people, SCHEMA_WHOLE, 0, 0 },
        { "roles", true, read_roles, SCHEMA_WHOLE, 0, 0 },
        { "rules", true, read_rules, SCHEMA_WHOLE, 0, 0 },
        { "recipients", false, read_recipients, SCHEMA_WHOLE, 0, 0 },
        { "retention_ms", false, schema_int, MEMBER(retention_ms), 1, SCHEMA_INT_MAX },
        { "witnesses", false, read_witnesses, SCHEMA_WHOLE, 0, 0 },
};

bool trust_custodians_stand_apart(const struct trust *t) {
        uint64_t custodians = 0, others = 0;

        for (size_t i = 0; i < t->n_rules; i++) {
                const struct trust_role *role = &t->roles[t->rules[i].role];
                enum verb_class cls = verb_info(t->rules[i].verb)->cls;

                if (cls == VERB_CLASS_DROP && strcmp(role->name, TRUST_CUSTODIAN_ROLE) != 0)
                        return false;
                if (cls == VERB_CLASS_DROP)
                        custodians |= role->people;
                else if (cls != VERB_CLASS_KEEP)
                        others |= role->people;
        }
        return (custodians & others) == 0;
}

bool trust_criers_stand_apart(const struct trust *t) {
        uint64_t openers = 0;

        for (size_t i = 0; i < t->n_rules; i++)
                if (verb_class_lets_go(verb_info(t->rules[i].verb)->cls))
                        openers |= t->roles[t->rules[i].role].people;
        return (openers & (trust_role_people(t, TRUST_REGISTRAR_ROLE) | trust_role_people(t, TRUST_HERALD_ROLE))) == 0;
}

/* What no field can tell alone. */
static bool fits_together(const struct trust *t) {
        int root = trust_role_find(t, TRUST_ROOT_ROLE);

        return trust_custodians_stand_apart(t) && trust_criers_stand_apart(t) && t->expires_ms > t->iat_ms &&
               root >= 0 && t->root_k <= __builtin_popcountll(t->roles[root].people);
}

int trust_parse(const uint8_t *payload, size_t n, struct trust **ret, enum reason *ret_reason) {
        _cleanup_trust_ struct trust *t = calloc(1, sizeof(*t));
        int r = t ? schema_read(payload, n, DSSE_PAYLOAD_MAX, fields, ELEMENTSOF(fields), t, ret_reason) : -ENOMEM;

        if (r == 0 && *ret_reason == REASON_NONE && !fits_together(t))
                *ret_reason = REASON_SCHEMA;
        if (r == 0 && *ret_reason == REASON_NONE)
                *ret = TAKE_PTR(t);
        return r;
}

/* What serialising relies on; trust_parse judges the rest of it afterwards. */
static bool can_serialise(const struct trust *t) {
        if (t->n_people > TRUST_PEOPLE_MAX || t->n_keys > TRUST_KEYS_MAX || t->n_roles > TRUST_ROLES_MAX ||
            t->n_rules > TRUST_RULES_MAX || t->n_recipients > AGE_RECIPIENTS_MAX ||
            t->n_witnesses > TRUST_WITNESSES_MAX || !schema_is_name(t->fleet, sizeof(t->fleet)))
                return false;
        for (size_t i = 0; i < t->n_people; i++)
                if (!schema_is_name(t->people[i], sizeof(t->people[i])))
                        return false;
        for (size_t i = 0; i < t->n_keys; i++)
                if (t->keys[i].person >= t->n_people)
                        return false;
        for (size_t i = 0; i < t->n_roles; i++)
                if (!schema_is_name(t->roles[i].name, sizeof(t->roles[i].name)) ||
                    (t->n_people < 64 && t->roles[i].people >> t->n_people != 0))
                        return false;
        for (size_t i = 0; i < t->n_rules; i++)
                if ((unsigned int) t->rules[i].verb >= _VERB_MAX || t->rules[i].role >= t->n_roles ||
                    t->rules[i].severities >> _SEVERITY_MAX != 0 || t->rules[i].targets >> _TARGET_MAX != 0)
                        return false;
        return true;
}

static json_t *person_to_json(const struct trust *t, size_t person) {
        _cleanup_json_ json_t *j = json_object(), *keys = json_array();
        int r = j && keys ? 0 : -1;

        for (size_t i = 0; i < t->n_keys; i++)
                if (t->keys[i].person == person) {
                        char line[SSHKEY_LINE_SIZE];

                        sshkey_to_line(&t->keys[i].key, line);
                        r |= json_array_append_new(keys, json_string(line));
                }
        r |= json_object_set(j, "keys", keys);
        return r == 0 ? TAKE_PTR(j) : NULL;
}

static json_t *people_to_json(const struct trust *t) {
        _cleanup_json_ json_t *people = json_object();
        int r = people ? 0 : -1;

        for (size_t i = 0; i < t->n_people; i++)
                r |= json_object_set_new(people, t->people[i], person_to_json(t, i));
        return r == 0 ? TAKE_PTR(people) : NULL;
}

static json_t *role_to_json(const struct trust *t, const struct trust_role *role) {
        _cleanup_json_ json_t *people = json_array();
        int r = people ? 0 : -1;

        for (size_t i = 0; i < t->n_people; i++)
                if (role->people & UINT64_C(1) << i)
                        r |= json_array_append_new(people, json_string(t->people[i]));
        return r == 0 ? TAKE_PTR(people) : NULL;
}

static json_t *roles_to_json(const struct trust *t) {
        _cleanup_json_ json_t *roles = json_object();
        int r = roles ? 0 : -1;

        for (size_t i = 0; i < t->n_roles; i++)
                r |= json_object_set_new(roles, t->roles[i].name, role_to_json(t, &t->roles[i]));
        return r == 0 ? TAKE_PTR(roles) : NULL;
}

static const char *severity_str(unsigned int i) {
        return severity_id((enum severity) i);
}

static const char *target_str(unsigned int i) {
        return target_class_id((enum target_class) i);
}

static json_t *bits_to_json(uint32_t bits, const char *(*str)(unsigned int) ) {
        _cleanup_json_ json_t *array = json_array();
        int r = array ? 0 : -1;

        for (unsigned int i = 0; i < 32; i++)
                if (bits & UINT32_C(1) << i)
                        r |= json_array_append_new(array, json_string(str(i)));
        return r == 0 ? TAKE_PTR(array) : NULL;
}

static json_t *rule_to_json(const struct trust *t, const struct trust_rule *rule) {
        _cleanup_json_ json_t *j = json_object();
        int r;

        r = json_object_set_new(j, "verb", json_string(verb_info(rule->verb)->id));
        r |= json_object_set_new(j, "role", json_string(t->roles[rule->role].name));
        r |= json_object_set_new(j, "k", json_integer(rule->k));
        r |= json_object_set_new(j, "max_lease_ms", json_integer(rule->max_lease_ms));
        r |= json_object_set_new(j, "severities", bits_to_json(rule->severities, severity_str));
        r |= json_object_set_new(j, "targets", bits_to_json(rule->targets, target_str));
        if (rule->max_hosts > 0)
                r |= json_object_set_new(j, "max_hosts", json_integer(rule->max_hosts));
        return r == 0 ? TAKE_PTR(j) : NULL;
}

static json_t *rules_to_json(const struct trust *t) {
        _cleanup_json_ json_t *rules = json_array();
        int r = rules ? 0 : -1;

        for (size_t i = 0; i < t->n_rules; i++)
                r |= json_array_append_new(rules, rule_to_json(t, &t->rules[i]));
        return r == 0 ? TAKE_PTR(rules) : NULL;
}

static json_t *recipients_to_json(const struct trust *t) {
        _cleanup_json_ json_t *recipients = json_array();
        int r = recipients ? 0 : -1;

        for (size_t i = 0; i < t->n_recipients; i++) {
                char s[AGE_RECIPIENT_SIZE];

                age_recipient_to_str(&t->recipients[i], s);
                r |= json_array_append_new(recipients, json_string(s));
        }
        return r == 0 ? TAKE_PTR(recipients) : NULL;
}

static json_t *witnesses_to_json(const struct trust *t) {
        _cleanup_json_ json_t *witnesses = json_array();
        int r = witnesses ? 0 : -1;

        for (size_t i = 0; i < t->n_witnesses; i++) {
                char s[NOTE_KEY_SIZE];

                note_key_to_str(&t->witnesses[i], s);
                r |= json_array_append_new(witnesses, json_string(s));
        }
        return r == 0 ? TAKE_PTR(witnesses) : NULL;
}

static json_t *root_to_json(const struct trust *t) {
        _cleanup_json_ json_t *root = json_object();
        int r;

        r = json_object_set_new(root, "v", json_integer(1));
        r |= json_object_set_new(root, "fleet", json_string(t->fleet));
        r |= json_object_set_new(root, "version", json_integer(t->version));
        r |= json_object_set_new(root, "iat", json_integer(t->iat_ms));
        r |= json_object_set_new(root, "expires", json_integer(t->expires_ms));
        r |= json_object_set_new(root, "root_threshold", json_integer(t->root_k));
        r |= json_object_set_new(root, "people", people_to_json(t));
        r |= json_object_set_new(root, "roles", roles_to_json(t));
        r |= json_object_set_new(root, "rules", rules_to_json(t));
        if (t->n_recipients > 0)
                r |= json_object_set_new(root, "recipients", recipients_to_json(t));
        if (t->retention_ms != 0)
                r |= json_object_set_new(root, "retention_ms", json_integer(t->retention_ms));
        if (t->n_witnesses > 0)
                r |= json_object_set_new(root, "witnesses", witnesses_to_json(t));
        return r == 0 ? TAKE_PTR(root) : NULL;
}

int trust_to_json(const struct trust *t, char **ret) {
        _cleanup_trust_ struct trust *back = NULL;
        _cleanup_json_ json_t *root = NULL;
        _cleanup_free_ char *json = NULL;
        enum reason reason;
        int r;

        if (!can_serialise(t))
                return -EINVAL;
        root = root_to_json(t);
        if (!root)
                return -ENOMEM;
        r = schema_dump(root, &json);
        if (r < 0)
                return r;

        r = trust_parse((const uint8_t *) json, strlen(json), &back, &reason);
        if (r < 0)
                return r;
        /* Two people or roles of one name have become one member. */
        if (reason != REASON_NONE || back->n_people != t->n_people || back->n_roles != t->n_roles)
                return -EINVAL;
        *ret = TAKE_PTR(json);
        return 0;
}
