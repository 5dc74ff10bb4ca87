/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/answer.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "agent/relay/answer.h"
#include "policy/dsse.h"

#define ID    "00112233445566778899aabbccddeeff"
#define NONCE "0f0e0d0c0b0a09080706050403020100"
#define HOST  "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

/* What a host says; who signed it is not asked here. */
static char *signed_by_host(enum dsse_type type, const char *payload) {
        const uint8_t sig[64] = { 1 }, keyid[32] = { 1 };
        struct dsse d = { .type = type, .payload = (uint8_t *) payload, .n_payload = strlen(payload) };
        char *json;

        assert_int_equal(dsse_add(&d, keyid, sig), 0);
        assert_int_equal(dsse_to_json(&d, &json), 0);
        return json;
}

static int parse(enum dsse_type type, const char *payload, struct answer *ret) {
        _cleanup_free_ char *json = signed_by_host(type, payload);

        return answer_parse(json, strlen(json), ret);
}

static void a_receipt_is_told_by_its_own_id(void **state) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL, last = ANSWER_NULL;
        struct command_id id;

        (void) state;
        assert_int_equal(command_id_from_str(ID, &id), 0);
        assert_int_equal(parse(DSSE_RECEIPT, "{\"type\":\"receipt\",\"id\":\"" ID "\",\"final\":false}", &a), 0);
        assert_int_equal(a.kind, ANSWER_RECEIPT);
        assert_true(command_id_equal(&a.id, &id));
        assert_false(a.final);
        assert_int_equal(parse(DSSE_RECEIPT, "{\"type\":\"receipt\",\"id\":\"" ID "\",\"final\":true}", &last), 0);
        assert_true(last.final);
}

static void what_came_of_an_order_that_is_under_way_is_asked_later(void **state) {
        static const struct {
                const char *payload;
                bool later;
        } rows[] = {
                { "\"state\":\"duplicate\",\"final\":true,\"receipt\":{\"final\":true}", false },
                { "\"state\":\"duplicate\",\"final\":false,\"receipt\":{\"final\":false}", true },
                { "\"state\":\"duplicate\",\"final\":false", true },
                /* of an agent that says so of every one */
                { "\"state\":\"duplicate\",\"final\":true,\"receipt\":{\"final\":false}", true },
                { "\"state\":\"duplicate\",\"final\":true", true },
                { "\"state\":\"duplicate\",\"final\":true,\"receipt\":null,\"flags\":[7,\"root-expired\"]", true },
                /* of which nothing could be recorded */
                { "\"state\":\"duplicate\",\"final\":true,\"flags\":[7,\"ledger-failed\"]", false },
                { "\"state\":\"duplicate\",\"final\":true,\"flags\":[\"ledger-failed\"],\"receipt\":{\"final\":false}",
                  false },
                { "\"state\":\"duplicate\",\"final\":false,\"flags\":[\"ledger-failed\"]", true },
                { "\"state\":\"duplicate\",\"receipt\":{}", false },
                { "\"state\":\"contained\",\"final\":false", false },
                { "\"state\":\"contained\",\"final\":true,\"receipt\":{\"final\":false}", false },
        };
        char payload[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(answer_done) struct answer a = ANSWER_NULL;

                (void) snprintf(payload, sizeof(payload), "{\"id\":\"" ID "\",%s}", rows[i].payload);
                assert_int_equal(parse(DSSE_RECEIPT, payload, &a), 0);
                if (a.later != rows[i].later)
                        fail_msg("%s", payload);
        }
}

