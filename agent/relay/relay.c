/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/relay/relay.h"

#include <inttypes.h>
#include <string.h>
#include <sys/epoll.h>

#include <sodium.h>

#include "agent/relay/aside.h"
#include "agent/relay/ears.h"
#include "agent/relay/errands.h"
#include "agent/relay/fetch.h"
#include "agent/relay/leash.h"
#include "agent/relay/outbox.h"
#include "agent/relay/pull.h"
#include "agent/relay/tell.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "policy/carried.h"
#include "policy/dsse.h"
#include "policy/schema.h"

#define SECOND_US 1000000LL
/* until the gate has said whose host it is; while it is of no fleet yet; to see that it still is; after it may have
 * become another's */
#define ASK_FIRST_US  (1 * SECOND_US)
#define ASK_NOBODY_US (10 * SECOND_US)
#define ASK_AGAIN_US  (300 * SECOND_US)
/* how long a server that took the connection may not answer */
#define SETTLE_US (30 * SECOND_US)
#define RETRY_US  (1 * SECOND_US)
/* how often the stream is asked again while an order waits for what it has */
#define FETCH_TRIES 3
#define TELL_US     (5 * SECOND_US)
/* a tidy query and its blanks, as the gate takes it */
#define QUERY_MAX 128U
/* orders of which is known that they were answered */
#define ANSWERED_MAX 1024U

enum { TIMER_CONNECT, TIMER_ASK, TIMER_FETCH, TIMER_ALL, TIMER_ASIDE, TIMER_TELL, _TIMER_MAX };

struct relay {
        sd_event *event;
        const struct broker *broker;
        struct inbox *inbox;
        struct line *line;
        struct errands *errands;
        struct fetch *fetch;
        struct aside aside;
        struct outbox outbox;
        struct tell tell;
        struct who who;
        bool known; /* who */
        sd_event_source *in, *timers[_TIMER_MAX];
        size_t server;            /* that is tried next */
        bool settled;             /* the server answered after it had seen the subscriptions */
        int64_t down_us;          /* since when there is none */
        unsigned failures;        /* to connect, since there was one */
        int64_t wait_us;          /* for an answer of the stream */
        char reply[SUBJECT_SIZE]; /* of the question that is under way */
        int64_t root;             /* the highest version that the host said it took */
        bool anew;                /* all is asked for from the beginning, and was not yet */
        struct pull pull;
        struct command_id answered[ANSWERED_MAX];
        size_t n_answered;  /* ever */
        unsigned long lost; /* errands, as far as is known */
};

static void arm(struct relay *r, int timer, int64_t in_us) {
        (void) sd_event_source_set_time(r->timers[timer], (uint64_t) (clock_mono_us() + in_us));
        (void) sd_event_source_set_enabled(r->timers[timer], SD_EVENT_ONESHOT);
}

/* What comes again and again puts nothing off. */
static void arm_within(struct relay *r, int timer, int64_t in_us) {
        uint64_t at = UINT64_MAX;
        int on = SD_EVENT_OFF;

        (void) sd_event_source_get_time(r->timers[timer], &at);
        (void) sd_event_source_get_enabled(r->timers[timer], &on);
        if (on == SD_EVENT_OFF || at > (uint64_t) (clock_mono_us() + in_us))
                arm(r, timer, in_us);
}

static void tell(struct relay *r, enum tell_state state, const char *subject) {
        if (!tell_set(&r->tell, state, subject))
                return;
        log_event(state == TELL_READY ? LOG_NOTICE : LOG_WARNING, NULL, LOG_FIELDS(.stage = "relay"), "%s %s%s%s",
                  tell_state_str(state), r->tell.subject, r->tell.why[0] ? ": " : "", r->tell.why);
        tell_now(&r->tell, r->known ? &r->who : NULL);
}

/* --- answers out */

static void flush(struct relay *r) {
        const struct outbox_item *i;

        while (line_is_open(r->line) && (i = outbox_peek(&r->outbox, clock_mono_us()))) {
                if (line_say(r->line, i->subject, NULL, i->text, i->n) < 0)
                        return;
                outbox_pop(&r->outbox);
                r->tell.counters.answers++;
        }
}

/* Whoever asks can take an order's id for a nonce: the report would push the order's receipts out of the stream, which
 * keeps few under one subject. */
