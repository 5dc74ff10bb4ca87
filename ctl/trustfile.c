/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <sys/stat.h>

#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"

int trustfile_read(const char *path, const struct trust *prev, struct trust **ret, char **ret_text, struct why *w) {
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        size_t n;

        int r = file_read(path, DSSE_ENVELOPE_MAX, &text, &n, NULL);
        if (r >= 0)
                r = trust_accept(text, n, prev, ret, &reason);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        if (reason != REASON_NONE)
                return why_set(w, reason_exit(reason), "%s: no valid trust root (%s): %s", CLEAN(path),
                               reason_id(reason), reason_text(reason));
        if (ret_text)
                *ret_text = TAKE_PTR(text);
        return 0;
}

int trustfile_load(const struct options *o, struct trust **ret, struct why *w) {
        *ret = NULL;
        if (!o->trust && access(TRUSTFILE_PATH, F_OK) < 0 && errno == ENOENT)
                return 0;
        return trustfile_read(o->trust ? o->trust : TRUSTFILE_PATH, NULL, ret, NULL, w);
}

void signed_file_done(struct signed_file *f) {
        dsse_done(&f->env);
        command_free(f->command);
        trust_freep(&f->trust);
        free(f->attributes);
        herald_free(f->head);
        *f = SIGNED_FILE_NULL;
}

static int parse_attributes(struct signed_file *f) {
        struct attributes a;
        int r = attributes_parse(f->env.payload, f->env.n_payload, &a, &f->reason);

        if (r < 0 || f->reason != REASON_NONE)
                return r;
        f->attributes = memdup_array(&a, 1, sizeof(a));
        return f->attributes ? 0 : -ENOMEM;
}

/* The payload of a type that people sign. */
static int parse_payload(struct signed_file *f) {
        f->reason = REASON_TYPE;
        if (f->env.type == DSSE_COMMAND)
                return command_parse(f->env.payload, f->env.n_payload, &f->command, &f->reason);
        if (f->env.type == DSSE_TRUST)
                return trust_parse(f->env.payload, f->env.n_payload, &f->trust, &f->reason);
        if (f->env.type == DSSE_HEAD)
                return herald_parse(f->env.payload, f->env.n_payload, &f->head, &f->reason);
        if (f->env.type == DSSE_ATTRIBUTES)
                return parse_attributes(f);
        return 0;
}

/* A bare payload: the type is the one whose parser takes it, because no text is both. */
static int wrap(const char *text, size_t n, struct signed_file *ret) {
        static const enum dsse_type types[] = { DSSE_COMMAND, DSSE_TRUST, DSSE_ATTRIBUTES, DSSE_HEAD };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                struct signed_file f = SIGNED_FILE_NULL;
                f.env.type = types[i];
                f.env.n_payload = n;
                f.env.payload = malloc(n + 1);
                if (!f.env.payload)
                        return -ENOMEM;
                memcpy(f.env.payload, text, n);
                f.env.payload[n] = '\0';
                int r = parse_payload(&f);
                if (r >= 0 && f.reason == REASON_NONE) {
                        *ret = f;
                        return 0;
                }
                signed_file_done(&f);
                if (r < 0)
                        return r;
        }
        return -EINVAL;
}

int signed_file_load(const char *path, struct signed_file *ret, char **ret_text, size_t *ret_n, struct why *w) {
        _cleanup_free_ char *text = NULL;
        enum reason reason;
        size_t n;

        int r = file_read(path, DSSE_ENVELOPE_MAX, &text, &n, NULL);
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        /* editors and `echo` end a file with a newline; JSON does not mind, the size of a message might */
        while (n > 0 && text[n - 1] == '\n')
                text[--n] = '\0';
        r = dsse_parse(text, n, &ret->env, &reason);
        if (r >= 0 && reason == REASON_NONE)
                r = parse_payload(ret);
        else if (r >= 0) {
                r = wrap(text, n, ret);
                if (r == -EINVAL)
                        return why_set(w, reason_exit(reason), "%s: neither an order nor a trust root (%s): %s",
                                       CLEAN(path), reason_id(reason), reason_text(reason));
        }
        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        if (ret_text) {
                *ret_text = TAKE_PTR(text);
                *ret_n = n;
        }
        return 0;
}

