/* SPDX-License-Identifier: Apache-2.0 */

#include <string.h>
#include <unistd.h>

#include "ctl/ask.h"
#include "ctl/brokerfile.h"
#include "ctl/carrier.h"
#include "ctl/exchange.h"
#include "ctl/fleetname.h"
#include "ctl/member.h"
#include "ctl/streams.h"
#include "ctl/text.h"

enum outcome {
        NOT_ASKED,
        IN_ORDER,
        MADE,
        MENDED,
        DIFFERS,
        FAILED,
};

static const char *const outcomes[] = {
        [NOT_ASKED] = "not-asked", [IN_ORDER] = "in-order", [MADE] = "made",
        [MENDED] = "mended",       [DIFFERS] = "differs",   [FAILED] = "failed",
};

struct stream {
        char name[SUBJECT_SIZE];
        json_t *wanted, *differences; /* owned */
        enum outcome outcome;
};

struct setup {
        struct ctl *c;
        char fleet[COMMAND_FLEET_MAX + 1];
        struct carrier *carrier;
        struct stream v[_STREAMS_MAX];
};

static void done(struct setup *s) {
        for (size_t i = 0; i < _STREAMS_MAX; i++) {
                json_decref(s->v[i].wanted);
                json_decref(s->v[i].differences);
        }
        carrier_free(s->carrier);
}

/* One question about one stream. 0 with whatever the answer says. */
static int ask(struct setup *s, const struct stream *one, const char *what, const char *body,
               struct streams_answer *ret) {
        char subject[CARRIER_SUBJECT_SIZE];
        struct carrier_event *e = NULL;

        (void) snprintf(subject, sizeof(subject), "$JS.API.STREAM.%s.%s", what, one->name);
        int x = carrier_ask(s->carrier, subject, body, strlen(body), &e, &s->c->why);
        if (x != 0)
                return x;
        streams_read(e->text, e->n, e->status, ret);
        free(e);
        if (ret->said == STREAMS_OFF)
                x = why_set(&s->c->why, CTL_MACHINE,
                            "there is no JetStream: the broker has to be configured with jetstream { store_dir: ... }, "
                            "and the account with it%s%s",
                            *ret->text ? ": " : "", CLEAN(ret->text));
        else if (ret->said == STREAMS_ERROR)
                x = why_set(&s->c->why, CTL_MACHINE, "%s: %s", one->name, CLEAN(ret->text));
        if (x != 0)
                streams_answer_done(ret);
        return x;
}

/* Has JetStream do it, and asks what came of it: what it was told is not what it says it is. */
static int make(struct setup *s, struct stream *one, const char *what, const json_t *is, enum outcome outcome) {
        _cleanup_(streams_answer_done) struct streams_answer a = STREAMS_ANSWER_NULL;
        _cleanup_free_ char *body = streams_request(one->wanted, is);
        int x = body ? ask(s, one, what, body, &a) : why_errno(&s->c->why, -ENOMEM, "streams");

        streams_answer_done(&a);
        if (x == 0)
                x = ask(s, one, "INFO", "", &a);
        if (x == 0 && a.said != STREAMS_IS)
                x = why_set(&s->c->why, CTL_MACHINE, "%s was made, and is not there", one->name);
        if (x != 0)
                return x;
        json_decref(one->differences);
        one->differences = streams_differences(one->wanted, a.config);
        if (!one->differences)
                return why_errno(&s->c->why, -ENOMEM, "streams");
        one->outcome = json_array_size(one->differences) == 0 ? outcome : DIFFERS;
        return 0;
}

static int look(struct setup *s, struct stream *one) {
        _cleanup_(streams_answer_done) struct streams_answer a = STREAMS_ANSWER_NULL;
        int x = ask(s, one, "INFO", "", &a);

        if (x != 0)
                return x;
        if (a.said == STREAMS_NONE)
                return make(s, one, "CREATE", NULL, MADE);
        one->differences = streams_differences(one->wanted, a.config);
        if (!one->differences)
                return why_errno(&s->c->why, -ENOMEM, "streams");
        one->outcome = json_array_size(one->differences) == 0 ? IN_ORDER : DIFFERS;
        return 0;
}

static const char *value(const json_t *v, char *ret, size_t n) {
        _cleanup_free_ char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

        return text_clean(text, ret, n);
}

