/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/exchange.h"
#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/rollout_kept.h"
#include "ctl/rollout_look.h"
#include "ctl/rollout_plan.h"
#include "ctl/text.h"

#define LISTED_MAX 20U
#define SLOWEST    3U

/* What to type, with the words that this was called with. */
static void print_resume(FILE *f, const struct rollout *r, const struct command_id *id) {
        const struct options *o = &r->c->opt;
        char hex[33];

        command_id_to_str(id, hex);
        fprintf(f, "freezectl send %s --nats %s", hex, CLEAN(o->nats));
        if (o->inventory)
                fprintf(f, " --inventory %s", CLEAN(o->inventory));
        if (o->trust)
                fprintf(f, " --trust %s", CLEAN(o->trust));
}

static void tell_kept(const struct rollout *r) {
        const int64_t now = order_now_ms();
        struct command_id id;
        int64_t iat;

        if (!r->cmd)
                return;
        if (r->bundle.n > 0) {
                fprintf(stderr, "It was signed %s ago", SPAN(MAX(now - r->cmd->iat_ms, (int64_t) 1)));
                fprintf(stderr, "%s\n",
                        r->cmd->exp_ms > now ? ""
                                             : " and is EXPIRED: hosts that had it answer what came of it, others "
                                               "refuse it, but for a release of what they never began");
        } else if (rollout_kept_find(r->cmd, now, &id, &iat)) {
                fprintf(stderr,
                        "The same was ordered %s ago and is not over: this is another order. To go on with that one:\n "
                        " ",
                        SPAN(MAX(now - iat, (int64_t) 1)));
                print_resume(stderr, r, &id);
                fputs("\n", stderr);
        }
}

void rollout_tell_ids(const struct rollout *r) {
        const struct page p = { stderr, false };

        for (size_t i = 0; i < r->n_waves; i++)
                render_row(&p, i == 0 ? "id" : NULL, "%s  (%zu hosts)", r->waves[i].calls.id, r->waves[i].calls.n);
        if (!r->kept[0])
                return;
        fputs("  signed and kept; if this ends before all have answered:  ", stderr);
        print_resume(stderr, r, &r->waves[0].id);
        fputs("\n", stderr);
}

/* Whoever made the file may have given each wave words and people of its own. */
static bool says_the_same(const struct bundle_order *a, const struct bundle_order *b) {
        const struct command *x = a->command, *y = b->command;
        bool same = x->severity == y->severity && x->profile == y->profile && x->drill == y->drill &&
                    x->exp_ms == y->exp_ms && strcmp(x->incident, y->incident) == 0 &&
                    strcmp(x->reason, y->reason) == 0 && a->env.n_sigs == b->env.n_sigs;

        for (size_t i = 0; same && i < a->env.n_sigs; i++)
                same = memcmp(a->env.sigs[i].keyid, b->env.sigs[i].keyid, sizeof(a->env.sigs[i].keyid)) == 0;
        return same;
}

/* What is ordered, as who approves it reads it. */
static void tell_order(const struct rollout *r, const struct page *p) {
        const int64_t now = order_now_ms();

        if (r->root)
                render_order(p, r->root, r->trust == r->root->trust ? NULL : r->trust, NULL, now);
        if (r->cmd && r->bundle.n == 0)
                render_effect(p, r->cmd, now);
        for (size_t i = 0; i < r->bundle.n; i++) {
                const struct bundle_order *o = &r->bundle.v[i];
                struct signatures s = { .by = r->trust };
                if (i > 0 && says_the_same(&o[-1], o))
                        continue;
                render_effect(p, o->command, now);
                if (tally_command(r->trust, &o->env, o->command, &s.now) >= 0)
                        render_signatures(p, &o->env, &s);
        }
}

void rollout_announce(const struct rollout *r) {
        const struct page p = { stderr, false };
        const struct inventory *i = &r->inventory;

        tell_kept(r);
        if (r->c->opt.json && r->c->opt.yes)
                return;
        tell_order(r, &p);
        fprintf(stderr, "%s, to %s: %zu host%s expected",
                r->lines  ? "attributes"
                : r->root ? "trust root"
                          : verb_info(r->cmd->verb)->id,
                r->to_text, r->to.n, r->to.n == 1 ? "" : "s");
        if (r->n_waves > 1)
                fprintf(stderr, ", in %zu waves", r->n_waves);
        fputs("\n", stderr);
        for (size_t k = 0; k < MIN(r->to.n, (size_t) LISTED_MAX); k++)
                render_row(&p, k == 0 ? "hosts" : NULL, "%s", CLEAN(r->to.v[k]->host.name));
        if (r->to.n > LISTED_MAX)
                render_row(&p, NULL, "and %zu more", r->to.n - LISTED_MAX);
        for (size_t k = 0; r->n_waves > 1 && k < r->n_waves; k++)
                render_row(&p, k == 0 ? "waves" : NULL, "%zu", r->waves[k].part.hosts);
        for (size_t k = 0; k < MIN(i->n_bad, (size_t) LISTED_MAX); k++)
                render_row(&p, k == 0 ? "not counted" : NULL, "line %zu of the inventory (%s)", i->bad[k].line,
                           reason_id(i->bad[k].reason));
        if (i->n_bad > LISTED_MAX)
                render_row(&p, NULL, "and %zu lines more", i->n_bad - LISTED_MAX);
}

