/* SPDX-License-Identifier: Apache-2.0 */

#include <poll.h>
#include <string.h>
#include <strings.h>

#include "ctl/escalate.h"
#include "ctl/escalate_tell.h"
#include "ctl/order.h"

#define INPUT_SIZE 65536U

/* What a message came to. */
struct count {
        size_t events, wrong, ordered;
        bool failed; /* something that was to be ordered could not be: send it again */
};

/* NULL: it may be acted upon. What is dated ahead would never be too old: it, or a clock, is wrong. */
static const char *why_stale(const struct escalate_rule *r, const struct escalate_event *e, int64_t now) {
        if (e->time_ms >= 0 && now - e->time_ms > r->max_age_ms)
                return "this happened longer ago than the rule's max_age";
        if (e->time_ms >= 0 && e->time_ms - now > r->max_age_ms)
                return "this is dated further ahead than the rule's max_age: is a clock wrong?";
        return NULL;
}

static void apply(struct escalate *x, const struct escalate_rule *r, const struct escalate_event *e, struct count *n) {
        const int64_t now = order_now_ms();
        struct escalate_draft d;
        const char *problem;

        problem = why_stale(r, e, now);
        if (problem) {
                escalate_tell_event(x, e, r, ESCALATE_OUTCOME_STALE, problem, NULL);
                return;
        }
        problem = escalate_fill(r, e, x->fleet ? escalate_fleet_names(x->fleet) : &x->known, &d);
        if (!problem)
                problem = escalate_fleet_expect(x, &d);
        if (problem) {
                escalate_tell_event(x, e, r, ESCALATE_OUTCOME_REFUSED, problem, NULL);
                return;
        }
        escalate_state_forget(&x->state, now);
        if (!*d.incident)
                escalate_state_incident(&x->state, r->name, now, d.incident);
        enum escalate_verdict v =
                escalate_state_judge(&x->state, &x->rules, &d, e->key, escalate_order_host(x, &d), now);
        if (v != ESCALATE_VERDICT_GO) {
                escalate_tell_event(x, e, r, escalate_verdict_outcome(v), escalate_verdict_text(v),
                                    escalate_tell_draft(&d));
                return;
        }
        int code = escalate_order(x, &d, e);
        if (code == 0)
                n->ordered++;
        else {
                escalate_tell_event(x, e, r, ESCALATE_OUTCOME_FAILED, x->c->why.text, escalate_tell_draft(&d));
                x->worst = MAX(x->worst, code);
                x->c->why.text[0] = '\0';
        }
        n->failed = n->failed || code != 0 || x->state_failed;
}

static void handle(struct escalate *x, const struct escalate_event *e, struct count *n) {
        bool matched = false;

        n->events++;
        if (e->wrong) {
                n->wrong++;
                escalate_tell_event(x, e, NULL, ESCALATE_OUTCOME_MALFORMED, e->wrong, NULL);
                return;
        }
        if (e->resolved) {
                escalate_tell_event(x, e, NULL, ESCALATE_OUTCOME_RESOLVED,
                                    "this releases nothing: a hold ends with its lease, or by an order of two people",
                                    NULL);
                return;
        }
        for (size_t i = 0; i < x->rules.n; i++)
                if (escalate_fill_matches(&x->rules.v[i], e)) {
                        matched = true;
                        apply(x, &x->rules.v[i], e, n);
                }
        if (!matched)
                escalate_tell_event(x, e, NULL, ESCALATE_OUTCOME_NO_RULE, "", NULL);
}

static void handle_all(struct escalate *x, struct escalate_events *e, struct count *n) {
        if (e->truncated > 0)
                escalate_tell(x, ESCALATE_OUTCOME_TRUNCATED,
                              "Alertmanager left alerts out of this message (max_alerts)",
                              json_pack("{s:I}", "alerts", (json_int_t) e->truncated));
        if (e->mended)
                escalate_tell(x, ESCALATE_OUTCOME_MENDED,
                              "bytes that are no text were replaced before this message was read", NULL);
        for (size_t i = 0; i < e->n; i++)
                handle(x, &e->v[i], n);
        escalate_events_done(e);
}

static void out_of_memory(struct escalate *x, struct count *n) {
        escalate_tell(x, ESCALATE_OUTCOME_FAILED, "out of memory", NULL);
        x->worst = CTL_MACHINE;
        n->failed = true;
}

static void take_line(struct escalate *x, const char *text, size_t size) {
        struct escalate_events e = ESCALATE_EVENTS_NULL;
        struct count n = { 0 };

        if (size == strspn(text, " \t\r") || size == 0)
                return;
        if (escalate_event_read(x->input, text, size, &e) < 0)
                out_of_memory(x, &n);
        else
                handle_all(x, &e, &n);
        if (n.wrong > 0)
                x->worst = MAX(x->worst, CTL_MACHINE);
}

static void take_end(struct escalate *x, int how) {
        if (how == ESCALATE_LINES_LINE)
                take_line(x, x->lines.text, x->lines.n);
        else if (how == ESCALATE_LINES_LONG) {
                escalate_tell(x, ESCALATE_OUTCOME_OVERSIZE, "a line is longer than is taken",
                              json_pack("{s:s, s:I}", "source", escalate_source_id(x->input), "bytes",
                                        (json_int_t) x->lines.n));
                x->worst = MAX(x->worst, CTL_MACHINE);
        } else if (how < 0) {
                struct count n = { 0 };

                out_of_memory(x, &n);
        }
}

