/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/render.h"
#include "ctl/text.h"

#define NAMES_SHOWN   3U
#define PIDS_SHOWN    12U
#define PHASES_A_LINE 6U
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
        int64_t longest = -1;
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
        else
                render_verdict(p, tone, capitals, "%s%son %s%s", names, *names ? " " : "", host, ms);
}

void render_headline(const struct page *p, const struct receipt *r) {
        headline(p, receipt_told(r->payload), r->host->name, receipt_exit(r));
}

static void render_pids(const struct page *p, const json_t *pids) {
        char list[PIDS_SHOWN * 24] = "";
        size_t i, used = 0, n = json_array_size(pids);
        json_t *v;

        if (!json_is_array(pids))
                return;
        json_array_foreach(pids, i, v) {
                if (i == PIDS_SHOWN)
                        break;
                used += (size_t) snprintf(list + used, sizeof(list) - used, " %" PRId64,
                                          (int64_t) json_integer_value(v));
        }
        render_row(p, "processes", "%zu%s%s%s", n, n ? ":" : "", list, n > PIDS_SHOWN ? " ..." : "");
}

static void render_links(const struct page *p, const json_t *links) {
        char hooks[512] = "";
        size_t i, used = 0;
        json_t *l;

        if (!json_is_array(links))
                return;
        json_array_foreach(links, i, l) if (used < sizeof(hooks)) used +=
                (size_t) snprintf(hooks + used, sizeof(hooks) - used, " %s#%" PRId64, CLEAN(member_str(l, "hook")),
                                  member_int(l, "link_id", 0));
        render_row(p, "network", "%zu program%s attached%s%s", json_array_size(links),
                   json_array_size(links) == 1 ? "" : "s", *hooks ? ":" : "", hooks);
}

static void render_selftest(const struct page *p, const json_t *test) {
        static const struct {
                const char *member, *words;
        } paths[] = {
                { "new", "a new connection from inside" },
                { "open", "a connection that was open before" },
                { "open_datagram", "a datagram socket that was open before" },
                { "inbound", "a packet from outside" },
        };
        const char *label = "self-test";
        size_t i;
        json_t *v;

        for (i = 0; i < ELEMENTSOF(paths); i++) {
                const char *result = member_str(test, paths[i].member);
                if (!*result)
                        continue;
                render_row(p, label, "%s: %s", paths[i].words, CLEAN(result));
                label = NULL;
        }
        json_array_foreach(json_object_get(test, "permitted"), i, v) {
                render_row(p, label, "permitted %s: %s", CLEAN(member_str(v, "net")), CLEAN(member_str(v, "result")));
                label = NULL;
        }
}

static void render_target_gaps(const struct page *p, const json_t *gaps) {
        size_t i;
        json_t *v;

        json_array_foreach(gaps, i, v) {
                const char *id = json_string_value(v);
                enum reason r;
                bool known = id && reason_from_id(id, &r);
                render_row(p, i == 0 ? "GAP" : NULL, "%s%s%s", CLEAN(id), known ? ": " : "",
                           known ? reason_text(r) : "");
        }
}

void render_target(const struct page *p, const json_t *target, const char *verb) {
        const json_t *sockets = json_object_get(target, "sockets");
        int64_t cgroup_id = member_int(target, "cgroup_id", 0);
        enum verb v;
        bool freezes = verb_from_id(verb, &v) && verb_info(v)->freezes;

        render_row(p, "target", "%s", CLEAN(member_str(target, "target")));
        if (*member_str(target, "cgroup"))
                render_row(p, "cgroup", "%s (id %" PRId64 ")", CLEAN(member_str(target, "cgroup")), cgroup_id);
        render_pids(p, json_object_get(target, "pids"));
        if (member_is_true(target, "frozen"))
                render_row(p, "frozen", "yes, as the kernel says");
        else if (member_is_false(target, "frozen"))
                render_row(p, "frozen", "%s, as the kernel says", freezes ? "NO" : "no");
        render_links(p, json_object_get(target, "links"));
        if (json_is_object(sockets))
                render_row(p, "connections", "%" PRId64 " destroyed, %" PRId64 " left, %" PRId64 " of other cgroups",
                           member_int(sockets, "destroyed", 0), member_int(sockets, "left", 0),
                           member_int(sockets, "foreign", 0));
        render_selftest(p, json_object_get(target, "selftest"));
        render_target_gaps(p, json_object_get(target, "gaps"));
}

