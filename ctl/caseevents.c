/* SPDX-License-Identifier: Apache-2.0 */

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "ctl/caseevents.h"
#include "ctl/journalfile.h"
#include "ctl/member.h"
#include "ctl/seenset.h"
#include "policy/dsse.h"

#define MS_MAX INT64_C(253402300799999)

enum list { SKETCH, IRIS, BODY, _LISTS };

static const char *const names[_LISTS] = {
        [SKETCH] = CASEEVENTS_SKETCH, [IRIS] = CASEEVENTS_IRIS, [BODY] = CASEEVENTS_BODY
};

struct caseevents {
        FILE *f[_LISTS];
        const struct bag *bag;
        struct timeline_case about;
        struct seenset entries; /* cursors: journals that were taken for different reasons share entries */
        uint64_t n, bad;
};

void caseevents_free(struct caseevents *e) {
        if (!e)
                return;
        for (size_t i = 0; i < _LISTS; i++)
                if (e->f[i])
                        (void) fclose(e->f[i]);
        seenset_done(&e->entries);
        free(e);
}

void caseevents_freep(struct caseevents **e) {
        caseevents_free(*e);
}

int caseevents_new(const char *dir, const struct bag *b, struct caseevents **ret) {
        _cleanup_(caseevents_freep) struct caseevents *e = calloc(1, sizeof(*e));

        if (!e)
                return -ENOMEM;
        e->bag = b;
        e->about = (struct timeline_case) {
                .host = *b->name ? b->name : b->host,
                .hold = member_str(b->predicate, "hold"),
                .incident = member_str(b->predicate, "incident"),
        };
        for (size_t i = 0; i < _LISTS; i++) {
                char path[PATH_MAX];

                if ((size_t) snprintf(path, sizeof(path), "%s/%s", dir, names[i]) >= sizeof(path))
                        return -ENAMETOOLONG;
                e->f[i] = fopen(path, "wxe");
                if (!e->f[i])
                        return -errno;
        }
        if (timeline_iris_head(e->f[IRIS]) < 0)
                return -EIO;
        *ret = TAKE_PTR(e);
        return 0;
}

/* A host may say any number. */
static int64_t us_of_ms(int64_t ms) {
        return ms < 0 || ms > MS_MAX ? 0 : ms * 1000;
}

/* main: it goes into both timelines. */
static int add(struct caseevents *e, const struct timeline_event *ev, bool main) {
        int r = timeline_sketch_line(e->f[SKETCH], &e->about, ev);

        if (r == 0 && main)
                r = timeline_iris_line(e->f[IRIS], &e->about, ev);
        e->n += r == 0;
        return r;
}

static int add_text(struct caseevents *e, int64_t ms, const char *desc, const char *tag, const char *text) {
        const struct timeline_event ev = {
                .us = us_of_ms(ms), .desc = desc, .tag = tag, .message = TIMELINE_TEXT(text)
        };
        return add(e, &ev, true);
}

/* "contain unit:a.service, unit:b.service ordered (P0): the reason. Signed by SHA256:..." */
static char *tell_order(const json_t *o, const struct dsse *d) {
        char *text = NULL, id[SSHKEY_ID_SIZE];
        const json_t *target;
        size_t size, i;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        (void) fprintf(f, "%s", member_str(o, "verb"));
        json_array_foreach(json_object_get(o, "targets"), i, target)(void)
                fprintf(f, "%s %s", i > 0 ? "," : "", json_string_value(target) ?: "?");
        (void) fprintf(f, " ordered (%s): %s.", member_str(o, "severity"), member_str(o, "reason"));
        for (i = 0; i < d->n_sigs; i++) {
                sshkey_id_to_str(d->sigs[i].keyid, id);
                (void) fprintf(f, "%s %s", i > 0 ? "," : " Signed by", id);
        }
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

static int add_order(struct caseevents *e) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_free_ char *text = NULL, *message = NULL;
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;
        size_t n;
        int r = bag_read_tag(e->bag, "order.dsse.json", &text, &n);

        /* a snapshot after a restart may not know its order any more */
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        if (dsse_parse(text, n, &d, &reason) < 0 || reason != REASON_NONE) {
                e->bad++;
                return 0;
        }
        o = json_loadb((const char *) d.payload, d.n_payload, JSON_REJECT_DUPLICATES, NULL);
        message = tell_order(o, &d);
        return message ? add_text(e, member_int(o, "iat", 0), "Order signed", "order", message) : -ENOMEM;
}

static int add_sealed(struct caseevents *e, const json_t *o) {
        const char *file = member_str(o, "file");
        _cleanup_free_ char *text = NULL;
        struct timeline_event ev = {
                .us = us_of_ms(member_int(o, "ended_ms", 0)), .desc = "Evidence sealed", .tag = "sealed", .file = file
        };

        if (asprintf(&text, "sealed %s: %s, %" PRIi64 " bytes, SHA-256 %s%s", file, member_str(o, "kind"),
                     member_int(o, "bytes", 0), member_str(o, "sha256"),
                     member_is_true(o, "cut") ? ", cut short" : "") < 0) {
                text = NULL;
                return -ENOMEM;
        }
        ev.message = TIMELINE_TEXT(text);
        return add(e, &ev, false);
}

