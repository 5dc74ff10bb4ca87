/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/subject.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

#include "policy/base64.h"
#include "policy/schema.h"

#define PREFIX       "frz.v1."
#define ATTRIBUTES   "attributes"
#define VERSION_SIZE 24U

static const struct {
        const char *what;
        bool group, host, id, attributes;
} kinds[] = {
#define X(name, what, group, host, id, attributes) [SUBJECT_##name] = { what, group, host, id, attributes },
        SUBJECT_TABLE(X)
#undef X
};

_Static_assert(sizeof(PREFIX "~.cmd.group.~.") + 2 * COMMAND_FLEET_MAX + 32 < SUBJECT_SIZE, "the longest fits");

/* Text that grows and remembers that it did not fit. */
struct text {
        char *v;
        size_t n;
};

static void add(struct text *t, const char *s) {
        const size_t n = strlen(s);

        if (t->n + n + 1 > SUBJECT_SIZE)
                return;
        memcpy(t->v + t->n, s, n + 1);
        t->n += n;
}

/* '.' separates tokens in a subject, and '~' is in no name. */
static void add_name(struct text *t, const char *name) {
        const size_t from = t->n;

        add(t, name);
        for (size_t i = from; i < t->n; i++)
                if (t->v[i] == '.')
                        t->v[i] = '~';
}

