/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "ctl/client.h"
#include "ctl/exchange.h"
#include "ctl/text.h"
#include "ctl/times.h"
#include "policy/command.h"

#define TIMEOUT_MS 30000
/* so often it is asked for what becomes of an order that somebody has sent already */
#define AGAIN_MS 1000

static const char *const standings[] = { "verified", "accepted", "refused", "unverified", "silent" };

enum standing {
        VERIFIED,
        ACCEPTED,
        REFUSED,
        UNVERIFIED,
        SILENT,
};

static enum standing standing_of(int answer, const struct receipt *r) {
        if (r->kind == RECEIPT_SIGNED && !receipt_is_final(r))
                return ACCEPTED;
        if (answer != 0)
                return SILENT;
        if (r->kind == RECEIPT_UNVERIFIED)
                return UNVERIFIED;
        if (r->kind == RECEIPT_GATE || receipt_state(receipt_told(r->payload)) == RECEIPT_STATE_REFUSED)
                return REFUSED;
        return VERIFIED;
}

static const char *socket_of(const struct ctl *c) {
        return c->opt.socket ? c->opt.socket : CLIENT_SOCKET;
}

static int64_t timeout_of(const struct ctl *c) {
        return c->opt.timeout_ms ? c->opt.timeout_ms : TIMEOUT_MS;
}

/* No agent, no answer, an agent that went away: for whoever waits that is the same, nobody answered. */
static const struct {
        int r;
        enum ctl_exit code;
        const char *text;
} troubles[] = {
        { -ETIMEDOUT, CTL_SILENT, "no answer in time" },
        { -ECONNRESET, CTL_SILENT, "the agent closed the connection without an answer" },
        { -ENOENT, CTL_SILENT, "no agent is here (on the host: systemctl status freezed-gate freezed)" },
        { -ECONNREFUSED, CTL_SILENT, "no agent listens (on the host: systemctl status freezed-gate freezed)" },
        { -EACCES, CTL_MACHINE, "you may not talk to the agent: be root or in the group freeze" },
        { -EPERM, CTL_MACHINE, "you may not talk to the agent: be root or in the group freeze" },
        { -EMSGSIZE, CTL_MACHINE, "a message is larger than the protocol allows" },
};

static int trouble(struct ctl *c, int r) {
        const char *path = CLEAN(socket_of(c));

        for (size_t i = 0; i < ELEMENTSOF(troubles); i++)
                if (troubles[i].r == r)
                        return why_set(&c->why, troubles[i].code, "%s: %s", path, troubles[i].text);
        return why_errno(&c->why, r, "%s", path);
}

/* Told at once: whether the harm has stopped should not wait for the service manager or the evidence. */
static void tell_progress(const struct ctl *c, const struct receipt *r) {
        const struct page p = { stderr, false };

        if (c->opt.json)
                return;
        render_headline(&p, r);
        fputs("  the final receipt is still to come ...\n", stderr);
}

static int give(const struct ctl *c, const struct exchange *x, int64_t timeout_ms, struct client *ret) {
        int r = client_connect(socket_of(c), timeout_ms, ret);

        return r >= 0 ? client_send(ret, x->message, x->n) : r;
}

/* Until somebody takes it, or the time is over. */
static int give_again(const struct ctl *c, const struct exchange *x, int64_t end_ms, struct client *client) {
        int r = -ECONNRESET;

        while (r < 0) {
                const int64_t left_ms = end_ms - mono_ms();

                client_done(client);
                if (left_ms <= AGAIN_MS)
                        return -ETIMEDOUT;
                (void) usleep(AGAIN_MS * 1000);
                r = give(c, x, left_ms - AGAIN_MS, client);
        }
        return r;
}

static bool is_duplicate(const struct receipt *r) {
        return r->kind == RECEIPT_SIGNED && receipt_state(r->payload) == RECEIPT_STATE_DUPLICATE;
}

/* Who took the order did not refuse it: what a repeat of it is told is about something else. */
static bool counts(const struct receipt *next, const struct receipt *last) {
        return !is_duplicate(last) ||
               (next->kind == RECEIPT_SIGNED && receipt_state(next->payload) != RECEIPT_STATE_REFUSED);
}

static int hear(const struct exchange *x, struct client *client, struct receipt *ret) {
        _cleanup_free_ char *msg = NULL;
        size_t n;
        int r = client_recv(client, &msg, &n);

        return r < 0 ? r : receipt_read(msg, n, x->known, &x->want, ret);
}

