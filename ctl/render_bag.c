/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>

#include "ctl/kept.h"
#include "ctl/member.h"
#include "ctl/render_bag.h"
#include "ctl/text.h"

static const struct {
        const char *capitals, *text;
        enum tone tone;
} verdicts[] = {
        [BAG_SEVERITY_NONE] = { "WHOLE", "every file is the one that the host signed", TONE_GOOD },
        [BAG_SEVERITY_DOUBT] = { "WHOLE, IN DOUBT",
                                 "every file is the one that was signed; not all of by whom and when is confirmed here",
                                 TONE_DOUBT },
        [BAG_SEVERITY_SHORT] = { "INCOMPLETE", "what is there is what was signed, and something is missing",
                                 TONE_DOUBT },
        [BAG_SEVERITY_BAD] = { "CHANGED", "this is not what the host signed", TONE_BAD },
};

/* "1.2 GB" in units of 1000. */
static const char *size(uint64_t n, char ret[static 32]) {
        static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
        double v = (double) n;
        size_t i = 0;

        for (; v >= 1000 && i + 1 < ELEMENTSOF(units); i++)
                v /= 1000;
        (void) snprintf(ret, 32, i == 0 ? "%.0f %s" : "%.1f %s", v, units[i]);
        return ret;
}

static uint64_t count(const struct bag *b, const char *name) {
        return (uint64_t) MAX(member_int(b->predicate, name, 0), (int64_t) 0);
}

static void render_line(const struct page *p, const char *when, const char *state, uint64_t objects, uint64_t sealed,
                        uint64_t holes, const char *path, const char *mark) {
        char bytes[32];

        fprintf(p->f, "%s  %-10s %6" PRIu64 " objects  %9s  %4" PRIu64 " holes  %s%s%s%s\n", when, state, objects,
                size(sealed, bytes), holes, CLEAN(path), *mark ? "  (" : "", mark, *mark ? ")" : "");
}

/* The worst of it. */
static const char *mark_of(const struct bag *b, uint32_t against) {
        if (b->worst == BAG_SEVERITY_BAD)
                return "changed";
        if (b->predicate && !*b->name)
                return "by an unknown host";
        if (against)
                return chain_finding_id((enum chain_finding) __builtin_ctz(against));
        return json_array_size(json_object_get(b->keeping, "legal_holds")) > 0 ? "under legal hold" : "";
}

void render_bag_line(const struct page *p, const char *path, const struct bag *b, uint32_t against) {
        render_line(p, b->predicate ? TIME(member_int(b->predicate, "started_ms", 0)) : "not sealed             ",
                    b->tombstone   ? "deleted"
                    : b->predicate ? CLEAN(member_str(b->predicate, "state"))
                                   : "-",
                    count(b, "objects"), count(b, "sealed"), count(b, "holes"), path, mark_of(b, against));
}

void render_gone_line(const struct page *p, const char *path, const struct chain_folder *f) {
        render_line(p, TIME(f->sealed_ms), "gone", f->objects, f->sealed, f->holes, path,
                    f->deleted ? "and what its deletion had left" : "");
}

static void render_recipients(const struct page *p, const struct bag *b) {
        const char *label = "opened by";
        const json_t *one;
        size_t i;

        json_array_foreach(json_object_get(b->predicate, "recipients"), i, one) {
                render_row(p, label, "%s", CLEAN(json_string_value(one)));
                label = NULL;
        }
}

void render_bag(const struct page *p, const char *path, const struct bag *b) {
        const json_t *s = b->predicate, *window = json_object_get(s, "window");
        char bytes[32], sealed[32];

        render_row(p, "folder", "%s", CLEAN(path));
        if (!s)
                return;
        if (*b->name)
                render_row(p, "host", "%s  %s", b->name, b->host);
        else
                render_row(p, "claims to be", "%s, which is no host that is known here", b->host);
        render_row(p, "incident", "%s", CLEAN(member_str(s, "incident")));
        render_row(p, "hold", "%s", CLEAN(member_str(s, "hold")));
        render_row(p, "taken", "%s, in %s", TIME(member_int(s, "started_ms", 0)),
                   SPAN(member_int(s, "ended_ms", 0) - member_int(s, "started_ms", 0)));
        render_row(p, "profile", "%s", CLEAN(member_str(s, "profile")));
        render_row(p, "journal since", "%s", TIME(member_int(window, "since_ms", 0)));
        render_row(p, "state", "%s", CLEAN(member_str(s, "state")));
        render_row(p, "holds", "%" PRIu64 " objects, %s, sealed %s; %" PRIu64 " holes", count(b, "objects"),
                   size(count(b, "bytes"), bytes), size(count(b, "sealed"), sealed), count(b, "holes"));
        render_recipients(p, b);
        render_kept(p, b);
}

static bool is_deleted(const struct bag *b) {
        return b->tombstone && b->worst != BAG_SEVERITY_BAD;
}

