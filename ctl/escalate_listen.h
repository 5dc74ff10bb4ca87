/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* libmicrohttpd, loaded, and where and how it listens. */

#include <microhttpd.h>

#include "ctl/why.h"

#define ESCALATE_LISTEN_CALLS(X)       \
        X(start_daemon)                \
        X(quiesce_daemon)              \
        X(stop_daemon)                 \
        X(suspend_connection)          \
        X(resume_connection)           \
        X(queue_response)              \
        X(create_response_from_buffer) \
        X(add_response_header)         \
        X(destroy_response)            \
        X(get_connection_values)       \
        X(lookup_connection_value)     \
        X(get_connection_info)         \
        X(get_daemon_info)

struct escalate_listen {
        void *library;
#define X(name) __typeof__(&MHD_##name) name;
        ESCALATE_LISTEN_CALLS(X)
#undef X
        /* of gnutls, which comes with the library */
        int (*verify_peers)(void *session, unsigned *status);
        const void *(*get_peers)(void *session, unsigned *n);
        char *cert, *key, *ca; /* owned; PEM */
};

/* Each returns 0 or an exit code. */
int escalate_listen_load(struct escalate_listen *l, struct why *w) _warn_unused_;
int escalate_listen_read_tls(struct escalate_listen *l, const char *dir, bool *ret_wants_certificate,
                             struct why *w) _warn_unused_;
/* completed is called for each request that handler has set its state for, guest for each connection that comes or
 * goes, and log for what the library has to say. */
int escalate_listen_start(struct escalate_listen *l, const char *where, MHD_AccessHandlerCallback handler,
                          MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback guest,
                          MHD_LogCallback log, void *arg, struct MHD_Daemon **ret, struct why *w) _warn_unused_;
/* True when the client has shown a certificate that ca.pem signed, and that is valid now. */
bool escalate_listen_has_certificate(const struct escalate_listen *l, struct MHD_Connection *c);
void escalate_listen_done(struct escalate_listen *l);