void subject_host(const uint8_t id[static 32], char ret[static SUBJECT_HOST_SIZE]) {
        (void) sodium_bin2base64(ret, SUBJECT_HOST_SIZE, id, 32, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

static bool is_zero(const void *bytes, size_t n) {
        return sodium_is_zero(bytes, n) != 0;
}

static bool is_name(const char *s) {
        return schema_is_name(s, COMMAND_FLEET_MAX + 1);
}

/* Everything that the kind has, and nothing else. An id of zeros is one that nobody gave. */
static bool is_whole(const struct subject *s, bool pattern) {
        const bool has_id = !is_zero(&s->id, sizeof(s->id));

        if ((unsigned) s->kind >= _SUBJECT_KIND_MAX || !is_name(s->fleet))
                return false;
        if (kinds[s->kind].group ? !is_name(s->group) : s->group[0] != '\0')
                return false;
        if (!kinds[s->kind].host && !is_zero(s->host, sizeof(s->host)))
                return false;
        if (pattern)
                return !has_id && !s->attributes && s->version == 0 && (kinds[s->kind].id || s->kind == SUBJECT_TRUST);
        if (s->kind == SUBJECT_TRUST ? s->version < 1 || s->version > SCHEMA_INT_MAX : s->version != 0)
                return false;
        if (s->attributes)
                return kinds[s->kind].attributes && !has_id;
        return has_id == kinds[s->kind].id;
}

static int build(const struct subject *s, bool pattern, char *ret) {
        char host[SUBJECT_HOST_SIZE], id[33], version[VERSION_SIZE];
        struct text t = { .v = ret };

        if (!is_whole(s, pattern))
                return -EINVAL;
        add(&t, PREFIX);
        add_name(&t, s->fleet);
        add(&t, ".");
        add(&t, kinds[s->kind].what);
        if (kinds[s->kind].group) {
                add(&t, ".");
                add_name(&t, s->group);
        }
        if (kinds[s->kind].host) {
                subject_host(s->host, host);
                add(&t, ".");
                add(&t, host);
        }
        command_id_to_str(&s->id, id);
        (void) snprintf(version, sizeof(version), "%" PRId64, s->version);
        if (kinds[s->kind].id || s->kind == SUBJECT_TRUST) {
                add(&t, ".");
                add(&t, pattern ? "*" : s->attributes ? ATTRIBUTES : kinds[s->kind].id ? id : version);
        }
        return 0;
}

int subject_build(const struct subject *s, char ret[static SUBJECT_SIZE]) {
        return build(s, false, ret);
}

int subject_pattern(const struct subject *s, char ret[static SUBJECT_SIZE]) {
        return build(s, true, ret);
}

int subject_stream(const char *what, const char *fleet, char ret[static SUBJECT_SIZE]) {
        struct text t = { .v = ret };

        if (!is_name(fleet))
                return -EINVAL;
        add(&t, "FRZ_");
        add(&t, what);
        add(&t, "_");
        add_name(&t, fleet);
        return 0;
}

/* Of any host. */
static int build_any(const char *fleet, enum subject_kind kind, const char *last, char *ret) {
        struct text t = { .v = ret };

        if (!is_name(fleet))
                return -EINVAL;
        add(&t, PREFIX);
        add_name(&t, fleet);
        add(&t, ".");
        add(&t, kinds[kind].what);
        add(&t, ".*.");
        add(&t, last);
        return 0;
}

int subject_answers(const char *fleet, const struct command_id *id, char ret[static SUBJECT_SIZE]) {
        char hex[33];

        if (!id)
                return build_any(fleet, SUBJECT_RSP, ATTRIBUTES, ret);
        if (is_zero(id, sizeof(*id)))
                return -EINVAL;
        command_id_to_str(id, hex);
        return build_any(fleet, SUBJECT_RSP, hex, ret);
}

int subject_attributes(const char *fleet, char ret[static SUBJECT_SIZE]) {
        return build_any(fleet, SUBJECT_CMD_HOST, ATTRIBUTES, ret);
}

/* The next token of a copy of the text, or "", which is no token of anything. */
static const char *next(char **rest) {
        const char *token = strsep(rest, ".");

        return token ? token : "";
}

static void read_name(const char *token, char ret[static COMMAND_FLEET_MAX + 1]) {
        const size_t n = strlen(token);

        /* what is too long is no name, and neither is "" */
        if (n > COMMAND_FLEET_MAX || strchr(token, '.'))
                return;
        memcpy(ret, token, n + 1);
        for (char *c = ret; *c; c++)
                if (*c == '~')
                        *c = '.';
}

static void read_last(const char *token, struct subject *s) {
        if (s->kind == SUBJECT_TRUST)
                s->version = strtoll(token, NULL, 10);
        else if (strcmp(token, ATTRIBUTES) == 0)
                s->attributes = true;
        else if (command_id_from_str(token, &s->id) < 0)
                s->id = (struct command_id) {}; /* what nobody gave */
}

static enum subject_kind read_kind(char **rest) {
        for (size_t i = 0; *rest && i < ELEMENTSOF(kinds); i++) {
                const size_t n = strlen(kinds[i].what);

                if (strncmp(*rest, kinds[i].what, n) != 0 || ((*rest)[n] != '.' && (*rest)[n] != '\0'))
                        continue;
                *rest = (*rest)[n] == '.' ? *rest + n + 1 : NULL;
                return (enum subject_kind) i;
        }
        return _SUBJECT_KIND_MAX;
}

/* Takes what is there for what it could be: whether it is the one spelling of that is asked afterwards. */
int subject_parse(const char *text, size_t n, struct subject *ret) {
        char copy[SUBJECT_SIZE], again[SUBJECT_SIZE], *rest = copy;
        struct subject s = { .kind = _SUBJECT_KIND_MAX };
        size_t n_host;

        if (n >= sizeof(copy) || memchr(text, '\0', n) || n < strlen(PREFIX) ||
            memcmp(text, PREFIX, strlen(PREFIX)) != 0)
                return -EINVAL;
        memcpy(copy, text, n);
        copy[n] = '\0';
        rest += strlen(PREFIX);
        read_name(next(&rest), s.fleet);
        s.kind = read_kind(&rest);
        if (s.kind == _SUBJECT_KIND_MAX)
                return -EINVAL;
        if (kinds[s.kind].group)
                read_name(next(&rest), s.group);
        if (kinds[s.kind].host) {
                const char *host = next(&rest);

                if (base64_decode(host, strlen(host), sodium_base64_VARIANT_URLSAFE_NO_PADDING, s.host, sizeof(s.host),
                                  &n_host) < 0 ||
                    n_host != sizeof(s.host))
                        return -EINVAL;
        }
        if (kinds[s.kind].id || s.kind == SUBJECT_TRUST)
                read_last(next(&rest), &s);
        if (subject_build(&s, again) < 0 || strlen(again) != n || memcmp(again, text, n) != 0)
                return -EINVAL;
        *ret = s;
        return 0;
}

void subject_inbox(const uint8_t id[static 32], char ret[static SUBJECT_SIZE]) {
        char host[SUBJECT_HOST_SIZE];

        subject_host(id, host);
        (void) snprintf(ret, SUBJECT_SIZE, "_INBOX.%s.*", host);
}

int subject_command(const struct command *c, char ret[static SUBJECT_SIZE]) {
        static const enum subject_kind by_to[] = { [COMMAND_TO_HOSTS] = SUBJECT_CMD_HOST,
                                                   [COMMAND_TO_GROUP] = SUBJECT_CMD_GROUP,
                                                   [COMMAND_TO_ALL] = SUBJECT_CMD_ALL };
        struct subject s = { .kind = by_to[c->to], .id = c->id };

        if (c->to == COMMAND_TO_HOSTS && c->n_hosts != 1)
                return -EINVAL;
        memcpy(s.fleet, c->fleet, sizeof(s.fleet));
        if (c->to == COMMAND_TO_GROUP)
                memcpy(s.group, c->group, sizeof(s.group));
        if (c->to == COMMAND_TO_HOSTS)
                memcpy(s.host, c->hosts[0], sizeof(s.host));
        return subject_build(&s, ret);
}
