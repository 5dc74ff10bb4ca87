/* SPDX-License-Identifier: Apache-2.0 */

#include "ctl/exchange.h"
#include "ctl/rollout.h"
#include "ctl/times.h"

#define DRAW_MS 100

static void draw(const struct rollout *r, const struct rollout_wave *w, bool last) {
        static const char full[] = "####################";
        const size_t *n = w->calls.counts, width = sizeof(full) - 1;
        const size_t done = w->calls.n > 0 ? n[ROLLCALL_VERIFIED] * width / w->calls.n : 0;

        if (!isatty(STDERR_FILENO))
                return;
        fprintf(stderr, "\r  [%.*s%*s] wave %zu of %zu: %zu verified, %zu accepted, %zu refused, %zu silent%s",
                (int) done, full, (int) (width - done), "", (size_t) (w - r->waves) + 1, r->n_waves,
                n[ROLLCALL_VERIFIED], n[ROLLCALL_ACCEPTED], n[ROLLCALL_REFUSED], n[ROLLCALL_SILENT],
                last ? " \n" : " ");
        (void) fflush(stderr);
}

static void print_host(const struct rollout *r, const struct rollout_wave *w, const struct rollcall_entry *e) {
        char id[SSHKEY_ID_SIZE];

        sshkey_id_to_str(e->host->key.id, id);
        _cleanup_json_ json_t *o = json_pack("{s:{s:s,s:s,s:I,s:s,s:I}}", "progress", "host", id, "name", e->host->name,
                                             "wave", (json_int_t) (w - r->waves) + 1, "class",
                                             rollcall_class_str(e->class), "after_ms", (json_int_t) e->at_ms);
        exchange_json_line(r->c, o);
}

static void print(const struct rollout *r, struct rollout_wave *w) {
        if (!w->told) {
                w->told = calloc(MAX(w->calls.n, (size_t) 1), sizeof(*w->told));
                for (size_t i = 0; w->told && i < w->calls.n; i++)
                        w->told[i] = ROLLCALL_SILENT;
        }
        for (size_t i = 0; w->told && i < w->calls.n; i++)
                if (w->told[i] != w->calls.v[i].class) {
                        w->told[i] = w->calls.v[i].class;
                        print_host(r, w, &w->calls.v[i]);
                }
        (void) fflush(r->c->out);
}

void rollout_progress(struct rollout *r, struct rollout_wave *w, bool last) {
        const int64_t now = mono_ms();

        if (!last && now < r->drawn_ms + DRAW_MS)
                return;
        r->drawn_ms = now;
        if (r->c->opt.json)
                print(r, w);
        else
                draw(r, w, last);
}
