/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define NAMES_SHOWN   3U
#define PHASES_A_LINE 6U
#define PHASES_MAX    32U
#define NAMES_SIZE    1024U

/* Said of what the verb did; the state alone would say CONTAINED of a frozen service that can still talk. */
static const struct {
        const char *verb, *verdict;
} done[] = {
        { "isolate", "ISOLATED" },
        { "freeze", "FROZEN" },
};

static const char *verdict_of(const json_t *told) {
        enum receipt_state s = receipt_state(told);

        if (receipt_contradicts_itself(told))
                return "CONTRADICTORY";
        for (size_t i = 0; s == RECEIPT_STATE_CONTAINED && i < ELEMENTSOF(done); i++)
                if (strcmp(done[i].verb, member_str(told, "verb")) == 0)
                        return done[i].verdict;
        return receipt_verdict(s);
}

void render_target_names(const json_t *targets, char *ret, size_t n) {
        static const char unit[] = "unit:";
        size_t i, used = 0, count = json_array_size(targets);
        json_t *t;

        ret[0] = '\0';
        json_array_foreach(targets, i, t) {
                const char *name = json_is_string(t) ? json_string_value(t) : member_str(t, "target");
                if (strncmp(name, unit, strlen(unit)) == 0)
                        name += strlen(unit);
                if (i == NAMES_SHOWN || used >= n)
                        break;
                used += (size_t) snprintf(ret + used, n - used, "%s%s", i ? ", " : "", CLEAN(name));
        }
        if (count > NAMES_SHOWN && used < n)
                (void) snprintf(ret + used, n - used, ", +%zu more", count - NAMES_SHOWN);
}

static void took(const json_t *told, char *ret, size_t n) {
        int64_t us = member_int(json_object_get(told, "phases_us"), "total", -1);

        ret[0] = '\0';
        if (us >= 0)
                (void) snprintf(ret, n, " (%" PRId64 ".%" PRId64 " ms)", us / 1000, us % 1000 / 100);
}

/* The longest that any of the holds was held; -1 when that is not told. */
static int64_t held_ms(const json_t *told) {
        int64_t longest = member_int(told, "held_ms", -1);
        size_t i;
        json_t *h;

        json_array_foreach(json_object_get(told, "holds"), i, h) longest = MAX(longest, member_int(h, "held_ms", -1));
        return longest;
}

static void first_reason(const json_t *told, char *ret, size_t n) {
        int64_t have = member_int(told, "have", 0), need = member_int(told, "need", 0);
        const char *id = json_string_value(json_array_get(json_object_get(told, "reasons"), 0));
        enum reason r;

        if (id && strcmp(id, "threshold") == 0 && need > 0)
                (void) snprintf(ret, n, "threshold: have %" PRId64 " of %" PRId64, have, need);
        else if (id && reason_from_id(id, &r))
                (void) snprintf(ret, n, "%s: %s", id, reason_text(r));
        else
                (void) snprintf(ret, n, "%s", id ? CLEAN(id) : "without a reason");
}

static void headline(const struct page *p, const json_t *told, const char *host, int code) {
        enum receipt_state s = receipt_state(told);
        const char *capitals = verdict_of(told);
        enum tone tone = s == RECEIPT_STATE_PLANNED ? TONE_PLAIN : render_tone(code);
        char names[NAMES_SIZE], ms[48], why[512];
        int64_t held = held_ms(told);

        render_target_names(json_object_get(told, "targets"), names, sizeof(names));
        if (!*names)
                render_target_names(json_object_get(json_array_get(json_object_get(told, "holds"), 0), "targets"),
                                    names, sizeof(names));
        took(told, ms, sizeof(ms));
        if (s == RECEIPT_STATE_REFUSED) {
                first_reason(told, why, sizeof(why));
                render_verdict(p, tone, capitals, "%s", why);
        } else if (s == RECEIPT_STATE_PLANNED)
                render_verdict(p, tone, capitals, "%s %s on %s; nothing was changed", CLEAN(member_str(told, "verb")),
                               names, host);
        else if ((s == RECEIPT_STATE_RELEASED || s == RECEIPT_STATE_LAPSED) && held >= 0)
                render_verdict(p, tone, capitals, "after %s%s%s on %s%s", SPAN(held), *names ? ": " : "", names, host,
                               ms);
        else if (s == RECEIPT_STATE_THAWED)
                render_verdict(p, tone, capitals, "%s%son %s, and still cut off from the network%s", names,
                               *names ? " " : "", host, ms);
        else
                render_verdict(p, tone, capitals, "%s%son %s%s", names, *names ? " " : "", host, ms);
}

