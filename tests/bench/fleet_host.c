/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/fleet_host.h"

#include <string.h>
#include <time.h>

#include <sodium.h>

#include "agent/relay/answer.h"
#include "agent/relay/ears.h"
#include "agent/relay/fetch.h"
#include "policy/subject.h"
#include "tests/bench/fleet_core.h"
#include "tests/bench/fleet_wire.h"

#define SECOND_US 1000000LL
/* as libnats bounds connecting and a flush for the relay; how often it looks whether the server is there */
#define CALL_US (3 * SECOND_US)
/* it bounds no handshake of TLS: the relay's own leash does */
#define LEASH_US (9 * SECOND_US)
#define PING_US  (5 * SECOND_US)
/* a relay that is not told that its subscriptions came ends after so long, and is started again */
#define SETTLE_US (30 * SECOND_US)
/* between the first connections of two hosts: what is measured is how they come back */
#define FIRST_US 1500
/* how often those look whether the server is back that do not wait as the relay does */
#define AT_ONCE_US 100000
/* one address of the loopback has 28,000 ports */
#define PER_ADDRESS 5000U

struct fleet_host {
        struct fleet *fleet;
        struct fleet_core *core;
        struct who who;
        struct sockaddr_in from;
        struct wire *wire;
        bool ready;
        unsigned failures; /* since it was */
        sd_event_source *retry, *deadline, *ping, *catch_up;
        struct fetch *fetch;
        char reply[SUBJECT_SIZE];
};