static bool is_unsigned(const struct bag *b) {
        return !b->predicate && (b->worst != BAG_SEVERITY_BAD || b->contradicted);
}

static bool is_contradicted(const struct bag *b) {
        return b->contradicted;
}

static bool is_strange(const struct bag *b) {
        return !*b->name && b->worst == BAG_SEVERITY_DOUBT;
}

/* Where what was found says more than how grave it is; the first that applies. A tombstone is no less true where
 * something beside it is missing. */
static const struct {
        bool (*applies)(const struct bag *b);
        const char *capitals, *text;
} others[] = {
        { is_deleted, "DELETED", "what it held was deleted; what is left is what the host signed" },
        { is_unsigned, "NOT SIGNED", "nothing that is here is traced to anybody" },
        { is_contradicted, "CONTRADICTED",
          "every file is the one that was signed, and the host's ledger says otherwise or cannot be read" },
        { is_strange, "UNKNOWN HOST",
          "every file is the one that was signed, and who did is nobody that is known here" },
};

static void render_verdict_of(const struct page *p, const struct bag *b) {
        const enum tone tone = verdicts[b->worst].tone;

        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (others[i].applies(b)) {
                        render_verdict(p, tone, others[i].capitals, "%s", others[i].text);
                        return;
                }
        render_verdict(p, tone, verdicts[b->worst].capitals, "%s", verdicts[b->worst].text);
}

void render_bag_findings(const struct page *p, const struct bag *b) {
        for (size_t i = 0; i < b->n_named; i++)
                render_row(p, bag_finding_id(b->named[i].what), "%s%s%s", b->named[i].file,
                           *b->named[i].file ? ": " : "", bag_finding_text(b->named[i].what));
        if (b->n_found > b->n_named)
                render_row(p, NULL, "and %zu more", b->n_found - b->n_named);
}

void render_bag_verdict(const struct page *p, const char *path, const struct bag *b) {
        char bytes[32];

        render_verdict_of(p, b);
        render_bag(p, path, b);
        render_row(p, "verified", "%" PRIu64 " of %zu files, %s", b->files, b->data.n, size(b->bytes, bytes));
        render_bag_findings(p, b);
}

void render_opened_findings(const struct page *p, const struct opened *o) {
        render_row(p, "holes", "%" PRIu64 ", in index.jsonl: what could not be read, and why", o->holes);
        if (o->wrong > 0)
                render_row(p, "wrong", "%" PRIu64 " do not open, or are not what the index says; the first: %s",
                           o->wrong, o->first);
        if (o->err == -ENOSPC)
                render_row(p, "room", "there is not enough for what would come out of it");
        if (o->missing > 0)
                render_row(p, "missing", "%" PRIu64 " are in the index and nowhere else", o->missing);
        if (o->unlisted > 0)
                render_row(p, "unlisted", "%" PRIu64 " are in no part of the index that was sealed", o->unlisted);
        if (!o->ended)
                render_row(p, "cut short", "the index has no end: the collector was stopped");
}

void render_opened(const struct page *p, const char *out, const struct opened *o, int code) {
        char bytes[32];

        const bool all = o->wrong == 0 && o->missing == 0 && o->unlisted == 0 && o->ended;

        render_verdict(p, render_tone(code), all ? "OPENED" : "OPENED IN PART",
                       "%" PRIu64 " objects, %s, each as the index says", o->objects, size(o->bytes, bytes));
        render_row(p, "in", "%s", CLEAN(out));
        render_opened_findings(p, o);
}

json_t *bag_to_json(const char *path, const struct bag *b) {
        _cleanup_json_ json_t *list = json_array();
        json_t *o;

        for (size_t i = 0; list && i < b->n_named; i++)
                (void) json_array_append_new(list, json_pack("{s:s, s:s}", "finding", bag_finding_id(b->named[i].what),
                                                             "file", b->named[i].file));
        o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:O}", "folder", path, "host", b->host, "name", b->name, "files",
                      (json_int_t) b->files, "bytes", (json_int_t) b->bytes, "findings_n", (json_int_t) b->n_found,
                      "findings", list);
        if (o && b->predicate)
                (void) json_object_set(o, "statement", b->predicate);
        if (o)
                kept_to_json(o, b);
        return o;
}

json_t *gone_to_json(const char *path, const struct chain_folder *f) {
        return json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "folder", path, "sealed_ms", (json_int_t) f->sealed_ms,
                         "objects", (json_int_t) f->objects, "sealed", (json_int_t) f->sealed, "holes",
                         (json_int_t) f->holes, "deleted", f->deleted);
}

json_t *opened_to_json(const struct opened *o) {
        return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b}", "objects", (json_int_t) o->objects, "bytes",
                         (json_int_t) o->bytes, "holes", (json_int_t) o->holes, "wrong", (json_int_t) o->wrong,
                         "missing", (json_int_t) o->missing, "unlisted", (json_int_t) o->unlisted, "ended", o->ended);
}
