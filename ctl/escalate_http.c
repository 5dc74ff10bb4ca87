/* SPDX-License-Identifier: Apache-2.0 */

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <time.h>

#include <sodium.h>

#include "ctl/escalate_http.h"
#include "ctl/escalate_listen.h"
#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/times.h"

#define TOKEN_FILE_MAX 4096U
#define TOKEN_MIN      16U
#define ANSWER_SIZE    256U
#define STARVED_MS     100

static const struct {
        unsigned status;
        const char *text;
} rejects[_ESCALATE_HTTP_REJECT_MAX] = {
#define X(name, status, text) [ESCALATE_HTTP_##name] = { status, text },
        ESCALATE_HTTP_REJECT_TABLE(X)
#undef X
};

/* One request from its first header to its end. */
struct visit {
        struct escalate_request q; /* first: escalate_http_answer is given it */
        struct MHD_Connection *connection;
        struct visit *next;
        time_t began;
        size_t size;
        enum escalate_http_reject reject; /* MAX: none */
        unsigned status;                  /* 0: not answered yet */
        char answer[ANSWER_SIZE];
        bool queued;
};

struct escalate_http {
        struct escalate_listen lib;
        struct MHD_Daemon *daemon;
        int event;
        uint8_t token[32]; /* its SHA-256: to compare two of them tells nothing about where they differ */
        bool wants_token, wants_certificate;
        pthread_mutex_t lock;
        struct visit *first, **last;
        bool ends;    /* nobody takes what is handed on any more */
        size_t bytes; /* of all bodies; of the thread alone */
        bool starved; /* and it is counted; of the thread alone */
        struct escalate_guests guests;
        uint64_t rejected[_ESCALATE_HTTP_REJECT_MAX];
};

unsigned escalate_http_reject_status(enum escalate_http_reject why) {
        return rejects[why].status;
}

const char *escalate_http_reject_text(enum escalate_http_reject why) {
        return rejects[why].text;
}

static void wake(struct escalate_http *h) {
        const uint64_t one = 1;

        (void) !write(h->event, &one, sizeof(one));
}

static enum MHD_Result respond(struct escalate_http *h, struct MHD_Connection *c, unsigned status, const char *text) {
        struct MHD_Response *r = h->lib.create_response_from_buffer(strlen(text), (void *) text, MHD_RESPMEM_MUST_COPY);
        enum MHD_Result ok;

        if (!r)
                return MHD_NO;
        (void) h->lib.add_response_header(r, "Content-Type", "application/json");
        if (status == 401)
                (void) h->lib.add_response_header(r, "WWW-Authenticate", "Bearer");
        ok = h->lib.queue_response(c, status, r);
        h->lib.destroy_response(r);
        return ok;
}

static enum MHD_Result reject(struct escalate_http *h, struct visit *x, enum escalate_http_reject why) {
        char text[ANSWER_SIZE];

        (void) __atomic_add_fetch(&h->rejected[why], 1, __ATOMIC_RELAXED);
        wake(h);
        x->status = rejects[why].status;
        (void) snprintf(text, sizeof(text), "{\"error\":\"%s\"}\n", rejects[why].text);
        return respond(h, x->connection, x->status, text);
}

/* Also who makes room is to be waited for no longer than it has. */
static void on_guest(void *arg, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode how) {
        struct escalate_http *h = arg;
        const union MHD_ConnectionInfo *fd = h->lib.get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD),
                                       *address = h->lib.get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

        (void) state;
        if (how == MHD_CONNECTION_NOTIFY_CLOSED)
                escalate_guests_leave(&h->guests, c);
        else if (fd)
                escalate_guests_come(&h->guests, c, fd->connect_fd, address ? address->client_addr : NULL, mono_ms());
        h->starved = false;
        wake(h);
}

/* Where there is no descriptor for a client, the library stops asking for one until somebody leaves; while nobody is
 * connected it asks for ever, and says each time, here, on the thread that has nobody to serve, what went wrong. */
static void on_log(void *arg, const char *format, va_list ap) {
        struct escalate_http *h = arg;

        (void) format;
        (void) ap;
        if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS)
                return;
        if (!h->starved) {
                h->starved = true;
                (void) __atomic_add_fetch(&h->rejected[ESCALATE_HTTP_STARVED], 1, __ATOMIC_RELAXED);
                wake(h);
        }
        if (escalate_guests_is_empty(&h->guests))
                (void) poll(NULL, 0, STARVED_MS);
        errno = 0; /* it says it in several lines */
}

int escalate_http_sweep(struct escalate_http *h) {
        const int next = escalate_guests_sweep(&h->guests, mono_ms());
        const uint64_t n = escalate_guests_sent_away(&h->guests);

        (void) __atomic_add_fetch(&h->rejected[ESCALATE_HTTP_SLOW], n, __ATOMIC_RELAXED);
        return next;
}

uint64_t escalate_http_rejected(struct escalate_http *h, enum escalate_http_reject why) {
        return __atomic_exchange_n(&h->rejected[why], 0, __ATOMIC_RELAXED);
}

