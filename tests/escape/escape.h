/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What every route has: a number, a mark that carries it, the addresses of the witness, and a place to say that work
 * was done.
 *
 * A route is started as the main process of a service and tries, again and again, to get its mark to the witness:
 * before the hold, which proves that it is a way out at all, and after it. Nothing in it knows whether it is held. What
 * it finds impossible on this kernel before that it says with impossible(), and the row says so too. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ESCAPE_DIR    "/run/escape"
#define ESCAPE_ROUTES 256
/* the witness counts what it saw of route N in entry N, a service its work in entry ESCAPE_ROUTES + N */
#define ESCAPE_TALLY ESCAPE_DIR "/tally"
/* UDP and TCP of route N go to 20000 + N; at 21000 + N the witness reads slowly, so that a queue stays full */
#define ESCAPE_PORT      20000
#define ESCAPE_SLOW_PORT 21000
#define ESCAPE_OUTSIDE4  "10.77.0.1"
#define ESCAPE_OUTSIDE6  "fd77::1"

struct tally {
        uint64_t n, last_us;
        char how[16];
};
_Static_assert(sizeof(struct tally) == 32, "the driver reads it");

static inline int escape_number(void) {
        const char *n = getenv("ESCAPE_N");

        return n ? atoi(n) : 0;
}

static inline uint64_t escape_now_us(void) {
        struct timespec t;

        clock_gettime(CLOCK_BOOTTIME, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

static inline struct tally *escape_tally(void) {
        int fd = open(ESCAPE_TALLY, O_RDWR | O_CLOEXEC);
        void *p = mmap(NULL, 2 * ESCAPE_ROUTES * sizeof(struct tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

        close(fd);
        return p == MAP_FAILED ? NULL : p;
}

static inline void escape_count(struct tally *t, const char *how) {
        strncpy(t->how, how, sizeof(t->how) - 1);
        t->last_us = escape_now_us();
        __atomic_fetch_add(&t->n, 1, __ATOMIC_RELAXED);
}

/* Something was done that a frozen service cannot do. */
static inline void worked(void) {
        static struct tally *tally;

        if (!tally)
                tally = escape_tally();
        if (tally)
                escape_count(&tally[ESCAPE_ROUTES + escape_number()], "work");
}

static inline void nap_ms(int ms) {
        nanosleep(&(struct timespec) { ms / 1000, ms % 1000 * 1000000L }, NULL);
}

/* "escape-017." */
static inline const char *mark(void) {
        static char text[16];

        if (!text[0])
                snprintf(text, sizeof(text), "escape-%03d.", escape_number() % 1000);
        return text;
}

static inline void impossible(const char *what) {
        const int error = errno;
        char path[64];
        FILE *f;

        snprintf(path, sizeof(path), ESCAPE_DIR "/why/%d", escape_number());
        f = fopen(path, "we");
        if (f) {
                fprintf(f, "%s%s%s\n", what, error ? ": " : "", error ? strerror(error) : "");
                fclose(f);
        }
        exit(77);
}

static inline socklen_t outside_port(int af, int port, struct sockaddr_storage *ret) {
        struct sockaddr_in *v4 = (struct sockaddr_in *) ret;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *) ret;

        memset(ret, 0, sizeof(*ret));
        if (af == AF_INET6) {
                v6->sin6_family = AF_INET6;
                v6->sin6_port = htons((uint16_t) port);
                inet_pton(AF_INET6, ESCAPE_OUTSIDE6, &v6->sin6_addr);
                return sizeof(*v6);
        }
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t) port);
        inet_pton(AF_INET, ESCAPE_OUTSIDE4, &v4->sin_addr);
        return sizeof(*v4);
}

static inline socklen_t outside(int af, struct sockaddr_storage *ret) {
        return outside_port(af, ESCAPE_PORT + escape_number(), ret);
}

/* Where a route meets its accomplice: ESCAPE_DIR/N.sock, or an abstract name. */
static inline socklen_t meeting(bool abstract, struct sockaddr_un *ret) {
        int n;

        memset(ret, 0, sizeof(*ret));
        ret->sun_family = AF_UNIX;
        n = snprintf(ret->sun_path + abstract, sizeof(ret->sun_path) - 1, ESCAPE_DIR "/%d.sock", escape_number());
        return (socklen_t) (offsetof(struct sockaddr_un, sun_path) + abstract + n);
}
