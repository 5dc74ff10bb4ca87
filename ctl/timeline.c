/* SPDX-License-Identifier: Apache-2.0 */

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "ctl/text.h"
#include "ctl/timeline.h"

#define STAMP_SIZE 40U
#define TITLE_MAX  160U
/* the end of the year 9999 */
#define TIME_MAX_US INT64_C(253402300799999999)

/* A time that no calendar has becomes the epoch. */
static int64_t sane(int64_t us) {
        return us < 0 || us > TIME_MAX_US ? 0 : us;
}

/* "2026-11-20T21:52:10.123456" */
static const char *stamp(int64_t us, char ret[static STAMP_SIZE]) {
        const time_t t = (time_t) (sane(us) / 1000000);
        struct tm tm;
        size_t n = gmtime_r(&t, &tm) ? strftime(ret, STAMP_SIZE, "%Y-%m-%dT%H:%M:%S", &tm) : 0;

        (void) snprintf(ret + n, STAMP_SIZE - n, ".%06u", (unsigned) (sane(us) % 1000000));
        return ret;
}

static int set_text(json_t *o, const char *name, struct timeline_text t) {
        _cleanup_free_ char *s = NULL;

        if (t.n == 0)
                return 0;
        s = text_escape(t.bytes, t.n, TIMELINE_TEXT_MAX);
        return !s || json_object_set_new(o, name, json_string(s)) < 0 ? -ENOMEM : 0;
}

int timeline_sketch_line(FILE *f, const struct timeline_case *c, const struct timeline_event *e) {
        char at[STAMP_SIZE], date[STAMP_SIZE + 8];
        _cleanup_free_ char *line = NULL;
        _cleanup_json_ json_t *o = NULL;

        (void) snprintf(date, sizeof(date), "%s+00:00", stamp(e->us, at));
        o = json_pack("{s:s, s:s, s:I, s:s, s:s}", "message", "", "datetime", date, "timestamp",
                      (json_int_t) sane(e->us), "timestamp_desc", e->desc, "category", e->tag);
        if (!o || set_text(o, "message", e->message.n > 0 ? e->message : TIMELINE_TEXT("(no message)")) < 0 ||
            set_text(o, "host", TIMELINE_TEXT(c->host)) < 0 || set_text(o, "hold", TIMELINE_TEXT(c->hold)) < 0 ||
            set_text(o, "incident", TIMELINE_TEXT(c->incident)) < 0 || set_text(o, "origin", e->origin) < 0 ||
            set_text(o, "unit", e->unit) < 0 || (e->file && set_text(o, "file", TIMELINE_TEXT(e->file)) < 0) ||
            (e->pid > 0 && json_object_set_new(o, "pid", json_integer(e->pid)) < 0))
                return -ENOMEM;
        line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
        if (!line)
                return -ENOMEM;
        return fprintf(f, "%s\n", line) < 0 ? -EIO : 0;
}

int timeline_iris_head(FILE *f) {
        return fputs("event_date,event_tz,event_title,event_category,event_content,event_raw,event_source,event_assets,"
                     "event_iocs,event_tags\n",
                     f) < 0
                       ? -EIO
                       : 0;
}

/* A spreadsheet calculates what begins with one of these, some also after blanks. The text is one line already. */
static int put_cell(FILE *f, struct timeline_text t, size_t max, const char *end) {
        _cleanup_free_ char *s = text_escape(t.bytes, t.n, max);

        if (!s)
                return -ENOMEM;
        (void) putc('"', f);
        if (s[strspn(s, " ")] != '\0' && strchr("=+-@|%", s[strspn(s, " ")]))
                (void) putc('\'', f);
        for (const char *p = s; *p; p++) {
                if (*p == '"')
                        (void) putc('"', f);
                (void) putc(*p, f);
        }
        return fprintf(f, "\"%s", end) < 0 ? -EIO : 0;
}

int timeline_iris_line(FILE *f, const struct timeline_case *c, const struct timeline_event *e) {
        char at[STAMP_SIZE], tags[64];
        int r;

        /* milliseconds: what its own example has */
        (void) stamp(e->us, at);
        at[strlen(at) - 3] = '\0';
        (void) snprintf(tags, sizeof(tags), "freezed|%s", e->tag);
        if (fprintf(f, "\"%s\",\"+00:00\",", at) < 0)
                return -EIO;
        r = put_cell(f, e->message, TITLE_MAX, ",\"Unspecified\",");
        if (r == 0)
                r = put_cell(f, e->message, TIMELINE_TEXT_MAX, ",");
        if (r == 0)
                r = put_cell(f, e->origin.n > 0 ? e->origin : e->message, TIMELINE_TEXT_MAX, ",");
        if (r == 0)
                r = put_cell(f, TIMELINE_TEXT(c->host), TITLE_MAX, ",\"\",\"\",");
        return r == 0 ? put_cell(f, TIMELINE_TEXT(tags), sizeof(tags), "\n") : r;
}

/* As ls and The Sleuth Kit write it: the type twice, then the nine letters. */
static const char *mode_text(int64_t mode, char ret[static 16]) {
        static const char types[16] = "?pc?d?b?r?l?s???", letters[] = "rwxrwxrwx";
        const char type = types[(mode >> 12) & 15];

        (void) snprintf(ret, 16, "%c/%c%s", type, type, letters);
        for (int i = 0; i < 9; i++)
                if (!(mode & (0400 >> i)))
                        ret[3 + i] = '-';
        if (mode & S_ISUID)
                ret[5] = mode & S_IXUSR ? 's' : 'S';
        if (mode & S_ISGID)
                ret[8] = mode & S_IXGRP ? 's' : 'S';
        if (mode & S_ISVTX)
                ret[11] = mode & S_IXOTH ? 't' : 'T';
        return ret;
}

static int64_t seconds(int64_t us) {
        return us == INT64_MIN ? 0 : us / 1000000 - (us % 1000000 < 0);
}

int timeline_bodyfile_line(FILE *f, const struct indexline *l) {
        const struct indexline_stat *s = &l->stat;
        _cleanup_free_ char *name = NULL;
        char mode[16];

        if (l->what != INDEXLINE_OBJECT || !l->has_stat)
                return 0;
        name = text_escape(l->source, l->n_source, TIMELINE_TEXT_MAX);
        if (!name)
                return -ENOMEM;
        (void) fputs("0|", f);
        for (const char *p = name; *p; p++)
                (void) fputs(*p == '|' ? "\\x7c" : (char[]) { *p, '\0' }, f);
        return fprintf(f,
                       "|%" PRIi64 "|%s|%" PRIi64 "|%" PRIi64 "|%" PRIi64 "|%" PRIi64 "|%" PRIi64 "|%" PRIi64
                       "|%" PRIi64 "\n",
                       MAX(s->inode, 0), mode_text(MAX(s->mode, 0), mode), MAX(s->uid, 0), MAX(s->gid, 0),
                       MAX(s->size, 0), seconds(s->atime_us), seconds(s->mtime_us), seconds(s->ctime_us),
                       seconds(s->btime_us)) < 0
                       ? -EIO
                       : 0;
}
