/* SPDX-License-Identifier: Apache-2.0 */

/* The fleet's inventory, as its stream has it. The broker is a cache of what registrars signed: it can keep a host
 * back, or what was certified last about one, and no more. Who has an inventory of their own learns what is kept back.
 */

#include <string.h>

#include "ctl/brokerfile.h"
#include "ctl/catchup.h"
#include "ctl/exchange.h"
#include "ctl/file.h"
#include "ctl/inventory.h"
#include "ctl/text.h"
#include "ctl/trustfile.h"
#include "policy/subject.h"

#define LISTED_MAX 20U
/* a stream keeps one of each host; one that goes on is not listened to for ever */
#define MESSAGES_MAX 1000000U

struct fetched {
        struct ctl *c;
        struct trust *trust;
        char *text; /* lines that count; owned */
        size_t n;
        size_t strays;
        struct inventory inventory;
        struct inventory known; /* of --inventory */
};

static void fetched_done(struct fetched *f) {
        inventory_done(&f->inventory);
        inventory_done(&f->known);
        free(f->text);
        trust_freep(&f->trust);
}

/* What no registrar signed is counted, and takes no room. What did is written as certify does, on one line. */
static int take(struct fetched *f, const struct carrier_event *e, FILE *lines) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *line = NULL;
        struct attributes a;
        enum reason reason;
        int r = dsse_parse(e->text, e->n, &d, &reason);

        if (r == 0 && reason == REASON_NONE)
                r = attributes_verify(f->trust, &d, &a, &reason);
        if (r == 0 && reason == REASON_NONE)
                r = dsse_to_json(&d, &line);
        if (r == 0 && line && fprintf(lines, "%s\n", line) < 0)
                r = -ENOMEM;
        f->strays += r == 0 && !line;
        return r;
}

static int read_stream(struct fetched *f, struct carrier *carrier, FILE *lines) {
        struct why *w = &f->c->why;
        char pattern[SUBJECT_SIZE];
        int64_t from = 1;

        if (subject_attributes(f->trust->fleet, pattern) < 0)
                return why_set(w, CTL_USAGE, "the trust root has no name of a fleet");
        for (unsigned i = 0; i < MESSAGES_MAX && ftello(lines) <= (off_t) INVENTORY_FILE_MAX; i++) {
                struct carrier_event *e;
                int x = catchup_next(carrier, f->trust->fleet, pattern, &from, &e, w);
                if (x != 0 || !e)
                        return x;
                int r = take(f, e, lines);
                free(e);
                if (r < 0)
                        return why_errno(w, r, "inventory");
        }
        return why_set(w, CTL_MACHINE, "the stream has more than an inventory may have");
}

static int fetch(struct fetched *f) {
        _cleanup_(carrier_freep) struct carrier *carrier = NULL;
        struct why *w = &f->c->why;
        struct broker b;
        int x = brokerfile_load(f->c->opt.nats, &b, w);

        if (x == 0)
                x = carrier_open(&b, &carrier, w);
        if (x != 0)
                return x;
        FILE *lines = open_memstream(&f->text, &f->n);
        if (!lines)
                return why_errno(w, -ENOMEM, "inventory");
        x = read_stream(f, carrier, lines);
        int e = fclose(lines) != 0 ? -ENOMEM : 0;
        if (x == 0 && e == 0)
                e = inventory_parse(f->trust, f->text, f->n, &f->inventory);
        return x == 0 && e < 0 ? why_errno(w, e, "inventory") : x;
}

/* NULL: the stream has what the file has of that host, or newer. */
static const char *lacks(const struct fetched *f, const struct inventory_host *h) {
        const struct inventory_host *is = inventory_by_id(&f->inventory, h->host.key.id);

        if (!is)
                return "missing";
        if (is->n < h->n)
                return "older";
        return is->n == h->n && memcmp(is->digest, h->digest, sizeof(h->digest)) != 0 ? "other" : NULL;
}