static bool displaces_receipt(struct relay *r, const struct answer *a) {
        const size_t n = MIN(r->n_answered, ANSWERED_MAX);
        size_t i = 0;

        while (i < n && !command_id_equal(&r->answered[i], &a->id))
                i++;
        if (a->kind == ANSWER_RECEIPT && i == n)
                r->answered[r->n_answered++ % ANSWERED_MAX] = a->id;
        return a->kind != ANSWER_RECEIPT && i < n;
}

static void publish(struct relay *r, const struct answer *a, const char *text, size_t n) {
        struct subject s = { .kind = SUBJECT_RSP, .id = a->id, .attributes = a->attributes };
        char subject[SUBJECT_SIZE];

        if (displaces_receipt(r, a))
                return;
        memcpy(s.fleet, r->who.fleet, sizeof(s.fleet));
        memcpy(s.host, r->who.host, sizeof(s.host));
        if (!r->known || subject_build(&s, subject) < 0)
                return;
        outbox_put(&r->outbox, subject, text, n, clock_mono_us());
        flush(r);
}

/* --- what was missed */

static void ask_stream(struct relay *r) {
        char subject[FETCH_SUBJECT_SIZE], body[FETCH_BODY_SIZE];
        uint64_t token;

        if (!r->known || !r->settled || !errands_has_room(r->errands) || !fetch_next(r->fetch, &r->who, subject, body))
                return;
        /* Nobody but the broker knows it: who could answer in the stream's place could say that there is no more. */
        randombytes_buf(&token, sizeof(token));
        subject_inbox(r->who.host, r->reply);
        (void) snprintf(r->reply + strlen(r->reply) - 1, 20, "%" PRIx64, token);
        /* said or not: what is not answered is asked again */
        arm(r, TIMER_FETCH, line_say(r->line, subject, r->reply, body, strlen(body)) < 0 ? RETRY_US : r->wait_us);
}

/* Of what is asked now something may be missing, or judged by a trust root that is none any more: no order goes on for
 * having come last of it. */
static void begin_anew(struct relay *r) {
        fetch_clear(r->fetch);
        r->anew = true;
}

static int on_all_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct relay *r = userdata;

        (void) source;
        (void) usec;
        /* what is under way has gone past some of it */
        if (r->anew)
                fetch_clear(r->fetch);
        r->anew = false;
        if (r->known && fetch_all(r->fetch, &r->who) == 0)
                ask_stream(r);
        return 0;
}

static int on_fetch_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct relay *r = userdata;

        (void) source;
        (void) usec;
        fetch_again(r->fetch);
        if (!fetch_is_over(r->fetch))
                arm(r, TIMER_FETCH, r->wait_us);
        ask_stream(r);
        return 0;
}

/* What two heads in a row name and the stream did not have is being withheld from this host. What waits aside may be a
 * stranger's, of that name: it is asked for all the same. */
static void pull(struct relay *r, const struct answer *a) {
        r->tell.n_withheld = 0;
        for (size_t i = 0; i < a->n_missing; i++)
                if (pull_was_asked(&r->pull, &a->missing[i]) && !aside_has(&r->aside, &a->missing[i]))
                        r->tell.withheld[r->tell.n_withheld++] = a->missing[i];
        r->tell.counters.withheld = (int64_t) r->tell.n_withheld;
        pull_head(&r->pull, a, r->fetch, &r->who);
        ask_stream(r);
}

/* --- the gate */

static void ask_who(struct relay *r) {
        char text[QUERY_MAX], nonce[33];
        uint8_t random[16];

        randombytes_buf(random, sizeof(random));
        (void) sodium_bin2hex(nonce, sizeof(nonce), random, sizeof(random));
        (void) snprintf(text, sizeof(text), "{\"query\":\"health\",\"nonce\":\"%s\"}", nonce);
        arm(r, TIMER_ASK,
            errands_send(r->errands, ERRAND_OWN, text, strlen(text)) == 0 && r->known ? ASK_AGAIN_US : ASK_NOBODY_US);
}

static int on_ask_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        ask_who(userdata);
        return 0;
}

static void settle(struct relay *r);

static bool is_same_host(const struct who *a, const struct who *b) {
        return memcmp(a->host, b->host, sizeof(a->host)) == 0 && strcmp(a->fleet, b->fleet) == 0;
}

static void take_who(struct relay *r, const struct answer *a) {
        struct who now;

        if (answer_who(a, &now) < 0 || (r->known && memcmp(&now, &r->who, sizeof(now)) == 0))
                return;
        /* An order in hand was for the groups that it was of: that is the gate's to judge. */
        if (!is_same_host(&now, &r->who)) {
                aside_clear(&r->aside);
                r->root = a->root;
        }
        memcpy(&r->who, &now, sizeof(now));
        r->known = now.fleet[0] != '\0';
        begin_anew(r);
        if (line_is_open(r->line))
                settle(r);
        else
                arm(r, TIMER_CONNECT, 0);
        tell_now(&r->tell, r->known ? &r->who : NULL);
}

