/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/gate/request.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/gate/request.h"
#include "lib/people.h"

#define HOLD        "00112233445566778899aabbccddeeff"
#define HOLD_BYTES  "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"
#define NONCE       "0f0e0d0c0b0a09080706050403020100"
#define NONCE_BYTES "\x0f\x0e\x0d\x0c\x0b\x0a\x09\x08\x07\x06\x05\x04\x03\x02\x01\x00"
/* a query that is right, up to its closing brace */
#define STATUS "{\"query\":\"status\",\"nonce\":\"" NONCE "\""
#define HEALTH "{\"query\":\"health\",\"nonce\":\"" NONCE "\""

static enum reason reason_of(const char *text, size_t n) {
        struct request r = REQUEST_NULL;
        enum reason reason;

        assert_int_equal(request_parse(text, n, &r, &reason), 0);
        if (reason != REASON_NONE)
                assert_int_equal(r.kind, _FRAME_KIND_MAX);
        request_done(&r);
        return reason;
}

static void request_parse_takes_queries(void **state) {
        static const struct {
                const char *text;
                enum frame_kind kind;
                size_t n;
        } cases[] = {
                { HEALTH "}", FRAME_HEALTH, 16 },
                { STATUS "}", FRAME_STATUS, 16 },
                { STATUS ",\"hold\":\"" HOLD "\"}", FRAME_STATUS, 32 },
                { "{ \"hold\": \"" HOLD "\",\n \"nonce\": \"" NONCE "\",\n \"query\": \"status\" }\n", FRAME_STATUS,
                  32 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint8_t buf[64];
                struct request r = REQUEST_NULL;
                enum reason reason;
                struct frame f;
                size_t n;

                assert_int_equal(request_parse(cases[i].text, strlen(cases[i].text), &r, &reason), 0);
                assert_int_equal(reason, REASON_NONE);
                assert_int_equal(r.kind, cases[i].kind);
                request_to_frame(&r, 7, &f);
                assert_int_equal(frame_pack(&f, buf, sizeof(buf), &n), 0);
                assert_int_equal(frame_unpack(buf, n, &f), 0);
                assert_int_equal(f.kind, cases[i].kind);
                assert_int_equal(f.number, 7);
                assert_int_equal(f.n_payload, cases[i].n);
                assert_memory_equal(f.payload, NONCE_BYTES HOLD_BYTES, f.n_payload);
                request_done(&r);
        }
}

static void request_parse_refuses_any_other_query(void **state) {
        static const char *const texts[] = {
                /* the query */
                "{\"query\":\"\",\"nonce\":\"" NONCE "\"}",
                "{\"query\":\"Status\",\"nonce\":\"" NONCE "\"}",
                "{\"query\":\"trust\",\"nonce\":\"" NONCE "\"}",
                "{\"query\":null,\"nonce\":\"" NONCE "\"}",
                "{\"query\":[\"status\"],\"nonce\":\"" NONCE "\"}",
                STATUS ",\"query\":\"status\"}",
                STATUS ",\"more\":true}",
                STATUS "} x",
                /* the nonce */
                "{\"query\":\"status\"}",
                "{\"query\":\"health\"}",
                "{\"query\":\"status\",\"hold\":\"" HOLD "\"}",
                "{\"query\":\"health\",\"hold\":\"" HOLD "\"}",
                "{\"query\":\"status\",\"Nonce\":\"" NONCE "\"}",
                "{\"query\":\"status\",\"nonce\":\"\"}",
                "{\"query\":\"status\",\"nonce\":null}",
                "{\"query\":\"status\",\"nonce\":17}",
                "{\"query\":\"status\",\"nonce\":\"" NONCE "0\"}",
                "{\"query\":\"health\",\"nonce\":\"" NONCE "0\"}",
                "{\"query\":\"status\",\"nonce\":\"0f0e0d0c0b0a0908070605040302010\"}",
                "{\"query\":\"status\",\"nonce\":\"0F0E0D0C0B0A09080706050403020100\"}",
                "{\"query\":\"status\",\"nonce\":\"0f0e0d0c0b0a0908070605040302010g\"}",
                STATUS ",\"nonce\":\"" NONCE "\"}",
                /* the hold */
                HEALTH ",\"hold\":\"" HOLD "\"}",
                STATUS ",\"hold\":\"" HOLD "\",\"x\":0}",
                STATUS ",\"hold\":\"00112233445566778899AABBCCDDEEFF\"}",
                STATUS ",\"hold\":\"00112233445566778899aabbccddeef\"}",
                STATUS ",\"hold\":\"" HOLD "0\"}",
                STATUS ",\"hold\":\"\"}",
                STATUS ",\"hold\":null}",
                STATUS ",\"hold\":17}",
                "[\"query\"]",
                "\"query\"",
                "{}",
                "",
                " ",
                "query",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (reason_of(texts[i], strlen(texts[i])) != REASON_MALFORMED)
                        fail_msg("%s", texts[i]);
        assert_int_equal(reason_of(STATUS "}", sizeof(STATUS "}") - 1), REASON_NONE);
        assert_int_equal(reason_of(STATUS "}", sizeof(STATUS "}")), REASON_MALFORMED); /* with its NUL */
}

static void request_parse_refuses_a_long_query(void **state) {
        char text[REQUEST_QUERY_MAX + 2];

        (void) state;
        memset(text, ' ', sizeof(text));
        memcpy(text, STATUS "}", sizeof(STATUS "}") - 1);
        assert_int_equal(reason_of(text, REQUEST_QUERY_MAX), REASON_NONE);
        assert_int_equal(reason_of(text, REQUEST_QUERY_MAX + 1), REASON_MALFORMED);
}

static void request_parse_takes_a_command_to_the_frame(void **state) {
        struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "{\"a\":1}", 7, BY(ALICE) | BY(BOB)), e;
        _cleanup_free_ uint8_t *buf = malloc(FRAME_MAX);
        _cleanup_free_ char *json = NULL;
        struct request r = REQUEST_NULL;
        enum reason reason;
        struct frame f;
        size_t n;

        (void) state;
        assert_int_equal(dsse_to_json(&d, &json), 0);
        assert_int_equal(request_parse(json, strlen(json), &r, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_int_equal(r.kind, FRAME_COMMAND);
        e = r.envelope;
        request_to_frame(&r, 0x80000001, &f);
        assert_int_equal(frame_pack(&f, buf, FRAME_MAX, &n), 0);
        assert_int_equal(frame_unpack(buf, n, &f), 0);
        assert_int_equal(f.kind, FRAME_COMMAND);
        assert_int_equal(f.type, DSSE_COMMAND);
        assert_int_equal(f.number, 0x80000001);
        assert_int_equal(f.n_payload, 7);
        assert_memory_equal(f.payload, "{\"a\":1}", 7);
        assert_int_equal(f.n_sigs, 2);
        assert_memory_equal(f.sigs, e.sigs, 2 * sizeof(e.sigs[0]));
        request_done(&r);
        dsse_done(&d);
}

/* The same bytes to the core, and that somebody brought them for others. */
static void request_parse_tells_what_is_carried(void **state) {
        struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "{\"a\":1}", 7, BY(ALICE));
        _cleanup_free_ char *json = NULL, *carried = NULL, *twice = NULL, *query = NULL;
        struct request own = REQUEST_NULL, r = REQUEST_NULL;
        enum reason reason;
        struct frame f;
        size_t n;

        (void) state;
        assert_int_equal(dsse_to_json(&d, &json), 0);
        assert_int_equal(request_parse(json, strlen(json), &own, &reason), 0);
        request_to_frame(&own, 1, &f);
        assert_false(f.carried);
        assert_int_equal(carried_wrap(json, strlen(json), &carried, &n), 0);
        assert_int_equal(request_parse(carried, n, &r, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        request_to_frame(&r, 1, &f);
        assert_true(f.carried);
        assert_int_equal(f.kind, FRAME_COMMAND);
        assert_int_equal(f.n_payload, 7);
        assert_memory_equal(f.payload, "{\"a\":1}", 7);
        assert_memory_equal(f.sigs, own.envelope.sigs, sizeof(f.sigs[0]));

        /* only once, and only an envelope */
        assert_int_equal(carried_wrap(carried, n, &twice, &n), 0);
        assert_int_equal(reason_of(twice, n), REASON_MALFORMED);
        assert_int_equal(carried_wrap(HEALTH "}", strlen(HEALTH "}"), &query, &n), 0);
        assert_int_equal(reason_of(query, n), REASON_MALFORMED);
        request_done(&own);
        request_done(&r);
        dsse_done(&d);
}

static void request_parse_takes_what_hosts_are_told_and_nothing_else(void **state) {
        (void) state;
        for (int t = 0; t < _DSSE_TYPE_MAX; t++) {
                const bool is_for_hosts =
                        t == DSSE_COMMAND || t == DSSE_ATTRIBUTES || t == DSSE_HEAD || t == DSSE_TRUST;
                struct dsse d = people_sign(t, t, "{}", 2, BY(ALICE));
                char *json;

                assert_int_equal(dsse_to_json(&d, &json), 0);
                assert_int_equal(reason_of(json, strlen(json)), is_for_hosts ? REASON_NONE : REASON_TYPE);
                free(json);
                dsse_done(&d);
        }
}

static void request_parse_caps_what_it_takes(void **state) {
        _cleanup_free_ char *text = malloc(DSSE_ENVELOPE_MAX + 1), *carried = NULL, *large = NULL;
        struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, "", 0, BY(ALICE));
        _cleanup_free_ char *json = NULL;
        size_t n;

        (void) state;
        memset(text, ' ', DSSE_ENVELOPE_MAX + 1);
        assert_int_equal(reason_of(text, DSSE_ENVELOPE_MAX), REASON_MALFORMED);
        assert_int_equal(reason_of(text, DSSE_ENVELOPE_MAX + 1), REASON_OVERSIZE);
        /* what is carried may be as large */
        assert_int_equal(carried_wrap(text, DSSE_ENVELOPE_MAX, &carried, &n), 0);
        assert_int_equal(n, REQUEST_MAX);
        assert_int_equal(reason_of(carried, n), REASON_MALFORMED);
        assert_int_equal(carried_wrap(text, DSSE_ENVELOPE_MAX + 1, &large, &n), 0);
        assert_int_equal(reason_of(large, n), REASON_OVERSIZE);

        assert_int_equal(dsse_to_json(&d, &json), 0);
        assert_int_equal(reason_of(json, strlen(json)), REASON_MALFORMED);
        dsse_done(&d);
}

static void request_refusal_is_json_for_every_reason(void **state) {
        (void) state;
        for (int i = REASON_NONE; i < _REASON_MAX; i++) {
                char text[REQUEST_REFUSAL_SIZE];
                size_t n = request_refusal(i, text);
                _cleanup_json_ json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);

                assert_non_null(root);
                assert_string_equal(json_string_value(json_object_get(root, "refused")), reason_id(i));
                assert_string_equal(json_string_value(json_object_get(root, "text")), reason_text(i));
                assert_int_equal(json_object_size(root), 2);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(request_parse_takes_queries),
                cmocka_unit_test(request_parse_refuses_any_other_query),
                cmocka_unit_test(request_parse_refuses_a_long_query),
                cmocka_unit_test(request_parse_takes_a_command_to_the_frame),
                cmocka_unit_test(request_parse_tells_what_is_carried),
                cmocka_unit_test(request_parse_takes_what_hosts_are_told_and_nothing_else),
                cmocka_unit_test(request_parse_caps_what_it_takes),
                cmocka_unit_test(request_refusal_is_json_for_every_reason),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, NULL, NULL);
}
