/* SPDX-License-Identifier: Apache-2.0 */

#include <dlfcn.h>
#include <string.h>

#include <curl/curl.h>

#include "ctl/post.h"
#include "ctl/text.h"

/* More than is wanted is not taken: the transfer fails. */
static size_t take(char *bytes, size_t size, size_t n, void *userdata) {
        struct post_answer *a = userdata;

        if (n * size > a->max - a->n)
                return 0;
        memcpy(a->body + a->n, bytes, n * size);
        a->n += n * size;
        return n * size;
}

#define LIBRARY "libcurl.so.4"
#define CALLS(X)         \
        X(easy_init)     \
        X(easy_setopt)   \
        X(easy_perform)  \
        X(easy_getinfo)  \
        X(easy_strerror) \
        X(easy_cleanup)  \
        X(slist_append)  \
        X(slist_free_all)

/* the header wraps the variadic ones in macros that only direct calls can use */
#undef curl_easy_setopt
#undef curl_easy_getinfo

struct curl {
        void *library;
#define X(name) __typeof__(&curl_##name) name;
        CALLS(X)
#undef X
        CURL *handle;
        struct curl_slist *headers;
};

static void curl_done(struct curl *c) {
        if (c->handle)
                c->easy_cleanup(c->handle);
        if (c->headers)
                c->slist_free_all(c->headers);
        if (c->library)
                (void) dlclose(c->library);
}

static int curl_load(struct curl *c, const char *type, struct why *w) {
        char header[128];

        c->library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!c->library)
                return why_set(w, CTL_MACHINE, LIBRARY " is needed for this: %s", dlerror());
#define X(name)                                                                \
        c->name = (__typeof__(&curl_##name)) dlsym(c->library, "curl_" #name); \
        if (!c->name)                                                          \
                return why_set(w, CTL_MACHINE, LIBRARY ": %s", dlerror());
        CALLS(X)
#undef X
        (void) snprintf(header, sizeof(header), "Content-Type: %s", type);
        c->handle = c->easy_init();
        c->headers = c->slist_append(NULL, header);
        return c->handle && c->headers ? 0 : why_errno(w, -ENOMEM, "curl");
}

/* Who answers and cannot show that it is who was asked is not asked; nothing was sent to it. The rest is silence. */
static const struct {
        CURLcode code;
        enum ctl_exit exit;
        const char *text;
} failures[] = {
        { CURLE_PEER_FAILED_VERIFICATION, CTL_REFUSED, "its certificate is not accepted, so nothing was asked: " },
        /* also a certificate by a namesake of an authority: its signature is what is wrong then */
        { CURLE_SSL_CONNECT_ERROR, CTL_REFUSED, "TLS with it fails, so nothing was asked: " },
        { CURLE_SSL_CACERT_BADFILE, CTL_MACHINE, "this host has no certificates of authorities to check it by: " },
};

static int failed(const char *url, CURLcode r, const char *text, struct why *w) {
        for (size_t i = 0; i < ELEMENTSOF(failures); i++)
                if (failures[i].code == r)
                        return why_set(w, failures[i].exit, "%s: %s%s", CLEAN(url), failures[i].text, CLEAN(text));
        return why_set(w, CTL_SILENT, "%s: %s", CLEAN(url), CLEAN(text));
}

int post_send(const char *url, const char *type, const char *body, size_t n, int64_t timeout_ms,
              struct post_answer *ret, struct why *w) {
        _cleanup_(curl_done) struct curl c = { .library = NULL };
        char text[CURL_ERROR_SIZE] = ""; /* more than the code says: what is wrong with a certificate */
        CURLcode r;
        int x = curl_load(&c, type, w);

        if (x != 0)
                return x;
        ret->n = 0;
        (void) c.easy_setopt(c.handle, CURLOPT_URL, url);
        (void) c.easy_setopt(c.handle, CURLOPT_PROTOCOLS_STR, "http,https");
        (void) c.easy_setopt(c.handle, CURLOPT_HTTPHEADER, c.headers);
        (void) c.easy_setopt(c.handle, CURLOPT_POSTFIELDS, body);
        (void) c.easy_setopt(c.handle, CURLOPT_POSTFIELDSIZE, (long) n);
        (void) c.easy_setopt(c.handle, CURLOPT_TIMEOUT_MS, timeout_ms > 0 ? (long) timeout_ms : POST_TIMEOUT_MS);
        (void) c.easy_setopt(c.handle, CURLOPT_NOSIGNAL, 1L);
        (void) c.easy_setopt(c.handle, CURLOPT_ERRORBUFFER, text);
        (void) c.easy_setopt(c.handle, CURLOPT_WRITEFUNCTION, take);
        (void) c.easy_setopt(c.handle, CURLOPT_WRITEDATA, ret);
        r = c.easy_perform(c.handle);
        if (r != CURLE_OK)
                return failed(url, r, *text ? text : c.easy_strerror(r), w);
        (void) c.easy_getinfo(c.handle, CURLINFO_RESPONSE_CODE, &ret->status);
        ret->body[ret->n] = '\0';
        return 0;
}
