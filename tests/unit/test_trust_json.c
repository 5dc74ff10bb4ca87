/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: malloc */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/oom.h"
#include "lib/roots.h"
#include "lib/twins.h"
#include "policy/trust.h"

static enum reason reason_of(const char *json) {
        struct trust *untouched = (struct trust *) 1, *t = untouched;
        enum reason reason = _REASON_MAX;

        assert_int_equal(trust_parse((const uint8_t *) json, strlen(json), &t, &reason), 0);
        if (reason == REASON_NONE)
                trust_freep(&t);
        else
                assert_ptr_equal(t, untouched);
        return reason;
}

static void assert_reason(const char *json, enum reason expected) {
        enum reason reason = reason_of(json);

        if (reason != expected)
                fail_msg("%s instead of %s: %s", reason_id(reason), reason_id(expected), json);
}

static void trust_reads_every_member(void **state) {
        _cleanup_trust_ struct trust *t = trust_full();

        (void) state;
        assert_string_equal(t->fleet, "prod");
        assert_true(t->version == 3 && t->iat_ms == 1000 && t->expires_ms == 2000);
        assert_int_equal(t->root_k, 2);

        assert_int_equal(t->n_people, 4);
        assert_string_equal(t->people[0], "alice");
        assert_string_equal(t->people[1], "bob");
        assert_string_equal(t->people[2], "bot");
        assert_string_equal(t->people[3], "carol");

        assert_int_equal(t->n_keys, 5);
        assert_memory_equal(&t->keys[1].key, &keys['A'], sizeof(keys['A']));
        assert_int_equal(t->keys[1].person, 0);
        assert_int_equal(t->keys[4].person, 3);

        assert_int_equal(t->n_roles, 3);
        assert_string_equal(t->roles[0].name, "automation");
        assert_true(t->roles[0].people == 4);
        assert_true(t->roles[1].people == (1 | 2 | 8));
        assert_true(t->roles[2].people == (1 | 2));

        assert_int_equal(t->n_rules, 5);
        assert_int_equal(t->rules[1].verb, VERB_FREEZE);
        assert_int_equal(t->rules[1].role, 0);
        assert_true(t->rules[1].max_lease_ms == 900000);
        assert_int_equal(t->rules[1].severities, 1U << SEVERITY_P0);
        assert_int_equal(t->rules[1].targets, 1U << TARGET_UNIT);
        assert_int_equal(t->rules[4].k, 2);
        assert_int_equal(t->rules[4].targets, 1U << TARGET_HOLD);
}

static void trust_order_of_the_file_does_not_matter(void **state) {
        _cleanup_free_ char *other =
                fill("{\"rules\":[],\"roles\":{\"root\":[\"bob\",\"alice\"]},\"people\":{\"bob\":{\"keys\":[\"#b\"]},"
                     "\"alice\":{\"keys\":[\"#a\"]}},\"root_threshold\":1,\"expires\":2,\"iat\":1,\"version\":1,"
                     "\"fleet\":\"x\",\"v\":1}");
        _cleanup_free_ char *one =
                fill("{\"v\":1,\"fleet\":\"x\",\"version\":1,\"iat\":1,\"expires\":2,\"root_threshold\":1,"
                     "\"people\":{\"alice\":{\"keys\":[\"#a\"]},\"bob\":{\"keys\":[\"#b\"]}},"
                     "\"roles\":{\"root\":[\"alice\",\"bob\"]},\"rules\":[]}");
        _cleanup_trust_ struct trust *a = trust_of(one), *b = trust_of(other);

        (void) state;
        assert_memory_equal(a, b, sizeof(*a));
}

static void expect_schema(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_SCHEMA);
}

static void expect_malformed(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_MALFORMED);
}

