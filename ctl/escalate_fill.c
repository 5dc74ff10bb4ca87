/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>

#include <sodium.h>

#include "ctl/escalate_fill.h"
#include "ctl/escalate_template.h"
#include "policy/wildcard.h"

static bool fits(const json_t *v, const char *pattern) {
        char text[ESCALATE_VALUE_MAX + 1];

        return escalate_path_text(v, text) && wildcard_matches(pattern, text);
}

static bool match_fits(const struct escalate_match *m, const json_t *event) {
        const json_t *v = escalate_path_find(event, m->path);
        json_t *one;
        size_t i;

        if (!json_is_array(v))
                return fits(v, m->pattern);
        json_array_foreach(v, i, one) if (fits(one, m->pattern)) return true;
        return false;
}

bool escalate_fill_matches(const struct escalate_rule *r, const struct escalate_event *e) {
        if (e->wrong || e->source != r->source)
                return false;
        for (size_t i = 0; i < r->n_matches; i++)
                if (!match_fits(&r->matches[i], e->json))
                        return false;
        return true;
}

static const char *fill_to(const struct escalate_rule *r, const struct escalate_event *e, const struct hosts *known,
                           struct escalate_draft *d) {
        char text[ESCALATE_TEMPLATE_MAX + 1];
        const char *problem = escalate_template_fill(r->to, e->json, text, sizeof(text));

        if (problem)
                return problem;
        if (strcmp(text, "all") == 0)
                d->to = COMMAND_TO_ALL;
        else if (strncmp(r->to, "group=", 6) == 0) {
                d->to = COMMAND_TO_GROUP;
                (void) snprintf(d->group, sizeof(d->group), "%.*s", (int) COMMAND_FLEET_MAX, text + 6);
        } else if (strncmp(r->to, "host=", 5) == 0) {
                /* by its whole name or not at all */
                d->host = hosts_by_name(known, text + 5);
                if (!d->host)
                        return "the host that the event names is none of the known ones";
        }
        return NULL;
}

static void digest(struct escalate_draft *d) {
        crypto_hash_sha256_state h;

        (void) crypto_hash_sha256_init(&h);
        (void) crypto_hash_sha256_update(&h, (const uint8_t *) d->rule->name, sizeof(d->rule->name));
        (void) crypto_hash_sha256_update(&h, (const uint8_t *) &d->to, sizeof(d->to));
        (void) crypto_hash_sha256_update(&h, (const uint8_t *) d->group, sizeof(d->group));
        if (d->host)
                (void) crypto_hash_sha256_update(&h, d->host->key.id, sizeof(d->host->key.id));
        for (size_t i = 0; i < d->n_targets; i++) {
                (void) crypto_hash_sha256_update(&h, (const uint8_t *) &d->targets[i].cls, sizeof(d->targets[i].cls));
                (void) crypto_hash_sha256_update(&h, (const uint8_t *) d->targets[i].name, sizeof(d->targets[i].name));
        }
        (void) crypto_hash_sha256_final(&h, d->subject);
}

static bool is_twin(const struct target *v, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (v[i].cls == v[n].cls && strcmp(v[i].name, v[n].name) == 0)
                        return true;
        return false;
}

const char *escalate_fill(const struct escalate_rule *r, const struct escalate_event *e, const struct hosts *known,
                          struct escalate_draft *ret) {
        struct escalate_draft d = { .rule = r, .to = COMMAND_TO_HOSTS };
        const char *problem = fill_to(r, e, known, &d);

        for (size_t i = 0; !problem && i < r->n_targets; i++) {
                problem = escalate_template_target(r->targets[i], e->json, &d.targets[d.n_targets]);
                if (!problem && !is_twin(d.targets, d.n_targets))
                        d.n_targets++;
        }
        if (!problem && *r->incident) {
                problem = escalate_template_fill(r->incident, e->json, d.incident, sizeof(d.incident));
                if (!problem && !escalate_template_is_incident(d.incident))
                        problem = "with what the event says this is no incident";
        }
        if (problem)
                return problem;
        d.n_hosts = d.to == COMMAND_TO_HOSTS ? 1 : r->max_hosts;
        digest(&d);
        *ret = d;
        return NULL;
}