static void send_all(struct escalate *x) {
        escalate_flight_all(x);
        escalate_fleet_all(x);
}

static void read_input(struct escalate *x) {
        static char bytes[INPUT_SIZE];
        ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        if (n <= 0) {
                take_end(x, escalate_lines_finish(&x->lines));
                x->reads_input = false;
                return;
        }
        for (size_t at = 0, taken = 0; at < (size_t) n; at += taken) {
                int how = escalate_lines_feed(&x->lines, bytes + at, (size_t) n - at, &taken);

                take_end(x, how);
                if (how < 0)
                        break;
                /* what was ordered goes out before the next line is looked at */
                send_all(x);
        }
}

static void take_request(struct escalate *x, struct escalate_request *q) {
        static const char structured[] = "application/cloudevents";
        struct escalate_events e = ESCALATE_EVENTS_NULL;
        struct count n = { 0 };
        char text[128];
        int r;

        if (q->binary && strncasecmp(q->type, structured, strlen(structured)) != 0)
                r = escalate_event_read_binary(q->headers, q->n_headers, q->type, q->body, q->n, &e);
        else
                r = escalate_event_read(q->source, q->body ? q->body : "", q->n, &e);
        if (r < 0)
                out_of_memory(x, &n);
        else
                handle_all(x, &e, &n);
        send_all(x);
        (void) snprintf(text, sizeof(text), "{\"events\":%zu,\"malformed\":%zu,\"ordered\":%zu}\n", n.events, n.wrong,
                        n.ordered);
        escalate_http_answer(x->http, q, n.failed ? 500 : n.wrong > 0 && n.wrong == n.events ? 400 : 200, text);
}

static void read_http(struct escalate *x) {
        struct escalate_request *q;
        uint64_t unused;

        (void) !read(escalate_http_fd(x->http), &unused, sizeof(unused));
        for (enum escalate_http_reject i = 0; i < _ESCALATE_HTTP_REJECT_MAX; i++) {
                const uint64_t n = escalate_http_rejected(x->http, i);

                if (n > 0)
                        escalate_tell(x, ESCALATE_OUTCOME_REJECTED, escalate_http_reject_text(i),
                                      json_pack("{s:i, s:I}", "status", (int) escalate_http_reject_status(i),
                                                "requests", (json_int_t) n));
        }
        while ((q = escalate_http_take(x->http)))
                take_request(x, q);
}

/* What is to be looked at: FIRST of them, and then the flights. */
enum {
        SIGNALS,
        INPUT,
        HTTP,
        FLEET,
        FIRST,
};

/* Answers first; an id is looked for anew, because each may end others' places in the array. */
static void hear_flights(struct escalate *x, const struct pollfd *fds, const struct command_id *heard, size_t n) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; fds[i].revents && k < x->n_flights; k++)
                        if (command_id_equal(&x->flights[k].id, &heard[i])) {
                                escalate_flight_hear(x, &x->flights[k]);
                                break;
                        }
}

/* -1: never */
static int sooner(int a, int b) {
        return a < 0 || b < 0 ? MAX(a, b) : MIN(a, b);
}

static int wait_ms(const struct escalate *x) {
        const int a = sooner(escalate_flight_wait(x), escalate_fleet_wait(x));

        return x->http ? sooner(a, escalate_http_sweep(x->http)) : a;
}

/* One turn. False when it is told to end. */
static bool turn(struct escalate *x, int signals) {
        struct pollfd fds[FIRST + ESCALATE_FLIGHTS_MAX] = {
                [SIGNALS] = { .fd = signals, .events = POLLIN },
                [INPUT] = { .fd = x->reads_input ? STDIN_FILENO : -1, .events = POLLIN },
                [HTTP] = { .fd = x->http ? escalate_http_fd(x->http) : -1, .events = POLLIN },
                [FLEET] = { .fd = escalate_fleet_fd(x->fleet), .events = POLLIN },
        };
        const size_t n = x->n_flights;
        struct command_id heard[ESCALATE_FLIGHTS_MAX];

        for (size_t i = 0; i < n; i++) {
                fds[FIRST + i] = (struct pollfd) { .fd = x->flights[i].client.fd, .events = POLLIN };
                heard[i] = x->flights[i].id;
        }
        if (poll(fds, FIRST + n, wait_ms(x)) < 0 && errno != EINTR)
                return false;
        hear_flights(x, fds + FIRST, heard, n);
        if (fds[SIGNALS].revents)
                return false;
        if (fds[FLEET].revents && escalate_fleet_hear(x) < 0) {
                escalate_tell(x, ESCALATE_OUTCOME_ENDED,
                              "the process that talks to brokers is gone; what nobody answered is kept", NULL);
                x->worst = CTL_MACHINE;
                return false;
        }
        if (fds[INPUT].revents)
                read_input(x);
        if (fds[HTTP].revents)
                read_http(x);
        send_all(x);
        return true;
}

int escalate_loop(struct escalate *x, int signals) {
        send_all(x);
        while (x->reads_input || x->http || !escalate_flight_is_idle(x))
                if (!turn(x, signals))
                        break;
        return x->worst;
}
