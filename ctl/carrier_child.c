/* SPDX-License-Identifier: Apache-2.0 */

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <nats/nats.h>

#include "ctl/carrier_child.h"

#define STR_(x) #x
#define STR(x)  STR_(x)
/* the one whose header this was built with */
#define LIBRARY "libnats.so." STR(NATS_VERSION_MAJOR) "." STR(NATS_VERSION_MINOR)

/* the library's own bounds, where it keeps to them; the parent's are above them */
#define CALL_MS   3000
#define PING_MS   5000
#define PINGS_MAX 2
/* What waits is counted without what the library needs to keep it, some hundred bytes a message: answers are larger. */
#define MESSAGE_BYTES 1024U
/* the stacks of the library's threads, and what it needs besides */
#define DATA_BYTES (96U * 1024 * 1024)

/* as long as the library's own */
#define DENIED_SIZE 256U

#define CALLS(X)                                  \
        X(nats_GetLastError)                      \
        X(natsConnection_Connect)                 \
        X(natsConnection_FlushTimeout)            \
        X(natsConnection_GetLastError)            \
        X(natsConnection_Publish)                 \
        X(natsConnection_PublishRequest)          \
        X(natsConnection_Subscribe)               \
        X(natsMsgHeader_Values)                   \
        X(natsMsg_Destroy)                        \
        X(natsMsg_GetData)                        \
        X(natsMsg_GetDataLength)                  \
        X(natsMsg_GetSubject)                     \
        X(natsOptions_Create)                     \
        X(natsOptions_LoadCATrustedCertificates)  \
        X(natsOptions_LoadCertificatesChain)      \
        X(natsOptions_SetAllowReconnect)          \
        X(natsOptions_SetClosedCB)                \
        X(natsOptions_SetErrorHandler)            \
        X(natsOptions_SetExpectedHostname)        \
        X(natsOptions_SetIgnoreDiscoveredServers) \
        X(natsOptions_SetMaxPingsOut)             \
        X(natsOptions_SetName)                    \
        X(natsOptions_SetNKey)                    \
        X(natsOptions_SetPingInterval)            \
        X(natsOptions_SetSecure)                  \
        X(natsOptions_SetTimeout)                 \
        X(natsOptions_SetURL)                     \
        X(natsOptions_SetWriteDeadline)           \
        X(natsOptions_UseGlobalMessageDelivery)   \
        X(natsSubscription_SetPendingLimits)      \
        X(natsStatus_GetText)

static struct {
#define X(name) __typeof__(name) *name;
        CALLS(X)
#undef X
} nats;

struct child {
        int fd;
        size_t room;
        const struct nkey *key;
        natsOptions *options;
        natsConnection *connection;
        pthread_mutex_t lock;
        pthread_cond_t is_told;
        char denied[DENIED_SIZE]; /* what the last denial that was told is about */
        bool again;               /* that was asked for once more, and the same is to be told of it */
        bool over;                /* it was waited for in vain: what was denied then is permitted now */
};

/* A parent that is gone is no reason to go on. */
static void tell(int fd, enum carrier_kind kind, const char *text) {
        const struct carrier_frame f = { .kind = kind };

        if (carrier_frame_send(fd, &f, "", "", text, strlen(text)) < 0)
                _exit(0);
}

static _Noreturn void give_up(int fd, natsStatus s) {
        const char *detail = nats.nats_GetLastError(NULL);
        char why[256];

        (void) snprintf(why, sizeof(why), "%s%s%s", nats.natsStatus_GetText(s), detail && *detail ? ": " : "",
                        detail ? detail : "");
        tell(fd, CARRIER_CLOSED, why);
        _exit(0);
}

/* The last value: a stream puts its own behind those that a message came with, which are by whoever published it.
 * NATS_NOT_FOUND, or another error when no header of that message can be read. */
static natsStatus number(natsMsg *msg, const char *header, int64_t *ret) {
        const char **values = NULL;
        int n = 0;
        natsStatus s = nats.natsMsgHeader_Values(msg, header, &values, &n);

        if (s == NATS_OK && n > 0)
                *ret = strtoll(values[n - 1], NULL, 10);
        free(values);
        return s;
}

/* On a thread of the library. What a stream keeps has no status but what its publisher wrote there. What is too long
 * for an answer comes empty: it is none, and who asked is not to wait for it. */
static void on_message(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure) {
        const struct child *c = closure;
        struct carrier_frame f = { .kind = CARRIER_MESSAGE };
        const char *data = nats.natsMsg_GetData(msg), *subject = nats.natsMsg_GetSubject(msg);
        int64_t status = 0;
        int r;

        (void) connection;
        (void) subscription;
        if (number(msg, "Nats-Sequence", &f.sequence) == NATS_NOT_FOUND)
                (void) number(msg, "Status", &status);
        f.status = (int32_t) status;
        r = carrier_frame_send(c->fd, &f, subject, "", data ? data : "",
                               data ? (size_t) MAX(nats.natsMsg_GetDataLength(msg), 0) : 0);
        if (r == -EMSGSIZE)
                r = carrier_frame_send(c->fd, &f, subject, "", "", 0);
        nats.natsMsg_Destroy(msg);
        if (r < 0 && r != -EMSGSIZE)
                _exit(0);
}

