/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/fleet_ask.h"
#include "ctl/member.h"
#include "ctl/text.h"
#include "ctl/times.h"

#define LISTED_MAX 20U
#define CELL_SIZE  40U
#define NAME_WIDTH 24U

const char *fleet_ask_head(const json_t *report, char *ret, size_t n) {
        const json_t *head = json_object_get(report, "head");
        const size_t withheld = json_array_size(json_object_get(head, "withheld"));

        if (withheld > 0)
                (void) snprintf(ret, n, "withheld %zu", withheld);
        else
                (void) text_clean(member_str(head, "state"), ret, n);
        return ret;
}

static int compare(const void *x, const void *y, void *context) {
        const struct muster_entry *const *a = x, *const *b = y;
        const struct muster *m = context;
        const enum muster_state s = muster_state(m, *a), t = muster_state(m, *b);

        return s != t ? (s > t) - (s < t) : strcmp((*a)->host->host.name, (*b)->host->host.name);
}

/* Those first that somebody has to look at. */
static const struct muster_entry **sorted(const struct fleet_ask *a) {
        const struct muster *m = &a->muster;
        const struct muster_entry **v = calloc(MAX(m->n, (size_t) 1), sizeof(*v));

        for (size_t i = 0; v && i < m->n; i++)
                v[i] = &m->v[i];
        if (v)
                qsort_r(v, m->n, sizeof(*v), compare, (void *) m);
        return v;
}

static void holds_cell(const json_t *report, char ret[static CELL_SIZE]) {
        const json_t *holds = json_object_get(report, "holds");
        const int64_t partial = member_int(holds, "partial", 0);

        if (partial > 0)
                (void) snprintf(ret, CELL_SIZE, "%" PRId64 " (%" PRId64 ")", member_int(holds, "active", 0), partial);
        else
                (void) snprintf(ret, CELL_SIZE, "%" PRId64, member_int(holds, "active", 0));
}

/* What a host said before stays in its row when it is silent: the last column says how old it is. */
static void row(const struct fleet_ask *a, const struct page *p, const struct muster_entry *e, bool ages) {
        const enum muster_state s = muster_state(&a->muster, e);
        const char *name = CLEAN(e->host->host.name), *state = muster_state_str(s);
        char holds[CELL_SIZE] = "-", gaps[CELL_SIZE] = "-", head[CELL_SIZE] = "-", agent[CELL_SIZE] = "-",
             trust[CELL_SIZE] = "-";

        if (e->report) {
                holds_cell(e->report, holds);
                (void) snprintf(gaps, sizeof(gaps), "%zu", muster_gaps(e->report));
                (void) fleet_ask_head(e->report, head, sizeof(head));
                (void) text_clean(member_str(json_object_get(e->report, "agent"), "version"), agent, sizeof(agent));
                (void) snprintf(trust, sizeof(trust), "%" PRId64,
                                member_int(json_object_get(e->report, "trust"), "version", 0));
        }
        const int64_t ms = ages ? boot_ms() - e->at_ms : e->at_ms - a->asked_ms;
        const char *on = !p->colour                            ? ""
                         : muster_state_exit(s) == CTL_OK      ? "\033[32m"
                         : muster_state_exit(s) == CTL_PARTIAL ? "\033[33m"
                                                               : "\033[31m";
        fprintf(p->f, "  %-*.*s  %s%-9s%s  %-7s %-4s  %-12s %-10s %-5s  %s\n", (int) NAME_WIDTH, (int) NAME_WIDTH, name,
                on, state, p->colour ? "\033[0m" : "", holds, gaps, head, agent, trust, e->report ? SPAN(ms) : "never");
}

static void rest(const struct fleet_ask *a, const struct page *p) {
        const struct muster *m = &a->muster;
        const struct inventory *i = &a->inventory;
        char id[SSHKEY_ID_SIZE];

        for (size_t k = 0; k < MIN(m->n_strangers, (size_t) LISTED_MAX); k++) {
                sshkey_id_to_str(m->strangers[k], id);
                render_row(p, k == 0 ? "unknown" : NULL, "%s answers, and is not in the inventory", id);
        }
        if (m->n_strangers > LISTED_MAX)
                render_row(p, NULL, "and %zu more", m->n_strangers - LISTED_MAX);
        if (m->strays > 0)
                render_row(p, "ignored", "%zu answers that prove nothing; the last one: %s", m->strays, m->stray);
        for (size_t k = 0; k < MIN(i->n_bad, (size_t) LISTED_MAX); k++)
                render_row(p, k == 0 ? "not counted" : NULL, "line %zu of the inventory (%s)", i->bad[k].line,
                           reason_id(i->bad[k].reason));
}

