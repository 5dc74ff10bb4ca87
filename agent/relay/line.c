/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/line.h"

#include <string.h>

#include <nats/nats.h>

#include "agent/relay/leash.h"

/* The library's own bound on connecting, and on a write; with the handshake of TLS, which has none, three of them. */
#define CALL_MS  3000
#define LEASH_MS 9000
/* A dead peer is noticed within three of them. */
#define PING_MS       5000
#define PINGS_MAX     2
#define PENDING_BYTES (1024 * 1024)
#define PENDING_MAX   256
/* three of the host, its groups, one for answers */
#define SUBSCRIPTIONS_MAX 48U

struct line {
        natsOptions *options;
        natsConnection *connection;
        natsSubscription *subscriptions[SUBSCRIPTIONS_MAX];
        size_t n_subscriptions;
        struct inbox *inbox;
        const struct nkey *key;
        bool tls;
        char why[160];
};

/* Direct get writes its headers behind those that the stored message has, and leaves a status in its first line:
 * whoever stored it chose all but the last number. So what has a number is a message, whatever else it says. One whose
 * headers the library does not read has neither; it is not asked a second time, as it has written into them by then. */
static void place(natsMsg *msg, int *ret_status, int64_t *ret_sequence) {
        const char **numbers = NULL, *status = NULL;
        int n = 0;
        natsStatus s = natsMsgHeader_Values(msg, "Nats-Sequence", &numbers, &n);

        *ret_status = 0;
        *ret_sequence = 0;
        if (s == NATS_OK && n > 0)
                *ret_sequence = strtoll(numbers[n - 1], NULL, 10);
        else if (s == NATS_NOT_FOUND && natsMsgHeader_Get(msg, "Status", &status) == NATS_OK)
                *ret_status = (int) strtol(status, NULL, 10);
        free((void *) numbers);
}

/* On a thread of the library. What headers say counts only of an answer to the relay's own question. */
static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure) {
        int64_t sequence;
        int status;

        (void) connection;
        (void) subscription;
        place(msg, &status, &sequence);
        inbox_put(closure, natsMsg_GetSubject(msg), status, sequence, natsMsg_GetData(msg),
                  (size_t) MAX(natsMsg_GetDataLength(msg), 0));
        natsMsg_Destroy(msg);
}

static void on_closed(natsConnection *connection, void *closure) {
        (void) connection;
        inbox_closed(closure);
}