static enum errand_verdict on_answer(void *userdata, enum errand what, enum errand_heard before, const char *text,
                                     size_t n) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL;
        struct relay *r = userdata;
        int e = answer_parse(text, n, &a);

        if (e < 0)
                return e == -ENOMEM ? ERRAND_AGAIN : ERRAND_DONE;
        const enum errand_verdict v = answer_verdict(&a, what, before);
        r->tell.counters.for_others += a.for_others;
        if (a.kind == ANSWER_REFUSAL)
                r->tell.counters.refused += v != ERRAND_AGAIN && v != ERRAND_WAIT && !a.for_others;
        else if (what == ERRAND_OWN)
                take_who(r, &a);
        else if (a.kind == ANSWER_HEAD)
                pull(r, &a);
        else if (answer_is_new(&a, before))
                publish(r, &a, text, n);
        if (a.attributes)
                arm_within(r, TIMER_ASK, ASK_FIRST_US);
        /* Its successor, or what was signed by people who are new in it, may have come before it; however it came. */
        if (a.root > r->root) {
                r->root = a.root;
                r->anew = true;
                arm_within(r, TIMER_ALL, ASK_FIRST_US);
        }
        return v;
}

/* --- messages in */

static bool is_query(const char *text, size_t n) {
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;

        return n <= QUERY_MAX && schema_json(text, n, &o, &reason) == 0 && reason == REASON_NONE &&
               json_is_string(json_object_get(o, "query")) && json_is_string(json_object_get(o, "nonce"));
}

/* What no gate takes spares it a look, and this process its patience. */
static bool is_envelope(const struct dsse *d) {
        return d->n_sigs > 0 && d->type != DSSE_RECEIPT && d->type != DSSE_REPORT && d->type != DSSE_EVIDENCE;
}

/* Does it wait for what lets go? So does a head: it neither stops nor says what may. ret: set of a command. */
static bool is_order(const struct dsse *d, struct command_id *ret) {
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;
        enum verb verb;

        if (d->type != DSSE_COMMAND || schema_json((const char *) d->payload, d->n_payload, &o, &reason) < 0)
                return d->type == DSSE_HEAD;
        const char *what = json_string_value(json_object_get(o, "verb")),
                   *id = json_string_value(json_object_get(o, "id"));
        if (!id || command_id_from_str(id, ret) < 0)
                *ret = (struct command_id) { .b = { 0 } };
        return !what || !verb_from_id(what, &verb) || !verb_class_lets_go(verb_info(verb)->cls);
}

/* The kind of errand it is, and the id of an order, zeros where it has none; false: none. Nothing is believed of it but
 * in which order things go: that of one is the host's to judge. */
static bool errand_of(const char *text, size_t n, enum errand *ret, struct command_id *ret_id) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        enum reason reason;

        *ret_id = (struct command_id) { .b = { 0 } };
        if (is_query(text, n)) {
                *ret = ERRAND_QUERY;
                return true;
        }
        if (dsse_parse(text, n, &d, &reason) < 0 || reason != REASON_NONE || !is_envelope(&d))
                return false;
        *ret = !is_order(&d, ret_id) ? ERRAND_FIRST : d.type == DSSE_HEAD ? ERRAND_OTHER : ERRAND_ENVELOPE;
        return true;
}

/* The gate is told of an envelope that it is carried: what is for other hosts is then not answered here. */
static int hand_on(struct relay *r, enum errand what, const struct inbox_item *i) {
        _cleanup_free_ char *text = NULL;
        size_t n;
        int e;

        if (what == ERRAND_QUERY || !r->who.carried)
                return errands_send(r->errands, what, i->text, i->n);
        e = carried_wrap(i->text, i->n, &text, &n);
        return e < 0 ? e : errands_send(r->errands, what, text, n);
}

static void carry(struct relay *r, enum errand what, const struct inbox_item *i) {
        if (hand_on(r, what, i) < 0)
                r->tell.counters.dropped++;
        else if (what == ERRAND_QUERY)
                r->tell.counters.queries++;
        else
                r->tell.counters.envelopes++;
}

/* An order from the stream waits for the rest of it, where the release of it may be. Nothing of the stream waits for
 * what comes live: anybody's junk may say that it lets go. */
