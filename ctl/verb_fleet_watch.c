/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "ctl/brokerfile.h"
#include "ctl/exchange.h"
#include "ctl/fleet_ask.h"
#include "ctl/member.h"
#include "ctl/order.h"
#include "ctl/text.h"
#include "ctl/times.h"

#define EVERY_MS 5000
/* so that a silent host does not keep the picture from being drawn in time */
#define ANSWER_MS 4000
/* the verdict, the head of the table, what else came, and the time */
#define FRAME_ROWS 8U
/* of a terminal that does not say */
#define ROWS_UNKNOWN 24U
#define LINE_SIZE    160U

/* What a line is printed for when it is another one. */
struct seen {
        char text[LINE_SIZE];
        char state[16];
};

static void describe(const struct fleet_ask *a, const struct muster_entry *e, struct seen *ret) {
        const json_t *holds = json_object_get(e->report, "holds");
        char head[40], version[40];

        memset(ret, 0, sizeof(*ret));
        (void) snprintf(ret->state, sizeof(ret->state), "%s", muster_state_str(muster_state(&a->muster, e)));
        if (!muster_has_answered(&a->muster, e))
                return;
        (void) snprintf(
                ret->text, sizeof(ret->text),
                "%" PRId64 " holds, %" PRId64 " partial, %zu gaps, head %s, agent %s, trust %" PRId64,
                member_int(holds, "active", 0), member_int(holds, "partial", 0), muster_gaps(e->report),
                fleet_ask_head(e->report, head, sizeof(head)),
                text_clean(member_str(json_object_get(e->report, "agent"), "version"), version, sizeof(version)),
                member_int(json_object_get(e->report, "trust"), "version", 0));
}

static void tell_change(const struct fleet_ask *a, const struct muster_entry *e, const struct seen *was,
                        const struct seen *is) {
        struct ctl *c = a->c;

        if (c->opt.json) {
                _cleanup_json_ json_t *o = fleet_ask_host(a, e);
                (void) json_object_set_new(o, "at_ms", json_integer(order_now_ms()));
                (void) json_object_set_new(o, "was", *was->state ? json_string(was->state) : json_null());
                exchange_json_line(c, o);
                return;
        }
        fprintf(c->out, "%s  %s: %s%s%s%s%s\n", TIME(order_now_ms()), CLEAN(e->host->host.name),
                strcmp(was->state, is->state) != 0 ? was->state : "",
                *was->state && strcmp(was->state, is->state) != 0 ? " -> " : "", is->state, *is->text ? ": " : "",
                is->text);
}

static void tell_changes(const struct fleet_ask *a, struct seen *seen) {
        for (size_t i = 0; i < a->muster.n; i++) {
                struct seen now;
                describe(a, &a->muster.v[i], &now);
                if (memcmp(&now, &seen[i], sizeof(now)) != 0)
                        tell_change(a, &a->muster.v[i], &seen[i], &now);
                seen[i] = now;
        }
}

static void tell_trouble(const struct fleet_ask *a, char was[static WHY_TEXT_MAX]) {
        struct ctl *c = a->c;
        const char *now = c->why.text;

        if (strcmp(was, now) != 0 && c->opt.json) {
                _cleanup_json_ json_t *o =
                        json_pack("{s:{s:s,s:I}}", "trouble", "error", now, "at_ms", (json_int_t) order_now_ms());
                exchange_json_line(c, o);
        } else if (strcmp(was, now) != 0)
                fprintf(c->out, "%s  %s\n", TIME(order_now_ms()), *now ? now : "the brokers answer again");
        (void) snprintf(was, WHY_TEXT_MAX, "%s", now);
}

/* In place: each line over the one before, the rest of the screen cleared, nothing wrapped. */
static void draw(const struct fleet_ask *a, int trouble) {
        struct ctl *c = a->c;
        struct winsize size = { 0 };
        char *text = NULL;
        size_t n;
        FILE *f = open_memstream(&text, &n);

        if (!f)
                return;
        const struct page p = { f, c->colour };
        (void) ioctl(fileno(c->out), TIOCGWINSZ, &size);
        if (size.ws_row == 0)
                size.ws_row = ROWS_UNKNOWN;
        const size_t rows = size.ws_row > FRAME_ROWS + 1U ? size.ws_row - FRAME_ROWS : 1;
        if (a->muster.round > 0)
                fleet_ask_page(a, &p, trouble != 0 ? trouble : muster_exit(&a->muster), rows, true);
        if (trouble != 0)
                render_verdict(&p, TONE_BAD, "NOT ASKED", "%s", c->why.text);
        render_row(&p, "now", "%s, asked every 5 s; Ctrl-C ends it", TIME(order_now_ms()));
        (void) fclose(f);
        fputs("\033[?7l\033[H", c->out);
        for (const char *line = text, *end; *line; line = end + (*end != '\0')) {
                end = strchrnul(line, '\n');
                fprintf(c->out, "%.*s\033[K\n", (int) (end - line), line);
        }
        fputs("\033[J\033[?7h", c->out);
        free(text);
}

static int watch(struct fleet_ask *a) {
        _cleanup_free_ struct seen *seen = calloc(MAX(a->muster.n, (size_t) 1), sizeof(*seen));
        struct ctl *c = a->c;
        const bool in_place = !c->opt.json && isatty(fileno(c->out));
        const int64_t limit = MIN(c->opt.timeout_ms ? c->opt.timeout_ms : ANSWER_MS, (int64_t) EVERY_MS);
        char trouble[WHY_TEXT_MAX] = "";

        if (!seen)
                return why_errno(&c->why, -ENOMEM, "hosts");
        if (in_place)
                fputs("\033[2J", c->out);
        for (;;) {
                const int64_t start = boot_ms();
                c->why.text[0] = '\0';
                int x = fleet_ask_round(a, limit);
                if (in_place)
                        draw(a, x);
                else {
                        tell_trouble(a, trouble);
                        if (x == 0)
                                tell_changes(a, seen);
                }
                if (fflush(c->out) != 0 || ferror(c->out))
                        return CTL_MACHINE;
                const int64_t left = EVERY_MS - (boot_ms() - start);
                if (left > 0)
                        (void) poll(NULL, 0, (int) left);
        }
}

int verb_fleet_watch(struct ctl *c, char **words, size_t n) {
        _cleanup_(fleet_ask_done) struct fleet_ask a = { .c = c };
        int x = c->opt.nats ? 0 : brokerfile_load(NULL, &a.broker, &c->why);

        (void) words;
        (void) n;
        if (x == 0)
                x = fleet_ask_open(c, &a);
        if (x != 0)
                return x;
        /* lines that come for ever have no last one */
        c->summarised = true;
        return watch(&a);
}