static int add_public(struct caseevents *e) {
        _cleanup_free_ char *text = NULL;
        char *save = NULL;
        size_t n;
        int r = bag_read_tag(e->bag, "public.jsonl", &text, &n);

        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (char *line = strtok_r(text, "\n", &save); r == 0 && line; line = strtok_r(NULL, "\n", &save)) {
                _cleanup_json_ json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

                if (json_is_object(o))
                        r = add_sealed(e, o);
                else
                        e->bad++;
        }
        return r;
}

int caseevents_bag(struct caseevents *e) {
        const json_t *p = e->bag->predicate;
        char text[256];
        int r = add_order(e);

        if (r == 0)
                r = add_text(e, member_int(p, "started_ms", 0), "Evidence collection began", "evidence",
                             "evidence collection began");
        if (r == 0)
                r = add_public(e);
        (void) snprintf(text, sizeof(text), "evidence collection ended: %s, %" PRIi64 " objects, %" PRIi64 " holes",
                        member_str(p, "state"), member_int(p, "objects", 0), member_int(p, "holes", 0));
        return r == 0 ? add_text(e, member_int(p, "ended_ms", 0), "Evidence collection ended", "evidence", text) : r;
}

/* What a record is the record of; main as in add. */
static const struct {
        const char *kind, *desc;
        bool main;
} records[] = {
        { "order", "Order accepted", true },
        { "outcome", "Order carried out", true },
        { "lapse", "Lease ended", true },
        { "sites", "Targets found anew", false },
        { "attempts", "Attempts while held", false },
        { "evidence", "Evidence kept", true },
        { "custody", "Evidence accessed", true },
        { "expiry", "Evidence expired", true },
        { "deleted", "Evidence deleted", true },
        { "refusal", "Order refused", true },
};

static void tell_list(FILE *f, const char *before, const json_t *list) {
        const json_t *one;
        size_t i;

        json_array_foreach(list, i, one)(void) fprintf(f, "%s%s", i > 0 ? ", " : before, json_string_value(one) ?: "?");
}

static void tell_receipt(FILE *f, const char *envelope) {
        _cleanup_(dsse_done) struct dsse d = DSSE_NULL;
        _cleanup_json_ json_t *o = NULL;
        enum reason reason;
        json_int_t total;

        if (dsse_parse(envelope, strlen(envelope), &d, &reason) < 0 || reason != REASON_NONE)
                return;
        o = json_loadb((const char *) d.payload, d.n_payload, JSON_REJECT_DUPLICATES, NULL);
        (void) fprintf(f, ", %s %s", member_str(o, "verb"), member_str(o, "state"));
        tell_list(f, ", but ", json_object_get(o, "reasons"));
        total = member_int(json_object_get(o, "phases_us"), "total", 0);
        if (total > 0)
                (void) fprintf(f, ", in %" JSON_INTEGER_FORMAT " us", total);
}

