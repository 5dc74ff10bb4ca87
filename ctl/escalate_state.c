/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <time.h>

#include <sodium.h>

#include "ctl/escalate_state.h"
#include "ctl/escalate_template.h"
#include "ctl/member.h"
#include "policy/schema.h"

#define DAY_SIZE 9U

static const struct {
        enum escalate_outcome outcome;
        const char *text;
} verdicts[_ESCALATE_VERDICT_MAX] = {
#define X(name, outcome, text) [ESCALATE_VERDICT_##name] = { ESCALATE_OUTCOME_##outcome, text },
        ESCALATE_VERDICT_TABLE(X)
#undef X
};

enum escalate_outcome escalate_verdict_outcome(enum escalate_verdict v) {
        return verdicts[v].outcome;
}

const char *escalate_verdict_text(enum escalate_verdict v) {
        return verdicts[v].text;
}

static void remove_at(struct escalate_state *s, size_t i) {
        free(s->v[i].envelope);
        memmove(&s->v[i], &s->v[i + 1], (s->n - i - 1) * sizeof(*s->v));
        s->n--;
}

/* What nobody answered yet is not forgotten before it has ended. */
void escalate_state_forget(struct escalate_state *s, int64_t now_ms) {
        for (size_t i = s->n; i-- > 0;)
                if (s->v[i].at_ms < now_ms - ESCALATE_MEMORY_MS && !s->v[i].envelope)
                        remove_at(s, i);
}

void escalate_state_done(struct escalate_state *s) {
        for (size_t i = 0; i < s->n; i++)
                free(s->v[i].envelope);
        free(s->v);
        *s = ESCALATE_STATE_NULL;
}

static void day_of(int64_t now_ms, char ret[static DAY_SIZE]) {
        const time_t t = (time_t) (now_ms / 1000);
        struct tm tm;

        if (!gmtime_r(&t, &tm) || strftime(ret, DAY_SIZE, "%Y%m%d", &tm) != DAY_SIZE - 1)
                strcpy(ret, "19700101");
}

/* The lowest number that is free: an event may have named the highest there is. */
void escalate_state_incident(const struct escalate_state *s, const char *rule, int64_t now_ms,
                             char ret[static COMMAND_INCIDENT_MAX + 1]) {
        _cleanup_free_ bool *taken = calloc(s->n + 1, sizeof(*taken));
        char day[DAY_SIZE], prefix[4 + DAY_SIZE];
        unsigned long serial = ESCALATE_STATE_SERIAL + 1;

        day_of(now_ms, day);
        (void) snprintf(prefix, sizeof(prefix), "SA-%s-", day);
        for (size_t i = 0; i < s->n; i++) {
                const char *incident = s->v[i].incident;
                const unsigned long n = strncmp(incident, prefix, strlen(prefix)) == 0
                                                ? strtoul(incident + strlen(prefix), NULL, 10)
                                                : 0;

                if (n >= ESCALATE_STATE_SERIAL && strcmp(s->v[i].rule, rule) == 0) {
                        strcpy(ret, incident);
                        return;
                }
                if (taken && n > ESCALATE_STATE_SERIAL && n - ESCALATE_STATE_SERIAL <= s->n)
                        taken[n - ESCALATE_STATE_SERIAL - 1] = true;
        }
        while (taken && taken[serial - ESCALATE_STATE_SERIAL - 1])
                serial++;
        (void) snprintf(ret, COMMAND_INCIDENT_MAX + 1, "%s%lu", prefix, MIN(serial, 999999UL));
}

/* Hosts of an incident with this one: a host counts once, parts of a fleet each time. */
static int64_t breadth(const struct escalate_state *s, const struct escalate_draft *d, const uint8_t *host) {
        int64_t sum = d->n_hosts;

        for (size_t i = 0; i < s->n; i++) {
                const struct escalate_record *r = &s->v[i];
                bool counted = strcmp(r->incident, d->incident) != 0;

                if (r->n_hosts == 1 && host && memcmp(r->host, host, sizeof(r->host)) == 0)
                        counted = true;
                for (size_t k = 0; !counted && k < i; k++)
                        counted = r->n_hosts == 1 && s->v[k].n_hosts == 1 &&
                                  strcmp(s->v[k].incident, r->incident) == 0 &&
                                  memcmp(s->v[k].host, r->host, sizeof(r->host)) == 0;
                sum += counted ? 0 : r->n_hosts;
        }
        return sum;
}

enum escalate_verdict escalate_state_judge(const struct escalate_state *s, const struct escalate_rules *r,
                                           const struct escalate_draft *d, const uint8_t *key, const uint8_t *host,
                                           int64_t now_ms) {
        int64_t hour = 0, incident = 0;
        bool cools = false;

        for (size_t i = 0; i < s->n; i++) {
                const struct escalate_record *one = &s->v[i];

                if (memcmp(one->key, key, sizeof(one->key)) == 0 && strcmp(one->rule, d->rule->name) == 0)
                        return ESCALATE_VERDICT_DUPLICATE;
                cools = cools || (memcmp(one->subject, d->subject, sizeof(one->subject)) == 0 && one->cool_ms > now_ms);
                hour += one->at_ms > now_ms - ESCALATE_HOUR_MS;
                incident += strcmp(one->incident, d->incident) == 0;
        }
        if (cools)
                return ESCALATE_VERDICT_COOLDOWN;
        if (hour >= r->per_hour)
                return ESCALATE_VERDICT_HOUR;
        if (incident >= r->per_incident)
                return ESCALATE_VERDICT_INCIDENT;
        return breadth(s, d, host) > r->hosts_per_incident ? ESCALATE_VERDICT_BREADTH : ESCALATE_VERDICT_GO;
}