static void show_differences(const struct page *p, const struct stream *one) {
        char is[128], wanted[128];
        size_t i;
        json_t *d;

        json_array_foreach(one->differences, i, d)
                render_row(p, i == 0 ? "differs" : NULL, "%s: %s is %s, and has to be %s", one->name,
                           CLEAN(member_str(d, "member")), value(json_object_get(d, "is"), is, sizeof(is)),
                           value(json_object_get(d, "wanted"), wanted, sizeof(wanted)));
}

/* Somebody made it otherwise, perhaps for a reason: they are asked. */
static int mend(struct setup *s) {
        const struct page p = { stderr, false };
        struct ctl *c = s->c;
        size_t n = 0;
        int x = 0;

        for (size_t i = 0; i < _STREAMS_MAX; i++)
                n += s->v[i].outcome == DIFFERS;
        if (n == 0 || (!c->opt.yes && (c->opt.json || !isatty(STDIN_FILENO))))
                return 0;
        for (size_t i = 0; !c->opt.yes && i < _STREAMS_MAX; i++)
                show_differences(&p, &s->v[i]);
        if (ask_yes(c, "Bring it in line?") != 0) {
                c->why.text[0] = '\0';
                return 0;
        }
        for (size_t i = 0; x == 0 && i < _STREAMS_MAX; i++) {
                _cleanup_(streams_answer_done) struct streams_answer a = STREAMS_ANSWER_NULL;
                if (s->v[i].outcome != DIFFERS)
                        continue;
                x = ask(s, &s->v[i], "INFO", "", &a);
                if (x == 0)
                        x = make(s, &s->v[i], "UPDATE", a.config, MENDED);
        }
        return x;
}

static int run(struct setup *s) {
        struct ctl *c = s->c;
        struct broker broker;
        int x = fleetname_get(c, s->fleet);

        if (x == 0)
                x = brokerfile_load(c->opt.nats, &broker, &c->why);
        for (size_t i = 0; x == 0 && i < _STREAMS_MAX; i++) {
                s->v[i].wanted = streams_wanted(i, s->fleet);
                if (!s->v[i].wanted || streams_name(i, s->fleet, s->v[i].name) < 0)
                        x = why_set(&c->why, CTL_USAGE, "\"%s\" is no name of a fleet", CLEAN(s->fleet));
        }
        if (x == 0)
                x = carrier_open(&broker, &s->carrier, &c->why);
        for (size_t i = 0; x == 0 && i < _STREAMS_MAX; i++) {
                x = look(s, &s->v[i]);
                if (x != 0)
                        s->v[i].outcome = FAILED;
        }
        return x == 0 ? mend(s) : x;
}

static int exit_code(const struct setup *s, int x) {
        for (size_t i = 0; x == 0 && i < _STREAMS_MAX; i++)
                if (s->v[i].outcome == DIFFERS)
                        x = CTL_PARTIAL;
        return x;
}

static void tell_page(const struct setup *s, int code) {
        const struct page p = exchange_page(s->c);

        render_verdict(&p, render_tone(code), code == CTL_OK ? "READY" : "NOT READY", "the streams of the fleet %s",
                       s->fleet);
        for (size_t i = 0; i < _STREAMS_MAX; i++)
                render_row(&p, i == 0 ? "streams" : NULL, "%s: %s", s->v[i].name, outcomes[s->v[i].outcome]);
        for (size_t i = 0; i < _STREAMS_MAX; i++)
                show_differences(&p, &s->v[i]);
        if (code == CTL_PARTIAL)
                render_row(&p, "next", "the same with --yes brings it in line");
}

static void tell_json(struct setup *s, int code) {
        for (size_t i = 0; i < _STREAMS_MAX; i++) {
                _cleanup_json_ json_t *o =
                        json_pack("{s:s,s:s}", "stream", s->v[i].name, "state", outcomes[s->v[i].outcome]);
                if (s->v[i].differences)
                        (void) json_object_set(o, "differences", s->v[i].differences);
                exchange_json_line(s->c, o);
        }
        _cleanup_json_ json_t *o = json_pack("{s:{s:s,s:i}}", "summary", "fleet", s->fleet, "exit", code);
        if (*s->c->why.text)
                (void) json_object_set_new(json_object_get(o, "summary"), "error", json_string(s->c->why.text));
        exchange_json_line(s->c, o);
        s->c->summarised = true;
}

int verb_fleet_setup(struct ctl *c, char **words, size_t n) {
        _cleanup_(done) struct setup s = { .c = c };

        (void) words;
        (void) n;
        int code = exit_code(&s, run(&s));
        /* before the first question there is nothing to tell but why */
        if (!s.carrier)
                return code;
        if (c->opt.json)
                tell_json(&s, code);
        else
                tell_page(&s, code);
        return code;
}