/* "record 12: order contain, alice as responder" */
static char *tell_record(const json_t *o) {
        const char *act = member_str(o, "act"), *verb = member_str(o, "verb"), *of = member_str(o, "of");
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        (void) fprintf(f, "record %" PRIi64 ": %s", member_int(o, "n", 0), member_str(o, "kind"));
        if (*verb || *act)
                (void) fprintf(f, " %s", *verb ? verb : act);
        if (*of)
                (void) fprintf(f, " of the %s", of);
        tell_list(f, ", by ", json_object_get(o, "people"));
        if (*member_str(o, "role"))
                (void) fprintf(f, " as %s", member_str(o, "role"));
        if (*act)
                (void) fprintf(f, ", by uid %" PRIi64, member_int(o, "uid", -1));
        if (member_int(o, "login_uid", -1) >= 0)
                (void) fprintf(f, " who logged in as uid %" PRIi64, member_int(o, "login_uid", -1));
        tell_receipt(f, member_str(o, "receipt"));
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

int caseevents_record(struct caseevents *e, const json_t *o) {
        _cleanup_free_ char *text = NULL;
        struct timeline_event ev = { .us = us_of_ms(member_int(o, "t_wall", 0)),
                                     .desc = "Ledger record",
                                     .tag = "ledger" };
        bool main = false;

        for (size_t i = 0; i < ELEMENTSOF(records); i++)
                if (strcmp(records[i].kind, member_str(o, "kind")) == 0) {
                        ev.desc = records[i].desc;
                        main = records[i].main;
                }
        text = tell_record(o);
        if (!text)
                return -ENOMEM;
        ev.message = TIMELINE_TEXT(text);
        return add(e, &ev, main);
}

int caseevents_export(struct caseevents *e, const struct custody_told *told, bool opened) {
        const int64_t now = (int64_t) time(NULL) * 1000;
        char text[512];

        if (told->recorded)
                (void) snprintf(text, sizeof(text), "evidence %s: record %" PRIu64 " of the host's ledger",
                                opened ? "opened and exported" : "exported as it is sealed", told->n);
        else
                (void) snprintf(text, sizeof(text), "evidence %s; not recorded: %s",
                                opened ? "opened and exported" : "exported as it is sealed", told->why);
        return add_text(e, now, "Evidence exported", "custody", text);
}

/* "kept SOURCE (KIND, N bytes)", where SOURCE is any bytes. */
static char *tell_line(const struct indexline *l, size_t *ret_n) {
        char *text = NULL;
        FILE *f = open_memstream(&text, ret_n);

        if (!f)
                return NULL;
        (void) fputs(l->what == INDEXLINE_HOLE ? l->name[0] ? "kept in part: " : "not kept: " : "kept ", f);
        (void) fwrite(l->source, 1, l->n_source, f);
        if (l->what == INDEXLINE_HOLE)
                (void) fprintf(f, " (%s): %s, got %" PRIi64, l->kind, l->hole, l->got);
        else
                (void) fprintf(f, " (%s, %" PRIi64 " bytes%s)", l->kind, l->bytes, l->not_frozen ? ", not frozen" : "");
        if (l->what == INDEXLINE_HOLE && l->expected >= 0)
                (void) fprintf(f, " of %" PRIi64 " bytes", l->expected);
        if (fclose(f) == 0)
                return text;
        free(text);
        return NULL;
}

/* Holes have no time of their own: they are of the snapshot. */
static int add_line(struct caseevents *e, const struct indexline *l) {
        const bool hole = l->what == INDEXLINE_HOLE;
        struct timeline_event ev = {
                .us = us_of_ms(hole ? member_int(e->bag->predicate, "ended_ms", 0) : l->ended_ms),
                .desc = hole ? "Evidence missing" : "Evidence collected",
                .tag = hole ? "hole" : "object",
                .origin = { l->source, l->n_source },
                .file = *l->name ? l->name : NULL,
                .pid = l->pid,
        };
        _cleanup_free_ char *text = NULL;

        if (l->what == INDEXLINE_NOTE)
                return 0;
        text = tell_line(l, &ev.message.n);
        ev.message.bytes = text;
        if (!text)
                return -ENOMEM;
        int r = add(e, &ev, false);

        return r == 0 ? timeline_bodyfile_line(e->f[BODY], l) : r;
}

int caseevents_index(struct caseevents *e, FILE *index) {
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        int r = 0;

        for (ssize_t n; r == 0 && (n = getline(&line, &size, index)) > 0;) {
                _cleanup_(indexline_done) struct indexline l = { .pid = 0 };

                r = indexline_parse(line, (size_t) n, &l);
                if (r == 0)
                        r = add_line(e, &l);
                else if (r == -EBADMSG) {
                        e->bad++;
                        r = 0;
                }
        }
        return r;
}

static struct timeline_text text_of(const struct journalfile_entry *j, enum journalfile_field which) {
        return (struct timeline_text) { j->v[which].bytes, j->v[which].n };
}

static int add_entry(struct caseevents *e, const struct journalfile_entry *j, const char *name) {
        struct timeline_event ev = {
                .us = journalfile_number(j, JOURNALFILE_REALTIME),
                .desc = "Journal entry",
                .tag = "journal",
                .message = text_of(j, JOURNALFILE_MESSAGE),
                .origin = text_of(j, JOURNALFILE_IDENTIFIER),
                .unit = text_of(j, JOURNALFILE_UNIT),
                .file = name,
                .pid = journalfile_number(j, JOURNALFILE_PID),
        };

        const struct journalfile_value *cursor = &j->v[JOURNALFILE_CURSOR];
        int r = cursor->n > 0 ? seenset_add(&e->entries, cursor->bytes, cursor->n) : 1;

        if (r <= 0)
                return r;
        if (ev.origin.n == 0)
                ev.origin = text_of(j, JOURNALFILE_COMM);
        return add(e, &ev, false);
}

int caseevents_journal(struct caseevents *e, FILE *journal, const char *name) {
        int r = 1;

        while (r > 0) {
                _cleanup_(journalfile_entry_done) struct journalfile_entry j = JOURNALFILE_ENTRY_NULL;

                r = journalfile_next(journal, &j);
                if (r > 0)
                        r = add_entry(e, &j, name) ?: 1;
        }
        if (r != -EBADMSG)
                return r;
        e->bad++;
        return 0;
}

int caseevents_finish(struct caseevents *e, uint64_t *ret_events, uint64_t *ret_bad) {
        int r = 0;

        for (size_t i = 0; i < _LISTS; i++) {
                FILE *f = e->f[i];

                e->f[i] = NULL;
                if (ferror(f) || fflush(f) != 0)
                        r = -EIO;
                if (fclose(f) != 0)
                        r = -EIO;
        }
        *ret_events = e->n;
        *ret_bad = e->bad;
        return r;
}
