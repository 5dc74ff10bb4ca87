/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <strings.h>
#include <time.h>

#include <sodium.h>

#include "ctl/escalate_event.h"
#include "ctl/escalate_mend.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "policy/schema.h"

#define KEY_DIGITS 16U
/* "ce-" and the 20 characters that a name of an attribute should have at most, and some */
#define ATTRIBUTE_MAX 63U

static const char *const sources[_ESCALATE_SOURCE_MAX] = {
#define X(name, id) [ESCALATE_##name] = id,
        ESCALATE_SOURCE_TABLE(X)
#undef X
};

const char *escalate_source_id(enum escalate_source s) {
        return sources[s];
}

bool escalate_source_from_id(const char *id, enum escalate_source *ret) {
        for (size_t i = 0; i < _ESCALATE_SOURCE_MAX; i++)
                if (strcmp(sources[i], id) == 0) {
                        *ret = (enum escalate_source) i;
                        return true;
                }
        return false;
}

void escalate_events_done(struct escalate_events *e) {
        for (size_t i = 0; i < e->n; i++)
                json_decref(e->v[i].json);
        free(e->v);
        *e = ESCALATE_EVENTS_NULL;
}

int64_t escalate_event_time(const char *s) {
        struct tm tm = { 0 };
        const char *p = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
        int64_t ms = 0;
        int offset = 0;

        if (!p)
                return -1;
        if (*p == '.')
                for (int64_t unit = 100; *++p >= '0' && *p <= '9'; unit /= 10)
                        ms += (*p - '0') * unit;
        if (*p == '+' || *p == '-') {
                unsigned h, m;
                int used = 0;

                if (sscanf(p + 1, "%2u:%2u%n", &h, &m, &used) != 2 || used != 5 || h > 23 || m > 59 || p[6])
                        return -1;
                offset = (int) (h * 60 + m) * (*p == '+' ? 60 : -60);
        } else if (strcmp(p, "Z") != 0)
                return -1;
        const int64_t at = ((int64_t) timegm(&tm) - offset) * 1000 + ms;
        return at < 0 ? -1 : at;
}

/* Of the pieces with their lengths, so that no two lists of pieces are the same bytes. */
static void key_of(struct escalate_event *e, const char *const *pieces, size_t n) {
        crypto_hash_sha256_state h;

        (void) crypto_hash_sha256_init(&h);
        (void) crypto_hash_sha256_update(&h, (const uint8_t *) sources[e->source], strlen(sources[e->source]) + 1);
        for (size_t i = 0; i < n; i++)
                (void) crypto_hash_sha256_update(&h, (const uint8_t *) pieces[i], strlen(pieces[i]) + 1);
        (void) crypto_hash_sha256_final(&h, e->key);
}

/* What a tool gives no id for is known by all that it says. */
static int key_of_content(struct escalate_event *e) {
        _cleanup_free_ char *text = NULL;
        int r = schema_dump(e->json, &text);

        if (r < 0)
                return r;
        key_of(e, (const char *const[]) { text }, 1);
        return 0;
}

static void name(struct escalate_event *e, const char *id, const char *title) {
        char hex[65];

        (void) sodium_bin2hex(hex, sizeof(hex), e->key, sizeof(e->key));
        (void) text_clean(title, e->title, sizeof(e->title));
        if (id && *id)
                (void) text_clean(id, e->id, sizeof(e->id));
        else
                (void) snprintf(e->id, sizeof(e->id), "%.*s", (int) KEY_DIGITS, hex);
}

/* One more, that is wrong until it is found to be right. */
static struct escalate_event *add(struct escalate_events *e, enum escalate_source source, const char *wrong) {
        struct escalate_event *v = e->v;

        /* full at each power of two: then there is room for as many again */
        if ((e->n & (e->n - 1)) == 0)
                v = reallocarray(e->v, MAX(2 * e->n, (size_t) 1), sizeof(*v));
        if (!v)
                return NULL;
        e->v = v;
        v[e->n] = (struct escalate_event) { .source = source, .time_ms = -1, .wrong = wrong };
        return &v[e->n++];
}

static const struct {
        const char *name;
        bool required;
} group_members[] = {
        { "receiver", true },           { "groupLabels", true },  { "commonLabels", true },
        { "commonAnnotations", false }, { "externalURL", false }, { "groupKey", false },
};

/* An alert with what is said of its group; a member of its own has precedence. */
static int read_alert(struct escalate_events *out, const json_t *message, json_t *alert) {
        struct escalate_event *e = add(out, ESCALATE_ALERTMANAGER, "an alert is no object with labels and a status");
        const json_t *labels = json_object_get(alert, "labels");
        const char *status = member_str(alert, "status"), *fingerprint = member_str(alert, "fingerprint"),
                   *starts = member_str(alert, "startsAt");

        if (!e)
                return -ENOMEM;
        if (!json_is_object(labels) || (strcmp(status, "firing") != 0 && strcmp(status, "resolved") != 0))
                return 0;
        e->json = json_copy(alert);
        if (!e->json)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(group_members); i++) {
                json_t *v = json_object_get(message, group_members[i].name);

                if (v && !json_object_get(alert, group_members[i].name) &&
                    json_object_set(e->json, group_members[i].name, v) < 0)
                        return -ENOMEM;
        }
        e->resolved = strcmp(status, "resolved") == 0;
        /* the fingerprint is of the labels alone: the same alert that fires anew later is another event */
        if (*fingerprint)
                key_of(e, (const char *const[]) { fingerprint, starts }, 2);
        else if (key_of_content(e) < 0)
                return -ENOMEM;
        name(e, fingerprint, member_str(labels, "alertname"));
        e->wrong = NULL;
        return 0;
}