static void on_closed(natsConnection *connection, void *closure) {
        const struct child *c = closure;

        (void) connection;
        tell(c->fd, CARRIER_CLOSED, "the broker closed the connection, or does not answer");
        _exit(0);
}

static void tell_denied(struct child *c, const char *text) {
        tell(c->fd, CARRIER_DENIED, text);
        (void) pthread_mutex_lock(&c->lock);
        (void) snprintf(c->denied, sizeof(c->denied), "%s", text);
        c->again = c->over = false;
        (void) pthread_cond_signal(&c->is_told);
        (void) pthread_mutex_unlock(&c->lock);
}

/* A subscription that the server refuses is one that succeeded: only this tells, on a thread of the library. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *closure) {
        struct child *c = closure;
        const char *text = nats.nats_GetLastError(NULL);

        (void) connection;
        (void) subscription;
        if (status == NATS_SLOW_CONSUMER)
                tell(c->fd, CARRIER_LOST, "");
        else if (status == NATS_NOT_PERMITTED)
                tell_denied(c, text ? text : "");
}

/* Is it what was denied last? In the server's words; others cost no more than that a second denial of the same may be
 * told late. */
static void remember(struct child *c, bool hear, const char *subject) {
        char quoted[CARRIER_SUBJECT_SIZE + 2];

        (void) snprintf(quoted, sizeof(quoted), "\"%s\"", subject);
        (void) pthread_mutex_lock(&c->lock);
        c->again |= !c->over && strstr(c->denied, hear ? "Subscription" : "Publish") && strstr(c->denied, quoted);
        (void) pthread_mutex_unlock(&c->lock);
}

/* The server's denials come before its answer to the flush, and the library knows them then; but they are told by
 * another thread than this one, which may be later. The last one is the one that is waited for. The library gives no
 * copy of it, and may write another one there. */
static void await_denials(struct child *c) {
        const char *text = NULL;
        char last[DENIED_SIZE];
        struct timespec until;
        int r = 0;

        if (nats.natsConnection_GetLastError(c->connection, &text) != NATS_NOT_PERMITTED)
                return;
        (void) snprintf(last, sizeof(last), "%s", text ? text : "");
        (void) clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += CALL_MS / 1000;
        (void) pthread_mutex_lock(&c->lock);
        while (r == 0 && (c->again || strcmp(c->denied, last) != 0))
                r = pthread_cond_clockwait(&c->is_told, &c->lock, CLOCK_MONOTONIC, &until);
        if (r != 0) {
                c->over = true;
                memcpy(c->denied, last, sizeof(c->denied));
        }
        c->again = false;
        (void) pthread_mutex_unlock(&c->lock);
}

static natsStatus on_nonce(char **ret_error, unsigned char **ret_sig, int *ret_n, const char *nonce, void *closure) {
        const struct child *c = closure;
        uint8_t *sig = malloc(NKEY_SIG_SIZE);

        (void) ret_error;
        if (!sig)
                return NATS_NO_MEMORY;
        nkey_sign(c->key, nonce, strlen(nonce), sig);
        *ret_sig = sig;
        *ret_n = (int) NKEY_SIG_SIZE;
        return NATS_OK;
}

