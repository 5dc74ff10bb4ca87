/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include "ctl/escalate_rules.h"
#include "ctl/escalate_template.h"
#include "ctl/text.h"
#include "policy/schema.h"

#define PER_HOUR           20
#define PER_INCIDENT       20
#define HOSTS_PER_INCIDENT 50
#define MAX_AGE_MS         ESCALATE_HOUR_MS
#define HOSTS_MAX          10000000

/* Where one is in the file. */
struct place {
        const char *file;
        char rule[ESCALATE_NAME_MAX + 16]; /* as it is shown; "" outside of the rules */
        const char *object;                /* "budgets", "match", "then", or "" */
        struct why *w;
};

static int wrong(const struct place *p, const char *member, const char *what) {
        return why_set(p->w, CTL_USAGE, "%s: %s%s%s%s%s: %s", CLEAN(p->file), p->rule, *p->rule ? ": " : "", p->object,
                       *p->object && *member ? "." : "", CLEAN(member), what);
}

struct field {
        const char *name;
        bool required;
        /* Stores what it reads in the object that is being filled. Returns 0 or an exit code. */
        int (*read)(const struct place *p, const struct field *f, const json_t *v, void *object);
        size_t offset;
        int64_t min, max;
};

static void *member_of(const struct field *f, void *object) {
        return (char *) object + f->offset;
}

static int read_fields(const struct place *p, const struct field *fields, size_t n, const json_t *v, void *object) {
        const char *name;
        json_t *unused;

        json_object_foreach((json_t *) v, name, unused) {
                size_t i = 0;

                while (i < n && strcmp(fields[i].name, name) != 0)
                        i++;
                if (i == n)
                        return wrong(p, name, "there is no such member");
        }
        for (size_t i = 0; i < n; i++) {
                const json_t *one = json_object_get(v, fields[i].name);

                if (!one && fields[i].required)
                        return wrong(p, fields[i].name, "is missing");
                int x = one ? fields[i].read(p, &fields[i], one, object) : 0;
                if (x != 0)
                        return x;
        }
        return 0;
}

static int read_count(const struct place *p, const struct field *f, const json_t *v, void *object) {
        char text[96];

        if (json_is_integer(v) && json_integer_value(v) >= f->min && json_integer_value(v) <= f->max) {
                *(int64_t *) member_of(f, object) = json_integer_value(v);
                return 0;
        }
        (void) snprintf(text, sizeof(text), "wants an integer from %lld to %lld", (long long) f->min,
                        (long long) f->max);
        return wrong(p, f->name, text);
}

static int read_span(const struct place *p, const struct field *f, const json_t *v, void *object) {
        int64_t ms;

        if (!json_is_string(v) || text_span_from_str(json_string_value(v), &ms) < 0)
                return wrong(p, f->name, "wants a duration with its unit, as in 10s, 15m or 2h");
        if (ms > f->max)
                return wrong(p, f->name, "is longer than 24h");
        *(int64_t *) member_of(f, object) = ms;
        return 0;
}

static int read_source(const struct place *p, const struct field *f, const json_t *v, void *object) {
        if (!json_is_string(v) || !escalate_source_from_id(json_string_value(v), member_of(f, object)))
                return wrong(p, f->name, "wants alertmanager, falco, tetragon or cloudevents");
        return 0;
}

static int read_verb(const struct place *p, const struct field *f, const json_t *v, void *object) {
        enum verb verb;

        /* whatever lets something go is not for a program to order */
        if (!json_is_string(v) || !verb_from_id(json_string_value(v), &verb) ||
            verb_class_is_of_holds(verb_info(verb)->cls))
                return wrong(p, f->name, "wants contain, isolate, freeze or snapshot");
        *(enum verb *) member_of(f, object) = verb;
        return 0;
}

static int read_severity(const struct place *p, const struct field *f, const json_t *v, void *object) {
        if (!json_is_string(v) || !severity_from_id(json_string_value(v), member_of(f, object)))
                return wrong(p, f->name, "wants P0, P1, P2, P3 or Critical, High, Medium, Low");
        return 0;
}

static int read_profile(const struct place *p, const struct field *f, const json_t *v, void *object) {
        if (!json_is_string(v) || !profile_from_id(json_string_value(v), member_of(f, object)))
                return wrong(p, f->name, "wants default, logs or full");
        return 0;
}

static int read_name(const struct place *p, const struct field *f, const json_t *v, void *object) {
        if (!json_is_string(v) || !schema_is_name(json_string_value(v), ESCALATE_NAME_MAX + 1))
                return wrong(p, f->name, "wants lower-case letters, digits, dot, dash and underscore");
        strcpy(member_of(f, object), json_string_value(v));
        return 0;
}

