/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/gate/client.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "agent/gate/limit.h"
#include "agent/gate/linger.h"
#include "agent/gate/request.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"

/* Accepted in a turn: closing what is too much has to be faster than connecting. Two turns fill less than the house, so
 * that who came in one is read before he is the one who has been there longest. */
#define ACCEPT_MAX 16
/* After accept4() ran out of descriptors or memory; the connections stay in the backlog. */
#define ACCEPT_RETRY_US (100 * 1000)
/* What the kernel gives without privilege by default, doubled for its own bookkeeping: two answers of the largest size
 * and a half. */
#define SEND_BUFFER (208 * 1024)
/* as long for its uid as it was for everybody, by the share of the gate's time that a uid's failures may take */
#define LINGER_COST_US (20 * LINGER_US)

enum {
        PRIORITY_CLEAN = SD_EVENT_PRIORITY_NORMAL,
        PRIORITY_FAILING = SD_EVENT_PRIORITY_IDLE,
};

struct client {
        struct clients *owner;
        sd_event_source *source; /* of the socket that drop() closes; NULL: the slot is free */
        struct limit_account *account;
        uint32_t number;  /* of its message that is with the core; 0: none is */
        bool waiting;     /* its uid has spent its budget */
        bool gone;        /* it closed its end; unless its uid keeps failing, what it sent before still counts */
        int64_t since_us; /* when it came, was last read, or last answered */
        size_t n_later;   /* 0: nothing was put off */
        char later[CLIENT_LATER_MAX];
};

struct clients {
        sd_event *event; /* outlives the clients */
        sd_event_source *listener;
        sd_event_source *timer; /* when somebody may be read again */
        client_judge judge;
        void *userdata;
        bool open;
        bool rests; /* nobody can be accepted, and that is said */
        uint32_t last_number;
        size_t last_resumed; /* slot */
        struct limit limit;
        struct client slots[LIMIT_CONNECTIONS_MAX];
        char text[REQUEST_MAX];
};

static struct client *find(struct clients *cs, uint32_t number) {
        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++)
                if (cs->slots[i].source && cs->slots[i].number == number)
                        return &cs->slots[i];
        return NULL;
}

static uint32_t next_number(struct clients *cs) {
        do
                cs->last_number++;
        while (cs->last_number == 0 || find(cs, cs->last_number));
        return cs->last_number;
}

static void fail(struct limit_account *a, int64_t cost_us, enum reason reason) {
        static struct log_limit limit = LOG_LIMIT(10);
        int64_t now = clock_mono_us();
        uint64_t n;

        limit_fail(a, cost_us, now);
        if (limit_say(a, now, &n))
                log_lossy(&limit, LOG_WARNING, NULL, LOG_FIELDS(.stage = "arrive", .reason = reason_id(reason)),
                          "Dropped %" PRIu64 " messages of uid %" PRIu32 " since the last such line, now: %s", n,
                          (uint32_t) a->uid, reason_text(reason));
}

/* What was waited for is paid for like work. An honest client pays it when the machine is as slow as that, and is heard
 * all the same. */
static void end_linger(struct limit_account *a) {
        if (linger_end())
                fail(a, LINGER_COST_US, REASON_BUSY);
}

static void drop(struct client *c) {
        int fd = sd_event_source_get_io_fd(c->source);

        /* Disabled, it is no longer in epoll. The loop may free it only after this turn: the closing is here. */
        (void) sd_event_source_disable_unref(c->source);
        linger_begin();
        (void) close(fd);
        end_linger(c->account);
        limit_disconnect(&c->owner->limit, c->account);
        *c = (struct client) { .owner = c->owner };
}

static bool may_be_read(const struct client *c) {
        return c->owner->open && c->number == 0 && c->n_later == 0 && !c->waiting;
}

