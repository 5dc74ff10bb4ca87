/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <sodium.h>

#include "ctl/carrier.h"
#include "ctl/carrier_child.h"
#include "ctl/file.h"
#include "ctl/text.h"
#include "ctl/times.h"

/* above what the library gives itself for connecting, with a handshake of TLS, and for asking the broker */
#define DEADLINE_MS 9000
#define ANSWER_MS   5000
/* of what waits to be taken: a broker that talks faster than that while something else is waited for says too much */
#define QUEUE_MAX (64U * 1024 * 1024)
/* What a fleet answers at once waits there while it is verified, some thousands a second. The library's own bound,
 * beyond which it drops, is 64 MiB: what 11,000 hosts say to one contain. */
#define ROOM (1U << 30)
/* nobody else can know it */
#define INBOX_SIZE sizeof("_INBOX.0123456789abcdef0123456789abcdef")

struct carrier {
        int fd;
        pid_t pid;
        bool closed; /* CLOSED was taken */
        struct carrier_event *first, **last;
        size_t queued, queue_max;
        char inbox[INBOX_SIZE]; /* where answers come; "": it was never needed */
        uint64_t asked;
        char buf[CARRIER_FRAME_MAX];
};

static void kill_child(struct carrier *c) {
        if (c->pid <= 0)
                return;
        (void) kill(c->pid, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        c->pid = 0;
}

void carrier_free(struct carrier *c) {
        if (!c)
                return;
        kill_child(c);
        closep(&c->fd);
        for (struct carrier_event *e = c->first, *next; e; e = next) {
                next = e->next;
                free(e);
        }
        free(c);
}

void carrier_freep(struct carrier **c) {
        carrier_free(*c);
}

static int put(struct carrier *c, enum carrier_kind kind, const char *subject, size_t n_subject, const char *text,
               size_t n, struct carrier_event **ret) {
        struct carrier_event *e = calloc(1, sizeof(*e) + n + 1);

        if (!e)
                return -ENOMEM;
        e->kind = kind;
        memcpy(e->subject, subject, n_subject);
        memcpy(e->text, text, n);
        e->n = n;
        *c->last = e;
        c->last = &e->next;
        c->queued += sizeof(*e) + n;
        if (ret)
                *ret = e;
        return 0;
}

/* The child is not one that can be gone on with. */
static int end_with(struct carrier *c, const char *why) {
        kill_child(c);
        closep(&c->fd);
        c->fd = -EBADF;
        return put(c, CARRIER_CLOSED, "", 0, why, strlen(why), NULL);
}

/* FAIL-CLOSED: who breaks the library may say anything here. */
static int take_frame(struct carrier *c, size_t n) {
        struct carrier_event *e;
        struct carrier_parts p;

        if (carrier_frame_read(c->buf, n, &p) < 0 || p.head.kind >= _CARRIER_KIND_MAX || p.head.n_reply != 0)
                return end_with(c, "the process that talks to the broker went wrong");
        if (c->queued > c->queue_max)
                return end_with(c, "the broker says more than can be taken");
        if (p.head.kind == CARRIER_CLOSED) {
                char why[256];
                (void) snprintf(why, sizeof(why), "%.*s", (int) MIN(p.n, sizeof(why) - 1), p.text);
                return end_with(c, why);
        }
        int r = put(c, p.head.kind, p.subject, p.head.n_subject, p.text, p.n, &e);
        if (r == 0) {
                e->status = p.head.status;
                e->sequence = p.head.sequence;
        }
        return r;
}

/* One frame into the queue. 0: none came in time. */
static int fill(struct carrier *c, int timeout_ms) {
        struct pollfd p = { .fd = c->fd, .events = POLLIN };
        int r;

        if (c->fd < 0)
                return -EPIPE;
        r = poll(&p, 1, timeout_ms);
        if (r <= 0)
                return r < 0 && errno != EINTR ? -errno : 0;
        ssize_t n = recv(c->fd, c->buf, sizeof(c->buf), MSG_DONTWAIT);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return 0;
        r = n <= 0 ? end_with(c, "the process that talks to the broker ended") : take_frame(c, (size_t) n);
        return r < 0 ? r : 1;
}

static struct carrier_event *take_at(struct carrier *c, struct carrier_event **at) {
        struct carrier_event *e = *at;

        *at = e->next;
        if (c->last == &e->next)
                c->last = at;
        c->queued -= sizeof(*e) + e->n;
        e->next = NULL;
        return e;
}

/* Takes the first event of that kind out, wherever it is; subject: the message of that subject, NULL: of any. */
static struct carrier_event *take(struct carrier *c, enum carrier_kind kind, const char *subject) {
        for (struct carrier_event **at = &c->first; *at; at = &(*at)->next)
                if ((*at)->kind == kind && (!subject || strcmp((*at)->subject, subject) == 0))
                        return take_at(c, at);
        return NULL;
}

/* What comes beside it stays in the queue. */
static int wait_for(struct carrier *c, enum carrier_kind kind) {
        const int64_t deadline = mono_ms() + DEADLINE_MS;

        for (;;) {
                struct carrier_event *e = take(c, kind, NULL);
                if (e) {
                        free(e);
                        return 0;
                }
                int64_t left = deadline - mono_ms();
                int r = left > 0 ? fill(c, (int) left) : -ETIMEDOUT;
                if (r == -ETIMEDOUT) {
                        int x = end_with(c, "the broker does not answer");
                        return x < 0 ? x : r;
                }
                if (r < 0)
                        return r;
        }
}

static int start(const struct broker *b, const char *server, const struct nkey *key, size_t room,
                 struct carrier **ret) {
        _cleanup_(carrier_freep) struct carrier *c = calloc(1, sizeof(*c));
        int fds[2];

        if (!c)
                return -ENOMEM;
        c->fd = -EBADF;
        c->last = &c->first;
        c->queue_max = MIN(room, QUEUE_MAX);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        c->fd = fds[0];
        c->pid = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : fork();
        if (c->pid == 0) {
                (void) close(fds[0]);
                carrier_child(fds[1], b, server, key, room);
        }
        int r = c->pid < 0 ? -errno : 0;
        (void) close(fds[1]);
        if (r == 0)
                *ret = TAKE_PTR(c);
        return r;
}

static int read_login(const char *path, struct nkey *ret, struct why *w) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int r = file_read(path, NKEY_SEED_LENGTH + 1, &text, &n, NULL);

        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(path));
        r = nkey_from_seed(text, n, ret);
        sodium_memzero(text, n);
        return r < 0 ? why_set(w, CTL_MACHINE, "%s: not the seed of a user's key", CLEAN(path)) : 0;
}