static void a_receipt_says_that_it_was_refused(void **state) {
        static const struct {
                enum dsse_type type;
                const char *payload;
                bool refused;
        } rows[] = {
                { DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"refused\"}", true },
                { DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"contained\"}", false },
                { DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"duplicate\",\"receipt\":{\"state\":\"refused\"}}",
                  false },
                { DSSE_REPORT, "{\"nonce\":\"" ID "\",\"type\":\"status\",\"state\":\"refused\"}", false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(answer_done) struct answer a = ANSWER_NULL;

                assert_int_equal(parse(rows[i].type, rows[i].payload, &a), 0);
                assert_int_equal(a.refused, rows[i].refused);
        }
}

static void what_may_pass_is_known_by_the_reason(void **state) {
        static const struct {
                const char *payload;
                bool may_pass;
        } rows[] = {
                { "\"state\":\"refused\",\"reasons\":[\"ledger-failed\"]", true },
                { "\"state\":\"refused\",\"reasons\":[\"limit\"],\"flags\":[\"clock-skew\"]", true },
                { "\"state\":\"refused\",\"reasons\":[\"of a newer agent\"]", true },
                { "\"state\":\"refused\",\"reasons\":[\"expired\"]", false },
                { "\"state\":\"refused\",\"reasons\":[\"limit\",\"protected\"]", false },
                { "\"state\":\"refused\",\"reasons\":[]", false },
                { "\"state\":\"refused\"", false },
                { "\"state\":\"partial\",\"reasons\":[\"limit\"]", false },
                { "\"state\":\"duplicate\",\"receipt\":{\"state\":\"refused\",\"reasons\":[\"limit\"]}", false },
        };
        static const struct {
                const char *text;
                bool may_pass;
        } unsigned_rows[] = {
                { "{\"refused\":\"busy\"}", true },
                { "{\"refused\":\"machine-failed\"}", true },
                { "{\"refused\":\"untrusted-signer\"}", false },
        };
        char payload[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(answer_done) struct answer a = ANSWER_NULL;

                (void) snprintf(payload, sizeof(payload), "{\"id\":\"" ID "\",%s}", rows[i].payload);
                assert_int_equal(parse(DSSE_RECEIPT, payload, &a), 0);
                if (a.may_pass != rows[i].may_pass)
                        fail_msg("%s", payload);
        }
        for (size_t i = 0; i < ELEMENTSOF(unsigned_rows); i++) {
                _cleanup_(answer_done) struct answer a = ANSWER_NULL;

                assert_int_equal(answer_parse(unsigned_rows[i].text, strlen(unsigned_rows[i].text), &a), 0);
                assert_int_equal(a.may_pass, unsigned_rows[i].may_pass);
        }
}

static void the_trust_root_in_force_is_read_where_it_is_told(void **state) {
        static const struct {
                enum dsse_type type;
                const char *payload;
                int64_t root;
        } rows[] = {
                { DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"trusted\",\"trust\":{\"version\":7}}", 7 },
                { DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"refused\",\"trust\":{\"version\":7}}", 0 },
                { DSSE_REPORT, "{\"nonce\":\"" ID "\",\"type\":\"health\",\"trust\":{\"version\":7}}", 7 },
                { DSSE_REPORT, "{\"nonce\":\"" ID "\",\"type\":\"status\",\"trust\":{\"version\":7}}", 0 },
                { DSSE_REPORT, "{\"nonce\":\"" ID "\",\"type\":\"health\",\"trust\":null}", 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_(answer_done) struct answer a = ANSWER_NULL;

                assert_int_equal(parse(rows[i].type, rows[i].payload, &a), 0);
                assert_int_equal(a.root, rows[i].root);
        }
}

static void a_report_is_told_by_its_nonce(void **state) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL;
        struct command_id nonce;

        (void) state;
        assert_int_equal(command_id_from_str(NONCE, &nonce), 0);
        assert_int_equal(parse(DSSE_REPORT, "{\"type\":\"status\",\"nonce\":\"" NONCE "\",\"id\":\"" ID "\"}", &a), 0);
        assert_int_equal(a.kind, ANSWER_REPORT);
        assert_true(a.final);
        assert_true(command_id_equal(&a.id, &nonce));
}

static void what_a_head_misses_is_read_and_bounded(void **state) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL, many = ANSWER_NULL;
        static char text[64 * ANSWER_MISSING_MAX] = "{\"type\":\"head\",\"n\":7,\"missing\":[";

        (void) state;
        assert_int_equal(
                parse(DSSE_REPORT, "{\"type\":\"head\",\"missing\":[\"" ID "\",7,\"x\",null,\"" NONCE "\"]}", &a), 0);
        assert_int_equal(a.kind, ANSWER_HEAD);
        assert_int_equal(a.n_missing, 2);
        for (unsigned i = 0; i <= ANSWER_MISSING_MAX; i++)
                strcat(text, i ? ",\"" ID "\"" : "\"" ID "\"");
        strcat(text, "]}");
        assert_int_equal(parse(DSSE_REPORT, text, &many), 0);
        assert_int_equal(many.n_missing, ANSWER_MISSING_MAX);
}

static void attributes_are_told_by_what_they_are(void **state) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL;

        (void) state;
        assert_int_equal(
                parse(DSSE_RECEIPT, "{\"type\":\"receipt\",\"id\":\"attributes\",\"state\":\"certified\"}", &a), 0);
        assert_int_equal(a.kind, ANSWER_RECEIPT);
        assert_true(a.attributes);
        assert_true(a.final);
        assert_int_equal(parse(DSSE_REPORT, "{\"type\":\"status\",\"nonce\":\"attributes\"}", &a), -EBADMSG);
}