int escalate_state_add(struct escalate_state *s, struct escalate_record *r) {
        struct escalate_record *v = reallocarray(s->v, s->n + 1, sizeof(*v));

        if (!v)
                return -ENOMEM;
        s->v = v;
        v[s->n++] = *r;
        r->envelope = NULL;
        return 0;
}

struct escalate_record *escalate_state_find(struct escalate_state *s, const struct command_id *id) {
        for (size_t i = 0; i < s->n; i++)
                if (command_id_equal(&s->v[i].id, id))
                        return &s->v[i];
        return NULL;
}

void escalate_state_drop(struct escalate_state *s, const struct command_id *id) {
        struct escalate_record *r = escalate_state_find(s, id);

        if (r)
                remove_at(s, (size_t) (r - s->v));
}

static json_t *hex_json(const uint8_t b[static 32]) {
        char hex[65];

        return json_string(sodium_bin2hex(hex, sizeof(hex), b, 32));
}

static json_t *record_to_json(const struct escalate_record *r) {
        char id[33];

        command_id_to_str(&r->id, id);
        return json_pack("{s:s, s:o, s:o, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:s, s:s*}", "id", id, "key",
                         hex_json(r->key), "subject", hex_json(r->subject), "rule", r->rule, "incident", r->incident,
                         "host", hex_json(r->host), "hosts", (json_int_t) r->n_hosts, "at", (json_int_t) r->at_ms,
                         "cool", (json_int_t) r->cool_ms, "exp", (json_int_t) r->exp_ms, "event", r->event, "envelope",
                         r->envelope);
}

int escalate_state_to_json(const struct escalate_state *s, char **ret) {
        _cleanup_json_ json_t *o = json_pack("{s:i}", "v", 1);
        json_t *list = json_array();
        int r = list ? json_object_set_new(o, "orders", list) : -1;

        for (size_t i = 0; r == 0 && i < s->n; i++)
                r = json_array_append_new(list, record_to_json(&s->v[i]));
        return r < 0 ? -ENOMEM : schema_dump(o, ret);
}

static bool take_hex(const json_t *o, const char *name, uint8_t ret[static 32]) {
        const char *hex = member_str(o, name);
        size_t n;

        return strlen(hex) == 64 && sodium_hex2bin(ret, 32, hex, 64, NULL, &n, NULL) == 0 && n == 32;
}

static bool take_text(const json_t *o, const char *name, char *ret, size_t size) {
        const char *s = member_str(o, name);

        return schema_is_text(s, size) && snprintf(ret, size, "%s", s) >= 0;
}

static int record_from_json(const json_t *o, struct escalate_record *ret) {
        struct escalate_record r = { .n_hosts = member_int(o, "hosts", -1),
                                     .at_ms = member_int(o, "at", -1),
                                     .cool_ms = member_int(o, "cool", -1),
                                     .exp_ms = member_int(o, "exp", -1),
                                     .loaded = true };
        const char *envelope = member_str(o, "envelope");

        if (command_id_from_str(member_str(o, "id"), &r.id) < 0 || !take_hex(o, "key", r.key) ||
            !take_hex(o, "subject", r.subject) || !take_hex(o, "host", r.host) || r.n_hosts < 1 ||
            r.n_hosts > SCHEMA_INT_MAX || r.at_ms < 0 || r.cool_ms < 0 || r.exp_ms < 0 ||
            !take_text(o, "rule", r.rule, sizeof(r.rule)) ||
            !take_text(o, "incident", r.incident, sizeof(r.incident)) || !escalate_template_is_incident(r.incident) ||
            !take_text(o, "event", r.event, sizeof(r.event)))
                return -EBADMSG;
        if (*envelope) {
                r.envelope = strdup(envelope);
                if (!r.envelope)
                        return -ENOMEM;
        }
        *ret = r;
        return 0;
}

int escalate_state_from_json(const char *text, size_t n, struct escalate_state *ret) {
        _cleanup_(escalate_state_done) struct escalate_state s = ESCALATE_STATE_NULL;
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;
        json_t *one;
        size_t i;
        int r = schema_json(text, n, &o, &reason);

        if (r < 0)
                return r;
        if (member_int(o, "v", 0) != 1 || !json_is_array(json_object_get(o, "orders")))
                return -EBADMSG;
        json_array_foreach(json_object_get(o, "orders"), i, one) {
                struct escalate_record record;

                r = record_from_json(one, &record);
                if (r >= 0)
                        r = escalate_state_add(&s, &record);
                if (r < 0)
                        return r;
        }
        *ret = s;
        s = ESCALATE_STATE_NULL;
        return 0;
}