/* why has a line for each server that did not do. */
static int open_one(const struct broker *b, const char *server, const struct nkey *key, size_t room,
                    struct carrier **ret, struct why *w) {
        struct carrier *c = NULL;
        size_t at = strlen(w->text);
        int r = start(b, server, key, room, &c);

        if (r < 0)
                return why_errno(w, r, "%s", CLEAN(server));
        r = wait_for(c, CARRIER_OPEN);
        if (r == 0) {
                *ret = c;
                return 0;
        }
        struct carrier_event *e = take(c, CARRIER_CLOSED, NULL);
        (void) snprintf(w->text + at, sizeof(w->text) - at, "%s%s: %s", at ? "\n" : "", CLEAN(server),
                        e ? CLEAN(e->text) : strerror(-r));
        free(e);
        carrier_free(c);
        return CTL_MACHINE;
}

int carrier_open(const struct broker *b, struct carrier **ret, struct why *w) {
        return carrier_open_small(b, ROOM, ret, w);
}

int carrier_open_small(const struct broker *b, size_t room, struct carrier **ret, struct why *w) {
        const uint32_t first = randombytes_uniform((uint32_t) b->n_servers);
        struct nkey key;
        int x = b->nkey[0] ? read_login(b->nkey, &key, w) : 0;

        if (x != 0)
                return x;
        w->text[0] = '\0';
        x = CTL_MACHINE;
        for (size_t i = 0; x != 0 && i < b->n_servers; i++)
                x = open_one(b, b->servers[(first + i) % b->n_servers], b->nkey[0] ? &key : NULL, room, ret, w);
        if (b->nkey[0])
                nkey_done(&key);
        if (x == 0)
                w->text[0] = '\0';
        return x;
}