/* The maps of people and roles have names for members: there, an unknown one is a person or role that is wrong. */
static void expect_added(const char *path, const char *json) {
        bool is_name = strcmp(path, "people.unknown") == 0 || strcmp(path, "roles.unknown") == 0;

        assert_reason(json, is_name ? REASON_SCHEMA : REASON_FIELD);
}

static void trust_refuses_twins(void **state) {
        _cleanup_free_ char *json = fill(template_full);

        (void) state;
        twins_removed(json, expect_schema);
        twins_added(json, expect_added);
        twins_retyped(json, expect_schema);
        twins_doubled(json, expect_malformed);
}

struct change {
        const char *path, *value;
        enum reason reason;
};

static const struct change changes[] = {
        { "v", "2", REASON_VERSION },
        { "version", "1", REASON_NONE },
        { "version", "0", REASON_SCHEMA },
        { "version", "-1", REASON_SCHEMA },
        { "version", "9007199254740991", REASON_NONE },
        { "version", "9007199254740992", REASON_SCHEMA },
        { "iat", "-1", REASON_SCHEMA },
        { "iat", "1999", REASON_NONE },
        { "iat", "2000", REASON_SCHEMA },
        { "expires", "1000", REASON_SCHEMA },
        { "expires", "1001", REASON_NONE },
        { "expires", "9007199254740992", REASON_SCHEMA },
        { "fleet", "\"Prod\"", REASON_SCHEMA },
        { "fleet", "\"\"", REASON_SCHEMA },
        { "root_threshold", "0", REASON_SCHEMA },
        { "root_threshold", "1", REASON_NONE },
        { "root_threshold", "3", REASON_SCHEMA },
        { "root_threshold", "258", REASON_SCHEMA },
        /* people and keys */
        { "people", "{}", REASON_SCHEMA },
        { "people.alice.keys", "[]", REASON_SCHEMA },
        { "people.alice.keys", "[\"#a\",\"#a\"]", REASON_SCHEMA },
        { "people.alice.keys", "[\"#b\"]", REASON_SCHEMA },
        { "people.alice.keys", "[\"#a bob's laptop\"]", REASON_NONE },
        { "people.alice.keys", "[\"#a\",\"#d a second\"]", REASON_NONE },
        { "people.alice.keys", "[\"#a x\",\"#a y\"]", REASON_SCHEMA },
        { "people.alice.keys", "[\"ssh-rsa AAAA\"]", REASON_SCHEMA },
        { "people.alice.keys", "[\"\"]", REASON_SCHEMA },
        { "people.alice.keys", "[\"#a\\n#d\"]", REASON_SCHEMA },
        { "people.dave", "{\"keys\":[\"#d\"]}", REASON_NONE },
        { "people.Dave", "{\"keys\":[\"#d\"]}", REASON_SCHEMA },
        { "people.", "{\"keys\":[\"#d\"]}", REASON_SCHEMA },
        { "people.alice", "{\"keys\":[\"#a\"],\"name\":\"A\"}", REASON_FIELD },
        /* roles */
        { "roles.root", "[]", REASON_SCHEMA },
        { "roles.root", "[\"alice\"]", REASON_SCHEMA },
        { "roles.root", "[\"alice\",\"alice\"]", REASON_SCHEMA },
        { "roles.root", "[\"alice\",\"dave\"]", REASON_SCHEMA },
        { "roles.root", "[\"alice\",\"Bob\"]", REASON_SCHEMA },
        { "roles.unused", "[\"bot\"]", REASON_NONE },
        { "roles.unused", "[]", REASON_SCHEMA },
        { "roles.unused", "[\"bot\",\"bot\"]", REASON_SCHEMA },
        { "roles.unused", "[\"bot\",\"alice\",\"bot\"]", REASON_SCHEMA },
        { "roles.Unused", "[\"bot\"]", REASON_SCHEMA },
        { "roles.responder", "[\"alice\"]", REASON_SCHEMA },
        { "roles", "{\"responder\":[\"alice\",\"bob\"],\"automation\":[\"bot\"]}", REASON_SCHEMA },
        /* rules */
        { "rules", "[]", REASON_NONE },
        { "rules.0.verb", "\"thaw\"", REASON_SCHEMA },
        { "rules.0.role", "\"nobody\"", REASON_SCHEMA },
        { "rules.0.role", "\"\"", REASON_SCHEMA },
        { "rules.0.role", "\"root\"", REASON_NONE },
        { "rules.0.k", "0", REASON_SCHEMA },
        { "rules.0.k", "3", REASON_NONE },
        { "rules.0.k", "4", REASON_SCHEMA },
        { "rules.0.k", "-1", REASON_SCHEMA },
        { "rules.0.k", "257", REASON_SCHEMA },
        { "rules.0.max_lease_ms", "1", REASON_NONE },
        { "rules.0.max_lease_ms", "-1", REASON_SCHEMA },
        { "rules.0.max_lease_ms", "9007199254740991", REASON_NONE },
        { "rules.0.max_lease_ms", "9007199254740992", REASON_SCHEMA },
        { "rules.0.severities", "[]", REASON_SCHEMA },
        { "rules.0.severities", "[\"P0\",\"P0\"]", REASON_SCHEMA },
        { "rules.0.severities", "[\"P0\",\"Critical\"]", REASON_SCHEMA },
        { "rules.0.severities", "[\"P4\"]", REASON_SCHEMA },
        { "rules.0.severities", "[\"low\",\"HIGH\"]", REASON_NONE },
        { "rules.0.targets", "[]", REASON_SCHEMA },
        { "rules.0.targets", "[\"unit\",\"unit\"]", REASON_SCHEMA },
        { "rules.0.targets", "[\"Unit\"]", REASON_SCHEMA },
        { "rules.0.targets", "[\"pod\"]", REASON_SCHEMA },
        { "rules.0.targets", "[\"unit\",\"hold\"]", REASON_SCHEMA },
        { "rules.0.targets", "[\"hold\"]", REASON_SCHEMA },
        { "rules.2.max_lease_ms", "1", REASON_SCHEMA },
        { "rules.2.targets", "[\"hold\"]", REASON_SCHEMA },
        { "rules.3.max_lease_ms", "0", REASON_NONE },
        { "rules.3.targets", "[\"unit\"]", REASON_SCHEMA },
        { "rules.3.targets", "[\"hold\",\"unit\"]", REASON_SCHEMA },
        { "rules.4.max_lease_ms", "1", REASON_SCHEMA },
        { "rules.4.targets", "[\"unit\"]", REASON_SCHEMA },
        { "rules.4.k", "3", REASON_NONE },
        { "rules.4.k", "4", REASON_SCHEMA },
};