/* Makes the event source follow the state; sd-event leaves the kernel alone where nothing changes. */
static void update(struct client *c) {
        bool read = may_be_read(c);
        bool clean = limit_is_clean(c->account, clock_mono_us());

        (void) sd_event_source_set_priority(c->source, clean ? PRIORITY_CLEAN : PRIORITY_FAILING);
        /* With no events asked for, epoll still tells of a hang-up: once it is known it would do so for ever. */
        (void) sd_event_source_set_io_events(c->source, read ? EPOLLIN : 0);
        (void) sd_event_source_set_enabled(c->source, read || !c->gone ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* The timer only ever moves to an earlier time; too early is harmless. */
static void wake_in(struct clients *cs, int64_t us) {
        uint64_t at = (uint64_t) (clock_mono_us() + us), set = UINT64_MAX;
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(cs->timer, &enabled);
        if (enabled != SD_EVENT_OFF)
                (void) sd_event_source_get_time(cs->timer, &set);
        if (at < set)
                (void) sd_event_source_set_time(cs->timer, at);
        (void) sd_event_source_set_enabled(cs->timer, SD_EVENT_ONESHOT);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct clients *cs = userdata;

        (void) source;
        (void) usec;
        (void) sd_event_source_set_enabled(cs->listener, cs->open ? SD_EVENT_ON : SD_EVENT_OFF);
        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++) {
                struct client *c = &cs->slots[i];
                int64_t wait;

                if (!c->source || !c->waiting)
                        continue;
                wait = limit_wait_us(c->account, clock_mono_us());
                if (wait > 0)
                        wake_in(cs, wait);
                c->waiting = wait > 0;
                update(c);
        }
        return 0;
}

/* False when the client had to be dropped. */
static bool say(struct client *c, const void *text, size_t n) {
        int fd = sd_event_source_get_io_fd(c->source);

        if (c->gone || send(fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
                return true;
        if (errno == EPIPE || errno == ECONNRESET) {
                c->gone = true;
                return true;
        }
        /* FAIL-CLOSED for one client: it does not read, or the kernel has no memory for it. Its command is carried out
         * all the same, and sending it again fetches the same receipt. */
        fail(c->account, LIMIT_UNIT_US, REASON_BUSY);
        drop(c);
        return false;
}

static bool say_refusal(struct client *c, enum reason reason) {
        char text[REQUEST_REFUSAL_SIZE];

        return say(c, text, request_refusal(reason, text));
}

/* Hands a message on. False when the client had to be dropped. */
static bool hand_on(struct client *c, const char *text, size_t n, bool is_whole) {
        struct clients *cs = c->owner;
        uint32_t number = next_number(cs);
        struct verdict v;

        v = cs->judge(cs->userdata, text, n, is_whole, number);
        if (v.reason != REASON_NONE) {
                fail(c->account, limit_cost_us(n, v.n_verified), v.reason);
                c->n_later = 0;
                return say_refusal(c, v.reason);
        }
        if (v.later && n <= sizeof(c->later)) {
                memmove(c->later, text, n);
                c->n_later = n;
                return true;
        }
        c->n_later = 0;
        c->number = c->gone ? 0 : number;
        return true;
}

/* Reads one message. False when the client had to be dropped. */
static bool read_one(struct client *c) {
        struct clients *cs = c->owner;
        ssize_t n;
        int error;

        linger_begin();
        n = recv(sd_event_source_get_io_fd(c->source), cs->text, sizeof(cs->text), MSG_DONTWAIT | MSG_TRUNC);
        error = errno;
        end_linger(c->account);
        /* An error of the connection is told once, and what came before it can be read after. */
        if (n < 0 && (error == EAGAIN || error == EINTR || error == ECONNRESET))
                return true;
        if (n <= 0) {
                drop(c);
                return false;
        }
        c->since_us = clock_mono_us();
        return hand_on(c, cs->text, MIN((size_t) n, sizeof(cs->text)), (size_t) n <= sizeof(cs->text));
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct client *c = userdata;
        int64_t wait;

        (void) source;
        (void) fd;
        if (revents & (EPOLLHUP | EPOLLERR)) {
                c->gone = true;
                c->number = 0;
                c->n_later = 0;
        }
        /* Else the dead connections of a flood would keep their places until all it sent is worked off. */
        if (c->gone && !limit_is_clean(c->account, clock_mono_us())) {
                drop(c);
                return 0;
        }
        wait = limit_wait_us(c->account, clock_mono_us());
        if (wait > 0) {
                c->waiting = true;
                wake_in(c->owner, wait);
        }
        if (may_be_read(c) && !read_one(c))
                return 0;
        update(c);
        return 0;
}

/* True when a makes room rather than b: it failed, its uid has more connections, nothing of it was put off, it has been
 * silent for longer. */
static bool goes_before(const struct client *a, const struct client *b, int64_t now) {
        bool a_clean = limit_is_clean(a->account, now), b_clean = limit_is_clean(b->account, now);

        if (a_clean != b_clean)
                return !a_clean;
        if (a->account->n_connections != b->account->n_connections)
                return a->account->n_connections > b->account->n_connections;
        if ((a->n_later == 0) != (b->n_later == 0))
                return a->n_later == 0;
        return a->since_us < b->since_us;
}

/* Of those who do not come first, whoever failed has to go; else one that waits for no answer of the core, of a uid
 * that has more than the newcomer's. */
static bool may_be_displaced(const struct client *c, const struct limit_account *by, int64_t now) {
        if (limit_rank(c->account->uid) < limit_rank(by->uid))
                return false;
        return !limit_is_clean(c->account, now) || (c->number == 0 && c->account->n_connections > by->n_connections);
}

/* A full house must not keep out who did nothing wrong. */
static void displace(struct clients *cs, const struct limit_account *by) {
        int64_t now = clock_mono_us();
        struct client *victim = NULL;

        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++) {
                struct client *c = &cs->slots[i];

                if (c->source && may_be_displaced(c, by, now) && (!victim || goes_before(c, victim, now)))
                        victim = c;
        }
        if (victim && say_refusal(victim, REASON_BUSY))
                drop(victim);
}

static int admit(struct clients *cs, int fd, struct limit_account *a) {
        struct client *c = cs->slots;
        int size = SEND_BUFFER, r;

        while (c->source)
                c++;
        r = sd_event_add_io(cs->event, &c->source, fd, 0, on_client, c);
        if (r < 0)
                return r;
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        c->account = a;
        c->since_us = clock_mono_us();
        update(c);
        return 0;
}

/* False when there is no place for it, and fd is still the caller's. */
static bool welcome(struct clients *cs, int fd) {
        char text[REQUEST_REFUSAL_SIZE];
        struct limit_account *a;
        struct ucred peer = {};
        socklen_t n = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
                return false;
        a = limit_account(&cs->limit, peer.uid, clock_mono_us());
        if (limit_is_full(&cs->limit, a->uid) && a->n_connections < LIMIT_CONNECTIONS_PER_UID &&
            limit_is_clean(a, clock_mono_us()))
                displace(cs, a);
        if (!limit_connect(&cs->limit, a)) {
                if (a->n_connections == LIMIT_CONNECTIONS_PER_UID)
                        fail(a, LIMIT_UNIT_US, REASON_BUSY);
                (void) send(fd, text, request_refusal(REASON_BUSY, text), MSG_DONTWAIT | MSG_NOSIGNAL);
                return false;
        }
        if (admit(cs, fd, a) < 0) {
                limit_disconnect(&cs->limit, a);
                return false;
        }
        return true;
}

static void turn_away(int fd) {
        linger_begin();
        (void) close(fd);
        (void) linger_end();
}

/* Accepts as many as a turn allows; 0, or -errno of accept4(). */
static int welcome_some(struct clients *cs, int fd, bool *ret_any) {
        *ret_any = false;
        for (int i = 0; i < ACCEPT_MAX; i++) {
                int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (client < 0)
                        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ? 0 : -errno;
                if (welcome(cs, client))
                        *ret_any = true;
                else
                        turn_away(client);
        }
        return 0;
}

static int on_listener(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct clients *cs = userdata;
        bool any;
        int r = welcome_some(cs, fd, &any);

        (void) revents;
        if (r < 0) {
                if (!cs->rests)
                        log_event(LOG_ERR, NULL, LOG_FIELDS(.stage = "arrive"),
                                  "Nobody more can be let in yet: %s; who is in is served", strerror(-r));
                (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
                wake_in(cs, ACCEPT_RETRY_US);
        }
        cs->rests = r < 0;
        /* A storm of connections that are all too many does not come before anybody who has one. */
        (void) sd_event_source_set_priority(source, any ? PRIORITY_CLEAN : PRIORITY_FAILING);
        return 0;
}

static int add_sources(struct clients *cs, int listen_fd) {
        _cleanup_close_ int owned = listen_fd;
        int r;

        r = sd_event_add_io(cs->event, &cs->listener, listen_fd, EPOLLIN, on_listener, cs);
        if (r < 0)
                return r;
        r = sd_event_source_set_io_fd_own(cs->listener, true);
        if (r < 0)
                return r;
        (void) TAKE_FD(owned);
        r = sd_event_source_set_enabled(cs->listener, SD_EVENT_OFF);
        if (r < 0)
                return r;
        /* Made here because it needs a descriptor that the sandbox no longer gives. */
        r = sd_event_add_time(cs->event, &cs->timer, CLOCK_MONOTONIC, 0, 1000, on_timer, cs);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(cs->timer, SD_EVENT_OFF);
}

int clients_new(sd_event *event, int listen_fd, client_judge judge, void *userdata, struct clients **ret) {
        _cleanup_(clients_freep) struct clients *cs = NULL;
        int r;

        cs = calloc(1, sizeof(*cs));
        if (!cs) {
                closep(&listen_fd);
                return -ENOMEM;
        }
        cs->event = event;
        cs->judge = judge;
        cs->userdata = userdata;
        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++)
                cs->slots[i].owner = cs;
        r = linger_prepare(listen_fd);
        if (r < 0) {
                closep(&listen_fd);
                return r;
        }
        r = add_sources(cs, listen_fd);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(cs);
        return 0;
}

void clients_free(struct clients *cs) {
        if (!cs)
                return;
        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++)
                if (cs->slots[i].source)
                        drop(&cs->slots[i]);
        (void) sd_event_source_disable_unref(cs->timer);
        (void) sd_event_source_disable_unref(cs->listener);
        free(cs);
}

void clients_freep(struct clients **cs) {
        clients_free(*cs);
}

void clients_open(struct clients *cs, bool open) {
        if (cs->open == open)
                return;
        cs->open = open;
        (void) sd_event_source_set_enabled(cs->listener, open ? SD_EVENT_ON : SD_EVENT_OFF);
        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++)
                if (cs->slots[i].source)
                        update(&cs->slots[i]);
}

void clients_resume(struct clients *cs) {
        size_t first = cs->last_resumed + 1;

        for (size_t i = 0; i < ELEMENTSOF(cs->slots); i++) {
                size_t slot = (first + i) % ELEMENTSOF(cs->slots);
                struct client *c = &cs->slots[slot];

                if (!c->source || c->n_later == 0)
                        continue;
                if (!hand_on(c, c->later, c->n_later, true))
                        continue;
                if (c->n_later > 0)
                        return;
                cs->last_resumed = slot;
                update(c);
        }
}

void clients_answer(struct clients *cs, uint32_t number, const void *text, size_t n, bool more) {
        struct client *c = number == 0 ? NULL : find(cs, number);

        if (!c || !say(c, text, n))
                return;
        c->since_us = clock_mono_us();
        if (!more || c->gone)
                c->number = 0;
        update(c);
}

void clients_refuse(struct clients *cs, uint32_t number, enum reason reason) {
        char text[REQUEST_REFUSAL_SIZE];

        clients_answer(cs, number, text, request_refusal(reason, text), false);
}
