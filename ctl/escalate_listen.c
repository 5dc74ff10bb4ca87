/* SPDX-License-Identifier: Apache-2.0 */

#include <arpa/inet.h>
#include <dlfcn.h>
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>

#include <sodium.h>

#include "ctl/escalate_http.h"
#include "ctl/escalate_listen.h"
#include "ctl/file.h"
#include "ctl/text.h"

#define LIBRARY  "libmicrohttpd.so.12"
#define LOOPBACK "127.0.0.1"
#define PEM_MAX  (256U * 1024)
/* of one connection: its headers */
#define HEADERS_SIZE 32768U

int escalate_listen_load(struct escalate_listen *l, struct why *w) {
        l->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!l->library)
                return why_set(w, CTL_MACHINE, LIBRARY " is needed to listen: %s", dlerror());
#define X(name)                                                              \
        l->name = (__typeof__(&MHD_##name)) dlsym(l->library, "MHD_" #name); \
        if (!l->name)                                                        \
                return why_set(w, CTL_MACHINE, LIBRARY ": %s", dlerror());
        ESCALATE_LISTEN_CALLS(X)
#undef X
        /* looked for in the library and in what it is linked with; absent when it was built without TLS */
        l->verify_peers = (int (*)(void *, unsigned *)) dlsym(l->library, "gnutls_certificate_verify_peers2");
        l->get_peers = (const void *(*) (void *, unsigned *) ) dlsym(l->library, "gnutls_certificate_get_peers");
        return 0;
}

void escalate_listen_done(struct escalate_listen *l) {
        if (l->key)
                sodium_memzero(l->key, strlen(l->key));
        free(l->cert);
        free(l->key);
        free(l->ca);
        /* gnutls does not like to be unloaded: what it registered at the end of the process would be gone */
        l->cert = l->key = l->ca = NULL;
}

static int read_pem(const char *dir, const char *name, char **ret, mode_t *ret_mode, struct why *w) {
        char path[PATH_MAX];
        int r = -ENAMETOOLONG;

        if ((size_t) snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path))
                r = file_read(path, PEM_MAX, ret, NULL, ret_mode);
        if (r == -ENOENT && !ret_mode)
                return 0;
        return r < 0 ? why_errno(w, r, "%s/%s", CLEAN(dir), name) : 0;
}

int escalate_listen_read_tls(struct escalate_listen *l, const char *dir, bool *ret_wants_certificate, struct why *w) {
        mode_t mode = 0, unused;
        int x = read_pem(dir, "cert.pem", &l->cert, &unused, w);

        if (x == 0)
                x = read_pem(dir, "key.pem", &l->key, &mode, w);
        if (x == 0 && mode & 07)
                x = why_set(w, CTL_MACHINE, "%s/key.pem: others may read this key (mode %04o)", CLEAN(dir),
                            (unsigned) mode & 07777);
        if (x == 0)
                x = read_pem(dir, "ca.pem", &l->ca, NULL, w);
        if (x == 0 && l->ca && (!l->verify_peers || !l->get_peers))
                x = why_set(w, CTL_MACHINE, LIBRARY " cannot check certificates of clients here");
        *ret_wants_certificate = l->ca != NULL;
        return x;
}

/* PORT, ADDRESS:PORT or [ADDRESS]:PORT. */
static bool parse_where(const char *s, struct sockaddr_storage *ret, bool *ret_loopback) {
        struct sockaddr_in *v4 = (struct sockaddr_in *) ret;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) ret;
        const char *colon = strrchr(s, ':'), *port = colon ? colon + 1 : s;
        char address[INET6_ADDRSTRLEN + 2] = LOOPBACK;
        const size_t n = strspn(port, "0123456789");

        if (n == 0 || n > 5 || port[n] || strtoul(port, NULL, 10) > UINT16_MAX)
                return false;
        if (colon && (size_t) (colon - s) >= sizeof(address))
                return false;
        if (colon)
                (void) snprintf(address, sizeof(address), "%.*s", (int) (colon - s), s);
        const in_port_t p = htons((uint16_t) strtoul(port, NULL, 10));
        *ret = (struct sockaddr_storage) { 0 };
        if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
                v4->sin_family = AF_INET;
                v4->sin_port = p;
                *ret_loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
                return true;
        }
        const size_t k = strlen(address);
        if (k < 2 || address[0] != '[' || address[k - 1] != ']')
                return false;
        address[k - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = p;
        *ret_loopback = inet_pton(AF_INET6, address + 1, &v6->sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
        return inet_pton(AF_INET6, address + 1, &v6->sin6_addr) == 1;
}

int escalate_listen_start(struct escalate_listen *l, const char *where, MHD_AccessHandlerCallback handler,
                          MHD_RequestCompletedCallback completed, MHD_NotifyConnectionCallback guest,
                          MHD_LogCallback log, void *arg, struct MHD_Daemon **ret, struct why *w) {
        struct sockaddr_storage sa;
        struct MHD_OptionItem more[4];
        size_t n = 0;
        bool loopback;
        unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                         MHD_USE_ERROR_LOG;

        if (!parse_where(where, &sa, &loopback))
                return why_set(w, CTL_USAGE, "--listen wants PORT, ADDRESS:PORT or [ADDRESS]:PORT, not \"%s\"",
                               CLEAN(where));
        /* FAIL-CLOSED: a token that is sent over a network in the clear is everybody's */
        if (!loopback && !l->cert)
                return why_set(w, CTL_USAGE, "%s is no loopback address: that takes --tls DIR", CLEAN(where));
        if (sa.ss_family == AF_INET6)
                flags |= MHD_USE_IPv6;
        if (l->cert) {
                flags |= MHD_USE_TLS;
                more[n++] = (struct MHD_OptionItem) { MHD_OPTION_HTTPS_MEM_CERT, 0, l->cert };
                more[n++] = (struct MHD_OptionItem) { MHD_OPTION_HTTPS_MEM_KEY, 0, l->key };
        }
        if (l->ca)
                more[n++] = (struct MHD_OptionItem) { MHD_OPTION_HTTPS_MEM_TRUST, 0, l->ca };
        more[n] = (struct MHD_OptionItem) { MHD_OPTION_END, 0, NULL };
        *ret = l->start_daemon(flags, 0, NULL, NULL, handler, arg, MHD_OPTION_EXTERNAL_LOGGER, log, arg,
                               MHD_OPTION_SOCK_ADDR, (struct sockaddr *) &sa, MHD_OPTION_NOTIFY_COMPLETED, completed,
                               arg, MHD_OPTION_NOTIFY_CONNECTION, guest, arg, MHD_OPTION_CONNECTION_LIMIT,
                               ESCALATE_HTTP_CLIENTS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, ESCALATE_HTTP_IDLE_S,
                               MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) HEADERS_SIZE, MHD_OPTION_ARRAY, more,
                               MHD_OPTION_END);
        return *ret ? 0
                    : why_set(w, CTL_MACHINE, "%s: cannot listen there (in use, or a certificate that is none)",
                              CLEAN(where));
}

/* gnutls has asked for one and took whatever came: to look is ours. */
bool escalate_listen_has_certificate(const struct escalate_listen *l, struct MHD_Connection *c) {
        const union MHD_ConnectionInfo *i = l->get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
        unsigned status = ~0U, n = 0;

        return i && i->tls_session && l->get_peers(i->tls_session, &n) && n > 0 &&
               l->verify_peers(i->tls_session, &status) == 0 && status == 0;
}