static void trust_refuses_each_rule_of_the_header_broken(void **state) {
        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(changes); i++) {
                _cleanup_free_ char *base = fill(template_full), *value = fill(changes[i].value),
                                    *json = twin_with(base, changes[i].path, value);

                assert_reason(json, changes[i].reason);
        }
}

/* A trust root of n people p0.. with a key each, all of them in the role root. */
static char *crowd(size_t n_people, size_t n_roles, size_t n_rules, unsigned int threshold, unsigned int k) {
        json_t *root = json_pack("{s:i,s:s,s:i,s:i,s:i,s:i}", "v", 1, "fleet", "prod", "version", 1, "iat", 1,
                                 "expires", 2, "root_threshold", threshold);
        json_t *people = json_object(), *all = json_array(), *roles = json_object(), *rules = json_array();
        char *json;

        for (size_t i = 0; i < n_people; i++) {
                uint8_t raw[32] = { (uint8_t) i, 1 };
                char name[32], line[SSHKEY_LINE_SIZE];
                struct sshkey key;

                sshkey_from_raw(raw, &key);
                sshkey_to_line(&key, line);
                (void) snprintf(name, sizeof(name), "p%zu", i);
                json_object_set_new(people, name, json_pack("{s:[s]}", "keys", line));
                json_array_append_new(all, json_string(name));
        }
        json_object_set_new(roles, "root", all);
        for (size_t i = 1; i < n_roles; i++) {
                char name[32];

                (void) snprintf(name, sizeof(name), "r%zu", i);
                json_object_set_new(roles, name, json_pack("[s]", "p0"));
        }
        for (size_t i = 0; i < n_rules; i++)
                json_array_append_new(rules,
                                      json_pack("{s:s,s:s,s:i,s:i,s:[s],s:[s]}", "verb", "contain", "role", "root", "k",
                                                k, "max_lease_ms", 0, "severities", "P0", "targets", "unit"));
        json_object_set_new(root, "people", people);
        json_object_set_new(root, "roles", roles);
        json_object_set_new(root, "rules", rules);
        json = json_dumps(root, JSON_COMPACT);
        json_decref(root);
        return json;
}

