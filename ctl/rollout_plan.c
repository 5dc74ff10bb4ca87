/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/rollout_plan.h"
#include "ctl/text.h"

#define ROWS_MAX  12U
#define NAMED_MAX 20U
/* the answer of most is everybody's but those who are named; of so few it is theirs, too */
#define FEW 3U

/* What of it differs from host to host without a difference to who reads it. */
enum figure { PROCESSES, CONNECTIONS, UNITS, _FIGURE_MAX };

struct answer {
        const struct rollcall_entry *entry;
        char *text; /* owned */
        int64_t figures[_FIGURE_MAX];
};

/* Answers with the same text, one behind the other. */
struct row {
        const struct answer *v;
        size_t n;
};

static void add_list(FILE *f, const char *label, const json_t *list) {
        size_t i;
        json_t *v;

        json_array_foreach(list, i, v) fprintf(f, "%s%s", i == 0 ? label : ", ", CLEAN(json_string_value(v)));
}

static void add_target(FILE *f, const json_t *t) {
        fputs(CLEAN(member_str(t, "target")), f);
        if (*member_str(t, "missing"))
                fprintf(f, " MISSING (%s)", CLEAN(member_str(t, "missing")));
        if (member_is_true(t, "frozen_already"))
                fputs(" frozen already", f);
        if (member_int(json_object_get(t, "elsewhere"), "processes", 0) > 0)
                fputs(" processes ELSEWHERE", f);
        add_list(f, " warning ", json_object_get(t, "warnings"));
        add_list(f, " gap ", json_object_get(t, "gaps"));
}

static void add_figures(struct answer *a, const json_t *t) {
        a->figures[PROCESSES] += member_int(t, "processes_total", 0);
        a->figures[CONNECTIONS] += member_int(json_object_get(t, "sockets"), "connections", 0);
        a->figures[UNITS] += (int64_t) json_array_size(json_object_get(t, "units"));
}

static int read_answer(const struct rollcall_entry *e, struct answer *ret) {
        _cleanup_json_ json_t *payload = json_loads(e->payload, 0, NULL);
        const json_t *told = receipt_told(payload), *targets = json_object_get(told, "targets");
        size_t i, n;
        json_t *t;

        *ret = (struct answer) { .entry = e };
        FILE *f = open_memstream(&ret->text, &n);
        if (!f)
                return -ENOMEM;
        fputs(receipt_verdict(receipt_state(told)), f);
        if (*member_str(told, "role"))
                fprintf(f, " as %s", CLEAN(member_str(told, "role")));
        json_array_foreach(targets, i, t) {
                fputs(i == 0 ? ": " : "; ", f);
                add_target(f, t);
                add_figures(ret, t);
        }
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int by_text(const void *a, const void *b) {
        const struct answer *x = a, *y = b;
        int c = strcmp(x->text, y->text);

        return c != 0 ? c : strcmp(x->entry->host->name, y->entry->host->name);
}

static int by_number(const void *a, const void *b) {
        const struct row *x = a, *y = b;

        return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : (x->v > y->v) - (x->v < y->v);
}

static void print_figures(const struct row *row, FILE *f) {
        static const char *const words[_FIGURE_MAX] = {
                [PROCESSES] = "processes", [CONNECTIONS] = "connections", [UNITS] = "units"
        };

        for (enum figure k = 0; k < _FIGURE_MAX; k++) {
                int64_t low = INT64_MAX, high = 0;
                for (size_t i = 0; i < row->n; i++) {
                        low = MIN(low, row->v[i].figures[k]);
                        high = MAX(high, row->v[i].figures[k]);
                }
                if (low < high)
                        fprintf(f, ", %" PRId64 " to %" PRId64 " %s", low, high, words[k]);
                else if (high > 0)
                        fprintf(f, ", %" PRId64 " %s", high, words[k]);
        }
}

static void tell_row(const struct page *p, const struct row *row, bool first, bool named) {
        _cleanup_free_ char *figures = NULL;
        size_t n;
        FILE *f = open_memstream(&figures, &n);

        if (!f)
                return;
        print_figures(row, f);
        if (fclose(f) != 0)
                return;
        render_row(p, first ? "computed" : NULL, "%zu host%s: %s%s", row->n, row->n == 1 ? "" : "s", row->v->text,
                   figures);
        for (size_t i = 0; named && i < MIN(row->n, (size_t) NAMED_MAX); i++)
                render_row(p, NULL, "  %s", CLEAN(row->v[i].entry->host->name));
        if (named && row->n > NAMED_MAX)
                render_row(p, NULL, "  and %zu more", row->n - NAMED_MAX);
}

static void tell_rows(const struct page *p, struct answer *v, size_t n) {
        _cleanup_free_ struct row *rows = calloc(MAX(n, (size_t) 1), sizeof(*rows));
        size_t n_rows = 0;

        if (!rows)
                return;
        qsort(v, n, sizeof(*v), by_text);
        for (size_t i = 0; i < n; i++) {
                if (i == 0 || strcmp(v[i].text, v[i - 1].text) != 0)
                        rows[n_rows++].v = &v[i];
                rows[n_rows - 1].n++;
        }
        qsort(rows, n_rows, sizeof(*rows), by_number);
        for (size_t i = 0; i < MIN(n_rows, (size_t) ROWS_MAX); i++)
                tell_row(p, &rows[i], i == 0, n_rows > 1 && (i > 0 || rows[i].n <= FEW));
        if (n_rows > ROWS_MAX)
                render_row(p, NULL, "and %zu other answers", n_rows - ROWS_MAX);
}

/* Of a refusal the page has said whose it is, and why. */
static bool has_computed(const struct rollcall_entry *e) {
        return e->payload && e->class != ROLLCALL_REFUSED;
}

void rollout_plan_tell(const struct rollout *r, const struct page *p) {
        _cleanup_free_ struct answer *v = NULL;
        size_t n = 0;

        if (!r->cmd || !r->cmd->plan)
                return;
        v = calloc(r->to.n, sizeof(*v));
        for (size_t i = 0; v && i < r->n_waves; i++)
                for (size_t k = 0; k < r->waves[i].calls.n; k++)
                        if (has_computed(&r->waves[i].calls.v[k]) && read_answer(&r->waves[i].calls.v[k], &v[n]) == 0)
                                n++;
        if (n > 0)
                tell_rows(p, v, n);
        for (size_t i = 0; i < n; i++)
                free(v[i].text);
}
