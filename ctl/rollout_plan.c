/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/member.h"
#include "ctl/rollout_plan.h"
#include "ctl/text.h"
#include "policy/schema.h"

#define ROWS_MAX  12U
#define NAMED_MAX 20U
/* the answer of most is everybody's but those who are named; of so few it is theirs, too */
#define FEW 3U

/* What of it differs from host to host without a difference to who reads it. */
enum figure { PROCESSES, CONNECTIONS, UNITS, _FIGURE_MAX };

struct answer {
        const struct rollcall_entry *entry;
        char *text;    /* owned */
        json_t *lacks; /* layers that are not there; owned */
        int64_t figures[_FIGURE_MAX];
};

/* What was computed. */
struct answers {
        struct answer *v; /* owned */
        size_t n;
        json_t *lacking; /* of each layer, how many lack it; owned */
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

/* A hostile host says any number. */
static void add_figure(struct answer *a, enum figure k, int64_t n) {
        a->figures[k] = MIN(a->figures[k] + MIN(MAX(n, INT64_C(0)), SCHEMA_INT_MAX), SCHEMA_INT_MAX);
}

static void add_figures(struct answer *a, const json_t *t) {
        add_figure(a, PROCESSES, member_int(t, "processes_total", 0));
        add_figure(a, CONNECTIONS, member_int(json_object_get(t, "sockets"), "connections", 0));
        add_figure(a, UNITS, (int64_t) json_array_size(json_object_get(t, "units")));
}

/* What is wrong with the host itself. */
static void add_flags(FILE *f, const json_t *told) {
        enum reason r;
        size_t i;
        json_t *v;

        json_array_foreach(json_object_get(told, "flags"), i,
                           v) if (reason_from_id(json_string_value(v) ?: "", &r) && reason_kind(r) == REASON_KIND_FLAG)
                fprintf(f, " %s", reason_id(r));
}

/* Each once, so that nobody says of it for another. */
static void count_lacks(struct answers *a, struct answer *one, const json_t *told) {
        _cleanup_json_ json_t *seen = json_object();
        size_t i;
        json_t *l;

        json_array_foreach(json_object_get(told, "layers"), i, l) {
                const char *id = member_str(l, "id");
                if (strcmp(member_str(l, "state"), "yes") == 0 || json_object_get(seen, id))
                        continue;
                (void) json_object_set_new(seen, id, json_true());
                (void) json_array_append_new(one->lacks, json_string(id));
                (void) json_object_set_new(a->lacking, id, json_integer(member_int(a->lacking, id, 0) + 1));
        }
}

static int read_answer(struct answers *a, const struct rollcall_entry *e) {
        _cleanup_json_ json_t *payload = json_loads(e->payload, 0, NULL);
        const json_t *told = receipt_told(payload), *targets = json_object_get(told, "targets");
        struct answer *ret = &a->v[a->n];
        size_t i, n;
        json_t *t;

        *ret = (struct answer) { .entry = e };
        FILE *f = open_memstream(&ret->text, &n);
        if (!f)
                return -ENOMEM;
        a->n++;
        ret->lacks = json_array();
        count_lacks(a, ret, told);
        fputs(receipt_verdict(receipt_state(told)), f);
        if (*member_str(told, "role"))
                fprintf(f, " as %s", CLEAN(member_str(told, "role")));
        add_flags(f, told);
        json_array_foreach(targets, i, t) {
                fputs(i == 0 ? ": " : "; ", f);
                add_target(f, t);
                add_figures(ret, t);
        }
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

/* Of what only some lack, which. */
static int add_lacks(const struct answers *a, struct answer *one) {
        _cleanup_free_ char *plain = one->text;
        size_t i, n, k = 0;
        json_t *id;

        one->text = NULL;
        FILE *f = open_memstream(&one->text, &n);
        if (!f) {
                one->text = TAKE_PTR(plain);
                return -ENOMEM;
        }
        fputs(plain, f);
        json_array_foreach(one->lacks, i, id) if (member_int(a->lacking, json_string_value(id), 0) < (int64_t) a->n)
                fprintf(f, "%s%s", k++ == 0 ? "; without " : ", ", CLEAN(json_string_value(id)));
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

/* Whose answers they are. */
static void tell_names(const struct page *p, const struct row *rows, size_t n_rows) {
        size_t n = 0;

        for (size_t i = 0; i < n_rows; i++)
                for (size_t k = 0; k < rows[i].n; k++)
                        if (n++ < NAMED_MAX)
                                render_row(p, NULL, "  %s", CLEAN(rows[i].v[k].entry->host->name));
        if (n > NAMED_MAX)
                render_row(p, NULL, "  and %zu more, which --json names", n - NAMED_MAX);
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
        if (named)
                tell_names(p, row, 1);
}

static void tell_rows(const struct page *p, struct answer *v, size_t n) {
        _cleanup_free_ struct row *rows = calloc(n, sizeof(*rows));
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
        if (n_rows > ROWS_MAX) {
                render_row(p, NULL, "%zu other answers:", n_rows - ROWS_MAX);
                tell_names(p, &rows[ROWS_MAX], n_rows - ROWS_MAX);
        }
}

static void tell_lacking(const struct page *p, const struct answers *a) {
        const char *id, *label = "all without";
        json_t *n;

        json_object_foreach(a->lacking, id, n) {
                if (json_integer_value(n) < (json_int_t) a->n)
                        continue;
                render_row(p, label, "%s", CLEAN(id));
                label = NULL;
        }
}

/* Of a refusal the page has said whose it is, and why. */
static bool has_computed(const struct rollcall_entry *e) {
        return e->payload && e->class != ROLLCALL_REFUSED;
}

static void done(struct answers *a) {
        for (size_t i = 0; i < a->n; i++) {
                free(a->v[i].text);
                json_decref(a->v[i].lacks);
        }
        free(a->v);
        json_decref(a->lacking);
}

void rollout_plan_tell(const struct rollout *r, const struct page *p) {
        _cleanup_(done) struct answers a = { .n = 0 };

        if (!r->cmd || !r->cmd->plan)
                return;
        a.v = calloc(MAX(r->to.n, (size_t) 1), sizeof(*a.v));
        a.lacking = json_object();
        for (size_t i = 0; a.v && i < r->n_waves; i++)
                for (size_t k = 0; k < r->waves[i].calls.n; k++)
                        if (has_computed(&r->waves[i].calls.v[k]))
                                (void) read_answer(&a, &r->waves[i].calls.v[k]);
        for (size_t i = 0; i < a.n; i++)
                (void) add_lacks(&a, &a.v[i]);
        if (a.n == 0)
                return;
        tell_rows(p, a.v, a.n);
        tell_lacking(p, &a);
}
