/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/file.h"
#include "ctl/sign.h"
#include "ctl/text.h"
#include "ctl/trustbuild.h"
#include "policy/schema.h"

#define PUB_FILE_MAX (16U * 1024)

static int find_person(const struct trust *t, const char *name) {
        for (size_t i = 0; i < t->n_people; i++)
                if (strcmp(t->people[i], name) == 0)
                        return (int) i;
        return -ENOENT;
}

static int add_person(struct trust *t, const char *name, size_t *ret, struct why *w) {
        int i = find_person(t, name);

        if (i < 0 && !schema_is_name(name, TRUST_NAME_MAX + 1))
                return why_set(w, CTL_USAGE, "\"%s\" is no name: lower-case letters, digits, dot, dash, underscore",
                               CLEAN(name));
        if (i < 0 && t->n_people == TRUST_PEOPLE_MAX)
                return why_set(w, CTL_USAGE, "a trust root names at most %u people", TRUST_PEOPLE_MAX);
        if (i < 0) {
                i = (int) t->n_people++;
                (void) snprintf(t->people[i], sizeof(t->people[i]), "%s", name);
        }
        *ret = (size_t) i;
        return 0;
}

static int add_role(struct trust *t, const char *name, struct trust_role **ret, struct why *w) {
        int i = trust_role_find(t, name);

        if (i < 0 && !schema_is_name(name, TRUST_NAME_MAX + 1))
                return why_set(w, CTL_USAGE, "\"%s\" is no role: lower-case letters, digits, dot, dash, underscore",
                               CLEAN(name));
        if (i < 0 && t->n_roles == TRUST_ROLES_MAX)
                return why_set(w, CTL_USAGE, "a trust root has at most %u roles", TRUST_ROLES_MAX);
        if (i < 0) {
                i = (int) t->n_roles++;
                t->roles[i] = (struct trust_role) { 0 };
                (void) snprintf(t->roles[i].name, sizeof(t->roles[i].name), "%s", name);
        }
        *ret = &t->roles[i];
        return 0;
}

static int add_key(struct trust *t, size_t person, const char *file, struct why *w) {
        _cleanup_free_ char *line = NULL;
        struct sshkey key;
        size_t n;

        int r = file_read(file, PUB_FILE_MAX, &line, &n, NULL);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        if (strlen(line) != n || sshkey_from_line(line, &key) < 0)
                return why_set(w, CTL_USAGE,
                               "%s: not an Ed25519 public key of OpenSSH (the .pub file of ssh-keygen -t ed25519)",
                               CLEAN(file));
        for (size_t i = 0; i < t->n_keys; i++)
                if (memcmp(t->keys[i].key.id, key.id, sizeof(key.id)) == 0) {
                        if (t->keys[i].person == person)
                                return 0;
                        return why_set(w, CTL_USAGE, "%s: this key is %s's already; one key is one person's",
                                       CLEAN(file), t->people[t->keys[i].person]);
                }
        if (t->n_keys == TRUST_KEYS_MAX)
                return why_set(w, CTL_USAGE, "a trust root has at most %u keys", TRUST_KEYS_MAX);
        t->keys[t->n_keys++] = (struct trust_key) { key, (uint8_t) person };
        return 0;
}

int trustbuild_people(struct trust *t, const struct option_list *words, const char *role, struct why *w) {
        for (size_t i = 0; i < words->n; i++) {
                char name[TRUST_NAME_MAX + 1];
                const char *eq = strchr(words->v[i], '=');
                struct trust_role *r;
                size_t person = 0;

                if (!eq || eq[1] == '\0' || (size_t) (eq - words->v[i]) >= sizeof(name))
                        return why_set(w, CTL_USAGE, "\"%s\": wanted is NAME=FILE.pub", CLEAN(words->v[i]));
                (void) snprintf(name, sizeof(name), "%.*s", (int) (eq - words->v[i]), words->v[i]);
                int x = add_person(t, name, &person, w);
                if (x == 0)
                        x = add_key(t, person, eq + 1, w);
                if (x == 0 && role) {
                        x = add_role(t, role, &r, w);
                        if (x == 0)
                                r->people |= UINT64_C(1) << person;
                }
                if (x != 0)
                        return x;
        }
        return 0;
}