static void load(int fd) {
        void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        bool all = library;

#define X(name)                                             \
        nats.name = library ? dlsym(library, #name) : NULL; \
        all = all && nats.name;
        CALLS(X)
#undef X
        if (!all) {
                tell(fd, CARRIER_CLOSED,
                     LIBRARY " cannot be loaded: install libnats" STR(NATS_VERSION_MAJOR) "." STR(NATS_VERSION_MINOR));
                _exit(0);
        }
}

static natsStatus set_login(struct child *c, const struct broker *b, const char *server) {
        char host[BROKER_HOST_SIZE];
        natsStatus s = NATS_OK;

        broker_host(server, host);
        if (c->key)
                s = nats.natsOptions_SetNKey(c->options, c->key->pub, on_nonce, c);
        if (s == NATS_OK && b->tls)
                s = nats.natsOptions_SetSecure(c->options, true);
        if (s == NATS_OK && b->tls)
                s = nats.natsOptions_LoadCATrustedCertificates(c->options, b->ca);
        if (s == NATS_OK && b->tls)
                s = nats.natsOptions_SetExpectedHostname(c->options, host);
        if (s == NATS_OK && b->cert[0])
                s = nats.natsOptions_LoadCertificatesChain(c->options, b->cert, b->key);
        return s;
}

static natsStatus set_options(struct child *c, const char *server) {
        natsOptions *o = c->options;
        natsStatus s = nats.natsOptions_SetURL(o, server);

        s = s == NATS_OK ? nats.natsOptions_SetAllowReconnect(o, false) : s;
        s = s == NATS_OK ? nats.natsOptions_SetIgnoreDiscoveredServers(o, true) : s;
        s = s == NATS_OK ? nats.natsOptions_SetTimeout(o, CALL_MS) : s;
        s = s == NATS_OK ? nats.natsOptions_SetWriteDeadline(o, CALL_MS) : s;
        s = s == NATS_OK ? nats.natsOptions_SetPingInterval(o, PING_MS) : s;
        s = s == NATS_OK ? nats.natsOptions_SetMaxPingsOut(o, PINGS_MAX) : s;
        s = s == NATS_OK ? nats.natsOptions_SetName(o, "freezectl") : s;
        s = s == NATS_OK ? nats.natsOptions_UseGlobalMessageDelivery(o, true) : s;
        s = s == NATS_OK ? nats.natsOptions_SetClosedCB(o, on_closed, c) : s;
        return s == NATS_OK ? nats.natsOptions_SetErrorHandler(o, on_error, c) : s;
}

static natsStatus obey(struct child *c, const char *buf, size_t size) {
        char subject[CARRIER_SUBJECT_SIZE], reply[CARRIER_SUBJECT_SIZE];
        natsSubscription *subscription;
        struct carrier_parts p;
        natsStatus s;

        if (carrier_frame_read(buf, size, &p) < 0)
                return NATS_INVALID_ARG;
        (void) snprintf(subject, sizeof(subject), "%.*s", (int) p.head.n_subject, p.subject);
        (void) snprintf(reply, sizeof(reply), "%.*s", (int) p.head.n_reply, p.reply);
        if (p.head.kind != CARRIER_SETTLE)
                remember(c, p.head.kind == CARRIER_HEAR, subject);
        if (p.head.kind == CARRIER_HEAR) {
                s = nats.natsConnection_Subscribe(&subscription, c->connection, subject, on_message, c);
                return s == NATS_OK ? nats.natsSubscription_SetPendingLimits(
                                              subscription, (int) (c->room / MESSAGE_BYTES), (int) c->room)
                                    : s;
        }
        if (p.head.kind == CARRIER_SAY && reply[0])
                return nats.natsConnection_PublishRequest(c->connection, subject, reply, p.text, (int) p.n);
        if (p.head.kind == CARRIER_SAY)
                return nats.natsConnection_Publish(c->connection, subject, p.text, (int) p.n);
        s = nats.natsConnection_FlushTimeout(c->connection, CALL_MS);
        if (s == NATS_OK) {
                await_denials(c);
                tell(c->fd, CARRIER_SETTLED, "");
        }
        return s;
}

/* The rooms of many subscriptions are more than one, so they are bounded together, too: the library closes a connection
 * that it has no memory for. And who runs out of memory beside it, in the same cgroup, is not who is killed. */
static void bound_memory(size_t room) {
        _cleanup_fclose_ FILE *score = fopen("/proc/self/oom_score_adj", "we"), *f = fopen("/proc/self/statm", "re");
        unsigned long pages = 0;
        struct rlimit l;

        if (score)
                (void) fputs("1000", score);
        if (f && fscanf(f, "%*u %*u %*u %*u %*u %lu", &pages) == 1 && getrlimit(RLIMIT_DATA, &l) == 0) {
                l.rlim_cur = MIN(l.rlim_max, pages * (rlim_t) sysconf(_SC_PAGESIZE) + 2 * (rlim_t) room + DATA_BYTES);
                (void) setrlimit(RLIMIT_DATA, &l);
        }
}

_Noreturn void carrier_child(int fd, const struct broker *b, const char *server, const struct nkey *key, size_t room) {
        static char buf[CARRIER_FRAME_MAX];
        /* static: threads of the library outlive this frame's use of it */
        static struct child c;
        natsStatus s;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* a key pressed at the terminal is for who gave it the work, who ends it */
        (void) signal(SIGINT, SIG_IGN);
        (void) signal(SIGHUP, SIG_IGN);
        (void) prctl(PR_SET_NAME, "freezectl-nats");
        bound_memory(room);
        c = (struct child) { .fd = fd,
                             .room = room,
                             .key = key,
                             .lock = PTHREAD_MUTEX_INITIALIZER,
                             .is_told = PTHREAD_COND_INITIALIZER };
        load(fd);
        s = nats.natsOptions_Create(&c.options);
        s = s == NATS_OK ? set_options(&c, server) : s;
        s = s == NATS_OK ? set_login(&c, b, server) : s;
        s = s == NATS_OK ? nats.natsConnection_Connect(&c.connection, c.options) : s;
        if (s != NATS_OK)
                give_up(fd, s);
        tell(fd, CARRIER_OPEN, "");
        for (;;) {
                ssize_t n = recv(fd, buf, sizeof(buf), 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        _exit(0);
                s = obey(&c, buf, (size_t) n);
                if (s != NATS_OK)
                        give_up(fd, s);
        }
}