static void arm(sd_event_source *s, int64_t in_us) {
        uint64_t now = 0;
        sd_event *e = sd_event_source_get_event(s);

        (void) sd_event_now(e, CLOCK_MONOTONIC, &now);
        (void) sd_event_source_set_time(s, now + (uint64_t) in_us);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static void disarm(sd_event_source *s) {
        (void) sd_event_source_set_enabled(s, SD_EVENT_OFF);
}

/* --- what it missed */

static void ask_stream(struct fleet_host *h) {
        char subject[FETCH_SUBJECT_SIZE], body[FETCH_BODY_SIZE];
        uint64_t token;

        if (!h->ready || !h->fetch || !fetch_next(h->fetch, &h->who, subject, body))
                return;
        randombytes_buf(&token, sizeof(token));
        subject_inbox(h->who.host, h->reply);
        (void) snprintf(h->reply + strlen(h->reply) - 1, 20, "%llx", (unsigned long long) token);
        wire_say(h->wire, subject, h->reply, body, strlen(body));
}

static void begin_catch_up(struct fleet_host *h) {
        if (!h->fetch && fetch_new(&h->fetch) < 0)
                return;
        if (fetch_all(h->fetch, &h->who) == 0)
                ask_stream(h);
}

static void came(struct fleet_host *h, const struct wire_message *m) {
        if (!h->fetch || strcmp(m->subject, h->reply) != 0)
                return;
        fetch_came(h->fetch, m->status, m->sequence);
        h->fleet->caught += m->status == 0;
        if (!fetch_is_over(h->fetch)) {
                ask_stream(h);
                return;
        }
        h->fleet->n_caught_up++;
        fetch_free(h->fetch);
        h->fetch = NULL;
}

/* --- messages and answers */

static void publish(void *userdata, const char *envelope) {
        struct fleet_host *h = userdata;
        _cleanup_(answer_done) struct answer a = ANSWER_NULL;
        struct subject s = { .kind = SUBJECT_RSP };
        char subject[SUBJECT_SIZE];

        if (answer_parse(envelope, strlen(envelope), &a) < 0)
                return;
        if (a.kind == ANSWER_HEAD) {
                if (a.n_missing > 0 && (h->fetch || fetch_new(&h->fetch) == 0))
                        for (size_t i = 0; i < a.n_missing; i++)
                                fetch_order(h->fetch, &h->who, &a.missing[i]);
                ask_stream(h);
                return;
        }
        s.id = a.id;
        s.attributes = a.attributes;
        memcpy(s.fleet, h->who.fleet, sizeof(s.fleet));
        memcpy(s.host, h->who.host, sizeof(s.host));
        if (a.kind == ANSWER_REFUSAL || subject_build(&s, subject) < 0)
                return;
        h->fleet->answers++;
        wire_say(h->wire, subject, NULL, envelope, strlen(envelope));
}

/* Bytes back under the subject that an answer would have. */
static void echo(struct fleet_host *h, const struct wire_message *m) {
        static char bytes[256 * 1024];
        struct subject asked, s = { .kind = SUBJECT_RSP };
        char subject[SUBJECT_SIZE];

        if (subject_parse(m->subject, strlen(m->subject), &asked) < 0)
                return;
        s.id = asked.id;
        memcpy(s.fleet, h->who.fleet, sizeof(s.fleet));
        memcpy(s.host, h->who.host, sizeof(s.host));
        if (subject_build(&s, subject) < 0)
                return;
        for (unsigned i = 0; i < h->fleet->echoes; i++)
                wire_say(h->wire, subject, NULL, bytes, MIN(h->fleet->echo, sizeof(bytes)));
        h->fleet->answers++;
}

static int64_t cpu_ns(void) {
        struct timespec t;

        (void) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void on_message(void *userdata, const struct wire_message *m) {
        struct fleet_host *h = userdata;
        const bool from_stream = strncmp(m->subject, "_INBOX.", strlen("_INBOX.")) == 0;
        const int64_t start = cpu_ns();

        h->fleet->messages++;
        if (h->fleet->echo > 0 && !from_stream)
                echo(h, m);
        else if (!from_stream || m->status == 0)
                fleet_core_take(h->core, m->text, m->n, publish, h);
        h->fleet->core_ns += (uint64_t) (cpu_ns() - start);
        if (from_stream)
                came(h, m);
}

/* --- the connection */

static int hear(void *userdata, const char *subject) {
        wire_hear(userdata, subject);
        return 0;
}

static void on_open(void *userdata) {
        struct fleet_host *h = userdata;

        if (h->fleet->server.trust)
                arm(h->deadline, LEASH_US);
        (void) !ears_each(&h->who, hear, h->wire);
        wire_settle(h->wire);
}

static void on_settled(void *userdata) {
        struct fleet_host *h = userdata;
        disarm(h->deadline);
        h->ready = true;
        h->failures = 0;
        h->fleet->n_ready++;
        arm(h->ping, PING_US);
        arm(h->catch_up, ears_catch_up_us(&h->fleet->broker));
        if (h->fleet->ready)
                h->fleet->ready(h->fleet);
}

static void on_closed(void *userdata) {
        struct fleet_host *h = userdata;

        h->fleet->n_ready -= h->ready;
        h->fleet->failures += !h->ready;
        h->failures += !h->ready;
        h->ready = false;
        disarm(h->deadline);
        disarm(h->ping);
        disarm(h->catch_up);
        fetch_free(h->fetch);
        h->fetch = NULL;
        arm(h->retry, h->fleet->again_at_once ? AT_ONCE_US : ears_retry_us(&h->fleet->broker, h->failures));
}

static void connect_now(struct fleet_host *h) {
        static const struct wire_calls calls = {
                .open = on_open, .settled = on_settled, .message = on_message, .closed = on_closed
        };

        wire_free(h->wire);
        h->wire = NULL;
        if (wire_new(h->fleet->event, &h->from, &h->fleet->server, &calls, h, &h->wire) < 0)
                on_closed(h);
        else
                arm(h->deadline, CALL_US);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        connect_now(userdata);
        return 0;
}

/* The server did not greet, or not take the subscriptions, in time. */
static int on_deadline(sd_event_source *s, uint64_t usec, void *userdata) {
        struct fleet_host *h = userdata;

        (void) s;
        (void) usec;
        wire_free(h->wire);
        h->wire = NULL;
        on_closed(h);
        return 0;
}

static int on_ping(sd_event_source *s, uint64_t usec, void *userdata) {
        struct fleet_host *h = userdata;

        (void) usec;
        wire_ping(h->wire);
        arm(s, PING_US);
        return 0;
}

static int on_catch_up(sd_event_source *s, uint64_t usec, void *userdata) {
        (void) s;
        (void) usec;
        begin_catch_up(userdata);
        return 0;
}

static void introduce(struct fleet_host *h) {
        const struct attributes *a = fleet_core_attributes(h->core);

        memcpy(h->who.host, a->key.id, sizeof(h->who.host));
        (void) snprintf(h->who.fleet, sizeof(h->who.fleet), "%s", a->fleet);
        h->who.n_groups = a->n_groups;
        for (size_t i = 0; i < a->n_groups; i++)
                (void) snprintf(h->who.groups[i], sizeof(h->who.groups[i]), "%s", a->groups[i]);
}

int fleet_host_new(struct fleet *f, struct fleet_core *core, size_t number, struct fleet_host **ret) {
        struct fleet_host *h = calloc(1, sizeof(*h));
        struct {
                sd_event_source **source;
                sd_event_time_handler_t handler;
        } timers[] = { { h ? &h->retry : NULL, on_retry },
                       { h ? &h->deadline : NULL, on_deadline },
                       { h ? &h->ping : NULL, on_ping },
                       { h ? &h->catch_up : NULL, on_catch_up } };
        int r = h ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(timers) && r >= 0; i++) {
                r = sd_event_add_time(f->event, timers[i].source, CLOCK_MONOTONIC, 0, 10000, timers[i].handler, h);
                if (r >= 0)
                        disarm(*timers[i].source);
        }
        if (r < 0)
                return r;
        h->fleet = f;
        h->core = core;
        h->from = (struct sockaddr_in) { .sin_family = AF_INET,
                                         .sin_addr.s_addr =
                                                 htonl(INADDR_LOOPBACK + 1 + (uint32_t) (number / PER_ADDRESS)) };
        introduce(h);
        arm(h->retry, (int64_t) number * FIRST_US);
        *ret = h;
        return 0;
}
