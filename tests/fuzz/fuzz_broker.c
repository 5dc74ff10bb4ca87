/* SPDX-License-Identifier: Apache-2.0 */

/* Where the brokers are: what is taken keeps to the header's ranges, is written and read back as the same, and every
 * server has a host for its certificate to be for. What is refused leaves no trace. */

#include <string.h>

#include "policy/broker.h"
#include "policy/schema.h"

#define CHECK(x)                          \
        do {                              \
                if (!(x))                 \
                        __builtin_trap(); \
        } while (0)

#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:"

static void check_server(const char *server, bool tls) {
        const char *scheme = tls ? "tls://" : "nats://";
        char host[BROKER_HOST_SIZE], whole[BROKER_URL_MAX + 2];
        const char *port = strrchr(server, ':');

        broker_host(server, host);
        CHECK(host[0] && strspn(host, HOST_CHARS) == strlen(host) && strlen(server) <= BROKER_URL_MAX);
        CHECK(atoi(port + 1) >= 1 && atoi(port + 1) <= UINT16_MAX);
        /* it has nothing beside them: no user, no path */
        (void) snprintf(whole, sizeof(whole), strchr(host, ':') ? "%s[%s]%s" : "%s%s%s", scheme, host, port);
        if (server[strlen(scheme)] == '[' && !strchr(host, ':'))
                (void) snprintf(whole, sizeof(whole), "%s[%s]%s", scheme, host, port);
        CHECK(strcmp(whole, server) == 0);
}

static void check_path(const char *path) {
        CHECK(!path[0] || (path[0] == '/' && strlen(path) <= BROKER_PATH_MAX));
        CHECK(schema_is_text(path, BROKER_PATH_MAX + 1));
}

static char *print(const struct broker *b) {
        _cleanup_json_ json_t *servers = json_array();
        _cleanup_json_ json_t *o =
                json_pack("{si sO sI}", "v", 1, "servers", servers, "spread_s", (json_int_t) b->spread_s);
        const char *const paths[][2] = { { "ca", b->ca }, { "cert", b->cert }, { "key", b->key }, { "nkey", b->nkey } };
        char *text;

        CHECK(servers && o);
        for (size_t i = 0; i < b->n_servers; i++)
                CHECK(json_array_append_new(servers, json_string(b->servers[i])) == 0);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                CHECK(!*paths[i][1] || json_object_set_new(o, paths[i][0], json_string(paths[i][1])) == 0);
        CHECK(schema_dump(o, &text) == 0);
        return text;
}

static void check(const struct broker *b) {
        CHECK(b->n_servers >= 1 && b->n_servers <= BROKER_SERVERS_MAX);
        for (size_t i = 0; i < b->n_servers; i++) {
                check_server(b->servers[i], b->tls);
                for (size_t j = 0; j < i; j++)
                        CHECK(strcmp(b->servers[i], b->servers[j]) != 0);
        }
        check_path(b->ca);
        check_path(b->cert);
        check_path(b->key);
        check_path(b->nkey);
        CHECK(b->tls == (*b->ca != '\0') && !*b->cert == !*b->key && (b->tls || !*b->cert));
        CHECK(b->spread_s >= 0 && b->spread_s <= BROKER_SPREAD_MAX_S);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_free_ char *first = NULL, *second = NULL;
        enum reason reason = _REASON_MAX;
        struct broker b, again, untouched;

        memset(&untouched, 0xa5, sizeof(untouched));
        memcpy(&b, &untouched, sizeof(b));
        CHECK(broker_parse(data, size, &b, &reason) == 0 && reason < _REASON_MAX);
        if (reason != REASON_NONE) {
                CHECK(memcmp(&b, &untouched, sizeof(b)) == 0);
                return 0;
        }
        check(&b);
        first = print(&b);
        CHECK(broker_parse((const uint8_t *) first, strlen(first), &again, &reason) == 0 && reason == REASON_NONE);
        second = print(&again);
        CHECK(again.tls == b.tls && strcmp(first, second) == 0);
        return 0;
}