void render_headline(const struct page *p, const struct receipt *r) {
        headline(p, receipt_told(r->payload), r->host->name, receipt_exit(r));
}

/* Longer than the list: what this version does not know comes last. */
static size_t phase_rank(const char *name) {
        static const char *const order[] = { "verify",       "authorise",       "resolve",      "record", "enter",
                                             "refuse-calls", "destroy-sockets", "drop-packets", "freeze", "prove",
                                             "undo" };
        size_t i = 0;

        while (i < ELEMENTSOF(order) && strcmp(order[i], name) != 0)
                i++;
        return strcmp(name, "total") == 0 ? SIZE_MAX : i;
}

struct phase {
        const char *name;
        int64_t us;
};

static int by_rank(const void *a, const void *b) {
        size_t x = phase_rank(((const struct phase *) a)->name), y = phase_rank(((const struct phase *) b)->name);

        return (x > y) - (x < y);
}

/* Signed JSON has its members in byte order; people read them in the order in which it happened. */
static void render_phases(const struct page *p, json_t *object) {
        struct phase phases[PHASES_MAX];
        const char *name, *label = "phases (us)";
        char line[PHASES_A_LINE * 48];
        size_t n = 0, used = 0;
        json_t *v;

        json_object_foreach(object, name, v) if (n < PHASES_MAX) phases[n++] =
                (struct phase) { name, json_integer_value(v) };
        qsort(phases, n, sizeof(*phases), by_rank);
        for (size_t i = 0; i < n; i++) {
                char clean[24];
                used += (size_t) snprintf(line + used, sizeof(line) - used, "%s%s %" PRId64, used ? "  " : "",
                                          text_clean(phases[i].name, clean, sizeof(clean)), phases[i].us);
                if (i + 1 < n && (i + 1) % PHASES_A_LINE != 0)
                        continue;
                render_row(p, label, "%s", line);
                label = NULL;
                used = 0;
        }
}

static void render_evidence(const struct page *p, const json_t *e) {
        if (!json_is_object(e))
                return;
        render_row(p, "evidence", "%s: %" PRId64 " objects, %" PRId64 " bytes, %" PRId64 " holes",
                   CLEAN(member_str(e, "state")), member_int(e, "objects", 0), member_int(e, "bytes", 0),
                   member_int(e, "holes", 0));
        if (*member_str(e, "folder"))
                render_row(p, NULL, "%s", CLEAN(member_str(e, "folder")));
        if (*member_str(e, "manifest_sha256"))
                render_row(p, NULL, "manifest SHA-256 %s", CLEAN(member_str(e, "manifest_sha256")));
}

static void render_holds(const struct page *p, const json_t *holds) {
        size_t i;
        json_t *h;

        json_array_foreach(holds, i, h) {
                int64_t held = member_int(h, "held_ms", -1), left = member_int(h, "lease_left_ms", -1);
                const char *was = member_str(h, "was");
                render_row(p, i == 0 ? "holds" : NULL, "%s %s%s%s", CLEAN(member_str(h, "id")),
                           CLEAN(member_str(h, "state")), *was ? ", was " : "", CLEAN(was));
                if (held >= 0)
                        render_row(p, NULL, "held for %s%s%s", SPAN(held), left >= 0 ? "; the lease ends in " : "",
                                   left >= 0 ? SPAN(left) : "");
                render_thawed(p, json_object_get(h, "thawed"));
        }
}