/* Copies the next part of s up to the separator; false when it does not fit. *s is NULL after the last one. */
static bool next_part(const char **s, char separator, char *ret, size_t n) {
        const char *end = strchrnul(*s, separator);
        size_t len = (size_t) (end - *s);

        if (len >= n)
                return false;
        (void) snprintf(ret, n, "%.*s", (int) len, *s);
        *s = *end ? end + 1 : NULL;
        return true;
}

int trustbuild_roles(struct trust *t, const struct option_list *words, struct why *w) {
        for (size_t i = 0; i < words->n; i++) {
                char name[TRUST_NAME_MAX + 1];
                const char *rest = words->v[i];
                struct trust_role *role;

                if (!strchr(rest, '=') || !next_part(&rest, '=', name, sizeof(name)))
                        return why_set(w, CTL_USAGE, "\"%s\": wanted is ROLE=NAME,NAME,...", CLEAN(words->v[i]));
                int x = add_role(t, name, &role, w);
                if (x != 0)
                        return x;
                role->people = 0;
                while (rest) {
                        int person = next_part(&rest, ',', name, sizeof(name)) ? find_person(t, name) : -ENOENT;
                        if (person < 0)
                                return why_set(w, CTL_USAGE, "\"%s\": \"%s\" is nobody that was named with a key",
                                               CLEAN(words->v[i]), CLEAN(name));
                        role->people |= UINT64_C(1) << person;
                }
        }
        return 0;
}

/* Bits of a comma-separated list; an empty text is every bit. */
static int parse_severities(const char *s, uint32_t *ret) {
        uint32_t bits = 0;

        while (s && *s) {
                char word[16];
                enum severity severity;
                if (!next_part(&s, ',', word, sizeof(word)) || !severity_from_id(word, &severity))
                        return -EINVAL;
                bits |= 1U << severity;
        }
        *ret = bits ? bits : (1U << _SEVERITY_MAX) - 1;
        return 0;
}

static int parse_classes(const char *s, uint32_t *ret) {
        uint32_t bits = 0;

        while (s && *s) {
                char word[16];
                enum target_class c;

                if (!next_part(&s, ',', word, sizeof(word)) || !target_class_from_id(word, &c) || c == TARGET_HOLD)
                        return -EINVAL;
                bits |= 1U << c;
        }
        *ret = bits;
        return 0;
}

static int add_rule(struct trust *t, struct trust_rule rule, struct why *w) {
        /* what has a lease compulsorily is for machines: these, a person decides about, unless the rule says otherwise
         */
        const uint32_t wide = rule.max_lease_ms > 0 ? 1U << TARGET_HOST | 1U << TARGET_USER : 0;
        const uint32_t holds = 1U << TARGET_HOLD, others = ((1U << _TARGET_MAX) - 1) & ~(holds | wide);
        enum verb_class cls = verb_info(rule.verb)->cls;

        if (t->n_rules == TRUST_RULES_MAX)
                return why_set(w, CTL_USAGE, "a trust root has at most %u rules", TRUST_RULES_MAX);
        if (verb_class_is_of_holds(cls))
                rule.targets = holds;
        else if (rule.targets == 0)
                rule.targets = others;
        t->rules[t->n_rules++] = rule;
        return 0;
}

/* How many hosts an order by it reaches at most. */
static int parse_hosts(const char *s, int64_t max_lease_ms, uint32_t *ret) {
        unsigned long n = max_lease_ms > 0 ? TRUSTBUILD_HOSTS : 0;

        if (*s && (strspn(s, "0123456789") != strlen(s) || strlen(s) > 10))
                return -EINVAL;
        if (*s)
                n = strtoul(s, NULL, 10);
        if (n > UINT32_MAX)
                return -EINVAL;
        *ret = (uint32_t) n;
        return 0;
}

