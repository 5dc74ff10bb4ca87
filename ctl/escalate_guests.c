/* SPDX-License-Identifier: Apache-2.0 */

#include <netinet/in.h>
#include <string.h>

#include "ctl/escalate_guests.h"
#include "policy/cleanup.h"

void escalate_guests_init(struct escalate_guests *g) {
        *g = (struct escalate_guests) { .n = 0 };
        (void) pthread_mutex_init(&g->lock, NULL);
}

void escalate_guests_done(struct escalate_guests *g) {
        (void) pthread_mutex_destroy(&g->lock);
}

static struct escalate_guest *find(struct escalate_guests *g, const void *who) {
        for (size_t i = 0; i < g->n; i++)
                if (g->v[i].who == who)
                        return &g->v[i];
        return NULL;
}

/* Only its reading ends: a request that is whole in the kernel's buffer is not lost with the connection. */
static void send_away(struct escalate_guests *g, struct escalate_guest *x) {
        (void) shutdown(x->fd, SHUT_RD);
        x->leaving = true;
        g->sent_away++;
}

static bool is_stranger(const struct escalate_guest *x) {
        return !x->known && !x->leaving;
}

static size_t n_strangers(const struct escalate_guests *g, const uint8_t address[static 16]) {
        size_t n = 0;

        for (size_t i = 0; i < g->n; i++)
                n += is_stranger(&g->v[i]) && memcmp(g->v[i].address, address, sizeof(g->v[i].address)) == 0;
        return n;
}

/* Of the client with the most of them the one that came first; NULL: there is none. */
static struct escalate_guest *slowest(struct escalate_guests *g, size_t *ret_n) {
        struct escalate_guest *found = NULL;
        size_t most = 0;

        for (size_t i = 0; i < g->n; i++) {
                const size_t n = is_stranger(&g->v[i]) ? n_strangers(g, g->v[i].address) : 0;

                if (n > most || (n > 0 && n == most && g->v[i].since_ms < found->since_ms)) {
                        most = n;
                        found = &g->v[i];
                }
        }
        *ret_n = most;
        return found;
}

/* All of a v6 client's are one network's; a v4 address is itself. */
static void read_address(const struct sockaddr *a, uint8_t ret[static 16]) {
        memset(ret, 0, 16);
        if (a && a->sa_family == AF_INET)
                memcpy(ret, &((const struct sockaddr_in *) a)->sin_addr, 4);
        else if (a && a->sa_family == AF_INET6)
                memcpy(ret, &((const struct sockaddr_in6 *) a)->sin6_addr, 8);
}

void escalate_guests_come(struct escalate_guests *g, const void *who, int fd, const struct sockaddr *address,
                          int64_t now_ms) {
        struct escalate_guest new = { .who = who, .fd = fd, .since_ms = now_ms };
        size_t n;

        read_address(address, new.address);
        (void) pthread_mutex_lock(&g->lock);
        struct escalate_guest *first = slowest(g, &n);
        if (first && (n >= ESCALATE_GUESTS_STRANGERS_MAX || g->n >= ESCALATE_GUESTS_CROWD))
                send_away(g, first);
        if (g->n < ESCALATE_GUESTS_MAX)
                g->v[g->n++] = new;
        (void) pthread_mutex_unlock(&g->lock);
}

void escalate_guests_know(struct escalate_guests *g, const void *who) {
        (void) pthread_mutex_lock(&g->lock);
        struct escalate_guest *x = find(g, who);
        if (x)
                x->known = true;
        (void) pthread_mutex_unlock(&g->lock);
}

void escalate_guests_rest(struct escalate_guests *g, const void *who, int64_t now_ms) {
        (void) pthread_mutex_lock(&g->lock);
        struct escalate_guest *x = find(g, who);
        if (x) {
                x->known = false;
                x->since_ms = now_ms;
        }
        (void) pthread_mutex_unlock(&g->lock);
}

void escalate_guests_leave(struct escalate_guests *g, const void *who) {
        (void) pthread_mutex_lock(&g->lock);
        struct escalate_guest *x = find(g, who);
        if (x)
                *x = g->v[--g->n];
        (void) pthread_mutex_unlock(&g->lock);
}

int escalate_guests_sweep(struct escalate_guests *g, int64_t now_ms) {
        int64_t next = INT64_MAX;

        (void) pthread_mutex_lock(&g->lock);
        for (size_t i = 0; i < g->n; i++) {
                struct escalate_guest *x = &g->v[i];
                const int64_t left = x->since_ms + ESCALATE_GUESTS_STRANGER_MS - now_ms;

                if (!is_stranger(x))
                        continue;
                if (left <= 0)
                        send_away(g, x);
                else
                        next = MIN(next, left);
        }
        (void) pthread_mutex_unlock(&g->lock);
        return next == INT64_MAX ? -1 : (int) next;
}

bool escalate_guests_is_empty(struct escalate_guests *g) {
        (void) pthread_mutex_lock(&g->lock);
        const bool is_empty = g->n == 0;
        (void) pthread_mutex_unlock(&g->lock);
        return is_empty;
}

uint64_t escalate_guests_sent_away(struct escalate_guests *g) {
        (void) pthread_mutex_lock(&g->lock);
        const uint64_t n = g->sent_away;
        g->sent_away = 0;
        (void) pthread_mutex_unlock(&g->lock);
        return n;
}