static bool has_token(const struct escalate_http *h, struct MHD_Connection *c) {
        static const char scheme[] = "Bearer ";
        const char *v = h->lib.lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
        uint8_t digest[32];

        if (!v || strncasecmp(v, scheme, strlen(scheme)) != 0)
                return false;
        v += strlen(scheme);
        (void) crypto_hash_sha256(digest, (const uint8_t *) v, strlen(v));
        return sodium_memcmp(digest, h->token, sizeof(digest)) == 0;
}

static bool find_path(const char *url, enum escalate_source *ret) {
        return url[0] == '/' && escalate_source_from_id(url + 1, ret);
}

/* What the headers say already; MAX: nothing against it. */
static enum escalate_http_reject judge(struct escalate_http *h, struct visit *x, const char *url, const char *method) {
        const char *length = h->lib.lookup_connection_value(x->connection, MHD_HEADER_KIND, "Content-Length");

        if (h->wants_certificate && !escalate_listen_has_certificate(&h->lib, x->connection))
                return ESCALATE_HTTP_CERTIFICATE;
        if (h->wants_token && !has_token(h, x->connection))
                return ESCALATE_HTTP_TOKEN;
        if (!find_path(url, &x->q.source))
                return ESCALATE_HTTP_PATH;
        if (strcmp(method, "POST") != 0)
                return ESCALATE_HTTP_METHOD;
        if (length && (strlen(length) > 9 || strtoul(length, NULL, 10) > ESCALATE_HTTP_BODY_MAX))
                return ESCALATE_HTTP_LARGE;
        return _ESCALATE_HTTP_REJECT_MAX;
}

static enum MHD_Result copy_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value) {
        struct escalate_request *q = arg;

        (void) kind;
        if (strcasecmp(name, "ce-specversion") == 0)
                q->binary = true;
        if (strncasecmp(name, "ce-", 3) != 0 || q->n_headers == ESCALATE_HTTP_HEADERS_MAX)
                return MHD_YES;
        struct escalate_header *to = &q->headers[q->n_headers++];
        to->name = strdup(name);
        to->value = strdup(value ? value : "");
        if (to->name && to->value)
                return MHD_YES;
        free(to->name);
        free(to->value);
        q->n_headers--;
        return MHD_NO;
}

static enum MHD_Result begin(struct escalate_http *h, struct MHD_Connection *c, const char *url, const char *method,
                             void **state) {
        struct visit *x = calloc(1, sizeof(*x));
        const char *type = h->lib.lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");

        if (!x)
                return MHD_NO;
        *state = x;
        x->connection = c;
        x->began = time(NULL);
        x->reject = judge(h, x, url, method);
        if (x->reject != _ESCALATE_HTTP_REJECT_MAX)
                return reject(h, x, x->reject);
        escalate_guests_know(&h->guests, c);
        x->q.type = strdup(type ? type : "");
        if (x->q.source == ESCALATE_CLOUDEVENTS)
                (void) h->lib.get_connection_values(c, MHD_HEADER_KIND, copy_header, &x->q);
        return x->q.type ? MHD_YES : MHD_NO;
}

/* More of the body. */
static enum MHD_Result take(struct escalate_http *h, struct visit *x, const char *bytes, size_t n) {
        size_t size = MAX(x->size, (size_t) 4096);

        if (time(NULL) - x->began > ESCALATE_HTTP_REQUEST_S)
                return MHD_NO;
        if (x->reject != _ESCALATE_HTTP_REJECT_MAX)
                return MHD_YES;
        if (x->q.n + n > ESCALATE_HTTP_BODY_MAX) {
                x->reject = ESCALATE_HTTP_LARGE;
                return MHD_YES;
        }
        while (size < x->q.n + n + 1)
                size *= 2;
        if (size != x->size) {
                char *body = h->bytes - x->size + size > ESCALATE_HTTP_BODIES_MAX ? NULL : realloc(x->q.body, size);

                if (!body) {
                        x->reject = ESCALATE_HTTP_BUSY;
                        return MHD_YES;
                }
                h->bytes += size - x->size;
                x->q.body = body;
                x->size = size;
        }
        memcpy(x->q.body + x->q.n, bytes, n);
        x->q.n += n;
        return MHD_YES;
}

static enum MHD_Result hand_on(struct escalate_http *h, struct visit *x) {
        if (x->reject != _ESCALATE_HTTP_REJECT_MAX)
                return reject(h, x, x->reject);
        (void) pthread_mutex_lock(&h->lock);
        const bool taken = !h->ends;
        if (taken) {
                h->lib.suspend_connection(x->connection);
                x->queued = true;
                *h->last = x;
                h->last = &x->next;
        }
        (void) pthread_mutex_unlock(&h->lock);
        if (!taken)
                return reject(h, x, ESCALATE_HTTP_BUSY);
        wake(h);
        return MHD_YES;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *n, void **state) {
        struct escalate_http *h = arg;
        struct visit *x = *state;

        (void) version;
        if (!x)
                return begin(h, c, url, method, state);
        if (*n > 0) {
                enum MHD_Result r = take(h, x, data, *n);

                *n = 0;
                return r;
        }
        if (x->queued)
                return respond(h, c, x->status, x->answer);
        return x->status ? MHD_YES : hand_on(h, x);
}