static void a_refusal_goes_nowhere(void **state) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL, busy = ANSWER_NULL, others = ANSWER_NULL,
                                             bad = ANSWER_NULL;
        static const char refused[] = "{\"refused\":\"untrusted-signer\",\"text\":\"x\"}",
                          unread[] = "{\"refused\":\"malformed\",\"text\":\"x\"}",
                          later[] = "{\"refused\":\"busy\",\"text\":\"x\"}",
                          elsewhere[] = "{\"refused\":\"wrong-host\",\"text\":\"x\"}";

        (void) state;
        assert_int_equal(answer_parse(refused, strlen(refused), &a), 0);
        assert_int_equal(a.kind, ANSWER_REFUSAL);
        assert_true(a.final);
        assert_false(a.busy || a.malformed || a.for_others);
        assert_int_equal(answer_parse(unread, strlen(unread), &bad), 0);
        assert_true(bad.malformed && bad.final && !bad.busy && !bad.for_others);
        assert_int_equal(answer_parse(later, strlen(later), &busy), 0);
        assert_true(busy.busy);
        assert_int_equal(answer_parse(elsewhere, strlen(elsewhere), &others), 0);
        assert_int_equal(others.kind, ANSWER_REFUSAL);
        assert_true(others.for_others && others.final && !others.busy);
}

static void what_no_host_says_is_no_answer(void **state) {
        static const struct {
                enum dsse_type type;
                const char *payload;
        } rows[] = {
                { DSSE_COMMAND, "{\"id\":\"" ID "\"}" },
                { DSSE_EVIDENCE, "{\"id\":\"" ID "\"}" },
                { DSSE_RECEIPT, "{\"state\":\"refused\"}" },
                { DSSE_RECEIPT, "{\"id\":\"*\"}" },
                { DSSE_RECEIPT, "{\"id\":7}" },
                { DSSE_RECEIPT, "[]" },
                { DSSE_RECEIPT, "x" },
                { DSSE_REPORT, "{\"type\":\"status\"}" },
                { DSSE_REPORT, "{\"nonce\":\"" ID ">\"}" },
        };
        struct answer a = ANSWER_NULL;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                if (parse(rows[i].type, rows[i].payload, &a) != -EBADMSG)
                        fail_msg("%s", rows[i].payload);
        assert_int_equal(answer_parse("", 0, &a), -EBADMSG);
        assert_int_equal(answer_parse("{}", 2, &a), -EBADMSG);
        assert_null(a.payload);
}

static void a_host_is_who_its_health_says(void **state) {
        _cleanup_(answer_done) struct answer a = ANSWER_NULL, bare = ANSWER_NULL, status = ANSWER_NULL;
        struct who w, same;

        (void) state;
        assert_int_equal(parse(DSSE_REPORT,
                               "{\"type\":\"health\",\"nonce\":\"" NONCE "\",\"host\":\"" HOST
                               "\",\"trust\":{\"fleet\":\"prod\"},\"agent\":{\"carried\":true},"
                               "\"attributes\":{\"groups\":[\"web\",\"eu\",7,\"Bad\",\"*\"]}}",
                               &a),
                         0);
        assert_int_equal(answer_who(&a, &w), 0);
        assert_string_equal(w.fleet, "prod");
        assert_int_equal(w.n_groups, 2);
        assert_string_equal(w.groups[1], "eu");
        assert_true(w.carried);
        assert_int_equal(answer_who(&a, &same), 0);
        assert_memory_equal(&w, &same, sizeof(w));
        assert_int_equal(
                parse(DSSE_REPORT, "{\"type\":\"health\",\"nonce\":\"" NONCE "\",\"host\":\"" HOST "\"}", &bare), 0);
        assert_int_equal(answer_who(&bare, &w), 0);
        assert_string_equal(w.fleet, "");
        assert_false(w.carried);
        assert_int_equal(
                parse(DSSE_REPORT, "{\"type\":\"status\",\"nonce\":\"" NONCE "\",\"host\":\"" HOST "\"}", &status), 0);
        assert_int_equal(answer_who(&status, &w), -EBADMSG);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_receipt_is_told_by_its_own_id),
                cmocka_unit_test(what_came_of_an_order_that_is_under_way_is_asked_later),
                cmocka_unit_test(a_receipt_says_that_it_was_refused),
                cmocka_unit_test(what_may_pass_is_known_by_the_reason),
                cmocka_unit_test(the_trust_root_in_force_is_read_where_it_is_told),
                cmocka_unit_test(a_report_is_told_by_its_nonce),
                cmocka_unit_test(what_a_head_misses_is_read_and_bounded),
                cmocka_unit_test(attributes_are_told_by_what_they_are),
                cmocka_unit_test(a_refusal_goes_nowhere),
                cmocka_unit_test(what_no_host_says_is_no_answer),
                cmocka_unit_test(a_host_is_who_its_health_says),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