int signed_file_save(const char *path, const struct dsse *env, struct why *w) {
        _cleanup_free_ char *json = NULL, *line = NULL;

        int r = dsse_to_json(env, &json);
        int k = r < 0 ? -1 : asprintf(&line, "%s\n", json);
        if (r >= 0 && k < 0) {
                line = NULL;
                r = -ENOMEM;
        }
        if (r >= 0)
                r = file_replace(path, line, (size_t) k, 0644);
        return r < 0 ? why_errno(w, r, "%s", CLEAN(path)) : 0;
}

static int count(const struct trust *t, const struct dsse *d, uint64_t *ret_keys, struct tally *ret) {
        struct sshkey keys[TRUST_KEYS_MAX];

        *ret_keys = 0;
        *ret = (struct tally) { .reason = REASON_UNTRUSTED };
        trust_keys(t, keys);
        int r = dsse_verify(d, keys, t->n_keys, ret_keys, &ret->reason);
        if (r >= 0)
                ret->people = trust_people_of(t, *ret_keys);
        return r;
}

static bool rule_covers(const struct trust_rule *rule, const struct command *c) {
        if (rule->verb != c->verb || !(rule->severities & 1U << c->severity))
                return false;
        const struct address to = command_address(c);
        if (rule->max_hosts != 0 && address_breadth(&to) > rule->max_hosts)
                return false;
        if (rule->max_lease_ms != 0 && (c->lease_ms == 0 || c->lease_ms > rule->max_lease_ms))
                return false;
        for (size_t i = 0; i < c->n_targets; i++)
                if (!(rule->targets & 1U << c->targets[i].cls))
                        return false;
        return true;
}

int tally_command(const struct trust *t, const struct dsse *d, const struct command *c, struct tally *ret) {
        uint64_t keys;
        int r = count(t, d, &keys, ret);

        for (size_t i = 0; r >= 0 && i < t->n_rules; i++) {
                const struct trust_rule *rule = &t->rules[i];
                const struct trust_role *role = &t->roles[rule->role];
                unsigned have = (unsigned) __builtin_popcountll(ret->people & role->people);
                if (!rule_covers(rule, c) || (have == 0 && ret->people != 0))
                        continue;
                const bool automation = trust_rule_is_automation(rule);
                const unsigned lacks = rule->k - MIN(have, (unsigned) rule->k);
                const unsigned least = ret->need - MIN(ret->have, ret->need);
                /* the rule that lacks the fewest people */
                if (ret->need == 0 || lacks < least || (lacks == least && ret->automation && !automation)) {
                        ret->have = have;
                        ret->need = rule->k;
                        ret->role = role->name;
                        ret->automation = automation;
                }
        }
        ret->key = trust_key_of_id(t, keys, &c->id);
        return r;
}

int tally_role(const struct trust *t, const struct dsse *d, const char *role, struct tally *ret) {
        uint64_t keys;
        int r = count(t, d, &keys, ret), i = trust_role_find(t, role);

        if (r < 0 || i < 0)
                return r;
        ret->role = t->roles[i].name;
        ret->have = (unsigned) __builtin_popcountll(ret->people & t->roles[i].people);
        ret->need = 1;
        return r;
}

int tally_root(const struct trust *t, const struct dsse *d, struct tally *ret) {
        int r = tally_role(t, d, TRUST_ROOT_ROLE, ret);

        if (r == 0)
                ret->need = t->root_k;
        return r;
}

/* Whose signature what is neither an order nor a trust root takes. */
static const char *crier(const struct signed_file *f) {
        return f->attributes ? TRUST_REGISTRAR_ROLE : f->head ? TRUST_HERALD_ROLE : NULL;
}

int signed_file_count(const struct signed_file *f, const struct trust *t, struct signatures *ret) {
        struct signatures s = { .by = f->trust ? f->trust : f->command || crier(f) ? t : NULL };
        int r = 0;

        if (s.by && f->command)
                r = tally_command(s.by, &f->env, f->command, &s.now);
        else if (s.by && crier(f))
                r = tally_role(s.by, &f->env, crier(f), &s.now);
        else if (s.by)
                r = tally_root(s.by, &f->env, &s.now);
        s.enough = s.by && s.now.need > 0 && s.now.have >= s.now.need && s.now.key >= 0;
        if (r >= 0 && f->trust && t && strcmp(t->fleet, f->trust->fleet) == 0 && t->version == f->trust->version - 1) {
                s.before = t;
                r = tally_root(t, &f->env, &s.then);
                s.enough = s.enough && s.then.have >= s.then.need;
        }
        if (r >= 0)
                *ret = s;
        return r;
}