static int send_wish(struct carrier *c, enum carrier_wish wish, const char *subject, const char *reply,
                     const char *text, size_t n) {
        const struct carrier_frame f = { .kind = wish };
        const int64_t deadline = mono_ms() + DEADLINE_MS;

        /* The child may wait for room to say something while there is none to tell it something. */
        for (;;) {
                struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLOUT };
                int64_t left = deadline - mono_ms();

                if (c->fd < 0)
                        return -EPIPE;
                if (left <= 0)
                        return end_with(c, "the broker does not take what is said") < 0 ? -ENOMEM : -EPIPE;
                if (poll(&p, 1, (int) left) < 0 && errno != EINTR)
                        return -errno;
                int r = p.revents & POLLOUT ? carrier_frame_send(c->fd, &f, subject, reply, text, n) : fill(c, 0);
                if (r < 0 && r != -EAGAIN)
                        return r;
                if (r == 0 && p.revents & POLLOUT)
                        return 0;
        }
}

int carrier_hear(struct carrier *c, const char *subject) {
        return send_wish(c, CARRIER_HEAR, subject, "", "", 0);
}

int carrier_say(struct carrier *c, const char *subject, const char *reply, const char *text, size_t n) {
        return send_wish(c, CARRIER_SAY, subject, reply ? reply : "", text, n);
}

int carrier_settle(struct carrier *c) {
        int r = send_wish(c, CARRIER_SETTLE, "", "", "", 0);

        return r < 0 ? r : wait_for(c, CARRIER_SETTLED);
}

int carrier_permitted(struct carrier *c, struct why *w) {
        int x = 0, r = carrier_settle(c);

        if (r < 0)
                return carrier_failed(c, r, w);
        /* what comes now is not waited for: a broker may never stop, and its end is for who asks for what is next */
        while (c->first) {
                struct carrier_event *e = take_at(c, &c->first);
                if (e->kind == CARRIER_DENIED)
                        x = why_set(w, CTL_MACHINE, "the broker does not permit it: %s", CLEAN(e->text));
                free(e);
        }
        return x;
}

bool carrier_is_denied(const struct carrier *c) {
        for (const struct carrier_event *e = c->first; e; e = e->next)
                if (e->kind == CARRIER_DENIED)
                        return true;
        return false;
}

int carrier_next(struct carrier *c, int timeout_ms, struct carrier_event **ret) {
        *ret = NULL;
        if (!c->first) {
                int r = c->closed ? -EPIPE : fill(c, timeout_ms);
                if (r < 0)
                        return r;
        }
        *ret = c->first ? take_at(c, &c->first) : NULL;
        c->closed |= *ret && (*ret)->kind == CARRIER_CLOSED;
        return 0;
}

int carrier_fd(const struct carrier *c) {
        return c->fd;
}

int carrier_failed(struct carrier *c, int r, struct why *w) {
        for (const struct carrier_event *e = c->first; e; e = e->next)
                if (e->kind == CARRIER_CLOSED)
                        return why_set(w, CTL_MACHINE, "%s", CLEAN(e->text));
        return why_errno(w, r, "the broker");
}

static int hear_inbox(struct carrier *c) {
        uint8_t random[16];
        char hex[2 * sizeof(random) + 1], pattern[INBOX_SIZE + 2];

        if (c->inbox[0])
                return 0;
        randombytes_buf(random, sizeof(random));
        (void) snprintf(c->inbox, sizeof(c->inbox), "_INBOX.%s",
                        sodium_bin2hex(hex, sizeof(hex), random, sizeof(random)));
        (void) snprintf(pattern, sizeof(pattern), "%s.*", c->inbox);
        return carrier_hear(c, pattern);
}

int carrier_ask(struct carrier *c, const char *subject, const char *text, size_t n, struct carrier_event **ret,
                struct why *w) {
        const int64_t deadline = mono_ms() + ANSWER_MS;
        char reply[CARRIER_SUBJECT_SIZE];
        int r = hear_inbox(c);

        (void) snprintf(reply, sizeof(reply), "%s.%" PRIu64, c->inbox, ++c->asked);
        if (r == 0)
                r = carrier_say(c, subject, reply, text, n);
        while (r >= 0) {
                struct carrier_event *e = take(c, CARRIER_MESSAGE, reply),
                                     *denied = e ? NULL : take(c, CARRIER_DENIED, NULL);
                const int64_t left = deadline - mono_ms();
                if (e)
                        *ret = e;
                else if (denied)
                        (void) why_set(w, CTL_MACHINE, "the broker does not permit it: %s", CLEAN(denied->text));
                else if (left <= 0)
                        (void) why_set(w, CTL_MACHINE, "the broker does not answer what is asked at %s",
                                       CLEAN(subject));
                free(denied);
                if (e || denied || left <= 0)
                        return e ? 0 : CTL_MACHINE;
                r = fill(c, (int) left);
        }
        return carrier_failed(c, r, w);
}