static size_t count(const struct rollout *r, enum rollcall_class class) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++)
                n += r->waves[i].sent ? r->waves[i].calls.counts[class] : 0;
        return n;
}

static size_t count_may_pass(const struct rollout *r) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++)
                for (size_t k = 0; r->waves[i].sent && k < r->waves[i].calls.n; k++)
                        n += rollcall_may_pass(&r->waves[i].calls.v[k]);
        return n;
}

static size_t not_sent(const struct rollout *r) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++)
                n += r->waves[i].sent ? 0 : r->waves[i].calls.n;
        return n;
}

static size_t strays(const struct rollout *r) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++)
                n += r->waves[i].calls.strays;
        return n;
}

static const char *refusal(const struct rollcall_entry *e) {
        return e->reason < _REASON_MAX ? reason_id(e->reason) : "for a reason that this freezectl does not know";
}

/* By name, the hosts of one class: what of, why, how long. */
static void tell_class(const struct rollout *r, const struct page *p, enum rollcall_class class) {
        const size_t all = count(r, class);
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++) {
                const struct rollcall *c = &r->waves[i].calls;
                for (size_t k = 0; r->waves[i].sent && k < c->n && n < LISTED_MAX; k++) {
                        const struct rollcall_entry *e = &c->v[k];
                        const char *label = n == 0 ? rollcall_class_str(class) : NULL;
                        if (e->class != class)
                                continue;
                        n++;
                        if (class == ROLLCALL_SILENT)
                                render_row(p, label, "%s", CLEAN(e->host->name));
                        else
                                render_row(p, label, "%s: %s, after %s", CLEAN(e->host->name),
                                           class == ROLLCALL_REFUSED ? refusal(e) : receipt_verdict(e->state),
                                           SPAN(e->at_ms));
                }
        }
        if (all > n)
                render_row(p, NULL, "and %zu more", all - n);
}

/* Who was verified, and was not found to hold it when the next wave was to go out. */
static void tell_looks(const struct rollout *r, const struct page *p) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_waves; i++)
                for (size_t k = 0; r->waves[i].looks && k < r->waves[i].calls.n; k++) {
                        const enum rollout_look l = r->waves[i].looks[k];
                        if (l != ROLLOUT_LOOK_HELD && n++ < LISTED_MAX)
                                render_row(p, n == 1 ? "asked again" : NULL, "%s: %s before wave %zu",
                                           CLEAN(r->waves[i].calls.v[k].host->name), rollout_look_str(l), i + 2);
                }
        if (n > LISTED_MAX)
                render_row(p, NULL, "and %zu more", n - LISTED_MAX);
}

static int compare_slowest(const void *x, const void *y) {
        const struct rollcall_entry *const *a = x, *const *b = y;

        return ((*a)->at_ms < (*b)->at_ms) - ((*a)->at_ms > (*b)->at_ms);
}

static void tell_slowest(const struct rollout *r, const struct page *p) {
        _cleanup_free_ const struct rollcall_entry **v = calloc(r->to.n, sizeof(*v));
        size_t n = 0;

        for (size_t i = 0; v && i < r->n_waves; i++)
                for (size_t k = 0; k < r->waves[i].calls.n; k++)
                        if (r->waves[i].calls.v[k].class == ROLLCALL_VERIFIED)
                                v[n++] = &r->waves[i].calls.v[k];
        if (n > 0)
                qsort(v, n, sizeof(*v), compare_slowest);
        for (size_t k = 0; k < MIN(n, (size_t) SLOWEST); k++)
                render_row(p, k == 0 ? "slowest" : NULL, "%s: %s, after %s", CLEAN(v[k]->host->name),
                           receipt_verdict(v[k]->state), SPAN(v[k]->at_ms));
}

/* The same order is good for as long as it was signed for. */
static void tell_may_pass(const struct rollout *r, const struct page *p) {
        const size_t n = count_may_pass(r);

        if (n > 0 && r->cmd && r->cmd->exp_ms <= order_now_ms())
                render_row(p, "next", "%zu refused it for what may pass: mend that, and give a new one", n);
        else if (n > 0)
                render_row(p, "next",
                           "%zu refused it for what may pass: mend that. It is brought to them again, and carried out "
                           "when that has passed%s%s; to hear of it, send the same again",
                           n, r->cmd ? ", until " : "", r->cmd ? TIME(r->cmd->exp_ms) : "");
}