static size_t count(const struct muster *m, enum muster_state s) {
        size_t n = 0;

        for (size_t i = 0; i < m->n; i++)
                n += muster_state(m, &m->v[i]) == s;
        return n;
}

void fleet_ask_page(const struct fleet_ask *a, const struct page *p, int code, size_t rows, bool ages) {
        const struct muster *m = &a->muster;
        _cleanup_free_ const struct muster_entry **v = sorted(a);
        char counts[256] = "";
        size_t used = 0;

        for (enum muster_state s = 0; s < _MUSTER_STATE_MAX; s++)
                if (count(m, s) > 0 && used < sizeof(counts))
                        used += (size_t) snprintf(counts + used, sizeof(counts) - used, ", %zu %s", count(m, s),
                                                  muster_state_str(s));
        render_verdict(p, render_tone(code),
                       code == CTL_OK     ? "ALL ANSWER"
                       : m->answered == 0 ? "SILENCE"
                                          : "LOOK",
                       "%zu of %zu hosts of the fleet %s answered%s", m->answered, m->n, a->trust->fleet, counts);
        fprintf(p->f, "  %-*s  %-9s  %-7s %-4s  %-12s %-10s %-5s  %s\n", (int) NAME_WIDTH, "HOST", "STATE", "HOLDS",
                "GAPS", "HEAD", "AGENT", "TRUST", ages ? "AGE" : "AFTER");
        for (size_t i = 0; v && i < MIN(m->n, rows); i++)
                row(a, p, v[i], ages);
        if (m->n > rows)
                fprintf(p->f, "  and %zu more\n", m->n - rows);
        rest(a, p);
}

json_t *fleet_ask_host(const struct fleet_ask *a, const struct muster_entry *e) {
        const bool asked = a->muster.round > 0, answered = muster_has_answered(&a->muster, e);
        const enum muster_state s = muster_state(&a->muster, e);
        const struct inventory_host *h = e->host;
        _cleanup_json_ json_t *groups = json_array();
        char id[SSHKEY_ID_SIZE];
        const char *g = h->groups;

        sshkey_id_to_str(h->host.key.id, id);
        for (size_t i = 0; i < h->n_groups; i++, g += strlen(g) + 1)
                (void) json_array_append_new(groups, json_string(g));
        json_t *o = json_pack("{s:s,s:s,s:O,s:I,s:s}", "host", id, "name", h->host.name, "groups", groups, "serial",
                              (json_int_t) h->n, "class",
                              answered ? "verified"
                              : asked  ? "silent"
                                       : "not-asked");
        if (!o || !asked)
                return o;
        (void) json_object_set_new(o, "state", json_string(muster_state_str(s)));
        (void) json_object_set_new(o, "exit", json_integer(muster_state_exit(s)));
        if (answered) {
                (void) json_object_set_new(o, "after_ms", json_integer(e->at_ms - a->asked_ms));
                (void) json_object_set_new(o, "gaps", json_integer((json_int_t) muster_gaps(e->report)));
                (void) json_object_set(o, "report", e->report);
        }
        return o;
}

json_t *fleet_ask_summary(const struct fleet_ask *a, int code) {
        const struct muster *m = &a->muster;
        _cleanup_json_ json_t *bad = json_array(), *strangers = json_array();
        char id[SSHKEY_ID_SIZE];

        for (size_t i = 0; i < a->inventory.n_bad; i++)
                (void) json_array_append_new(bad, json_integer((json_int_t) a->inventory.bad[i].line));
        for (size_t i = 0; i < MIN(m->n_strangers, (size_t) MUSTER_STRANGERS_MAX); i++) {
                sshkey_id_to_str(m->strangers[i], id);
                (void) json_array_append_new(strangers, json_string(id));
        }
        json_t *s = json_pack("{s:s,s:I,s:O,s:I}", "fleet", a->trust->fleet, "hosts", (json_int_t) m->n, "bad_lines",
                              bad, "exit", (json_int_t) code);
        if (s && m->round > 0) {
                (void) json_object_set_new(s, "verified", json_integer((json_int_t) m->answered));
                (void) json_object_set_new(s, "silent", json_integer((json_int_t) (m->n - m->answered)));
                (void) json_object_set_new(s, "unknown", json_integer((json_int_t) m->n_strangers));
                (void) json_object_set(s, "unknown_hosts", strangers);
                (void) json_object_set_new(s, "ignored", json_integer((json_int_t) m->strays));
        }
        if (s && *a->c->why.text)
                (void) json_object_set_new(s, "error", json_string(a->c->why.text));
        return json_pack("{s:o}", "summary", s);
}