int exchange_run(struct ctl *c, struct exchange *x, struct receipt *ret) {
        _cleanup_(client_done) struct client client = CLIENT_NULL;
        const int64_t end_ms = mono_ms() + (c->opt.timeout_ms ? c->opt.timeout_ms : FINAL_TIMEOUT_MS);
        bool told = false;

        int r = give(c, x, timeout_of(c), &client);
        x->sent = r >= 0;
        while (r >= 0) {
                struct receipt next = RECEIPT_NULL;

                r = hear(x, &client, &next);
                if (r < 0 && !is_duplicate(ret))
                        break;
                if (r >= 0 && counts(&next, ret)) {
                        receipt_done(ret);
                        *ret = next;
                        if (receipt_is_final(ret))
                                return 0;
                        if (!told)
                                tell_progress(c, ret);
                        told = true;
                } else {
                        receipt_done(&next);
                }
                /* what follows a receipt comes by itself, and what follows a duplicate to who sent the first */
                if (is_duplicate(ret))
                        r = give_again(c, x, end_ms, &client);
                else
                        client_rearm(&client, c->opt.timeout_ms ? c->opt.timeout_ms : FINAL_TIMEOUT_MS);
        }
        int code = trouble(c, r);
        return ret->kind == RECEIPT_SIGNED ? CTL_PARTIAL : code;
}

int exchange_query(struct ctl *c, const char *report, const char *hold, const struct hosts *known,
                   struct receipt *ret) {
        struct command_id random;
        char message[128], nonce[33];

        randombytes_buf(random.b, sizeof(random.b));
        command_id_to_str(&random, nonce);
        int n = snprintf(message, sizeof(message),
                         hold ? "{\"query\":\"%s\",\"nonce\":\"%s\",\"hold\":\"%s\"}"
                              : "{\"query\":\"%s\",\"nonce\":\"%s\"}",
                         report, nonce, hold);
        struct exchange x = { message,
                              (size_t) n,
                              known,
                              { .type = DSSE_REPORT, .report = report, .nonce = nonce, .hold = hold },
                              false };

        return exchange_run(c, &x, ret);
}

struct page exchange_page(const struct ctl *c) {
        return (struct page) { c->out, c->colour };
}

/* Of what is no printable ASCII, jansson escapes all but this one. */
static int put_json(const char *text, size_t n, void *f) {
        const char *del;

        while ((del = memchr(text, 0x7f, n))) {
                (void) fwrite(text, 1, (size_t) (del - text), f);
                (void) fputs("\\u007f", f);
                n -= (size_t) (del - text) + 1;
                text = del + 1;
        }
        (void) fwrite(text, 1, n, f);
        return 0;
}

void exchange_json_line(struct ctl *c, const json_t *o) {
        /* it is written in pieces, and another thread may have a line, too (escalate_hook.c) */
        flockfile(c->out);
        (void) json_dump_callback(o, put_json, c->out, JSON_COMPACT | JSON_ENSURE_ASCII);
        fputc('\n', c->out);
        funlockfile(c->out);
}

void exchange_json_host(struct ctl *c, int answer, const struct receipt *r, const char *told) {
        enum standing standing = standing_of(answer, r);
        _cleanup_json_ json_t *o = json_object();
        char id[SSHKEY_ID_SIZE];

        if (!c->opt.json)
                return;
        if (r->host) {
                sshkey_id_to_str(r->host->key.id, id);
                (void) json_object_set_new(o, "host", json_string(id));
                (void) json_object_set_new(o, "name", json_string(r->host->name));
        }
        (void) json_object_set_new(o, "class", json_string(standings[standing]));
        if (r->payload)
                (void) json_object_set(o, told, r->payload);
        if (r->kind == RECEIPT_GATE)
                (void) json_object_set_new(o, "refused", json_string(reason_id(r->reason)));
        if (*r->text)
                (void) json_object_set_new(o, "text", json_string(r->text));
        exchange_json_line(c, o);
}

void exchange_json_summary(struct ctl *c, int answer, const struct receipt *r, int code, json_t *more) {
        _cleanup_json_ json_t *o = json_object(), *s = json_object();

        if (!c->opt.json)
                return;
        (void) json_object_set_new(s, "hosts", json_integer(1));
        for (size_t i = 0; i < ELEMENTSOF(standings); i++)
                (void) json_object_set_new(s, standings[i], json_integer(standing_of(answer, r) == (enum standing) i));
        (void) json_object_set_new(s, "exit", json_integer(code));
        if (*c->why.text)
                (void) json_object_set_new(s, "error", json_string(c->why.text));
        (void) json_object_update(s, more);
        (void) json_object_set(o, "summary", s);
        exchange_json_line(c, o);
        c->summarised = true;
}

int exchange_host(struct ctl *c, const struct hosts *known, const struct host **ret) {
        struct receipt r = RECEIPT_NULL;

        int x = hosts_resolve(known, c->opt.to, ret, &c->why);
        if (x != 0 || *ret)
                return x;
        if (c->opt.out)
                return why_set(&c->why, CTL_USAGE, "several hosts are known: say which with --to host=NAME");
        x = exchange_query(c, "health", NULL, known, &r);
        if (x == 0 && r.kind == RECEIPT_SIGNED)
                *ret = r.host;
        else if (x == 0)
                x = why_set(&c->why, CTL_MACHINE, "the agent here is none of the known hosts: %s", r.text);
        receipt_done(&r);
        return x;
}