static void tell_page(const struct rollout *r, int code) {
        const struct page p = exchange_page(r->c);
        const size_t verified = count(r, ROLLCALL_VERIFIED);

        render_verdict(&p, render_tone(code),
                       r->stopped            ? "STOPPED"
                       : verified == r->to.n ? "VERIFIED"
                                             : "NOT VERIFIED",
                       "%zu of %zu hosts verified, %zu accepted, %zu refused, %zu silent, %zu not asked", verified,
                       r->to.n, count(r, ROLLCALL_ACCEPTED), count(r, ROLLCALL_REFUSED), count(r, ROLLCALL_SILENT),
                       not_sent(r));
        tell_class(r, &p, ROLLCALL_REFUSED);
        tell_class(r, &p, ROLLCALL_ACCEPTED);
        tell_class(r, &p, ROLLCALL_SILENT);
        tell_looks(r, &p);
        rollout_plan_tell(r, &p);
        tell_slowest(r, &p);
        for (size_t i = 0; i < r->n_waves; i++)
                if (r->waves[i].sent)
                        render_row(&p, i == 0 ? "id" : NULL, "%s  (%zu hosts)", r->waves[i].calls.id,
                                   r->waves[i].calls.n);
                else
                        render_row(&p, "not sent", "wave %zu, for %zu hosts", i + 1, r->waves[i].calls.n);
        if (strays(r) > 0)
                render_row(&p, "ignored", "%zu answers that prove nothing", strays(r));
        if (r->lost > 0)
                render_row(&p, "lost", "answers came faster than they were taken: send the same again");
        if (*r->c->why.text)
                render_row(&p, "trouble", "%s", r->c->why.text);
        if (count(r, ROLLCALL_SILENT) > 0 && !r->cmd)
                render_row(&p, "next", "a silent host takes it when it comes back, if the stream kept it");
        else if (count(r, ROLLCALL_SILENT) > 0)
                render_row(&p, "next", "a silent host that comes back within %s carries it out, if the stream kept it",
                           SPAN(r->cmd->exp_ms - r->cmd->iat_ms));
        tell_may_pass(r, &p);
        if (r->kept[0]) {
                fputs("To go on with it:  ", p.f);
                print_resume(p.f, r, &r->waves[0].id);
                fputs("\n", p.f);
        }
}

static void json_host(const struct rollout *r, size_t wave, size_t i) {
        const struct rollcall_entry *e = &r->waves[wave].calls.v[i];
        char id[SSHKEY_ID_SIZE];
        const bool sent = r->waves[wave].sent;

        sshkey_id_to_str(e->host->key.id, id);
        _cleanup_json_ json_t *o =
                json_pack("{s:s,s:s,s:I,s:s}", "host", id, "name", e->host->name, "wave", (json_int_t) wave + 1,
                          "class", sent ? rollcall_class_str(e->class) : "not-sent");
        if (e->class == ROLLCALL_REFUSED && e->reason < _REASON_MAX)
                (void) json_object_set_new(o, "reason", json_string(reason_id(e->reason)));
        if (r->waves[wave].looks)
                (void) json_object_set_new(o, "asked_again", json_string(rollout_look_str(r->waves[wave].looks[i])));
        if (e->payload) {
                (void) json_object_set_new(o, "after_ms", json_integer(e->at_ms));
                (void) json_object_set_new(o, "receipt", json_loads(e->payload, 0, NULL));
        }
        exchange_json_line(r->c, o);
}

static void tell_json(const struct rollout *r, int code) {
        _cleanup_json_ json_t *o = json_object(), *s = json_object(), *ids = json_array(), *bad = json_array();

        for (size_t i = 0; i < r->n_waves; i++) {
                for (size_t k = 0; k < r->waves[i].calls.n; k++)
                        json_host(r, i, k);
                if (r->waves[i].sent)
                        (void) json_array_append_new(ids, json_string(r->waves[i].calls.id));
        }
        for (size_t i = 0; i < r->inventory.n_bad; i++)
                (void) json_array_append_new(bad, json_integer((json_int_t) r->inventory.bad[i].line));
        (void) json_object_set_new(s, "hosts", json_integer((json_int_t) r->to.n));
        for (enum rollcall_class k = 0; k < _ROLLCALL_CLASS_MAX; k++)
                (void) json_object_set_new(s, rollcall_class_str(k), json_integer((json_int_t) count(r, k)));
        (void) json_object_set_new(s, "not_sent", json_integer((json_int_t) not_sent(r)));
        (void) json_object_set_new(s, "ignored", json_integer((json_int_t) strays(r)));
        if (r->lost > 0)
                (void) json_object_set_new(s, "lost", json_true());
        (void) json_object_set(s, "ids", ids);
        (void) json_object_set(s, "bad_lines", bad);
        if (r->kept[0])
                (void) json_object_set_new(s, "kept", json_string(r->waves[0].calls.id));
        if (r->stopped)
                (void) json_object_set_new(s, "stopped", json_true());
        (void) json_object_set_new(s, "exit", json_integer(code));
        if (*r->c->why.text)
                (void) json_object_set_new(s, "error", json_string(r->c->why.text));
        (void) json_object_set(o, "summary", s);
        exchange_json_line(r->c, o);
        r->c->summarised = true;
}

void rollout_tell(const struct rollout *r, int code) {
        rollout_tell_stays(r);
        if (r->c->opt.json)
                tell_json(r, code);
        else
                tell_page(r, code);
        r->c->why.text[0] = '\0';
}
