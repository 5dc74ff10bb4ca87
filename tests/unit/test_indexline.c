/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/indexline.c ctl/member.c ctl/sums.c agent/collect/index.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/collect/index.h"
#include "ctl/indexline.h"

static int parse(const char *line, struct indexline *ret) {
        return indexline_parse(line, strlen(line), ret);
}

static void indexline_reads_what_the_collector_writes(void **state) {
        static const char *const sources[] = { "/proc/7/exe", "a\nb\x1b[31m", "\xff\xfe|", "\"},{\"" };
        const struct statx st = { .stx_mask = STATX_INO | STATX_MTIME,
                                  .stx_ino = 77,
                                  .stx_mtime = { .tv_sec = 5, .tv_nsec = 1000 } };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(sources); i++) {
                const struct index_item item = {
                        .kind = "deleted-exe", .source = sources[i], .pid = 7, .not_frozen = true
                };
                const struct index_object object = { .file = "data/000002-pack.tar.zst.age",
                                                     .member = "000004-deleted-exe",
                                                     .bytes = 9,
                                                     .started_ms = 5,
                                                     .ended_ms = 6,
                                                     .stat = &st };
                _cleanup_(indexline_done) struct indexline l = { .pid = 0 };
                _cleanup_free_ char *line = NULL;

                assert_int_equal(index_object_line(&item, &object, &line), 0);
                assert_int_equal(parse(line, &l), 0);
                assert_int_equal(l.what, INDEXLINE_OBJECT);
                assert_string_equal(l.name, "000004-deleted-exe");
                assert_string_equal(l.kind, "deleted-exe");
                assert_int_equal(l.n_source, strlen(sources[i]));
                assert_memory_equal(l.source, sources[i], l.n_source);
                assert_int_equal(l.pid, 7);
                assert_true(l.not_frozen);
                assert_int_equal(l.bytes, 9);
                assert_int_equal(l.ended_ms, 6);
                assert_true(l.has_stat);
                assert_int_equal(l.stat.inode, 77);
                assert_int_equal(l.stat.mtime_us, 5000001);
                assert_int_equal(l.stat.mode, -1);
                assert_true(l.stat.atime_us == INT64_MIN);
        }
}

static void indexline_names_an_object_of_its_own_by_its_file(void **state) {
        _cleanup_(indexline_done) struct indexline l = { .pid = 0 };

        (void) state;
        assert_int_equal(parse("{\"file\":\"data/000012-core.zst.age\",\"kind\":\"core\",\"source\":\"s\"}", &l), 0);
        assert_string_equal(l.name, "000012-core");
        assert_false(l.has_stat);
}

static void indexline_reads_holes(void **state) {
        const struct index_item item = { .kind = "environ", .source = "/proc/7/environ", .pid = 7 };
        const struct index_hole hole = { .err = EACCES, .expected = 100, .got = 40 };
        _cleanup_(indexline_done) struct indexline l = { .pid = 0 };
        _cleanup_free_ char *line = NULL;

        (void) state;
        assert_int_equal(index_hole_line(&item, &hole, &line), 0);
        assert_int_equal(parse(line, &l), 0);
        assert_int_equal(l.what, INDEXLINE_HOLE);
        assert_string_equal(l.hole, "EACCES");
        assert_string_equal(l.name, "");
        assert_int_equal(l.expected, 100);
        assert_int_equal(l.got, 40);
}

static void indexline_takes_no_name_that_leads_elsewhere(void **state) {
        static const char *const bad[] = {
                "{\"file\":\"data/../x\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"/etc/shadow\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"data/a.zst.age\",\"member\":\"../x\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"data/a.zst.age\",\"member\":\"a/b\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"data/a.zst.age\",\"member\":\".x\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"data/\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"member\":\"000001-x\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"data/a\",\"kind\":\"K\",\"source\":\"s\"}",
                "{\"file\":\"data/a\",\"kind\":\"a/b\",\"source\":\"s\"}",
                "{\"file\":\"data/a\",\"kind\":\"abcdefghijklmnopqrstuvwxyz\",\"source\":\"s\"}",
                "{\"file\":\"data/a\",\"kind\":\"\",\"source\":\"s\"}",
                "{\"file\":\"data/a\",\"kind\":\"k\",\"source\":\"s\",\"pid\":-1}",
                "{\"file\":\"data/a\",\"kind\":\"k\",\"source\":\"s\",\"bytes\":-1}",
                "{\"file\":\"data/a\",\"kind\":\"k\",\"source_b64\":\"not base64\"}",
                "{\"hole\":\"E ACCES\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"hole\":\"EACCES\\u001b\",\"kind\":\"k\",\"source\":\"s\"}",
                "{\"file\":\"data/a\",\"file\":\"data/b\",\"kind\":\"k\"}",
                "[]",
                "{",
                "",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                struct indexline l = { .pid = 4711 };

                assert_int_equal(parse(bad[i], &l), -EBADMSG);
                assert_int_equal(l.pid, 4711);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(indexline_reads_what_the_collector_writes),
                cmocka_unit_test(indexline_names_an_object_of_its_own_by_its_file),
                cmocka_unit_test(indexline_reads_holes),
                cmocka_unit_test(indexline_takes_no_name_that_leads_elsewhere),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