static void trust_lists_end_at_their_limit(void **state) {
        static const struct {
                size_t n_people, n_roles, n_rules;
                unsigned int threshold, k;
                enum reason reason;
        } rows[] = {
                { TRUST_PEOPLE_MAX, 1, 0, 1, 1, REASON_NONE },
                { TRUST_PEOPLE_MAX + 1, 1, 0, 1, 1, REASON_SCHEMA },
                { 1, TRUST_ROLES_MAX, 0, 1, 1, REASON_NONE },
                { 1, TRUST_ROLES_MAX + 1, 0, 1, 1, REASON_SCHEMA },
                { 1, 1, TRUST_RULES_MAX, 1, 1, REASON_NONE },
                { 1, 1, TRUST_RULES_MAX + 1, 1, 1, REASON_SCHEMA },
                /* no envelope has room for more signatures */
                { 20, 1, 1, DSSE_SIGS_MAX, DSSE_SIGS_MAX, REASON_NONE },
                { 20, 1, 1, DSSE_SIGS_MAX + 1, 1, REASON_SCHEMA },
                { 20, 1, 1, 1, DSSE_SIGS_MAX + 1, REASON_SCHEMA },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *json =
                        crowd(rows[i].n_people, rows[i].n_roles, rows[i].n_rules, rows[i].threshold, rows[i].k);

                assert_reason(json, rows[i].reason);
        }
}

static void trust_keys_end_at_their_limit(void **state) {
        _cleanup_free_ char *full = crowd(TRUST_PEOPLE_MAX, 1, 0, 1, 1);
        _cleanup_free_ char *value = fill("[\"#a\",\"#b\"]"), *more = twin_with(full, "people.p0.keys", value);
        _cleanup_free_ char *first = fill("[\"#a\"]"), *last = fill("[\"#b\"]");
        _cleanup_free_ char *one = twin_with(full, "people.p0.keys", first),
                            *other = twin_with(full, "people.p0.keys", last);

        (void) state;
        assert_reason(one, REASON_NONE);
        assert_reason(other, REASON_NONE);
        assert_reason(more, REASON_SCHEMA);
}

static void trust_of_the_last_person_and_key_is_read_back(void **state) {
        _cleanup_free_ char *json = crowd(TRUST_PEOPLE_MAX, TRUST_ROLES_MAX, TRUST_RULES_MAX, 2, 1), *out = NULL;
        _cleanup_trust_ struct trust *t = trust_of(json), *again = NULL;

        (void) state;
        assert_true(t->roles[trust_role_find(t, "root")].people == UINT64_MAX);
        assert_true(trust_people_of(t, UINT64_MAX) == UINT64_MAX);
        assert_true(trust_people_of(t, UINT64_C(1) << 63) == UINT64_C(1) << 63);
        assert_int_equal(trust_to_json(t, &out), 0);
        again = trust_of(out);
        assert_memory_equal(again, t, sizeof(*t));
}