/* A subscription that the server refuses is one that succeeded: only this tells. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *closure) {
        const char *text;

        (void) connection;
        (void) subscription;
        if (status == NATS_SLOW_CONSUMER)
                inbox_missed(closure);
        if (status != NATS_NOT_PERMITTED)
                return;
        text = nats_GetLastError(NULL);
        inbox_denied(closure, text ? text : "");
}

static natsStatus on_nonce(char **ret_error, unsigned char **ret_sig, int *ret_n, const char *nonce, void *closure) {
        const struct line *l = closure;
        uint8_t *sig = malloc(NKEY_SIG_SIZE);

        (void) ret_error;
        if (!sig)
                return NATS_NO_MEMORY;
        nkey_sign(l->key, nonce, strlen(nonce), sig);
        *ret_sig = sig;
        *ret_n = (int) NKEY_SIG_SIZE;
        return NATS_OK;
}

static natsStatus set_login(struct line *l, const struct broker *b) {
        natsStatus s = NATS_OK;

        if (l->key)
                s = natsOptions_SetNKey(l->options, l->key->pub, on_nonce, l);
        if (s == NATS_OK && b->tls)
                s = natsOptions_SetSecure(l->options, true);
        if (s == NATS_OK && b->tls)
                s = natsOptions_LoadCATrustedCertificates(l->options, b->ca);
        if (s == NATS_OK && b->cert[0])
                s = natsOptions_LoadCertificatesChain(l->options, b->cert, b->key);
        return s;
}

static natsStatus set_options(struct line *l) {
        natsOptions *o = l->options;
        natsStatus s;

        s = natsOptions_SetAllowReconnect(o, false);
        s = s == NATS_OK ? natsOptions_SetIgnoreDiscoveredServers(o, true) : s;
        s = s == NATS_OK ? natsOptions_SetTimeout(o, CALL_MS) : s;
        s = s == NATS_OK ? natsOptions_SetWriteDeadline(o, CALL_MS) : s;
        s = s == NATS_OK ? natsOptions_SetPingInterval(o, PING_MS) : s;
        s = s == NATS_OK ? natsOptions_SetMaxPingsOut(o, PINGS_MAX) : s;
        s = s == NATS_OK ? natsOptions_SetName(o, "freezed-relay") : s;
        s = s == NATS_OK ? natsOptions_UseGlobalMessageDelivery(o, true) : s;
        s = s == NATS_OK ? natsOptions_SetClosedCB(o, on_closed, l->inbox) : s;
        return s == NATS_OK ? natsOptions_SetErrorHandler(o, on_error, l->inbox) : s;
}

int line_new(const struct broker *b, const struct nkey *key, struct inbox *inbox, struct line **ret) {
        struct line *l = calloc(1, sizeof(*l));
        natsStatus s;

        if (!l)
                return -ENOMEM;
        l->inbox = inbox;
        l->key = key;
        l->tls = b->tls;
        s = natsOptions_Create(&l->options);
        s = s == NATS_OK ? set_options(l) : s;
        s = s == NATS_OK ? set_login(l, b) : s;
        if (s != NATS_OK) {
                natsOptions_Destroy(l->options);
                free(l);
                return s == NATS_NO_MEMORY ? -ENOMEM : -EINVAL;
        }
        *ret = l;
        return 0;
}

int line_connect(struct line *l, const char *server, const char **ret_why) {
        char host[BROKER_HOST_SIZE];
        const char *detail;
        natsStatus s;

        broker_host(server, host);
        leash_on("connecting", LEASH_MS);
        s = natsOptions_SetURL(l->options, server);
        if (s == NATS_OK && l->tls)
                s = natsOptions_SetExpectedHostname(l->options, host);
        if (s == NATS_OK)
                s = natsConnection_Connect(&l->connection, l->options);
        detail = s == NATS_OK ? NULL : nats_GetLastError(NULL);
        (void) snprintf(l->why, sizeof(l->why), "%s%s%s", natsStatus_GetText(s), detail && *detail ? ": " : "",
                        detail ? detail : "");
        leash_off();
        *ret_why = l->why;
        return s == NATS_OK ? 0 : -ECONNREFUSED;
}

bool line_is_open(const struct line *l) {
        return l->connection;
}

void line_forget(struct line *l) {
        leash_on("unsubscribing", LEASH_MS);
        for (size_t i = 0; i < l->n_subscriptions; i++)
                natsSubscription_Destroy(l->subscriptions[i]);
        l->n_subscriptions = 0;
        leash_off();
}

void line_drop(struct line *l) {
        line_forget(l);
        leash_on("letting a closed connection go", LEASH_MS);
        natsConnection_Destroy(l->connection);
        l->connection = NULL;
        leash_off();
}

int line_hear(struct line *l, const char *subject) {
        natsSubscription *sub = NULL;
        natsStatus s;

        if (l->n_subscriptions == SUBSCRIPTIONS_MAX)
                return -EIO;
        leash_on("subscribing", LEASH_MS);
        s = natsConnection_Subscribe(&sub, l->connection, subject, on_message, l->inbox);
        if (s == NATS_OK)
                s = natsSubscription_SetPendingLimits(sub, PENDING_MAX, PENDING_BYTES);
        leash_off();
        if (sub)
                l->subscriptions[l->n_subscriptions++] = sub;
        return s == NATS_OK ? 0 : -EIO;
}

int line_settle(struct line *l) {
        natsStatus s;

        leash_on("waiting for the server", LEASH_MS);
        s = natsConnection_FlushTimeout(l->connection, CALL_MS);
        leash_off();
        return s == NATS_OK ? 0 : -EIO;
}

int line_say(struct line *l, const char *subject, const char *reply, const char *text, size_t n) {
        natsStatus s;

        leash_on("publishing", LEASH_MS);
        s = reply ? natsConnection_PublishRequest(l->connection, subject, reply, text, (int) n)
                  : natsConnection_Publish(l->connection, subject, text, (int) n);
        leash_off();
        return s == NATS_OK ? 0 : -EIO;
}
