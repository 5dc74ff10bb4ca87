/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/collect/index.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "agent/collect/index.h"

/* What an attacker calls a file: each must come back byte for byte. */
static const char *const hostile[] = {
        "plain",
        "new\nline\n{\"file\":\"data/000009-x\",\"sha256\":\"00\"}",
        "quote\" backslash\\ tab\t",
        "\x1b]0;title\x07\x1b[2J\x1b[31m",
        "\xff\xfe not UTF-8",
        "\xc0\xaf overlong",
        "\xed\xa0\x80 surrogate",
        "cut short \xe2\x82",
        "\xc2\x9b\x33\x31m C1 control",
        "\xe2\x80\xae right to left",
        "\xf0\x9f\x98\x80 beyond the BMP",
        "\x7f",
        " leading and trailing ",
        "",
};

/* The bytes that a reader gets from key or key_b64. */
static size_t decode(const json_t *o, const char *key, char *ret, size_t size) {
        char b64[64];
        size_t n = 0;

        (void) snprintf(b64, sizeof(b64), "%s_b64", key);
        const json_t *text = json_object_get(o, key), *coded = json_object_get(o, b64);

        assert_true(!text != !coded);
        if (text) {
                n = json_string_length(text);
                memcpy(ret, json_string_value(text), n);
                return n;
        }
        assert_int_equal(sodium_base642bin((unsigned char *) ret, size, json_string_value(coded),
                                           json_string_length(coded), NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL),
                         0);
        return n;
}

static json_t *parse_line(const char *line) {
        size_t n = strlen(line);

        assert_true(n > 0 && line[n - 1] == '\n');
        for (size_t i = 0; i + 1 < n; i++)
                assert_in_range(line[i], 0x20, 0x7e);
        json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(o);
        return o;
}

static void index_line_is_one_ascii_line_for_any_source(void **state) {
        const struct index_object object = { .file = "data/000001-x", .bytes = 7, .started_ms = 1, .ended_ms = 2 };
        const struct index_hole hole = { .err = ENOENT, .expected = -1 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(hostile); i++)
                for (int is_hole = 0; is_hole < 2; is_hole++) {
                        const struct index_item item = { .kind = "x", .source = hostile[i] };
                        _cleanup_free_ char *line = NULL;
                        _cleanup_json_ json_t *o = NULL;
                        char back[256];

                        assert_int_equal(is_hole ? index_hole_line(&item, &hole, &line)
                                                 : index_object_line(&item, &object, &line),
                                         0);
                        o = parse_line(line);
                        size_t n = decode(o, "source", back, sizeof(back));

                        assert_int_equal(n, strlen(hostile[i]));
                        assert_memory_equal(back, hostile[i], n);
                        assert_null(json_object_get(o, "pid"));
                }
}

/* The source of a hole whose bytes are all there, but for what comes after the bound. */
static json_t *hole_of(const char *source) {
        const struct index_item item = { .kind = "log", .source = source };
        const struct index_hole hole = { .err = EACCES, .expected = -1 };
        _cleanup_free_ char *line = NULL;

        assert_int_equal(index_hole_line(&item, &hole, &line), 0);
        json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(o);
        return o;
}

static void index_hole_line_cuts_a_source_that_is_too_long_and_no_character_of_it(void **state) {
        char source[4096];

        (void) state;
        for (size_t n = INDEX_HOLE_SOURCE_MAX - 4; n <= INDEX_HOLE_SOURCE_MAX + 4; n++) {
                memset(source, 'x', n);
                (void) snprintf(source + n, sizeof(source) - n, "\xe2\x82\xac");
                _cleanup_json_ json_t *o = hole_of(source);
                const char *is = json_string_value(json_object_get(o, "source"));
                const bool whole = n + 3 <= INDEX_HOLE_SOURCE_MAX;

                assert_non_null(is);
                assert_int_equal(json_is_true(json_object_get(o, "source_cut")), !whole);
                assert_int_equal(strlen(is), whole ? n + 3 : MIN(n, (size_t) INDEX_HOLE_SOURCE_MAX));
        }
        memset(source, 0x80, sizeof(source) - 1);
        source[sizeof(source) - 1] = '\0';
        _cleanup_json_ json_t *o = hole_of(source);

        assert_int_equal(json_string_length(json_object_get(o, "source_b64")), (INDEX_HOLE_SOURCE_MAX + 2) / 3 * 4);
}

