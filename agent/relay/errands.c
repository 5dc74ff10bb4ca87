/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/errands.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/util/clock.h"
#include "policy/carried.h"
#include "policy/dsse.h"

#define AGAIN_US (1000 * 1000LL)
/* Who gave way is asked for again when the snapshot that it waits for may be over. */
#define LATER_US (30 * 1000 * 1000LL)
/* The longest that an answer waits for what may pass: a disk that is full, a clock that is not set yet. */
#define WAIT_MAX_US (300 * 1000 * 1000LL)
/* Past this it is not worth the room: orders are caught up, none that was refused lives longer, questions are old. */
#define ENVELOPE_LIFE_US (1800 * 1000 * 1000LL)
#define REFUSED_LIFE_US  (24 * 3600 * 1000 * 1000LL)
#define QUERY_LIFE_US    (30 * 1000 * 1000LL)
/* accuracy of waiting */
#define SLACK_US (100 * 1000ULL)

struct item {
        struct errands *owner;
        enum errand what;
        sd_event_source *source; /* owns the socket; NULL: it waits */
        bool sent, answered;
        int64_t made_us, at_us; /* when it is tried */
        int64_t wait_us;        /* since it was refused for what may pass, the last time; 0: it was not */
        size_t n;
        char *text;
};

struct errands {
        sd_event *event;
        const char *socket;
        errands_answer answer;
        errands_room room;
        void *userdata;
        sd_event_source *timer;
        struct item *items[ERRANDS_MAX]; /* in the order in which they came */
        size_t n;
        unsigned long lost, lost_questions;
        char in[DSSE_HOST_ENVELOPE_MAX];
};

static void item_free(struct item *i) {
        if (!i)
                return;
        (void) sd_event_source_disable_unref(i->source);
        free(i->text);
        free(i);
}

static void item_freep(struct item **i) {
        item_free(*i);
}

static void wake_at(struct errands *e, int64_t us) {
        (void) sd_event_source_set_time(e->timer, (uint64_t) MAX(us, 0));
        (void) sd_event_source_set_enabled(e->timer, SD_EVENT_ONESHOT);
}

static void wait_until(struct item *i, int64_t us) {
        i->source = sd_event_source_disable_unref(i->source);
        i->sent = false;
        i->at_us = us;
}

static void forget(struct errands *e, struct item *i) {
        size_t at = 0;

        while (e->items[at] != i)
                at++;
        e->n--;
        memmove(e->items + at, e->items + at + 1, (e->n - at) * sizeof(e->items[0]));
        item_free(i);
}

static size_t n_open(const struct errands *e, bool queries) {
        size_t n = 0;

        for (size_t k = 0; k < e->n; k++)
                n += e->items[k]->source && (!queries || e->items[k]->what == ERRAND_QUERY);
        return n;
}

/* Called when something changed: what can go now is tried from the loop, not from within a callback of an item. */
static void changed(struct errands *e) {
        wake_at(e, 0);
}

static void finish(struct item *i) {
        struct errands *e = i->owner;

        forget(e, i);
        changed(e);
        e->room(e->userdata);
}

static void again(struct item *i, int64_t in_us) {
        struct errands *e = i->owner;

        wait_until(i, clock_mono_us() + in_us);
        changed(e);
}

static void bare(struct item *i) {
        const char *text = i->text;

        if (!carried_unwrap(&text, &i->n)) {
                finish(i);
                return;
        }
        memmove(i->text, text, i->n);
        again(i, 0);
}

static enum errand_heard heard_before(const struct item *i) {
        return i->answered ? ERRAND_ANSWERED : i->wait_us > 0 ? ERRAND_REFUSED : ERRAND_NOTHING;
}

static void heard(struct item *i) {
        const bool first = heard_before(i) == ERRAND_NOTHING;

        /* what it waits for begins now */
        if (!i->answered)
                i->made_us = clock_mono_us();
        i->answered = true;
        if (first)
                i->owner->room(i->owner->userdata);
}

/* Of the same bytes, that was answered alike. */
static struct item *copy_of(const struct item *i, enum errand_heard what) {
        const struct errands *e = i->owner;

