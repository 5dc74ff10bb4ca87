/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "ctl/carrier.h"
#include "ctl/carrier_frame.h"
#include "ctl/courier.h"

/* between two tries to connect: from one to the other, and at random within it */
#define RETRY_MS     1000U
#define RETRY_MAX_MS 10000U
/* what some thousand hosts answer at once; of more than that the order is given again */
#define ROOM (24U * 1024 * 1024)

struct courier {
        int fd;
        pid_t pid;
        char buf[CARRIER_FRAME_MAX];
};

/* Of the process itself. */
struct office {
        int fd;
        const struct broker *broker;
        const char *fleet;
        struct carrier *carrier;
        struct command_id heard[COURIER_HEARD_MAX];
        size_t n_heard;
        bool said_denied, said_lost;
        char buf[CARRIER_FRAME_MAX];
};

/* Waits while the other end has no time: what comes from the broker meanwhile is bounded by the carrier. */
static void tell(const struct office *o, enum courier_kind kind, const char *subject, const char *text, size_t n) {
        const struct carrier_frame f = { .kind = kind };

        if (carrier_frame_send(o->fd, &f, subject, "", text, n) < 0)
                _exit(0);
}

/* One frame of what it is to do. False: there was none. */
static bool take_wish(struct office *o, int flags, struct carrier_parts *ret) {
        ssize_t n = recv(o->fd, o->buf, sizeof(o->buf), flags);

        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
                _exit(0);
        return n > 0 && carrier_frame_read(o->buf, (size_t) n, ret) == 0;
}

/* Nothing is kept of what cannot be sent: it comes again. */
static void rest(struct office *o, unsigned ms) {
        struct pollfd p = { .fd = o->fd, .events = POLLIN };
        struct carrier_parts unused;

        while (poll(&p, 1, (int) ms) > 0)
                (void) take_wish(o, MSG_DONTWAIT, &unused);
}

static void connect_for_ever(struct office *o) {
        unsigned delay = RETRY_MS;
        struct why w;

        for (;;) {
                w.text[0] = '\0';
                if (carrier_open_small(o->broker, ROOM, &o->carrier, &w) == 0)
                        break;
                tell(o, COURIER_DOWN, "", w.text, strlen(w.text));
                rest(o, delay / 2 + randombytes_uniform(delay / 2));
                delay = MIN(2 * delay, RETRY_MAX_MS);
        }
        o->n_heard = 0;
        tell(o, COURIER_UP, "", "", 0);
}

static void disconnect(struct office *o) {
        carrier_freep(&o->carrier);
        o->carrier = NULL;
}

static bool is_heard(const struct office *o, const struct command_id *id) {
        for (size_t i = 0; i < o->n_heard; i++)
                if (command_id_equal(&o->heard[i], id))
                        return true;
        return false;
}

/* The broker does one after the other, so it listens before it sends, and what it dropped is known when it is settled.
 * What goes wrong is an event of the carrier. */
static void send_order(struct office *o, const struct carrier_parts *p) {
        char subject[SUBJECT_SIZE], answers[SUBJECT_SIZE];
        struct subject s;
        int r = 0;

        if (subject_parse(p->subject, p->head.n_subject, &s) < 0 || subject_answers(o->fleet, &s.id, answers) < 0)
                return;
        (void) snprintf(subject, sizeof(subject), "%.*s", (int) p->head.n_subject, p->subject);
        o->said_denied = o->said_lost = false;
        if (!is_heard(o, &s.id)) {
                r = carrier_hear(o->carrier, answers);
                o->heard[o->n_heard++] = s.id;
        }
        if (r >= 0)
                r = carrier_say(o->carrier, subject, NULL, p->text, p->n);
        if (r >= 0)
                r = carrier_settle(o->carrier);
        if (r >= 0 && !carrier_is_denied(o->carrier))
                tell(o, COURIER_SENT, subject, "", 0);
}

static void forward(struct office *o, const struct carrier_event *e) {
        struct subject s;

        if (e->kind == CARRIER_MESSAGE && subject_parse(e->subject, strlen(e->subject), &s) >= 0 &&
            s.kind == SUBJECT_RSP)
                tell(o, COURIER_ANSWER, e->subject, e->text, e->n);
        else if (e->kind == CARRIER_DENIED && !o->said_denied) {
                o->said_denied = true;
                tell(o, COURIER_DENIED, "", e->text, e->n);
        } else if (e->kind == CARRIER_LOST && !o->said_lost) {
                o->said_lost = true;
                tell(o, COURIER_LOST, "", "", 0);
        }
}