static void index_object_line_has_every_member(void **state) {
        const struct index_item item = { .kind = "status", .source = "/proc/7/status", .pid = 7 };
        struct index_object object = { .file = "data/000001-status", .bytes = 1234, .started_ms = 5, .ended_ms = 6 };
        _cleanup_free_ char *line = NULL;

        (void) state;
        memset(object.sha256, 0xab, sizeof(object.sha256));
        assert_int_equal(index_object_line(&item, &object, &line), 0);
        assert_string_equal(
                line, "{\"file\":\"data/000001-status\",\"bytes\":1234,\"sha256\":"
                      "\"abababababababababababababababababababababababababababababababab\","
                      "\"started_ms\":5,\"ended_ms\":6,\"kind\":\"status\",\"pid\":7,\"source\":\"/proc/7/status\"}\n");
}

static void index_object_line_says_what_the_file_system_said_and_nothing_it_did_not(void **state) {
        const struct index_item item = { .kind = "log", .source = "s" };
        const struct statx st = {
                .stx_mask = STATX_INO | STATX_MODE | STATX_UID | STATX_SIZE | STATX_MTIME,
                .stx_ino = 77,
                .stx_mode = 0100640,
                .stx_uid = 33,
                .stx_size = 9,
                .stx_mtime = { .tv_sec = 1795000000, .tv_nsec = 123456789 },
                .stx_btime = { .tv_sec = 5 },
                .stx_dev_major = 8,
                .stx_dev_minor = 1,
        };
        const struct index_object object = { .file = "data/000001-log", .stat = &st };
        _cleanup_free_ char *line = NULL;
        _cleanup_json_ json_t *o = NULL;

        (void) state;
        assert_int_equal(index_object_line(&item, &object, &line), 0);
        o = parse_line(line);
        char *text = json_dumps(json_object_get(o, "stat"), JSON_COMPACT);

        assert_string_equal(text, "{\"dev\":\"8:1\",\"inode\":77,\"mode\":33184,\"uid\":33,\"size\":9,"
                                  "\"mtime_us\":1795000000123456}");
        free(text);
}

static void index_hole_line_says_what_is_missing_and_why(void **state) {
        static const struct {
                struct index_hole hole;
                const char *line;
        } cases[] = {
                { { .err = EACCES, .expected = -1 },
                  "{\"hole\":\"EACCES\",\"kind\":\"k\",\"source\":\"s\",\"got\":0,\"changed\":false}\n" },
                { { .file = "data/000002-k", .err = EFBIG, .expected = 100, .got = 40, .changed = true },
                  "{\"hole\":\"EFBIG\",\"kind\":\"k\",\"source\":\"s\",\"file\":\"data/"
                  "000002-k\",\"expected\":100,\"got\":40,"
                  "\"changed\":true}\n" },
                { { .file = "data/000002-k", .expected = 0, .changed = true },
                  "{\"hole\":\"changed\",\"kind\":\"k\",\"source\":\"s\",\"file\":\"data/"
                  "000002-k\",\"expected\":0,\"got\":0,"
                  "\"changed\":true}\n" },
                { { .err = 99999, .expected = -1 },
                  "{\"hole\":\"errno\",\"kind\":\"k\",\"source\":\"s\",\"got\":0,\"changed\":false}\n" },
        };
        const struct index_item item = { .kind = "k", .source = "s" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *line = NULL;

                assert_int_equal(index_hole_line(&item, &cases[i].hole, &line), 0);
                assert_string_equal(line, cases[i].line);
        }
}

static void index_bytes_with_a_nul_are_base64(void **state) {
        _cleanup_json_ json_t *o = json_object();

        (void) state;
        assert_int_equal(index_set_bytes(o, "k", "a\0b", 3), 0);
        assert_string_equal(json_string_value(json_object_get(o, "k_b64")), "YQBi");
        assert_null(json_object_get(o, "k"));
}

static void index_kind_is_only_what_a_file_name_may_hold(void **state) {
        static const char *const bad[] = {
                "", "A", "a/b", "..", "a.b", "a b", "a\n", "a_b", "abcdefghijklmnopqrstuvwxy"
        };
        static const char *const good[] = { "a", "net-tcp6", "abcdefghijklmnopqrstuvwx" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(index_kind_ok(bad[i]));
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(index_kind_ok(good[i]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(index_line_is_one_ascii_line_for_any_source),
                cmocka_unit_test(index_object_line_has_every_member),
                cmocka_unit_test(index_hole_line_cuts_a_source_that_is_too_long_and_no_character_of_it),
                cmocka_unit_test(index_object_line_says_what_the_file_system_said_and_nothing_it_did_not),
                cmocka_unit_test(index_hole_line_says_what_is_missing_and_why),
                cmocka_unit_test(index_bytes_with_a_nul_are_base64),
                cmocka_unit_test(index_kind_is_only_what_a_file_name_may_hold),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