static int parse_rule(struct trust *t, const char *text, struct why *w) {
        char verbs[256], role[TRUST_NAME_MAX + 1], k[4], lease[24] = "", severities[64] = "", classes[96] = "",
                                                         hosts[12] = "";
        const char *rest = text, *v = verbs;
        struct trust_rule rule = { 0 };

        bool ok = next_part(&rest, ':', verbs, sizeof(verbs)) && rest && next_part(&rest, ':', role, sizeof(role)) &&
                  rest && next_part(&rest, ':', k, sizeof(k)) &&
                  (!rest || next_part(&rest, ':', lease, sizeof(lease))) &&
                  (!rest || next_part(&rest, ':', severities, sizeof(severities))) &&
                  (!rest || next_part(&rest, ':', classes, sizeof(classes))) &&
                  (!rest || next_part(&rest, ':', hosts, sizeof(hosts))) && !rest;
        int i = ok ? trust_role_find(t, role) : -ENOENT;
        if (ok && i < 0)
                return why_set(w, CTL_USAGE, "--rule \"%s\": nobody has the role %s", CLEAN(text), CLEAN(role));
        ok = ok && strspn(k, "0123456789") == strlen(k) && atoi(k) > 0 && atoi(k) <= (int) DSSE_SIGS_MAX;
        ok = ok && (!*lease || strcmp(lease, "0") == 0 || text_span_from_str(lease, &rule.max_lease_ms) >= 0);
        if (!ok || parse_severities(severities, &rule.severities) < 0 || parse_classes(classes, &rule.targets) < 0 ||
            parse_hosts(hosts, rule.max_lease_ms, &rule.max_hosts) < 0)
                return why_set(
                        w, CTL_USAGE,
                        "--rule \"%s\": wanted is VERB,..:ROLE:K[:LEASE[:SEVERITY,..[:KIND OF TARGET,..[:HOSTS]]]], as "
                        "in release:responder:2, "
                        "contain,isolate:automation:1:15m:P0,P1 or isolate:automation:1:15m:P0:host,container:10",
                        CLEAN(text));
        rule.role = (uint8_t) i;
        rule.k = (uint8_t) atoi(k);
        while (v) {
                char word[32];
                if (!next_part(&v, ',', word, sizeof(word)) || !verb_from_id(word, &rule.verb))
                        return why_set(w, CTL_USAGE, "--rule \"%s\": \"%s\" is no verb", CLEAN(text), CLEAN(word));
                int x = add_rule(t, rule, w);
                if (x != 0)
                        return x;
        }
        return 0;
}

int trustbuild_rules(struct trust *t, const struct option_list *words, struct why *w) {
        int x = 0;

        for (size_t i = 0; x == 0 && i < words->n; i++)
                x = parse_rule(t, words->v[i], w);
        return x;
}

int trustbuild_default_rules(struct trust *t, struct why *w) {
        /* easy to stop, hard to resume; what a machine holds ends by itself */
        static const struct {
                const char *role, *rule;
        } usual[] = {
                { "responder", "contain,isolate,freeze,snapshot,extend:responder:1" },
                { "responder", "release:responder:2" },
                { "automation", "contain,isolate,freeze,extend:automation:1:15m:P0,P1" },
                { "responder", "evidence-hold:responder:1" },
                { TRUST_CUSTODIAN_ROLE, "evidence-hold:" TRUST_CUSTODIAN_ROLE ":1" },
                { TRUST_CUSTODIAN_ROLE, "evidence-unhold,evidence-delete:" TRUST_CUSTODIAN_ROLE ":2" },
        };
        int x = 0;

        for (size_t i = 0; x == 0 && i < ELEMENTSOF(usual); i++)
                if (trust_role_find(t, usual[i].role) >= 0)
                        x = parse_rule(t, usual[i].rule, w);
        return x;
}