/* All that has come. False: the connection is over. */
static bool forward_all(struct office *o) {
        for (;;) {
                _cleanup_free_ struct carrier_event *e = NULL;
                int r = carrier_next(o->carrier, 0, &e);

                if (r < 0 || (e && e->kind == CARRIER_CLOSED)) {
                        tell(o, COURIER_DOWN, "", e ? e->text : "", e ? e->n : 0);
                        return false;
                }
                if (!e)
                        return true;
                forward(o, e);
        }
}

static _Noreturn void work(struct office *o) {
        for (;;) {
                struct pollfd fds[] = { { .fd = o->fd, .events = POLLIN }, { .events = POLLIN } };
                struct carrier_parts p;

                if (o->carrier && !forward_all(o)) {
                        disconnect(o);
                        rest(o, RETRY_MS / 2 + randombytes_uniform(RETRY_MS));
                }
                if (!o->carrier)
                        connect_for_ever(o);
                fds[1].fd = carrier_fd(o->carrier);
                if (poll(fds, 2, fds[1].fd < 0 ? 0 : -1) < 0 || !fds[0].revents || !take_wish(o, MSG_DONTWAIT, &p))
                        continue;
                /* what was listened for is listened for as long as the connection is there */
                if (o->n_heard == COURIER_HEARD_MAX)
                        disconnect(o);
                else
                        send_order(o, &p);
        }
}

/* Whoever breaks it, or makes it grow until it is killed, has it for a second: there is another one. */
static _Noreturn void nurse(int fd, const struct broker *b, const char *fleet) {
        static struct office o;
        pid_t pid;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) prctl(PR_SET_NAME, "freezectl-post");
        for (;;) {
                pid = fork();
                if (pid == 0) {
                        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                        o = (struct office) { .fd = fd, .broker = b, .fleet = fleet };
                        work(&o);
                }
                int status = 0;
                while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
                if (pid > 0 && WIFEXITED(status))
                        _exit(0);
                (void) sleep(1);
        }
}

int courier_start(const struct broker *b, const char *fleet, struct courier **ret) {
        _cleanup_(courier_freep) struct courier *c = calloc(1, sizeof(*c));
        int fds[2], r;

        if (!c)
                return -ENOMEM;
        c->fd = -EBADF;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        c->fd = fds[0];
        c->pid = fcntl(fds[0], F_SETFL, O_NONBLOCK) < 0 ? -1 : fork();
        if (c->pid == 0) {
                (void) close(fds[0]);
                nurse(fds[1], b, fleet);
        }
        r = c->pid < 0 ? -errno : 0;
        (void) close(fds[1]);
        if (r >= 0)
                *ret = TAKE_PTR(c);
        return r;
}

void courier_freep(struct courier **cp) {
        struct courier *c = *cp;

        if (!c)
                return;
        if (c->pid > 0) {
                (void) kill(c->pid, SIGKILL);
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        closep(&c->fd);
        free(c);
        *cp = NULL;
}

int courier_fd(const struct courier *c) {
        return c->fd;
}

int courier_give(struct courier *c, const char *subject, const char *text, size_t n) {
        const struct carrier_frame f = { .kind = 0 };

        return carrier_frame_send(c->fd, &f, subject, "", text, n);
}

/* What is no event of a courier is skipped: the one that is there after it may be another. */
static int read_event(const char *bytes, size_t size, struct courier_event **ret) {
        struct carrier_parts p;
        struct courier_event *e;

        if (carrier_frame_read(bytes, size, &p) < 0 || p.head.kind >= _COURIER_KIND_MAX)
                return 0;
        e = calloc(1, sizeof(*e) + p.n + 1);
        if (!e)
                return -ENOMEM;
        e->kind = p.head.kind;
        e->n = p.n;
        memcpy(e->text, p.text, p.n);
        if ((e->kind == COURIER_SENT || e->kind == COURIER_ANSWER) &&
            subject_parse(p.subject, p.head.n_subject, &e->subject) < 0)
                free(TAKE_PTR(e));
        *ret = e;
        return 0;
}

int courier_take(struct courier *c, struct courier_event **ret) {
        *ret = NULL;
        for (;;) {
                ssize_t n = recv(c->fd, c->buf, sizeof(c->buf), MSG_DONTWAIT);
                int r;

                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        return 0;
                if (n <= 0)
                        return -EPIPE;
                r = read_event(c->buf, (size_t) n, ret);
                if (r < 0 || *ret)
                        return r;
        }
}