static void completed(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode how) {
        struct escalate_http *h = arg;
        struct visit *x = *state;

        (void) how;
        escalate_guests_rest(&h->guests, c, mono_ms());
        if (!x)
                return;
        if (!x->status) {
                (void) __atomic_add_fetch(&h->rejected[ESCALATE_HTTP_UNFINISHED], 1, __ATOMIC_RELAXED);
                wake(h);
        }
        h->bytes -= x->size;
        for (size_t i = 0; i < x->q.n_headers; i++) {
                free(x->q.headers[i].name);
                free(x->q.headers[i].value);
        }
        free(x->q.type);
        free(x->q.body);
        free(x);
        *state = NULL;
}

struct escalate_request *escalate_http_take(struct escalate_http *h) {
        (void) pthread_mutex_lock(&h->lock);
        struct visit *x = h->first;
        if (x) {
                h->first = x->next;
                if (!h->first)
                        h->last = &h->first;
        }
        (void) pthread_mutex_unlock(&h->lock);
        return x ? &x->q : NULL;
}

void escalate_http_answer(struct escalate_http *h, struct escalate_request *q, unsigned status, const char *text) {
        struct visit *x = (struct visit *) q;

        (void) snprintf(x->answer, sizeof(x->answer), "%s", text);
        x->status = status;
        h->lib.resume_connection(x->connection);
}

int escalate_http_fd(const struct escalate_http *h) {
        return h->event;
}

uint16_t escalate_http_port(const struct escalate_http *h) {
        const union MHD_DaemonInfo *i = h->lib.get_daemon_info(h->daemon, MHD_DAEMON_INFO_BIND_PORT);

        return i ? i->port : 0;
}

/* The first line, without its end. Others must not read it: whoever has it orders what the rules allow. */
static int read_token(struct escalate_http *h, const char *file, struct why *w) {
        _cleanup_free_ char *text = NULL;
        mode_t mode;
        int r = file_read(file, TOKEN_FILE_MAX, &text, NULL, &mode);

        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(file));
        const size_t n = strcspn(text, "\r\n");
        if (mode & 07)
                r = why_set(w, CTL_MACHINE, "%s: others may read this token (mode %04o): chmod o= it and make another",
                            CLEAN(file), (unsigned) mode & 07777);
        else if (n < TOKEN_MIN)
                r = why_set(w, CTL_USAGE, "%s: a token has at least %u characters, as `openssl rand -hex 32` makes one",
                            CLEAN(file), TOKEN_MIN);
        (void) crypto_hash_sha256(h->token, (const uint8_t *) text, n);
        sodium_memzero(text, strlen(text));
        h->wants_token = true;
        return r;
}

int escalate_http_start(const char *listen, const char *token_file, const char *tls, struct escalate_http **ret,
                        struct why *w) {
        _cleanup_(escalate_http_stopp) struct escalate_http *h = calloc(1, sizeof(*h));
        int x = h ? 0 : why_errno(w, -ENOMEM, "listener");

        if (x != 0)
                return x;
        h->last = &h->first;
        escalate_guests_init(&h->guests);
        h->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        (void) pthread_mutex_init(&h->lock, NULL);
        if (h->event < 0)
                return why_errno(w, -errno, "listener");
        if (token_file)
                x = read_token(h, token_file, w);
        if (x == 0)
                x = escalate_listen_load(&h->lib, w);
        if (x == 0 && tls)
                x = escalate_listen_read_tls(&h->lib, tls, &h->wants_certificate, w);
        if (x == 0 && !h->wants_token && !h->wants_certificate)
                x = why_set(w, CTL_USAGE,
                            "who may send events? give --token-file FILE, or --tls DIR with a ca.pem in it");
        if (x == 0)
                x = escalate_listen_start(&h->lib, listen, handle, completed, on_guest, on_log, h, &h->daemon, w);
        if (x == 0)
                *ret = TAKE_PTR(h);
        return x;
}

void escalate_http_stopp(struct escalate_http **hp) {
        struct escalate_http *h = *hp;
        struct escalate_request *q;

        if (!h)
                return;
        if (h->daemon) {
                _cleanup_close_ int socket = h->lib.quiesce_daemon(h->daemon);
                /* the library does not end with a connection that is suspended */
                (void) pthread_mutex_lock(&h->lock);
                h->ends = true;
                (void) pthread_mutex_unlock(&h->lock);
                while ((q = escalate_http_take(h)))
                        escalate_http_answer(h, q, rejects[ESCALATE_HTTP_BUSY].status, "{}\n");
                h->lib.stop_daemon(h->daemon);
        }
        escalate_listen_done(&h->lib);
        escalate_guests_done(&h->guests);
        closep(&h->event);
        free(h);
        *hp = NULL;
}