int trustbuild_recipients(struct trust *t, const struct option_list *words, struct why *w) {
        if (words->n > AGE_RECIPIENTS_MAX)
                return why_set(w, CTL_USAGE, "evidence is sealed to at most %u keys", AGE_RECIPIENTS_MAX);
        for (size_t i = 0; i < words->n; i++)
                if (age_recipient_from_str(words->v[i], &t->recipients[i]) < 0)
                        return why_set(
                                w, CTL_USAGE,
                                "--recipient \"%s\": wanted is a public key of age, \"age1...\", as age-keygen -y "
                                "prints it",
                                CLEAN(words->v[i]));
        if (words->n > 0)
                t->n_recipients = words->n;
        return schema_has_twins(t->recipients, t->n_recipients, sizeof(t->recipients[0]))
                       ? why_set(w, CTL_USAGE, "--recipient: a key is named twice")
                       : 0;
}

int trustbuild_witnesses(struct trust *t, const struct option_list *words, struct why *w) {
        if (words->n > TRUST_WITNESSES_MAX)
                return why_set(w, CTL_USAGE, "there are at most %u witnesses", TRUST_WITNESSES_MAX);
        for (size_t i = 0; i < words->n; i++)
                if (note_key_from_str(words->v[i], &t->witnesses[i]) < 0 || t->witnesses[i].type != NOTE_COSIGNATURE)
                        return why_set(
                                w, CTL_USAGE,
                                "--witness \"%s\": wanted is a key for Ed25519 cosignatures, NAME+ID+KEY, as the "
                                "witness publishes it",
                                CLEAN(words->v[i]));
        if (words->n > 0)
                t->n_witnesses = words->n;
        return schema_has_twins(t->witnesses, t->n_witnesses, sizeof(t->witnesses[0]))
                       ? why_set(w, CTL_USAGE, "--witness: a key is named twice")
                       : 0;
}

static bool is_ruled(const struct trust *t, size_t role) {
        for (size_t i = 0; i < t->n_rules; i++)
                if (t->rules[i].role == role)
                        return true;
        return false;
}

/* A role that rules are for is missed, which is told; another one ends with the last who had it. */
static void drop_idle_roles(struct trust *t) {
        for (size_t gone = t->n_roles; gone-- > 0;) {
                if (t->roles[gone].people != 0 || is_ruled(t, gone))
                        continue;
                memmove(&t->roles[gone], &t->roles[gone + 1], (t->n_roles - gone - 1) * sizeof(t->roles[0]));
                t->n_roles--;
                for (size_t i = 0; i < t->n_rules; i++)
                        t->rules[i].role = (uint8_t) (t->rules[i].role - (t->rules[i].role > gone));
        }
}

int trustbuild_remove(struct trust *t, const struct option_list *names, struct why *w) {
        for (size_t i = 0; i < names->n; i++) {
                int found = find_person(t, names->v[i]);
                size_t kept = 0;

                if (found < 0)
                        return why_set(w, CTL_USAGE, "the trust root names nobody \"%s\"", CLEAN(names->v[i]));
                uint8_t gone = (uint8_t) found;
                for (size_t k = 0; k < t->n_keys; k++)
                        if (t->keys[k].person != gone) {
                                t->keys[kept] = t->keys[k];
                                t->keys[kept].person = (uint8_t) (t->keys[kept].person - (t->keys[kept].person > gone));
                                kept++;
                        }
                t->n_keys = kept;
                /* everybody behind moves up by one, in the list and in the roles' bits */
                memmove(t->people[gone], t->people[gone + 1], (t->n_people - gone - 1U) * sizeof(t->people[0]));
                t->n_people--;
                for (size_t k = 0; k < t->n_roles; k++) {
                        uint64_t bits = t->roles[k].people, below = (UINT64_C(1) << gone) - 1;
                        t->roles[k].people = (bits & below) | ((bits >> 1) & ~below);
                }
        }
        drop_idle_roles(t);
        return 0;
}