static void trust_to_json_reads_back_as_the_same(void **state) {
        _cleanup_trust_ struct trust *t = trust_full(), *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;

        (void) state;
        assert_int_equal(trust_to_json(t, &first), 0);
        again = trust_of(first);
        assert_memory_equal(again, t, sizeof(*t));
        assert_int_equal(trust_to_json(again, &second), 0);
        assert_string_equal(first, second);
}

static void trust_to_json_of_a_struct_in_any_order_means_the_same(void **state) {
        _cleanup_trust_ struct trust *t = trust_full();
        _cleanup_free_ char *ordered = NULL, *json = NULL;
        struct trust_role role = t->roles[0];

        (void) state;
        assert_int_equal(trust_to_json(t, &ordered), 0);
        t->roles[0] = t->roles[2];
        t->roles[2] = role;
        for (size_t i = 0; i < t->n_rules; i++)
                t->rules[i].role = (uint8_t) (t->rules[i].role == 1 ? 1 : 2 - t->rules[i].role);
        assert_int_equal(trust_to_json(t, &json), 0);
        assert_string_equal(json, ordered);
}

/* Each makes a trust root that trust_parse would not take. */
static void spoil_fleet(struct trust *t) {
        t->fleet[0] = '\xff';
}
static void spoil_version(struct trust *t) {
        t->version = 0;
}
static void spoil_iat(struct trust *t) {
        t->iat_ms = -1;
}
static void spoil_expires(struct trust *t) {
        t->expires_ms = t->iat_ms;
}
static void spoil_threshold(struct trust *t) {
        t->root_k = 3;
}
static void spoil_person(struct trust *t) {
        t->people[0][0] = 'A';
}
static void spoil_person_end(struct trust *t) {
        memset(t->people[0], 'x', sizeof(t->people[0]));
}
static void spoil_person_twice(struct trust *t) {
        memcpy(t->people[1], t->people[0], sizeof(t->people[0]));
}
static void spoil_person_twice_in_no_common_role(struct trust *t) {
        memcpy(t->people[2], t->people[3], sizeof(t->people[2]));
}
static void spoil_person_without_key(struct trust *t) {
        t->n_people = 5;
        (void) strcpy(t->people[4], "zoe");
}
static void spoil_people_many(struct trust *t) {
        t->n_people = TRUST_PEOPLE_MAX + 1;
}
static void spoil_key_owner(struct trust *t) {
        t->keys[0].person = 4;
}
static void spoil_key_twice(struct trust *t) {
        t->keys[1].key = t->keys[0].key;
}
static void spoil_keys_many(struct trust *t) {
        t->n_keys = TRUST_KEYS_MAX + 1;
}
static void spoil_role_person(struct trust *t) {
        t->roles[0].people = 16;
}
static void spoil_role_empty(struct trust *t) {
        t->roles[0].people = 0;
}
static void spoil_role_twice(struct trust *t) {
        t->roles[1] = t->roles[0];
}
static void spoil_role_name_twice(struct trust *t) {
        memcpy(t->roles[1].name, t->roles[0].name, sizeof(t->roles[1].name));
}
static void spoil_role_root(struct trust *t) {
        t->roles[2].name[0] = 't';
}
static void spoil_roles_many(struct trust *t) {
        t->n_roles = TRUST_ROLES_MAX + 1;
}
static void spoil_rules_many(struct trust *t) {
        t->n_rules = TRUST_RULES_MAX + 1;
}
static void spoil_rule_verb(struct trust *t) {
        t->rules[0].verb = _VERB_MAX;
}
static void spoil_rule_role(struct trust *t) {
        t->rules[0].role = 3;
}
static void spoil_rule_k(struct trust *t) {
        t->rules[0].k = 0;
}
static void spoil_rule_lease(struct trust *t) {
        t->rules[4].max_lease_ms = 1;
}
static void spoil_rule_severities(struct trust *t) {
        t->rules[0].severities = 1U << _SEVERITY_MAX;
}
static void spoil_rule_no_severity(struct trust *t) {
        t->rules[0].severities = 0;
}
static void spoil_rule_targets(struct trust *t) {
        t->rules[0].targets = 1U << _TARGET_MAX;
}
static void spoil_rule_hold(struct trust *t) {
        t->rules[0].targets = 1U << TARGET_HOLD;
}