        for (size_t k = 0; k < e->n; k++)
                if (e->items[k] != i && heard_before(e->items[k]) == what && e->items[k]->n == i->n &&
                    memcmp(e->items[k]->text, i->text, i->n) == 0)
                        return e->items[k];
        return NULL;
}

/* Without its room for new ones nothing new would come in, for as long as what never gets its last answer is kept. Who
 * may stop something goes last. */
static void give_up(struct errands *e, enum errand_heard what, size_t max) {
        struct item *oldest = NULL;
        size_t n = 0;

        for (size_t k = e->n; k > 0; k--) {
                struct item *i = e->items[k - 1];

                if (i->source || heard_before(i) != what)
                        continue;
                n++;
                if (what == ERRAND_ANSWERED || !oldest || oldest->what == ERRAND_ENVELOPE || i->what != ERRAND_ENVELOPE)
                        oldest = i;
        }
        if (n > max)
                finish(oldest);
}

/* Of copies one waits, for as long as the newest would: who brings many of one order pushes out no other. */
static void later(struct item *i) {
        struct errands *e = i->owner;
        struct item *copy = copy_of(i, ERRAND_ANSWERED);

        if (copy) {
                copy->made_us = MAX(copy->made_us, i->made_us);
                finish(i);
                return;
        }
        heard(i);
        again(i, LATER_US);
        give_up(e, ERRAND_ANSWERED, ERRANDS_LATER_MAX);
}

/* The core is asked again until it says something else: that it is over, at the end. */
static void refused(struct item *i) {
        struct errands *e = i->owner;
        const bool first = heard_before(i) == ERRAND_NOTHING;

        if (copy_of(i, ERRAND_REFUSED)) {
                finish(i);
                return;
        }
        i->wait_us = MIN(MAX(2 * i->wait_us, AGAIN_US), WAIT_MAX_US);
        again(i, i->wait_us);
        if (first)
                e->room(e->userdata);
        give_up(e, ERRAND_REFUSED, ERRANDS_REFUSED_MAX);
}

static void receive(struct item *i, int fd) {
        struct errands *e = i->owner;
        enum errand_verdict v;
        ssize_t n = recv(fd, e->in, sizeof(e->in), MSG_DONTWAIT | MSG_TRUNC);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        /* The gate went away, with or without the core: the same bytes act once. */
        if (n <= 0 || (size_t) n > sizeof(e->in)) {
                again(i, AGAIN_US);
                return;
        }
        v = e->answer(e->userdata, i->what, heard_before(i), e->in, (size_t) n);
        if (v == ERRAND_DONE)
                finish(i);
        else if (v == ERRAND_AGAIN)
                again(i, AGAIN_US);
        else if (v == ERRAND_BARE)
                bare(i);
        else if (v == ERRAND_LATER)
                later(i);
        else if (v == ERRAND_WAIT)
                refused(i);
        else
                heard(i);
}

static void transmit(struct item *i, int fd) {
        if (send(fd, i->text, i->n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
                i->sent = true;
                (void) sd_event_source_set_io_events(i->source, EPOLLIN);
        } else if (errno != EAGAIN && errno != EINTR) {
                again(i, AGAIN_US);
        }
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct item *i = userdata;

        (void) source;
        if (!i->sent && revents & EPOLLOUT)
                transmit(i, fd);
        else if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(i, fd);
        return 0;
}

/* -errno, -EAGAIN among them when the gate's backlog is full. */
static int open_one(struct item *i) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = -EBADF;
        int r;

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", i->owner->socket);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        r = sd_event_add_io(i->owner->event, &i->source, fd, EPOLLOUT, on_io, i);
        if (r < 0)
                return r;
        (void) sd_event_source_set_io_fd_own(i->source, true);
        (void) TAKE_FD(fd);
        return 0;
}

/* Who has an answer already makes room; false when nobody has. */
static bool make_room(struct errands *e, int64_t now) {
        for (size_t k = 0; k < e->n; k++)
                if (e->items[k]->source && e->items[k]->answered) {
                        wait_until(e->items[k], now + LATER_US);
                        return true;
                }
        return false;
}

