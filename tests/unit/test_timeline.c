/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/timeline.c ctl/indexline.c ctl/member.c ctl/sums.c ctl/text.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/timeline.h"

static const struct timeline_case about = { .host = "box", .hold = "00", .incident = "SA-20261120-001" };

static struct timeline_event event(const char *message) {
        return (struct timeline_event) { .us = INT64_C(1795211530123456),
                                         .desc = "Freeze completed",
                                         .tag = "hold",
                                         .message = TIMELINE_TEXT(message) };
}

/* What one of the writers says; owned by the caller. */
static char *said(int (*write)(FILE *f, const struct timeline_case *c, const struct timeline_event *e),
                  const struct timeline_event *e) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        assert_int_equal(write(f, &about, e), 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static char *body(const struct indexline *l) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        assert_int_equal(timeline_bodyfile_line(f, l), 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void timeline_sketch_line_is_what_timesketch_asks_for(void **state) {
        struct timeline_event e = event("frozen");
        _cleanup_free_ char *line = NULL;

        (void) state;
        e.pid = 7;
        e.file = "data/000001-core.zst.age";
        e.origin = TIMELINE_TEXT("/proc/7/exe");
        line = said(timeline_sketch_line, &e);
        assert_string_equal(line, "{\"message\":\"frozen\",\"datetime\":\"2026-11-20T21:52:10.123456+00:00\","
                                  "\"timestamp\":1795211530123456,\"timestamp_desc\":\"Freeze completed\",\"category\":"
                                  "\"hold\",\"host\":\"box\",\"hold\":\"00\",\"incident\":\"SA-20261120-001\","
                                  "\"origin\":\"/proc/7/exe\",\"file\":\"data/000001-core.zst.age\",\"pid\":7}\n");
}

static void timeline_iris_line_has_ten_quoted_cells(void **state) {
        struct timeline_event e = event("say \"stop\"");
        _cleanup_free_ char *line = said(timeline_iris_line, &e);

        (void) state;
        assert_string_equal(line, "\"2026-11-20T21:52:10.123\",\"+00:00\",\"say \"\"stop\"\"\",\"Unspecified\","
                                  "\"say \"\"stop\"\"\",\"say \"\"stop\"\"\",\"box\",\"\",\"\",\"freezed|hold\"\n");
}

static void timeline_text_cannot_end_its_line_its_cell_or_its_string(void **state) {
        static const char *const hostile[] = {
                "\"}\n{\"message\":\"forged\"}",
                "a\r\nb",
                "\",\"x\",\"",
                "\x1b[31mred",
                "\xff\xfe",
                "\xe2\x80\xae rlo",
                "\xe2\x80\xa8 line separator",
                "\xc2\x85 next line",
                "\x0b\x0c\x1c\x1d\x1e",
                "back\\slash\\",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(hostile); i++) {
                struct timeline_event e = event(hostile[i]);
                _cleanup_free_ char *json = said(timeline_sketch_line, &e), *csv = said(timeline_iris_line, &e);
                _cleanup_json_ json_t *o = json_loads(json, 0, NULL);

                assert_true(json_is_object(o));
                assert_ptr_equal(strchr(json, '\n'), json + strlen(json) - 1);
                assert_ptr_equal(strchr(csv, '\n'), csv + strlen(csv) - 1);
                for (const char *p = json; *p != '\n'; p++)
                        assert_true(*p >= ' ' && *p <= '~');
                assert_null(strpbrk(csv, "\r\x0b\x0c\x1b\x1c\x1d\x1e\xff"));
                assert_null(strstr(csv, "\xe2\x80"));
        }
}

static void timeline_cells_are_nothing_that_a_spreadsheet_calculates(void **state) {
        static const char *const formulas[] = { "=1+1", "+1", "-1", "@SUM(1)", "  =1", "|x", "%x" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(formulas); i++) {
                struct timeline_event e = event(formulas[i]);
                _cleanup_free_ char *csv = said(timeline_iris_line, &e);
                char want[64];

                (void) snprintf(want, sizeof(want), ",\"'%s\",", formulas[i]);
                assert_non_null(strstr(csv, want));
        }
}

static void timeline_takes_times_that_no_calendar_has(void **state) {
        static const int64_t times[] = { -1, INT64_MIN, INT64_MAX, INT64_C(253402300800000000) };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                struct timeline_event e = event("x");
                e.us = times[i];
                _cleanup_free_ char *json = said(timeline_sketch_line, &e), *csv = said(timeline_iris_line, &e);

                assert_non_null(strstr(json, "\"datetime\":\"1970-01-01T00:00:00.000000+00:00\",\"timestamp\":0,"));
                assert_int_equal(strncmp(csv, "\"1970-01-01T00:00:00.000\"", 25), 0);
        }
}

static void timeline_cuts_what_is_long(void **state) {
        struct timeline_event e = event("");
        char *big = malloc(1000000);

        (void) state;
        assert_non_null(big);
        memset(big, 'x', 1000000);
        e.message = (struct timeline_text) { big, 1000000 };
        _cleanup_free_ char *json = said(timeline_sketch_line, &e);

        free(big);
        assert_true(strlen(json) < TIMELINE_TEXT_MAX + 1000);
        assert_non_null(strstr(json, "xxx...\""));
}

static void timeline_bodyfile_line_has_eleven_fields(void **state) {
        struct indexline l = { .source = (uint8_t *) (char[]) { "/tmp/a|b\nc" },
                               .n_source = 10,
                               .has_stat = true,
                               .stat = { .inode = 77,
                                         .mode = 0106751,
                                         .uid = 33,
                                         .gid = 34,
                                         .size = 9,
                                         .atime_us = 1000000,
                                         .mtime_us = 2999999,
                                         .ctime_us = -1,
                                         .btime_us = INT64_MIN } };
        _cleanup_free_ char *line = body(&l), *none = NULL, *hole = NULL;

        (void) state;
        assert_string_equal(line, "0|/tmp/a\\x7cb\\x0ac|77|r/rrwsr-s--x|33|34|9|1|2|-1|0\n");
        l.has_stat = false;
        none = body(&l);
        assert_string_equal(none, "");
        l.has_stat = true;
        l.what = INDEXLINE_HOLE;
        hole = body(&l);
        assert_string_equal(hole, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(timeline_sketch_line_is_what_timesketch_asks_for),
                cmocka_unit_test(timeline_iris_line_has_ten_quoted_cells),
                cmocka_unit_test(timeline_text_cannot_end_its_line_its_cell_or_its_string),
                cmocka_unit_test(timeline_cells_are_nothing_that_a_spreadsheet_calculates),
                cmocka_unit_test(timeline_takes_times_that_no_calendar_has),
                cmocka_unit_test(timeline_cuts_what_is_long),
                cmocka_unit_test(timeline_bodyfile_line_has_eleven_fields),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