static size_t name_lacking(const struct fetched *f, json_t *list) {
        char id[SSHKEY_ID_SIZE];
        size_t n = 0;

        for (size_t i = 0; i < f->known.n; i++) {
                const struct inventory_host *h = &f->known.v[i];
                const char *how = lacks(f, h);
                if (!how)
                        continue;
                sshkey_id_to_str(h->host.key.id, id);
                (void) json_array_append_new(list,
                                             json_pack("{s:s,s:s,s:s}", "host", id, "name", h->host.name, "is", how));
                if (n++ < LISTED_MAX && !f->c->opt.json)
                        fprintf(stderr, "freezectl: %s, %s: %s in the stream\n", CLEAN(h->host.name), id, how);
        }
        return n;
}

static int write_lines(const struct fetched *f) {
        _cleanup_free_ char *text = NULL;
        const char *out = f->c->opt.out;
        size_t n = 0;
        FILE *to = out ? open_memstream(&text, &n) : f->c->out;

        if (!to)
                return why_errno(&f->c->why, -ENOMEM, "inventory");
        for (size_t i = 0; i < f->inventory.n; i++) {
                const struct inventory_host *h = &f->inventory.v[i];
                fprintf(to, "%.*s\n", (int) h->size, f->text + h->from);
        }
        if (!out)
                return 0;
        int r = fclose(to) != 0 ? -ENOMEM : file_replace(out, text, n, 0644);
        return r < 0 ? why_errno(&f->c->why, r, "%s", CLEAN(out)) : 0;
}

/* A broker that keeps hosts back takes them out of no file. */
static int conclude(struct fetched *f, json_t *lacking) {
        const size_t n = name_lacking(f, lacking);
        const bool whole = n == 0 && f->inventory.n > 0;
        struct why *w = &f->c->why;
        int x = whole || !f->c->opt.out ? write_lines(f) : 0;

        f->strays += f->inventory.n_bad;
        if (x != 0 || whole)
                return x;
        const char *kept = f->c->opt.out ? "; nothing was written" : "";
        if (f->inventory.n == 0)
                return why_set(w, CTL_SILENT, "the stream has no attributes that count, and %zu that do not%s",
                               f->strays, kept);
        return why_set(w, CTL_PARTIAL, "the stream lacks what %s has of %zu of %zu hosts%s", CLEAN(f->c->opt.inventory),
                       n, f->known.n, kept);
}

static void tell(struct fetched *f, const json_t *lacking, int code) {
        struct ctl *c = f->c;

        if (!c->opt.json) {
                fprintf(stderr, "%zu hosts of the fleet %s", f->inventory.n, f->trust->fleet);
                if (f->strays > 0)
                        fprintf(stderr, "; %zu messages where attributes are do not count", f->strays);
                if (f->known.n_bad > 0)
                        fprintf(stderr, "; %zu lines of %s do not count", f->known.n_bad, CLEAN(c->opt.inventory));
                fputs("\n", stderr);
                return;
        }
        _cleanup_json_ json_t *o = json_pack("{s:{s:s,s:I,s:I,s:O,s:i}}", "summary", "fleet", f->trust->fleet, "hosts",
                                             (json_int_t) f->inventory.n, "ignored", (json_int_t) f->strays, "lacking",
                                             lacking, "exit", code);
        if (o && *c->why.text)
                (void) json_object_set_new(json_object_get(o, "summary"), "error", json_string(c->why.text));
        exchange_json_line(c, o);
        c->summarised = true;
}

int verb_fleet_inventory(struct ctl *c, char **words, size_t n) {
        _cleanup_(fetched_done) struct fetched f = { .c = c };
        _cleanup_json_ json_t *lacking = json_array();

        (void) words;
        (void) n;
        int x = trustfile_load(&c->opt, &f.trust, &c->why);
        if (x == 0 && !f.trust)
                x = why_set(&c->why, CTL_MACHINE, "there is no %s here: give --trust FILE", TRUSTFILE_PATH);
        if (x == 0 && c->opt.inventory)
                x = inventory_load(c->opt.inventory, f.trust, &f.known, &c->why);
        if (x == 0)
                x = fetch(&f);
        if (x != 0)
                return x;
        x = conclude(&f, lacking);
        tell(&f, lacking, x);
        return x;
}