/* Whether it is one for its place is judged when the whole rule is known. */
static int read_template(const struct place *p, const struct field *f, const json_t *v, void *object) {
        if (!json_is_string(v) || !escalate_template_ok(json_string_value(v)))
                return wrong(p, f->name, "wants text of at most 255 bytes, with places in the event as {place}");
        strcpy(member_of(f, object), json_string_value(v));
        return 0;
}

static int read_match(const struct place *p, const struct field *f, const json_t *v, void *object) {
        struct place in = *p;
        struct escalate_rule *rule = object;
        const char *path;
        json_t *pattern;

        in.object = f->name;
        /* what fits everything is a mistake more often than it is meant */
        if (!json_is_object(v) || json_object_size(v) == 0 || json_object_size(v) > ESCALATE_MATCHES_MAX)
                return wrong(p, f->name, "wants an object of 1 to 16 places and patterns");
        json_object_foreach((json_t *) v, path, pattern) {
                struct escalate_match *m = &rule->matches[rule->n_matches++];
                const char *s = json_string_value(pattern);

                if (!escalate_path_ok(path))
                        return wrong(&in, path, "is no place in an event, as labels.severity is one");
                if (!s || !schema_is_text(s, ESCALATE_PATTERN_MAX + 1))
                        return wrong(&in, path, "wants a pattern of at most 255 bytes, as in \"crit*\"");
                strcpy(m->path, path);
                strcpy(m->pattern, s);
        }
        return 0;
}

static int read_targets(const struct place *p, const struct field *f, const json_t *v, void *object) {
        struct escalate_rule *rule = object;
        json_t *one;
        size_t i;

        if (!json_is_array(v) || json_array_size(v) == 0 || json_array_size(v) > ESCALATE_TARGETS_MAX)
                return wrong(p, f->name, "wants a list of 1 to 16 targets");
        json_array_foreach(v, i, one) {
                const char *s = json_string_value(one);

                if (!s || !escalate_template_is_target(s))
                        return wrong(p, f->name,
                                     "wants targets with their class written out, as in unit:{labels.unit}, "
                                     "container:{output_fields.container.id}, user:alice or host; holds are none");
                strcpy(rule->targets[rule->n_targets++], s);
        }
        return 0;
}

#define OF_RULE(member) offsetof(struct escalate_rule, member)
#define OF_ALL(member)  offsetof(struct escalate_rules, member)

static const struct field then_fields[] = {
        { "verb", true, read_verb, OF_RULE(verb), 0, 0 },
        { "targets", true, read_targets, 0, 0, 0 },
        { "to", false, read_template, OF_RULE(to), 0, 0 },
        { "severity", false, read_severity, OF_RULE(severity), 0, 0 },
        { "lease", false, read_span, OF_RULE(lease_ms), 0, ESCALATE_MEMORY_MS },
        { "max_hosts", false, read_count, OF_RULE(max_hosts), 1, HOSTS_MAX },
        { "snapshot", false, read_profile, OF_RULE(profile), 0, 0 },
        { "incident", false, read_template, OF_RULE(incident), 0, 0 },
};

static int read_then(const struct place *p, const struct field *f, const json_t *v, void *object) {
        struct place in = *p;

        in.object = f->name;
        if (!json_is_object(v))
                return wrong(p, f->name, "wants an object");
        return read_fields(&in, then_fields, ELEMENTSOF(then_fields), v, object);
}

static const struct field rule_fields[] = {
        { "name", true, read_name, OF_RULE(name), 0, 0 },
        { "source", true, read_source, OF_RULE(source), 0, 0 },
        { "match", true, read_match, 0, 0, 0 },
        { "then", true, read_then, 0, 0, 0 },
        { "cooldown", false, read_span, OF_RULE(cooldown_ms), 0, ESCALATE_MEMORY_MS },
        /* of what is older, the same event could not be known any more */
        { "max_age", false, read_span, OF_RULE(max_age_ms), 0, ESCALATE_MEMORY_MS },
};

