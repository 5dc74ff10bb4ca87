/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/indexline.c ctl/timeline.c ctl/journalfile.c ctl/member.c ctl/sums.c ctl/text.c */
#include <stdint.h>
#include <string.h>

#include "ctl/journalfile.h"
#include "ctl/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct timeline_case about = { .host = "h", .hold = "0", .incident = "" };

/* Either list has to be one line, whatever it was made of. */
static void check_line(const char *s, size_t n) {
        if (n == 0 || memchr(s, '\n', n) != s + n - 1 || memchr(s, '\r', n) || memchr(s, '\0', n) || memchr(s, 27, n))
                __builtin_trap();
}

/* Ten cells, each in quotes, none of which a spreadsheet calculates. */
static void check_cells(const char *s, size_t n) {
        size_t cells = 0, i = 0;

        for (; i < n && s[i] == '"'; cells++) {
                const char *cell = s + ++i;

                while (s[i] != '"' || s[i + 1] == '"')
                        i += s[i] == '"' ? 2 : 1;
                if (cells != 1 && strchr("=+-@", *cell) && *cell != '"' && *cell != '\0')
                        __builtin_trap();
                i += 2;
        }
        if (cells != 10 || i != n)
                __builtin_trap();
}

static void check_event(const struct timeline_event *e) {
        _cleanup_free_ char *sketch = NULL, *iris = NULL;
        _cleanup_json_ json_t *o = NULL;
        size_t n = 0, n_iris = 0;
        FILE *f = open_memstream(&sketch, &n), *g = open_memstream(&iris, &n_iris);

        if (timeline_sketch_line(f, &about, e) < 0 || timeline_iris_line(g, &about, e) < 0)
                __builtin_trap();
        (void) fclose(f);
        (void) fclose(g);
        check_line(sketch, n);
        check_line(iris, n_iris);
        check_cells(iris, n_iris);
        o = json_loadb(sketch, n, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_object(o))
                __builtin_trap();
        for (size_t i = 0; i + 1 < n; i++)
                if (sketch[i] < ' ' || sketch[i] > '~')
                        __builtin_trap();
}

static void check_body(const struct indexline *l) {
        _cleanup_free_ char *body = NULL;
        size_t n = 0, bars = 0;
        FILE *f = open_memstream(&body, &n);

        if (timeline_bodyfile_line(f, l) < 0)
                __builtin_trap();
        (void) fclose(f);
        if (n == 0)
                return;
        check_line(body, n);
        for (size_t i = 0; i < n; i++)
                bars += body[i] == '|';
        if (bars != 10)
                __builtin_trap();
}

/* The input as a line of an index, and as a journal; what comes of them must be lines of what it shall be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        struct indexline l;

        if (indexline_parse((const char *) data, size, &l) == 0) {
                const struct timeline_event e = { .us = l.ended_ms,
                                                  .desc = "d",
                                                  .tag = "t",
                                                  .message = { l.source, l.n_source },
                                                  .file = l.name,
                                                  .pid = l.pid };

                if (l.name[0] && (!sums_name_ok(l.name) || strchr(l.name, '/')))
                        __builtin_trap();
                check_event(&e);
                check_body(&l);
                indexline_done(&l);
        }
        FILE *f = size > 0 ? fmemopen((void *) data, size, "r") : NULL;

        for (int r = f ? 1 : 0; r > 0;) {
                struct journalfile_entry j = JOURNALFILE_ENTRY_NULL;

                r = journalfile_next(f, &j);
                if (r > 0) {
                        const struct timeline_event e = {
                                .us = journalfile_number(&j, JOURNALFILE_REALTIME),
                                .desc = "d",
                                .tag = "t",
                                .message = { j.v[JOURNALFILE_MESSAGE].bytes, j.v[JOURNALFILE_MESSAGE].n },
                                .unit = { j.v[JOURNALFILE_UNIT].bytes, j.v[JOURNALFILE_UNIT].n },
                        };
                        check_event(&e);
                }
                journalfile_entry_done(&j);
        }
        if (f)
                (void) fclose(f);
        return 0;
}