static bool may_open(struct errands *e, const struct item *i, int64_t now) {
        if (i->source || i->at_us > now || (i->what == ERRAND_QUERY && n_open(e, true) > 0))
                return false;
        return n_open(e, false) < ERRANDS_OPEN_MAX || (!i->answered && make_room(e, now));
}

static bool is_question(const struct item *i) {
        return i->what == ERRAND_QUERY || i->what == ERRAND_OWN;
}

static bool is_old(const struct item *i, int64_t now) {
        const bool refused = heard_before(i) == ERRAND_REFUSED;

        return now - i->made_us > (is_question(i) ? QUERY_LIFE_US : refused ? REFUSED_LIFE_US : ENVELOPE_LIFE_US);
}

static void drop_old(struct errands *e, int64_t now) {
        size_t before = e->n;

        for (size_t k = e->n; k > 0; k--)
                if (is_old(e->items[k - 1], now)) {
                        struct item *i = e->items[k - 1];

                        *(is_question(i) ? &e->lost_questions : &e->lost) += heard_before(i) == ERRAND_NOTHING;
                        forget(e, i);
                }
        if (e->n < before)
                e->room(e->userdata);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct errands *e = userdata;
        const int64_t now = clock_mono_us();
        int64_t next = now + LATER_US;

        (void) source;
        (void) usec;
        drop_old(e, now);
        for (size_t k = 0; k < e->n; k++) {
                struct item *i = e->items[k];

                if (may_open(e, i, now) && open_one(i) < 0)
                        wait_until(i, now + AGAIN_US);
                if (!i->source)
                        next = MIN(next, MAX(i->at_us, now + AGAIN_US));
        }
        if (e->n > 0)
                wake_at(e, next);
        return 0;
}

int errands_new(sd_event *event, const char *socket, errands_answer answer, errands_room room, void *userdata,
                struct errands **ret) {
        _cleanup_(errands_freep) struct errands *e = calloc(1, sizeof(*e));
        int r;

        if (!e)
                return -ENOMEM;
        e->event = event;
        e->socket = socket;
        e->answer = answer;
        e->room = room;
        e->userdata = userdata;
        r = sd_event_add_time(event, &e->timer, CLOCK_MONOTONIC, 0, SLACK_US, on_timer, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(e);
        return 0;
}

void errands_free(struct errands *e) {
        if (!e)
                return;
        for (size_t k = 0; k < e->n; k++)
                item_free(e->items[k]);
        (void) sd_event_source_disable_unref(e->timer);
        free(e);
}

void errands_freep(struct errands **e) {
        errands_free(*e);
}

bool errands_has_room(const struct errands *e) {
        return e->n < ERRANDS_MAX;
}

bool errands_are_answered(const struct errands *e, enum errand what) {
        for (size_t k = 0; k < e->n; k++)
                if (e->items[k]->what == what && heard_before(e->items[k]) == ERRAND_NOTHING)
                        return false;
        return true;
}

static size_t n_queries(const struct errands *e) {
        size_t n = 0;

        for (size_t k = 0; k < e->n; k++)
                n += e->items[k]->what == ERRAND_QUERY;
        return n;
}

int errands_send(struct errands *e, enum errand what, const char *text, size_t n) {
        _cleanup_(item_freep) struct item *i = NULL;

        if (!errands_has_room(e) || (what == ERRAND_QUERY && n_queries(e) >= ERRANDS_QUERIES_MAX))
                return -EAGAIN;
        i = calloc(1, sizeof(*i));
        if (!i)
                return -ENOMEM;
        *i = (struct item) { .owner = e, .what = what, .n = n, .made_us = clock_mono_us() };
        i->text = memdup_array(text, n, 1);
        if (!i->text)
                return -ENOMEM;
        e->items[e->n++] = TAKE_PTR(i);
        changed(e);
        return 0;
}

unsigned long errands_lost(const struct errands *e) {
        return e->lost;
}

unsigned long errands_lost_questions(const struct errands *e) {
        return e->lost_questions;
}