static void trust_to_json_refuses_what_could_not_be_read_back(void **state) {
        static void (*const spoils[])(struct trust *) = {
                spoil_fleet,
                spoil_version,
                spoil_iat,
                spoil_expires,
                spoil_threshold,
                spoil_person,
                spoil_person_end,
                spoil_person_twice,
                spoil_person_without_key,
                spoil_person_twice_in_no_common_role,
                spoil_role_name_twice,
                spoil_people_many,
                spoil_key_owner,
                spoil_key_twice,
                spoil_keys_many,
                spoil_role_person,
                spoil_role_empty,
                spoil_role_twice,
                spoil_role_root,
                spoil_roles_many,
                spoil_rules_many,
                spoil_rule_verb,
                spoil_rule_role,
                spoil_rule_k,
                spoil_rule_lease,
                spoil_rule_severities,
                spoil_rule_no_severity,
                spoil_rule_targets,
                spoil_rule_hold,
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(spoils); i++) {
                _cleanup_trust_ struct trust *t = trust_full();
                char untouched, *json = &untouched;

                spoils[i](t);
                if (trust_to_json(t, &json) != -EINVAL)
                        fail_msg("spoil %zu was serialised", i);
                assert_ptr_equal(json, &untouched);
        }
}

static void trust_lack_of_memory_is_never_a_refusal(void **state) {
        _cleanup_free_ char *text = fill(template_full);
        bool hit = true;

        (void) state;
        for (size_t k = 0; hit; k++) {
                _cleanup_trust_ struct trust *t = NULL;
                enum reason reason = _REASON_MAX;
                int r;

                oom_begin(k);
                r = trust_parse((const uint8_t *) text, strlen(text), &t, &reason);
                hit = oom_end();
                assert_int_equal(r, hit ? -ENOMEM : 0);
                assert_int_equal(reason, hit ? _REASON_MAX : REASON_NONE);
                assert_int_equal(t == NULL, hit);
        }
}

static void trust_to_json_tells_lack_of_memory(void **state) {
        _cleanup_trust_ struct trust *t = trust_full();
        bool hit = true;

        (void) state;
        for (size_t k = 0; hit; k++) {
                _cleanup_free_ char *json = NULL;
                int r;

                oom_begin(k);
                r = trust_to_json(t, &json);
                hit = oom_end();
                assert_int_equal(r, hit ? -ENOMEM : 0);
                assert_int_equal(json == NULL, hit);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(trust_reads_every_member),
                cmocka_unit_test(trust_order_of_the_file_does_not_matter),
                cmocka_unit_test(trust_refuses_twins),
                cmocka_unit_test(trust_refuses_each_rule_of_the_header_broken),
                cmocka_unit_test(trust_lists_end_at_their_limit),
                cmocka_unit_test(trust_keys_end_at_their_limit),
                cmocka_unit_test(trust_of_the_last_person_and_key_is_read_back),
                cmocka_unit_test(trust_to_json_reads_back_as_the_same),
                cmocka_unit_test(trust_to_json_of_a_struct_in_any_order_means_the_same),
                cmocka_unit_test(trust_to_json_refuses_what_could_not_be_read_back),
                cmocka_unit_test(trust_lack_of_memory_is_never_a_refusal),
                cmocka_unit_test(trust_to_json_tells_lack_of_memory),
        };

        return cmocka_run_group_tests(tests, make_keys, NULL);
}