static int read_alertmanager(struct escalate_events *out, json_t *message) {
        json_t *alerts = json_object_get(message, "alerts"), *alert;
        size_t i;

        for (i = 0; i < ELEMENTSOF(group_members); i++)
                if (group_members[i].required && !json_object_get(message, group_members[i].name))
                        return add(out, ESCALATE_ALERTMANAGER, "this is no message of Alertmanager") ? 0 : -ENOMEM;
        if (strcmp(member_str(message, "version"), "4") != 0)
                return add(out, ESCALATE_ALERTMANAGER, "this is no webhook of version 4") ? 0 : -ENOMEM;
        if (!json_is_array(alerts))
                return add(out, ESCALATE_ALERTMANAGER, "the message has no alerts") ? 0 : -ENOMEM;
        out->truncated = (uint64_t) MAX(member_int(message, "truncatedAlerts", 0), 0);
        json_array_foreach(alerts, i, alert) {
                int r = read_alert(out, message, alert);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_falco(struct escalate_events *out, json_t *o) {
        struct escalate_event *e = add(out, ESCALATE_FALCO, "this is no alert of Falco (json_output)");
        const char *rule = member_str(o, "rule");

        if (!e)
                return -ENOMEM;
        if (!*rule || !*member_str(o, "priority") || !json_is_object(json_object_get(o, "output_fields")))
                return 0;
        e->json = json_incref(o);
        e->time_ms = escalate_event_time(member_str(o, "time"));
        if (key_of_content(e) < 0)
                return -ENOMEM;
        name(e, member_str(o, "uuid"), rule);
        e->wrong = NULL;
        return 0;
}

/* The one member whose name says what it is: process_exec, process_kprobe, ... */
static const char *tetragon_kind(const json_t *o) {
        for (void *i = json_object_iter((json_t *) o); i; i = json_object_iter_next((json_t *) o, i))
                if (strncmp(json_object_iter_key(i), "process_", 8) == 0 && json_is_object(json_object_iter_value(i)))
                        return json_object_iter_key(i);
        return NULL;
}

static int read_tetragon(struct escalate_events *out, json_t *o) {
        struct escalate_event *e = add(out, ESCALATE_TETRAGON, "this is no event of Tetragon about a process");
        const char *kind = tetragon_kind(o);
        char title[ESCALATE_EVENT_TEXT_MAX + 1];

        if (!e)
                return -ENOMEM;
        if (!kind)
                return 0;
        const json_t *body = json_object_get(o, kind);
        e->json = json_incref(o);
        e->time_ms = escalate_event_time(member_str(o, "time"));
        if (key_of_content(e) < 0)
                return -ENOMEM;
        (void) snprintf(title, sizeof(title), "%s %s%s%s", kind, member_str(body, "policy_name"),
                        *member_str(body, "policy_name") ? " " : "",
                        member_str(json_object_get(body, "process"), "binary"));
        name(e, NULL, title);
        e->wrong = NULL;
        return 0;
}

static int read_cloudevent(struct escalate_events *out, json_t *o) {
        struct escalate_event *e = add(out, ESCALATE_CLOUDEVENTS, "this is no CloudEvent of version 1.0");
        const char *id = member_str(o, "id"), *source = member_str(o, "source"), *type = member_str(o, "type");

        if (!e)
                return -ENOMEM;
        if (strcmp(member_str(o, "specversion"), "1.0") != 0)
                return 0;
        e->wrong = "this CloudEvent has no id, no source or no type";
        if (!*id || !*source || !*type)
                return 0;
        e->json = json_incref(o);
        e->time_ms = escalate_event_time(member_str(o, "time"));
        key_of(e, (const char *const[]) { source, id }, 2);
        name(e, id, type);
        e->wrong = NULL;
        return 0;
}

static int read_cloudevents(struct escalate_events *out, json_t *o) {
        json_t *one;
        size_t i;

        if (!json_is_array(o))
                return read_cloudevent(out, o);
        json_array_foreach(o, i, one) {
                int r = read_cloudevent(out, one);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int (*const readers[_ESCALATE_SOURCE_MAX])(struct escalate_events *, json_t *) = {
        [ESCALATE_ALERTMANAGER] = read_alertmanager,
        [ESCALATE_FALCO] = read_falco,
        [ESCALATE_TETRAGON] = read_tetragon,
        [ESCALATE_CLOUDEVENTS] = read_cloudevents,
};

/* What has no name is named by the bytes of the message. */
static void name_wrong(struct escalate_events *e, const char *bytes, size_t n) {
        uint8_t key[sizeof(e->v->key)];

        (void) crypto_hash_sha256(key, (const uint8_t *) bytes, n);
        for (size_t i = 0; i < e->n; i++)
                if (e->v[i].wrong) {
                        json_decref(e->v[i].json);
                        e->v[i].json = NULL;
                        memcpy(e->v[i].key, key, sizeof(key));
                        name(&e->v[i], NULL, "");
                }
}

/* -ENOMEM, or 0, and *ret NULL when it is no JSON or too much of it. */
static int load(const char *bytes, size_t n, bool *mended, json_t **ret) {
        _cleanup_free_ char *text = NULL;
        enum reason reason = REASON_NONE;
        size_t n_text;
        int r = escalate_mend(bytes, n, &text, &n_text, mended);

        *ret = NULL;
        if (r == -E2BIG)
                return 0;
        return r < 0 ? r : schema_json(text, n_text, ret, &reason);
}

static int finish(enum escalate_source source, json_t *o, const char *bytes, size_t n, struct escalate_events *e,
                  struct escalate_events *ret) {
        int r = 0;

        if (json_array_size(json_is_array(o) ? o : json_object_get(o, "alerts")) > ESCALATE_EVENTS_MAX)
                r = add(e, source, "the message has more events than are taken") ? 0 : -ENOMEM;
        else if (o)
                r = readers[source](e, o);
        else if (!add(e, source, "this is no JSON, names a member twice, or has more parts than are taken"))
                r = -ENOMEM;
        if (r < 0)
                return r;
        name_wrong(e, bytes ? bytes : "", n);
        *ret = *e;
        *e = ESCALATE_EVENTS_NULL;
        return 0;
}

int escalate_event_read(enum escalate_source source, const char *bytes, size_t n, struct escalate_events *ret) {
        _cleanup_(escalate_events_done) struct escalate_events e = ESCALATE_EVENTS_NULL;
        _cleanup_json_ json_t *o = NULL;
        int r = load(bytes, n, &e.mended, &o);

        return r < 0 ? r : finish(source, o, bytes, n, &e, ret);
}

/* The binding writes what is no printable ASCII, the quote and the percent sign as %XX. */
static void percent_decode(char *s) {
        char *out = s;

        for (; *s; s++) {
                uint8_t byte;

                if (*s == '%' && s[1] && s[2] && sodium_hex2bin(&byte, 1, s + 1, 2, NULL, NULL, NULL) == 0 && byte) {
                        *out++ = (char) byte;
                        s += 2;
                } else
                        *out++ = *s;
        }
        *out = '\0';
}

/* A string that may be of any bytes: what is no character of it is replaced as in JSON. */
static json_t *any_string(const char *s, size_t n, bool *mended) {
        json_t *v = json_stringn(s, n);

        if (v)
                return v;
        *mended = true;
        return json_string(text_clean(s, (char[TEXT_CLEAN_MAX]) { 0 }, TEXT_CLEAN_MAX));
}

static int set_attributes(json_t *o, const struct escalate_header *headers, size_t n, bool *mended) {
        for (size_t i = 0; i < n; i++) {
                char name[ATTRIBUTE_MAX + 1];
                _cleanup_free_ char *value = NULL;
                size_t k = 0;

                if (strncasecmp(headers[i].name, "ce-", 3) != 0 || strlen(headers[i].name) - 3 > ATTRIBUTE_MAX)
                        continue;
                for (const char *p = headers[i].name + 3; *p; p++)
                        name[k++] = (char) (*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
                name[k] = '\0';
                value = strdup(headers[i].value);
                if (!value)
                        return -ENOMEM;
                percent_decode(value);
                /* a header that is there twice would be read as whichever of them one likes */
                if (json_object_get(o, name)) {
                        (void) json_object_del(o, "specversion");
                        return 0;
                }
                if (json_object_set_new(o, name, any_string(value, strlen(value), mended)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static bool is_json(const char *type) {
        const size_t n = strcspn(type, "; ");

        return (n == 16 && strncasecmp(type, "application/json", n) == 0) ||
               (n > 5 && strncasecmp(type + n - 5, "+json", 5) == 0);
}

int escalate_event_read_binary(const struct escalate_header *headers, size_t n_headers, const char *type,
                               const char *body, size_t n, struct escalate_events *ret) {
        _cleanup_(escalate_events_done) struct escalate_events e = ESCALATE_EVENTS_NULL;
        _cleanup_json_ json_t *o = json_object();
        json_t *data = NULL;
        int r = o ? set_attributes(o, headers, n_headers, &e.mended) : -ENOMEM;

        if (r >= 0 && n > 0 && is_json(type))
                r = load(body, n, &e.mended, &data);
        else if (r >= 0 && n > 0)
                data = any_string(body, n, &e.mended);
        /* data that is said to be JSON and is none: then it has none, and no rule that asks for some matches */
        if (r >= 0 && data && json_object_set_new(o, "data", data) < 0)
                r = -ENOMEM;
        return r < 0 ? r : finish(ESCALATE_CLOUDEVENTS, o, body, n, &e, ret);
}