/* The usual mistakes, in words; the rest is trust_parse's. */
static int check(const struct trust *t, struct why *w) {
        for (size_t i = 0; i < t->n_roles; i++)
                if (t->roles[i].people == 0)
                        return why_set(w, CTL_USAGE, "nobody would have the role %s", t->roles[i].name);
        for (size_t i = 0; i < t->n_rules; i++) {
                const struct trust_rule *r = &t->rules[i];
                int n = __builtin_popcountll(t->roles[r->role].people);
                if (r->k > n)
                        return why_set(w, CTL_USAGE,
                                       "%s takes %u people of the role %s, which has %d: name more of them, with keys "
                                       "of their own",
                                       verb_info(r->verb)->id, r->k, t->roles[r->role].name, n);
        }
        if (!trust_custodians_stand_apart(t))
                return why_set(w, CTL_USAGE,
                               "who may let evidence go has the role %s, and nobody of it may order anything else: "
                               "name other people",
                               TRUST_CUSTODIAN_ROLE);
        if (!trust_criers_stand_apart(t))
                return why_set(w, CTL_USAGE,
                               "who has the role %s or %s may release nothing and delete nothing: name other people",
                               TRUST_REGISTRAR_ROLE, TRUST_HERALD_ROLE);
        int root = trust_role_find(t, TRUST_ROOT_ROLE);
        int n = root < 0 ? 0 : __builtin_popcountll(t->roles[root].people);
        if (t->root_k > n)
                return why_set(w, CTL_USAGE, "the trust root takes %u of its root people, who are %d", t->root_k, n);
        return 0;
}

int trustbuild_finish(const struct trust *t, struct dsse *ret, struct why *w) {
        char *json = NULL;

        int x = check(t, w);
        if (x != 0)
                return x;
        int r = trust_to_json(t, &json);
        if (r == -EINVAL)
                return why_set(w, CTL_USAGE,
                               "this is no valid trust root; check --fleet (lower-case letters, digits, dot, dash), "
                               "--expires, and "
                               "that snapshot and release have no lease");
        if (r < 0)
                return why_errno(w, r, "trust root");
        ret->type = DSSE_TRUST;
        ret->payload = (uint8_t *) json;
        ret->n_payload = strlen(json);
        return 0;
}

/* Appends the keys of t's root people. */
static void root_keys(const struct trust *t, struct sshkey *ret, size_t *ret_n) {
        int role = t ? trust_role_find(t, TRUST_ROOT_ROLE) : -ENOENT;

        for (size_t i = 0; role >= 0 && i < t->n_keys; i++)
                if (t->roles[role].people & UINT64_C(1) << t->keys[i].person)
                        ret[(*ret_n)++] = t->keys[i].key;
}

int trustbuild_sign(const struct trust *t, const struct trust *before, const struct options *o, struct dsse *d,
                    struct why *w) {
        _cleanup_(sign_done) struct signers s = SIGNERS_NULL;
        struct sshkey keys[2 * TRUST_KEYS_MAX];
        size_t n = 0;

        root_keys(t, keys, &n);
        root_keys(before, keys, &n);
        /* no key at hand is no mistake here: the people sign the file later */
        if (o->keys.n == 0 && !getenv("SSH_AUTH_SOCK"))
                return 0;
        int x = sign_open(o->keys.v, o->keys.n, keys, n, SIGN_PICK_ALL, &s, w);
        for (size_t i = 0; x == 0 && i < s.n; i++) {
                bool root = false;
                for (size_t k = 0; k < n; k++)
                        root |= memcmp(keys[k].id, s.v[i].key.id, sizeof(keys[k].id)) == 0;
                if (!root)
                        x = why_set(w, CTL_USAGE, "%s: not the key of anybody in the role root", s.v[i].name);
        }
        return x != 0 ? x : sign_envelope(&s, d, w);
}