static void sort(struct relay *r, struct inbox_item **i, bool from_stream) {
        struct command_id id;
        enum errand what;

        if (!errand_of((*i)->text, (*i)->n, &what, &id)) {
                r->tell.counters.garbage++;
                return;
        }
        r->tell.counters.caught_up += from_stream && what != ERRAND_QUERY;
        if (from_stream && what != ERRAND_FIRST && what != ERRAND_QUERY)
                aside_put(&r->aside, TAKE_PTR(*i), &id, clock_mono_us());
        else
                carry(r, !from_stream && what == ERRAND_FIRST ? ERRAND_OTHER : what, *i);
}

/* All that was asked for came, and the gate has answered what goes first: each errand has a connection of its own
 * there, and they overtake. */
static bool may_follow(const struct relay *r) {
        return fetch_is_over(r->fetch) && !r->anew && errands_are_answered(r->errands, ERRAND_FIRST);
}

static void carry_aside(struct relay *r) {
        const bool all = may_follow(r);
        int64_t in;

        while ((in = aside_due_us(&r->aside, clock_mono_us())) >= 0 && (all || in == 0) &&
               errands_has_room(r->errands)) {
                _cleanup_free_ struct inbox_item *i = aside_take(&r->aside);

                carry(r, ERRAND_ENVELOPE, i);
        }
        if (in > 0)
                arm(r, TIMER_ASIDE, in);
}

static int on_aside_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        (void) source;
        (void) usec;
        carry_aside(userdata);
        return 0;
}

/* Only the answer to the question that is under way moves it on. */
static void take(struct relay *r, struct inbox_item **i) {
        const bool from_stream = strncmp((*i)->subject, "_INBOX.", strlen("_INBOX.")) == 0;

        if (!from_stream) {
                sort(r, i, false);
                return;
        }
        if (!fetch_is_waiting(r->fetch) || strcmp((*i)->subject, r->reply) != 0)
                return;
        if (fetch_came(r->fetch, (*i)->status, (*i)->sequence))
                sort(r, i, true);
        ask_stream(r);
}

static void drain(struct relay *r) {
        struct inbox_item *i;

        /* before what comes live, which may be a flood, and before the next is put there */
        carry_aside(r);
        while (errands_has_room(r->errands) && (i = inbox_take(r->inbox))) {
                take(r, &i);
                free(i);
                carry_aside(r);
        }
        ask_stream(r);
}

static void on_room(void *userdata) {
        drain(userdata);
}

/* --- the connection */

static void take_denied(struct relay *r, const char *said) {
        char subject[SUBJECT_SIZE];
        enum tell_state state = tell_denied(said, subject);

        if (strncmp(subject, "$JS.", 4) == 0) {
                /* the stream is not for this host: heads and live messages are what there is */
                (void) fetch_came(r->fetch, FETCH_DENIED, 0);
                drain(r);
        } else {
                tell(r, state, subject);
        }
}

static void set_down(struct relay *r, const char *why) {
        tell_text(r->tell.why, sizeof(r->tell.why), why);
        tell(r, tell_down(clock_mono_us() - r->down_us), "");
        arm(r, TIMER_CONNECT, ears_retry_us(r->broker, r->failures));
}

static void take_closed(struct relay *r) {
        if (!line_is_open(r->line))
                return;
        line_drop(r->line);
        r->settled = false;
        r->down_us = clock_mono_us();
        begin_anew(r);
        set_down(r, "the connection ended");
}

static int on_inbox(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        struct relay *r = userdata;
        struct inbox_news news;

        (void) source;
        (void) fd;
        (void) revents;
        inbox_quiet(r->inbox);
        inbox_news(r->inbox, &news);
        for (size_t i = 0; i < news.n_denied; i++)
                take_denied(r, news.denied[i]);
        if (news.closed)
                take_closed(r);
        if (news.lost > 0)
                arm_within(r, TIMER_ALL, r->wait_us);
        r->tell.counters.dropped += (int64_t) news.lost;
        drain(r);
        return 0;
}

static int hear(void *userdata, const char *subject) {
        const struct relay *r = userdata;

        return line_hear(r->line, subject);
}

/* Subscribes, to what this host is now. A server that takes the connection and says no more is given up: the library
 * notices by its pings, and what it does not notice ends with this process. */
