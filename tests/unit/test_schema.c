/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "policy/schema.h"

/* jansson's own judgement of UTF-8, which shares no code with ours. */
static bool jansson_takes(const char *s) {
        json_t *j = json_string(s);

        json_decref(j);
        return j;
}

static size_t encode(uint32_t c, char ret[static 5]) {
        size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t heads[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

        for (size_t i = n; i-- > 0; c >>= i > 0 ? 6 : 0)
                ret[i] = (char) (i > 0 ? 0x80U | (c & 0x3f) : heads[n] | c);
        ret[n] = '\0';
        return n;
}

static void schema_text_is_every_character_but_controls_and_surrogates(void **state) {
        (void) state;
        for (uint32_t c = 1; c <= 0x10ffff; c++) {
                bool control = c < 0x20 || (c >= 0x7f && c <= 0x9f), surrogate = c >= 0xd800 && c <= 0xdfff;
                char s[5];

                (void) encode(c, s);
                if (schema_is_text(s, sizeof(s)) != (!control && !surrogate))
                        fail_msg("U+%04X", (unsigned int) c);
        }
        assert_false(schema_is_text("\xf4\x90\x80\x80", 8)); /* U+110000 */
}

static void schema_text_agrees_with_another_decoder_on_broken_sequences(void **state) {
        static const uint8_t more[] = { 0x20, 0x7e, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff };

        (void) state;
        for (unsigned int first = 0x80; first <= 0xff; first++)
                for (unsigned int second = 0x20; second <= 0xff; second++)
                        for (size_t i = 0; i < ELEMENTSOF(more) * ELEMENTSOF(more); i++) {
                                char s[] = { (char) first, (char) second, (char) more[i % ELEMENTSOF(more)],
                                             (char) more[i / ELEMENTSOF(more)], '\0' };
                                bool c1 = false;

                                for (size_t k = 0; s[k]; k++)
                                        c1 = c1 || (s[k] == '\xc2' && (unsigned char) s[k + 1] < 0xa0) ||
                                             s[k] == '\x7f';
                                if (schema_is_text(s, sizeof(s)) != (jansson_takes(s) && !c1))
                                        fail_msg("%02x %02x %02x %02x", first, second, (uint8_t) s[2], (uint8_t) s[3]);
                        }
}

static void schema_text_cut_off_in_a_character_is_refused(void **state) {
        static const uint32_t chars[] = { 0xe4, 0x20ac, 0x1f512 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(chars); i++) {
                char s[5];

                for (size_t n = encode(chars[i], s); --n > 0;) {
                        s[n] = '\0';
                        assert_false(schema_is_text(s, sizeof(s)));
                }
        }
}

static void schema_strings_without_end_are_refused(void **state) {
        char s[4] = { 'a', 'b', 'c', 'd' };

        (void) state;
        assert_false(schema_is_text(s, sizeof(s)));
        assert_false(schema_is_name(s, sizeof(s)));
        s[3] = '\0';
        assert_true(schema_is_text(s, sizeof(s)));
        assert_true(schema_is_name(s, sizeof(s)));
}

static void schema_names_are_lower_case_and_plain(void **state) {
        static const char *const good[] = { "a", "0", "prod", "prod-eu.1_b", "0-9", "a--", "a.", "a.." };
        static const char *const bad[] = { "",   ".",   "..",  "-a",  "_a",       ".a", "A",
                                           "aB", "a b", "a/b", "a\n", "\xc3\xa4", "a:", "a*" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(schema_is_name(good[i], 64));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(schema_is_name(bad[i], 64));
}

static enum reason load(const char *bytes, size_t n, size_t max) {
        _cleanup_json_ json_t *root = NULL;
        enum reason reason = _REASON_MAX;

        assert_int_equal(schema_load((const uint8_t *) bytes, n, max, &root, &reason), 0);
        assert_int_equal(root != NULL, reason == REASON_NONE);
        return reason;
}

static void schema_load_tells_what_is_wrong_with_the_bytes(void **state) {
        static const struct {
                const char *json;
                enum reason reason;
        } rows[] = {
                { "{\"v\":1}", REASON_NONE },
                { " \n{\"v\":1,\"x\":[{}]}\t ", REASON_NONE },
                { "", REASON_MALFORMED },
                { "{", REASON_MALFORMED },
                { "{\"v\":1}x", REASON_MALFORMED },
                { "{\"v\":1}{\"v\":1}", REASON_MALFORMED },
                { "{\"v\":1,}", REASON_MALFORMED },
                { "{'v':1}", REASON_MALFORMED },
                { "{v:1}", REASON_MALFORMED },
                { "{\"v\":01}", REASON_MALFORMED },
                { "{\"v\":+1}", REASON_MALFORMED },
                { "{\"v\":0x1}", REASON_MALFORMED },
                { "{\"v\":NaN}", REASON_MALFORMED },
                { "{\"v\":1e400}", REASON_MALFORMED },
                { "{\"v\":9223372036854775808}", REASON_MALFORMED },
                { "{\"v\":1,\"v\":1}", REASON_MALFORMED },
                { "{\"v\":1,\"\\u0076\":1}", REASON_MALFORMED },
                { "{\"v\":1,\"x\":{\"a\":1,\"a\":1}}", REASON_MALFORMED },
                { "{\"v\":1,\"x\":\"\\ud800\"}", REASON_MALFORMED },
                { "{\"v\":1,\"x\":\"\\udc00\\ud800\"}", REASON_MALFORMED },
                { "{\"v\":1,\"x\":\"\\u0000\"}", REASON_MALFORMED },
                { "{\"v\":1,\"\\u0000\":1}", REASON_MALFORMED },
                { "{\"v\":1,\"x\":\"\n\"}", REASON_MALFORMED },
                { "{\"v\":1} /* */", REASON_MALFORMED },
                { "{\"v\":1,\"x\":\"\xff\"}", REASON_ENCODING },
                { "{\"v\":1,\"x\":\"\xc0\x80\"}", REASON_ENCODING },
                { "{\"v\":1,\"x\":\"\xed\xa0\x80\"}", REASON_ENCODING },
                { "\xef\xbb\xbf{\"v\":1}", REASON_MALFORMED },
                { "[]", REASON_SCHEMA },
                { "[{\"v\":1}]", REASON_SCHEMA },
                { "{}", REASON_SCHEMA },
                { "{\"V\":1}", REASON_SCHEMA },
                { "{\"v\":\"1\"}", REASON_SCHEMA },
                { "{\"v\":1.0}", REASON_SCHEMA },
                { "{\"v\":true}", REASON_SCHEMA },
                { "{\"v\":null}", REASON_SCHEMA },
                { "{\"v\":0}", REASON_VERSION },
                { "{\"v\":2}", REASON_VERSION },
                { "{\"v\":-1}", REASON_VERSION },
                { "{\"v\":4294967297}", REASON_VERSION },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (load(rows[i].json, strlen(rows[i].json), 64) != rows[i].reason)
                        fail_msg("%s", rows[i].json);
        assert_int_equal(load("{\"v\":1}\0", 8, 64), REASON_MALFORMED);
        assert_int_equal(load("{\"v\":1}", 7, 7), REASON_NONE);
        assert_int_equal(load("{\"v\":1}", 7, 6), REASON_OVERSIZE);
}

static void schema_load_survives_the_deepest_nesting(void **state) {
        static char json[32768];

        (void) state;
        memset(json, '[', sizeof(json));
        assert_int_equal(load(json, sizeof(json), sizeof(json)), REASON_MALFORMED);
        for (size_t i = 0; i + 5 <= sizeof(json); i += 5)
                memcpy(json + i, "{\"v\":", 5);
        assert_int_equal(load(json, sizeof(json), sizeof(json)), REASON_MALFORMED);
}

struct sizes {
        uint8_t one;
        uint16_t two;
        uint32_t four;
        int64_t eight;
        uint8_t after;
};

#define MEMBER(name) SCHEMA_MEMBER(struct sizes, name)

static void schema_integers_fill_their_member_and_no_more(void **state) {
        static const struct schema_field fields[] = {
                { "one", true, schema_int, MEMBER(one), 0, UINT8_MAX },
                { "two", true, schema_int, MEMBER(two), 0, UINT16_MAX },
                { "four", true, schema_int, MEMBER(four), 0, UINT32_MAX },
                { "eight", true, schema_int, MEMBER(eight), INT64_MIN, INT64_MAX },
                { "after", false, schema_int, MEMBER(after), 0, 1 },
        };
        static const struct {
                const char *json;
                struct sizes sizes;
        } rows[] = {
                { "{\"one\":255,\"two\":0,\"four\":4294967295,\"eight\":0}", { 255, 0, UINT32_MAX, 0, 0 } },
                { "{\"one\":0,\"two\":65535,\"four\":0,\"eight\":-9223372036854775808}",
                  { 0, UINT16_MAX, 0, INT64_MIN, 0 } },
                { "{\"one\":-0,\"two\":0,\"four\":0,\"eight\":9223372036854775807}", { 0, 0, 0, INT64_MAX, 0 } },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_json_ json_t *j = json_loads(rows[i].json, 0, NULL);
                struct sizes s = {};

                assert_int_equal(schema_object(j, fields, ELEMENTSOF(fields), &s), REASON_NONE);
                assert_int_equal(s.one, rows[i].sizes.one);
                assert_int_equal(s.two, rows[i].sizes.two);
                assert_int_equal(s.four, rows[i].sizes.four);
                assert_true(s.eight == rows[i].sizes.eight);
                assert_int_equal(s.after, 0);
        }
}

static void schema_object_judges_unknown_members_before_wrong_ones(void **state) {
        static const struct schema_field fields[] = { { "one", true, schema_int, MEMBER(one), 0, 1 } };
        static const struct {
                const char *json;
                enum reason reason;
        } rows[] = {
                { "{\"one\":1}", REASON_NONE },
                { "{}", REASON_SCHEMA },
                { "{\"two\":1}", REASON_FIELD },
                { "{\"one\":2}", REASON_SCHEMA },
                { "{\"one\":2,\"two\":1}", REASON_FIELD },
                { "[]", REASON_SCHEMA },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_json_ json_t *j = json_loads(rows[i].json, 0, NULL);
                struct sizes s = {};

                assert_int_equal(schema_object(j, fields, ELEMENTSOF(fields), &s), rows[i].reason);
        }
}

static void schema_result_is_the_machines_failure_only_when_memory_lacks(void **state) {
        (void) state;
        for (int i = 0; i < _REASON_MAX; i++) {
                enum reason reason = _REASON_MAX;

                assert_int_equal(schema_result((enum reason) i, &reason), i == REASON_INTERNAL ? -ENOMEM : 0);
                assert_int_equal(reason, i == REASON_INTERNAL ? _REASON_MAX : i);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(schema_text_is_every_character_but_controls_and_surrogates),
                cmocka_unit_test(schema_text_agrees_with_another_decoder_on_broken_sequences),
                cmocka_unit_test(schema_text_cut_off_in_a_character_is_refused),
                cmocka_unit_test(schema_strings_without_end_are_refused),
                cmocka_unit_test(schema_names_are_lower_case_and_plain),
                cmocka_unit_test(schema_load_tells_what_is_wrong_with_the_bytes),
                cmocka_unit_test(schema_load_survives_the_deepest_nesting),
                cmocka_unit_test(schema_integers_fill_their_member_and_no_more),
                cmocka_unit_test(schema_object_judges_unknown_members_before_wrong_ones),
                cmocka_unit_test(schema_result_is_the_machines_failure_only_when_memory_lacks),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