/* What an order about evidence says of each. */
static void render_kept(const struct page *p, const json_t *kept) {
        size_t i;
        json_t *k;

        json_array_foreach(kept, i, k) {
                const int64_t holds = member_int(k, "legal_holds", 0);

                render_row(p, i == 0 ? "evidence" : NULL, "%s %s, under %" PRId64 " legal hold%s",
                           CLEAN(member_str(k, "id")), CLEAN(member_str(k, "state")), holds, holds == 1 ? "" : "s");
        }
}

static void render_facts(const struct page *p, const json_t *told) {
        const json_t *ledger = json_object_get(told, "ledger");
        int64_t wall = member_int(told, "wall_ms", -1), lease = member_int(told, "lease_ms", 0);
        const char *severity = member_str(told, "severity"), *incident = member_str(told, "incident");

        render_phases(p, json_object_get(told, "phases_us"));
        render_evidence(p, json_object_get(told, "evidence"));
        render_holds(p, json_object_get(told, "holds"));
        render_kept(p, json_object_get(told, "kept"));
        render_certified(p, json_object_get(told, "attributes"));
        if (json_object_get(told, "trust"))
                render_row(p, "version", "%" PRId64, member_int(json_object_get(told, "trust"), "version", 0));
        if (*severity || *incident)
                render_row(p, "incident", "%s%s%s", CLEAN(severity), *incident ? " " : "", CLEAN(incident));
        if (lease > 0)
                render_row(p, "lease", "%s", SPAN(lease));
        if (json_is_object(ledger))
                render_row(p, "ledger", "record %" PRId64 "%s%s", member_int(ledger, "n", 0), wall >= 0 ? ", " : "",
                           wall >= 0 ? TIME(wall) : "");
}

static bool makes_hold(const json_t *told) {
        enum receipt_state s = receipt_state(told);
        enum verb v;

        return (s == RECEIPT_STATE_CONTAINED || s == RECEIPT_STATE_PARTIAL || s == RECEIPT_STATE_FAILED) &&
               *member_str(told, "id") && verb_from_id(member_str(told, "verb"), &v) &&
               verb_info(v)->cls == VERB_CLASS_STOP;
}

/* The command that comes next. */
static void render_next(const struct page *p, const json_t *told) {
        const char *id = CLEAN(member_str(told, "id"));

        fprintf(p->f, "Let it go again:  freezectl release %s\n", id);
        if (member_int(told, "lease_ms", 0) > 0)
                fprintf(p->f, "Keep it longer:   freezectl extend %s --lease 15m\n", id);
}

/* After a release that stopped between: the holds that go on. */
static void render_next_release(const struct page *p, const json_t *told) {
        size_t i;
        json_t *h;

        json_array_foreach(json_object_get(told, "holds"), i, h) {
                enum receipt_state s = receipt_state(h);

                if (s == RECEIPT_STATE_CONTAINED || s == RECEIPT_STATE_PARTIAL || s == RECEIPT_STATE_FAILED)
                        fprintf(p->f,
                                "See what it tries:    freezectl status %s\nGive it its network:  freezectl release "
                                "%s\n",
                                CLEAN(member_str(h, "id")), CLEAN(member_str(h, "id")));
        }
}

/* What a plan says beyond its targets: whose rule allows it, and what would not be covered. */
static void render_decision(const struct page *p, const json_t *told) {
        char missing[512] = "";
        size_t i, used = 0, n = 0;
        json_t *l;

        if (*member_str(told, "role"))
                render_row(p, "allowed", "to the role %s", CLEAN(member_str(told, "role")));
        json_array_foreach(json_object_get(told, "layers"), i, l) {
                if (strcmp(member_str(l, "state"), "yes") == 0)
                        n++;
                else if (used < sizeof(missing))
                        used += (size_t) snprintf(missing + used, sizeof(missing) - used, "%s%s", used ? ", " : "",
                                                  CLEAN(member_str(l, "id")));
        }
        if (json_array_size(json_object_get(told, "layers")) > 0)
                render_row(p, "layers", "%zu work here; not covered: %s", n, used ? missing : "nothing that is known");
}