/* What one member alone cannot say. */
static int judge_rule(struct place *p, const struct escalate_rules *all, struct escalate_rule *r) {
        const bool stops = verb_info(r->verb)->cls == VERB_CLASS_STOP;
        const char *to = escalate_template_to_problem(r->to, r->source);

        p->object = "then";
        if (to)
                return wrong(p, "to", to);
        if (*r->incident && !escalate_template_may_be_incident(r->incident))
                return wrong(p, "incident", "wants one like SA-20261121-001, or one with a {place} in it");
        if (stops && r->lease_ms == 0)
                return wrong(p, "lease", "is missing: what a program stops ends by itself");
        if (!stops && r->lease_ms != 0)
                return wrong(p, "lease", "is for what stops something, and a snapshot does not");
        if (!verb_info(r->verb)->snapshots && r->profile != PROFILE_DEFAULT)
                return wrong(p, "snapshot", "is for contain and snapshot");
        if (r->cooldown_ms == 0)
                r->cooldown_ms = r->lease_ms;
        p->object = "";
        for (size_t i = 0; i < all->n; i++)
                if (strcmp(all->v[i].name, r->name) == 0)
                        return wrong(p, "name", "another rule has it, too");
        return 0;
}

static int read_rule(struct place *p, const json_t *v, struct escalate_rules *all) {
        struct escalate_rule *r = &all->v[all->n];
        const char *name = json_string_value(json_object_get(v, "name"));

        *r = (struct escalate_rule) {
                .to = "local", .severity = SEVERITY_P1, .max_hosts = HOSTS_PER_INCIDENT, .max_age_ms = MAX_AGE_MS
        };
        if (name && schema_is_name(name, ESCALATE_NAME_MAX + 1))
                (void) snprintf(p->rule, sizeof(p->rule), "rule %s", name);
        else
                (void) snprintf(p->rule, sizeof(p->rule), "rule #%zu", all->n + 1);
        if (!json_is_object(v))
                return wrong(p, "", "wants an object");
        int x = read_fields(p, rule_fields, ELEMENTSOF(rule_fields), v, r);
        if (x == 0)
                x = judge_rule(p, all, r);
        if (x == 0)
                all->n++;
        return x;
}

static int read_rules(const struct place *p, const struct field *f, const json_t *v, void *object) {
        struct escalate_rules *all = object;
        struct place in = *p;
        json_t *one;
        size_t i;

        if (!json_is_array(v) || json_array_size(v) == 0 || json_array_size(v) > ESCALATE_RULES_MAX)
                return wrong(p, f->name, "wants a list of 1 to 128 rules");
        all->v = calloc(json_array_size(v), sizeof(*all->v));
        if (!all->v)
                return why_errno(p->w, -ENOMEM, "rules");
        json_array_foreach(v, i, one) {
                int x = read_rule(&in, one, all);

                if (x != 0)
                        return x;
                in = *p;
        }
        return 0;
}

static const struct field budget_fields[] = {
        { "per_hour", false, read_count, OF_ALL(per_hour), 1, ESCALATE_PER_HOUR_MAX },
        { "per_incident", false, read_count, OF_ALL(per_incident), 1, ESCALATE_PER_HOUR_MAX * 24 },
        { "hosts_per_incident", false, read_count, OF_ALL(hosts_per_incident), 1, HOSTS_MAX },
};

static int read_budgets(const struct place *p, const struct field *f, const json_t *v, void *object) {
        struct place in = *p;

        in.object = f->name;
        if (!json_is_object(v))
                return wrong(p, f->name, "wants an object");
        return read_fields(&in, budget_fields, ELEMENTSOF(budget_fields), v, object);
}

static int read_version(const struct place *p, const struct field *f, const json_t *v, void *object) {
        (void) object;
        return json_is_integer(v) && json_integer_value(v) == 1 ? 0 : wrong(p, f->name, "this freezectl knows 1");
}

static const struct field file_fields[] = {
        { "v", true, read_version, 0, 0, 0 },
        { "budgets", false, read_budgets, 0, 0, 0 },
        { "rules", true, read_rules, 0, 0, 0 },
};

void escalate_rules_done(struct escalate_rules *r) {
        free(r->v);
        *r = ESCALATE_RULES_NULL;
}

int escalate_rules_parse(const char *file, const char *text, size_t n, struct escalate_rules *ret, struct why *w) {
        _cleanup_(escalate_rules_done) struct escalate_rules all = { PER_HOUR, PER_INCIDENT, HOSTS_PER_INCIDENT, NULL,
                                                                     0 };
        const struct place p = { .file = file, .object = "", .w = w };
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;

        if (schema_json(text, n, &o, &reason) < 0)
                return why_errno(w, -ENOMEM, "rules");
        if (!json_is_object(o))
                return why_set(w, CTL_USAGE,
                               "%s: this is no JSON object, or a member is there twice (`jq . FILE` shows where)",
                               CLEAN(file));
        int x = read_fields(&p, file_fields, ELEMENTSOF(file_fields), o, &all);
        if (x != 0)
                return x;
        *ret = all;
        all = ESCALATE_RULES_NULL;
        return 0;
}
