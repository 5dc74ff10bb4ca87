/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The listener for webhooks, by libmicrohttpd. It is loaded when this is started and not before, as libcurl is
 * (post.h): with gnutls and what that brings it would cost every other verb some milliseconds.
 *
 *   POST /alertmanager   /falco   /tetragon   /cloudevents   (the last one also in binary mode, and batches)
 *
 * It knows its clients by a bearer token, by certificates, or by both, and nobody else gets further than the headers.
 * It hands requests on as bytes, in a thread of its own, and holds each connection until it has been told what became
 * of them: so a sender that hears nothing, sends again. Bounded are connections, also of one client
 * (escalate_guests.h), the time for headers, a body, all bodies together, and the time a request may take. */

#include <stddef.h>
#include <stdint.h>

#include "ctl/escalate_event.h"
#include "ctl/escalate_guests.h"
#include "ctl/why.h"

/* ten thousand alerts of Alertmanager */
#define ESCALATE_HTTP_BODY_MAX    (8U * 1024 * 1024)
#define ESCALATE_HTTP_BODIES_MAX  (24U * 1024 * 1024)
#define ESCALATE_HTTP_CLIENTS_MAX ESCALATE_GUESTS_MAX
#define ESCALATE_HTTP_HEADERS_MAX 32U
#define ESCALATE_HTTP_IDLE_S      15U
#define ESCALATE_HTTP_REQUEST_S   60

struct escalate_http;

struct escalate_request {
        enum escalate_source source;
        bool binary; /* CloudEvents: the attributes are headers */
        struct escalate_header headers[ESCALATE_HTTP_HEADERS_MAX];
        size_t n_headers;
        char *type, *body; /* owned, as the headers are */
        size_t n;
};

/* X(NAME, status, "why"): requests that were turned away, of which there may be any number: they are counted. */
#define ESCALATE_HTTP_REJECT_TABLE(X)                                         \
        X(PATH, 404, "there is nothing at this path")                         \
        X(METHOD, 405, "only POST is taken")                                  \
        X(CERTIFICATE, 403, "no certificate by ca.pem")                       \
        X(TOKEN, 401, "no token, or another one")                             \
        X(LARGE, 413, "the body is larger than is taken")                     \
        X(BUSY, 503, "there is no room for this one now; send it again")      \
        X(UNFINISHED, 408, "the request was not finished")                    \
        X(SLOW, 408, "its headers took too long, or others needed the place") \
        X(STARVED, 503, "there is no descriptor for a client: whoever comes waits until there is")

enum escalate_http_reject {
#define X(name, ...) ESCALATE_HTTP_##name,
        ESCALATE_HTTP_REJECT_TABLE(X)
#undef X
                _ESCALATE_HTTP_REJECT_MAX,
};

/* listen: PORT, ADDRESS:PORT or [ADDRESS]:PORT, and 127.0.0.1 when there is no address; token_file and tls (a directory
 * with cert.pem, key.pem and, when clients are to have a certificate, ca.pem) may be NULL, but somebody has to be known
 * by something, and what is not loopback is encrypted. Returns 0 or an exit code. */
int escalate_http_start(const char *listen, const char *token_file, const char *tls, struct escalate_http **ret,
                        struct why *w) _warn_unused_;
uint16_t escalate_http_port(const struct escalate_http *h);
/* Readable when there is something to take or to count; reading it is the caller's (eventfd). */
int escalate_http_fd(const struct escalate_http *h);
/* Sends away who is too slow; how many ms until there may be somebody, or -1. */
int escalate_http_sweep(struct escalate_http *h);
/* The next request, borrowed until it is answered; NULL: none. */
struct escalate_request *escalate_http_take(struct escalate_http *h);
/* text is copied. */
void escalate_http_answer(struct escalate_http *h, struct escalate_request *q, unsigned status, const char *text);
/* How many of these since it was last asked. */
uint64_t escalate_http_rejected(struct escalate_http *h, enum escalate_http_reject why);
unsigned escalate_http_reject_status(enum escalate_http_reject why);
const char *escalate_http_reject_text(enum escalate_http_reject why);
/* Answers what is still there with 503 and ends the thread. */
void escalate_http_stopp(struct escalate_http **h);