/* The reason is on the first line already: what to do about it follows at once. */
static void render_refusal(const struct page *p, const json_t *told) {
        const char *id = json_string_value(json_array_get(json_object_get(told, "reasons"), 0));
        enum reason r;

        if (id && reason_from_id(id, &r) && render_advice(r))
                render_row(p, "next", "%s", render_advice(r));
        render_reasons(p, told, "flags");
}

void render_told(const struct page *p, const json_t *told, const char *host, int code) {
        json_t *t;
        size_t i;

        headline(p, told, host, code);
        if (receipt_contradicts_itself(told))
                fprintf(p->f, "  The host says contained, but its own figures below do not bear it out: do not rely on "
                              "it.\n");
        json_array_foreach(json_object_get(told, "targets"), i, t) if (json_is_object(t))
                render_target(p, t, member_str(told, "verb"));
        render_decision(p, told);
        render_facts(p, told);
        if (makes_hold(told))
                render_row(p, "hold", "%s", CLEAN(member_str(told, "id")));
        if (receipt_state(told) == RECEIPT_STATE_REFUSED) {
                render_refusal(p, told);
                return;
        }
        render_reasons(p, told, "reasons");
        render_reasons(p, told, "flags");
}

/* What lifts it again. */
static void render_next_lift(const struct page *p, const json_t *told) {
        if (receipt_state(told) == RECEIPT_STATE_KEPT)
                fprintf(p->f, "Lift this legal hold:  freezectl evidence unhold %s\n", CLEAN(member_str(told, "id")));
}

static void render_signed(const struct page *p, const struct receipt *r) {
        const json_t *told = receipt_told(r->payload);
        const bool ended = strcmp(member_str(r->payload, "hold"), "ended") == 0;

        if (receipt_state(r->payload) == RECEIPT_STATE_DUPLICATE) {
                render_verdict(p, TONE_PLAIN, "DUPLICATE", "on %s; nothing was done. %s", r->host->name,
                               told != r->payload ? "What happened the first time:"
                                                  : "There is no receipt of the first time yet.");
                if (ended)
                        render_row(p, "now", "the hold has ended: nothing is held by this order");
                else if (strcmp(member_str(r->payload, "hold"), "active") == 0)
                        render_row(p, "now", "the hold is active; `freezectl status` reads it from the kernel");
        }
        if (receipt_state(told) != RECEIPT_STATE_DUPLICATE)
                render_told(p, told, r->host->name, receipt_exit(r));
        if (makes_hold(told) && !ended)
                render_next(p, told);
        render_next_release(p, told);
        render_next_lift(p, told);
}

static void render_unverified(const struct page *p, const struct receipt *r) {
        render_verdict(p, TONE_BAD, "UNVERIFIED", "answer: do not rely on anything it says");
        render_row(p, "why", "%s", r->text);
        render_row(p, "next", "is this host enrolled here? `freezectl enroll` on the host prints its line for");
        render_row(p, NULL, "~/.config/freezed/hosts. If it should be known: somebody else is answering for it.");
}

static void render_gate(const struct page *p, const struct receipt *r) {
        render_verdict(p, TONE_BAD, "REFUSED", "%s: %s", reason_id(r->reason), r->text);
        render_row(p, "by", "the gate, unsigned: it did not pass the message on to the agent");
        if (render_advice(r->reason))
                render_row(p, "next", "%s", render_advice(r->reason));
}

void render_receipt(const struct page *p, const struct receipt *r) {
        static void (*const renderers[])(const struct page *, const struct receipt *) = {
                [RECEIPT_SIGNED] = render_signed,
                [RECEIPT_GATE] = render_gate,
                [RECEIPT_UNVERIFIED] = render_unverified,
        };

        renderers[r->kind](p, r);
}
