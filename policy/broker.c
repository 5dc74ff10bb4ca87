/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/broker.h"

#include <string.h>

#include "policy/schema.h"

#define SPREAD_S    30
#define NAME_CHARS  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
#define BRACE_CHARS "0123456789abcdefABCDEF:."
#define DIGITS      "0123456789"

static const char *const schemes[] = { "nats://", "tls://" };

static const char *without_scheme(const char *server) {
        for (size_t i = 0; i < ELEMENTSOF(schemes); i++)
                if (strncmp(server, schemes[i], strlen(schemes[i])) == 0)
                        return server + strlen(schemes[i]);
        return NULL;
}

/* The host's first character and its length; NULL when it is none. No user and no path: who logs in does so by key. */
static const char *find_host(const char *server, size_t *ret_n, const char **ret_rest) {
        const char *host = without_scheme(server);
        bool braced;

        if (!host)
                return NULL;
        braced = host[0] == '[';
        host += braced;
        *ret_n = strspn(host, braced ? BRACE_CHARS : NAME_CHARS);
        if (*ret_n == 0 || *ret_n >= BROKER_HOST_SIZE || (braced && host[*ret_n] != ']'))
                return NULL;
        *ret_rest = host + *ret_n + braced;
        return host;
}

void broker_host(const char *server, char ret[static BROKER_HOST_SIZE]) {
        const char *rest, *host;
        size_t n = 0;

        host = find_host(server, &n, &rest);
        if (host)
                memcpy(ret, host, n);
        ret[host ? n : 0] = '\0';
}

static bool is_port(const char *s) {
        return s[0] == ':' && s[1] != '0' && strspn(s + 1, DIGITS) == strlen(s + 1) && strlen(s + 1) >= 1 &&
               strlen(s + 1) <= 5 && atoi(s + 1) <= UINT16_MAX;
}

static enum reason read_server(const json_t *v, void *ret) {
        const char *s = json_string_value(v), *rest;
        size_t n;

        if (!s || json_string_length(v) > BROKER_URL_MAX || !find_host(s, &n, &rest) || !is_port(rest))
                return REASON_SCHEMA;
        memcpy(ret, s, strlen(s) + 1);
        return REASON_NONE;
}

static enum reason read_servers(const json_t *v, const struct schema_field *f, void *ret) {
        static const struct schema_list list = { BROKER_URL_MAX + 1, 1, BROKER_SERVERS_MAX, true, read_server };
        _cleanup_free_ void *servers = NULL;
        struct broker *b = ret;
        enum reason reason = schema_array(v, &list, &servers, &b->n_servers);

        (void) f;
        if (reason != REASON_NONE)
                return reason;
        memcpy(b->servers, servers, b->n_servers * sizeof(b->servers[0]));
        b->tls = strncmp(b->servers[0], schemes[1], strlen(schemes[1])) == 0;
        for (size_t i = 1; i < b->n_servers; i++)
                if (b->tls != (strncmp(b->servers[i], schemes[1], strlen(schemes[1])) == 0))
                        return REASON_SCHEMA;
        return REASON_NONE;
}

static enum reason read_path(const json_t *v, const struct schema_field *f, void *ret) {
        enum reason reason = schema_text(v, f, ret);

        return reason == REASON_NONE && json_string_value(v)[0] != '/' ? REASON_SCHEMA : reason;
}

#define PATH(name) \
        { #name, false, read_path, SCHEMA_MEMBER(struct broker, name), 1, BROKER_PATH_MAX }

static const struct schema_field fields[] = {
        { "v", true, schema_skip, SCHEMA_WHOLE, 0, 0 },
        { "servers", true, read_servers, SCHEMA_WHOLE, 0, 0 },
        PATH(ca),
        PATH(cert),
        PATH(key),
        PATH(nkey),
        { "spread_s", false, schema_int, SCHEMA_MEMBER(struct broker, spread_s), 0, BROKER_SPREAD_MAX_S },
};

/* FAIL-CLOSED: a certificate that nothing is compared with is refused, and so is one that would not be shown. */
static bool is_whole(const struct broker *b) {
        return b->tls == (b->ca[0] != '\0') && (b->cert[0] != '\0') == (b->key[0] != '\0') && (b->tls || !b->cert[0]);
}

int broker_parse(const uint8_t *json, size_t n, struct broker *ret, enum reason *ret_reason) {
        struct broker b = { .spread_s = SPREAD_S };
        int r = schema_read(json, n, BROKER_FILE_MAX, fields, ELEMENTSOF(fields), &b, ret_reason);

        if (r == 0 && *ret_reason == REASON_NONE && !is_whole(&b))
                *ret_reason = REASON_SCHEMA;
        if (r == 0 && *ret_reason == REASON_NONE)
                *ret = b;
        return r;
}