static void settle(struct relay *r) {
        r->settled = false;
        line_forget(r->line);
        if (!r->known)
                return;
        if (ears_each(&r->who, hear, r) < 0 || line_settle(r->line) < 0) {
                tell_text(r->tell.why, sizeof(r->tell.why), "the server does not answer");
                tell(r, TELL_CONNECTING, "");
                arm(r, TIMER_CONNECT, SETTLE_US);
                return;
        }
        r->settled = true;
        r->failures = 0;
        r->tell.why[0] = '\0';
        r->tell.counters.connects++;
        tell(r, TELL_READY, "");
        flush(r);
        begin_anew(r);
        arm(r, TIMER_ALL, ears_catch_up_us(r->broker));
}

static int on_connect_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct relay *r = userdata;
        const char *server = r->broker->servers[r->server], *why;

        (void) source;
        (void) usec;
        if (!r->known || r->settled)
                return 0;
        if (line_is_open(r->line)) {
                log_event(LOG_WARNING, NULL, LOG_FIELDS(.stage = "relay"), "%s took the connection and is silent",
                          server);
                _exit(LEASH_STATUS);
        }
        (void) snprintf(r->tell.server, sizeof(r->tell.server), "%s", server);
        if (line_connect(r->line, server, &why) < 0) {
                r->server = (r->server + 1) % r->broker->n_servers;
                r->tell.counters.failures++;
                r->failures++;
                set_down(r, why);
        } else {
                settle(r);
        }
        return 0;
}

static int on_tell_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        struct relay *r = userdata;

        (void) source;
        (void) usec;
        (void) outbox_peek(&r->outbox, clock_mono_us());
        /* the stream has what the gate was away for too long to be told */
        if (errands_lost(r->errands) > r->lost)
                arm_within(r, TIMER_ALL, r->wait_us);
        r->lost = errands_lost(r->errands);
        r->tell.counters.unsaid = (int64_t) (r->outbox.dropped + r->lost + errands_lost_questions(r->errands));
        tell_now(&r->tell, r->known ? &r->who : NULL);
        arm(r, TIMER_TELL, TELL_US);
        return 0;
}

/* --- its life */

static int add_sources(struct relay *r) {
        static const sd_event_time_handler_t handlers[] = {
                [TIMER_CONNECT] = on_connect_timer, [TIMER_ASK] = on_ask_timer,     [TIMER_FETCH] = on_fetch_timer,
                [TIMER_ALL] = on_all_timer,         [TIMER_ASIDE] = on_aside_timer, [TIMER_TELL] = on_tell_timer,
        };
        int e = sd_event_add_io(r->event, &r->in, inbox_fd(r->inbox), EPOLLIN, on_inbox, r);

        for (size_t i = 0; i < _TIMER_MAX && e >= 0; i++) {
                e = sd_event_add_time(r->event, &r->timers[i], CLOCK_MONOTONIC, 0, 0, handlers[i], r);
                if (e >= 0)
                        e = sd_event_source_set_enabled(r->timers[i], SD_EVENT_OFF);
        }
        return e < 0 ? e : 0;
}

int relay_new(sd_event *event, const struct broker *b, struct inbox *inbox, struct line *line, const char *gate,
              const char *dir, int64_t patience_us, struct relay **ret) {
        _cleanup_(relay_freep) struct relay *r = calloc(1, sizeof(*r));
        int e;

        if (!r)
                return -ENOMEM;
        r->event = event;
        r->broker = b;
        r->inbox = inbox;
        r->line = line;
        r->tell.dir = dir;
        r->aside.wait_us = patience_us;
        r->wait_us = MAX(patience_us / FETCH_TRIES, RETRY_US);
        r->down_us = clock_mono_us();
        r->server = randombytes_uniform((uint32_t) b->n_servers);
        e = fetch_new(&r->fetch);
        if (e == 0)
                e = errands_new(event, gate, on_answer, on_room, r, &r->errands);
        if (e == 0)
                e = add_sources(r);
        if (e < 0)
                return e;
        tell(r, TELL_CONNECTING, "");
        arm(r, TIMER_TELL, TELL_US);
        ask_who(r);
        *ret = TAKE_PTR(r);
        return 0;
}

void relay_free(struct relay *r) {
        if (!r)
                return;
        for (size_t i = 0; i < _TIMER_MAX; i++)
                (void) sd_event_source_disable_unref(r->timers[i]);
        (void) sd_event_source_disable_unref(r->in);
        errands_free(r->errands);
        fetch_free(r->fetch);
        aside_clear(&r->aside);
        outbox_done(&r->outbox);
        free(r);
}

void relay_freep(struct relay **r) {
        relay_free(*r);
}