static void render_phases(const struct page *p, json_t *phases) {
        char line[PHASES_A_LINE * 48];
        const char *name, *label = "phases (us)";
        size_t used = 0, on_line = 0;
        json_t *v;

        json_object_foreach(phases, name, v) {
                char clean[24];
                if (on_line == PHASES_A_LINE) {
                        render_row(p, label, "%s", line);
                        label = NULL;
                        used = on_line = 0;
                }
                used += (size_t) snprintf(line + used, sizeof(line) - used, "%s%s %" PRId64, on_line ? "  " : "",
                                          text_clean(name, clean, sizeof(clean)), (int64_t) json_integer_value(v));
                on_line++;
        }
        if (on_line > 0)
                render_row(p, label, "%s", line);
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
                int64_t held = member_int(h, "held_ms", -1);
                render_row(p, i == 0 ? "holds" : NULL, "%s %s%s%s%s%s", CLEAN(member_str(h, "id")),
                           CLEAN(member_str(h, "state")), *member_str(h, "was") ? ", was " : "",
                           CLEAN(member_str(h, "was")), held >= 0 ? ", held " : "", held >= 0 ? SPAN(held) : "");
        }
}

static void render_facts(const struct page *p, const json_t *told) {
        const json_t *ledger = json_object_get(told, "ledger");
        int64_t wall = member_int(told, "wall_ms", -1), lease = member_int(told, "lease_ms", 0);
        const char *severity = member_str(told, "severity"), *incident = member_str(told, "incident");

        render_phases(p, json_object_get(told, "phases_us"));
        render_evidence(p, json_object_get(told, "evidence"));
        render_holds(p, json_object_get(told, "holds"));
        if (*severity || *incident)
                render_row(p, "incident", "%s%s%s", CLEAN(severity), *incident ? " " : "", CLEAN(incident));
        if (lease > 0)
                render_row(p, "lease", "%s", SPAN(lease));
        if (json_is_object(ledger))
                render_row(p, "ledger", "record %" PRId64 "%s%s", member_int(ledger, "n", 0), wall >= 0 ? ", " : "",
                           wall >= 0 ? TIME(wall) : "");
}

/* The command that comes next. */
static void render_next(const struct page *p, const json_t *told) {
        enum receipt_state s = receipt_state(told);
        const char *id = CLEAN(member_str(told, "id"));
        bool holds = s == RECEIPT_STATE_CONTAINED || s == RECEIPT_STATE_PARTIAL || s == RECEIPT_STATE_FAILED;
        enum verb v;

        if (!holds || !*id || !verb_from_id(member_str(told, "verb"), &v) || verb_info(v)->cls != VERB_CLASS_STOP)
                return;
        render_row(p, "hold", "%s", id);
        fprintf(p->f, "Let it go again:  freezectl release %s\n", id);
        if (member_int(told, "lease_ms", 0) > 0)
                fprintf(p->f, "Keep it longer:   freezectl extend %s --lease 15m\n", id);
}

static void render_signed(const struct page *p, const struct receipt *r) {
        const json_t *told = receipt_told(r->payload);
        json_t *t;
        size_t i;

        if (told != r->payload) {
                render_verdict(p, TONE_PLAIN, "DUPLICATE",
                               "on %s; nothing was done. What happened the first time:", r->host->name);
        }
        headline(p, told, r->host->name, receipt_exit(r));
        if (receipt_contradicts_itself(told))
                fprintf(p->f, "  The host says contained, but its own figures below do not bear it out: do not rely on "
                              "it.\n");
        json_array_foreach(json_object_get(told, "targets"), i, t) if (json_is_object(t))
                render_target(p, t, member_str(told, "verb"));
        render_facts(p, told);
        render_reasons(p, told);
        render_next(p, told);
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
