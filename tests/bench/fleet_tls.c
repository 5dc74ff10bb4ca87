/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_tls.h"

#include <arpa/inet.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls_trust {
        SSL_CTX *ctx;
};

struct tls {
        SSL *ssl;
        uint64_t in, out; /* of what the socket carried, what was told */
};

int tls_trust_new(const char *ca, struct tls_trust **ret) {
        struct tls_trust *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->ctx = SSL_CTX_new(TLS_client_method());
        if (!t->ctx || SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) != 1 ||
            SSL_CTX_load_verify_locations(t->ctx, ca, NULL) != 1) {
                SSL_CTX_free(t->ctx);
                free(t);
                return -EINVAL;
        }
        SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
        /* what waits to be sent grows and moves meanwhile; buffers of connections that are quiet are not kept */
        (void) SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                                SSL_MODE_RELEASE_BUFFERS);
        *ret = t;
        return 0;
}

int tls_new(struct tls_trust *trust, int fd, struct in_addr address, struct tls **ret) {
        char ip[INET_ADDRSTRLEN];
        struct tls *t = calloc(1, sizeof(*t));

        if (t)
                t->ssl = SSL_new(trust->ctx);
        if (!t || !t->ssl || !inet_ntop(AF_INET, &address, ip, sizeof(ip)) || SSL_set_fd(t->ssl, fd) != 1 ||
            X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), ip) != 1) {
                tls_free(t);
                return -ENOMEM;
        }
        SSL_set_connect_state(t->ssl);
        *ret = t;
        return 0;
}

void tls_free(struct tls *t) {
        if (!t)
                return;
        SSL_free(t->ssl);
        free(t);
}

static ssize_t result(struct tls *t, int r, size_t n) {
        const int e = r > 0 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);

        ERR_clear_error();
        if (e == SSL_ERROR_NONE)
                return (ssize_t) n;
        if (e == SSL_ERROR_ZERO_RETURN)
                return 0;
        return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? -EAGAIN : -EPROTO;
}

ssize_t tls_send(struct tls *t, const void *bytes, size_t n) {
        size_t sent = 0;
        int r = SSL_write_ex(t->ssl, bytes, n, &sent);

        return result(t, r, sent);
}

ssize_t tls_recv(struct tls *t, void *bytes, size_t n) {
        size_t got = 0;
        int r = SSL_read_ex(t->ssl, bytes, n, &got);

        return result(t, r, got);
}

bool tls_waits(const struct tls *t) {
        return SSL_want_read(t->ssl);
}

void tls_carried(struct tls *t, uint64_t *ret_in, uint64_t *ret_out) {
        const uint64_t in = BIO_number_read(SSL_get_rbio(t->ssl)), out = BIO_number_written(SSL_get_wbio(t->ssl));

        *ret_in = in - t->in;
        *ret_out = out - t->out;
        t->in = in;
        t->out = out;
}
