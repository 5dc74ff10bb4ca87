/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/receipt.h"
#include "ctl/text.h"
#include "tests/lib/answers.h"

#define ID     "0123456789abcdef0123456789abcdef"
#define DIGEST "0101010101010101010101010101010101010101010101010101010101010101"
#define NONCE  "00112233445566778899aabbccddeeff"

static const uint8_t digest[32] = { 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1 };
static struct hosts known;

static int set_up(void **state) {
        (void) state;
        known = answers_known(2);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        hosts_done(&known);
        return 0;
}

/* A receipt of host 0 that is right, but for the members that are given: {"name":value}, null takes one out. */
static char *payload_but(const char *changes) {
        json_t *o = json_pack("{si ss ss ss ss ss ss so so}", "v", 1, "type", "receipt", "host", answers_id(0), "id",
                              ID, "digest", DIGEST, "verb", "contain", "state", "contained", "reasons", json_array(),
                              "targets", json_array());
        json_t *more = json_loads(changes, 0, NULL), *v;
        const char *name;

        assert_non_null(more);
        json_object_foreach(more, name, v) {
                if (json_is_null(v))
                        (void) json_object_del(o, name);
                else
                        (void) json_object_set(o, name, v);
        }
        char *text = json_dumps(o, JSON_COMPACT);
        json_decref(more);
        json_decref(o);
        return text;
}

static struct receipt_want want(void) {
        return (struct receipt_want) {
                .type = DSSE_RECEIPT,
                .id = ID,
                .digest = digest,
                .hosts = (const uint8_t(*)[32]) known.v[0].key.id,
                .n_hosts = 1,
        };
}

static struct receipt read_text(const char *text, const struct receipt_want *w) {
        struct receipt r = RECEIPT_NULL;

        assert_int_equal(receipt_read(text, strlen(text), &known, w, &r), 0);
        return r;
}

static struct receipt read_payload(const char *payload, uint8_t signer, const struct receipt_want *w) {
        char *text = answers_sign(w->type, payload, signer, signer);
        struct receipt r = read_text(text, w);

        free(text);
        return r;
}

/* What freezectl would exit with. */
static int exit_of(const char *changes) {
        struct receipt_want w = want();
        char *payload = payload_but(changes);
        struct receipt r = read_payload(payload, 0, &w);
        int code = receipt_exit(&r);

        free(payload);
        receipt_done(&r);
        return code;
}

static void a_receipt_of_the_addressed_host_about_these_bytes_counts(void **state) {
        struct receipt_want w = want();
        char *payload = payload_but("{}");
        struct receipt r = read_payload(payload, 0, &w);

        (void) state;
        assert_int_equal(r.kind, RECEIPT_SIGNED);
        assert_string_equal(r.host->name, "web0");
        assert_int_equal(receipt_exit(&r), CTL_OK);
        assert_true(receipt_is_final(&r));
        receipt_done(&r);
        free(payload);
}

/* Each claim, broken alone, makes it no answer; and no answer is ever success. */
static void a_receipt_that_is_wrong_in_one_thing_is_unverified(void **state) {
        static const char *const forged[] = {
                "{\"v\":2}",
                "{\"v\":null}",
                "{\"v\":\"1\"}",
                "{\"type\":\"status\"}",
                "{\"type\":null}",
                "{\"host\":null}",
                "{\"host\":\"web0\"}",
                "{\"id\":\"1123456789abcdef0123456789abcdef\"}",
                "{\"id\":null}",
                "{\"digest\":null}",
                "{\"digest\":\"\"}",
                "{\"digest\":\"0201010101010101010101010101010101010101010101010101010101010101\"}",
                "{\"digest\":\"0101010101010101010101010101010101010101010101010101010101010101 \"}",
                "{\"digest\":1}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(forged); i++)
                assert_int_equal(exit_of(forged[i]), CTL_MACHINE);
        assert_int_equal(exit_of("{}"), CTL_OK);
}

static void another_key_is_another_host(void **state) {
        struct receipt_want w = want();
        char *payload = payload_but("{}"), *text;
        struct receipt r;

        (void) state;
        /* a known host in the name of another */
        r = read_payload(payload, 1, &w);
        assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
        assert_null(r.payload);
        receipt_done(&r);
        /* a stranger under its own name, which is shown */
        r = read_payload(payload, 9, &w);
        assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
        assert_non_null(strstr(r.text, answers_id(9)));
        receipt_done(&r);
        /* a stranger under a known host's key id */
        text = answers_sign(DSSE_RECEIPT, payload, 9, 0);
        r = read_text(text, &w);
        assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
        assert_non_null(strstr(r.text, "web0"));
        assert_int_equal(receipt_exit(&r), CTL_MACHINE);
        receipt_done(&r);
        free(text);
        free(payload);
}

static void a_known_host_that_was_not_addressed_can_only_refuse(void **state) {
        char payload[512];
        struct receipt_want w = want();

        (void) state;
        (void) snprintf(payload, sizeof(payload),
                        "{\"v\":1,\"type\":\"receipt\",\"host\":\"%s\",\"id\":\"" ID "\",\"digest\":\"" DIGEST
                        "\",\"state\":\"contained\",\"reasons\":[]}",
                        answers_id(1));
        struct receipt r = read_payload(payload, 1, &w);
        assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
        receipt_done(&r);
        (void) snprintf(payload, sizeof(payload),
                        "{\"v\":1,\"type\":\"receipt\",\"host\":\"%s\",\"digest\":\"" DIGEST
                        "\",\"state\":\"refused\",\"reasons\":[\"wrong-host\"]}",
                        answers_id(1));
        r = read_payload(payload, 1, &w);
        assert_int_equal(r.kind, RECEIPT_SIGNED);
        assert_int_equal(receipt_exit(&r), CTL_REFUSED);
        receipt_done(&r);
}

static void bytes_that_are_no_signed_answer_are_unverified(void **state) {
        static const char *const texts[] = { "",
                                             "{}",
                                             "[]",
                                             "null",
                                             "{\"state\":\"contained\"}",
                                             "{\"refused\":1}",
                                             "{\"refused\":\"\"}",
                                             "\xff",
                                             "{\"payload\":\"\"}" };
        struct receipt_want w = want();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                struct receipt r = read_text(texts[i], &w);
                assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
                assert_int_equal(receipt_exit(&r), CTL_MACHINE);
                assert_true(receipt_is_final(&r));
                receipt_done(&r);
        }
}

static void an_envelope_of_another_type_is_no_receipt(void **state) {
        struct receipt_want w = want();
        char *payload = payload_but("{}"), *text = answers_sign(DSSE_REPORT, payload, 0, 0);
        struct receipt r = read_text(text, &w);

        (void) state;
        assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
        receipt_done(&r);
        free(text);
        free(payload);
}

static void every_changed_byte_of_an_envelope_is_noticed(void **state) {
        struct receipt_want w = want();
        char *payload = payload_but("{}"), *text = answers_sign(DSSE_RECEIPT, payload, 0, 0);
        size_t n = strlen(text);

        (void) state;
        for (size_t i = 0; i < n; i++) {
                char was = text[i];
                text[i] = was == 'A' ? 'B' : 'A';
                struct receipt r = RECEIPT_NULL;
                assert_int_equal(receipt_read(text, n, &known, &w, &r), 0);
                assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
                receipt_done(&r);
                text[i] = was;
        }
        free(text);
        free(payload);
}

static void the_gate_can_only_say_no(void **state) {
        static const struct {
                const char *text;
                enum reason reason;
                int code;
        } cases[] = {
                { "{\"refused\":\"bad-signature\",\"text\":\"x\"}", REASON_SIGNATURE, 3 },
                { "{\"refused\":\"busy\"}", REASON_BUSY, 3 },
                { "{\"refused\":\"none\"}", REASON_INTERNAL, 1 },          /* a reason that is no no */
                { "{\"refused\":\"held-by-other\"}", REASON_INTERNAL, 1 }, /* likewise */
                { "{\"refused\":\"from-the-future\"}", REASON_INTERNAL, 1 },
        };
        struct receipt_want w = want();

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct receipt r = read_text(cases[i].text, &w);
                assert_int_equal(r.kind, RECEIPT_GATE);
                assert_int_equal(r.reason, cases[i].reason);
                assert_int_equal(receipt_exit(&r), cases[i].code);
                assert_true(strlen(r.text) > 0);
                receipt_done(&r);
        }
        struct receipt r = read_text("{\"refused\":\"busy\",\"text\":\"\\u001b[2J\"}", &w);
        assert_string_equal(r.text, "?[2J");
        receipt_done(&r);
}

static void states_and_reasons_make_the_exit_code(void **state) {
        static const struct {
                const char *changes;
                int code;
        } cases[] = {
                { "{\"state\":\"partial\"}", 4 },
                { "{\"state\":\"failed\"}", 1 },
                { "{\"state\":\"released\"}", 0 },
                { "{\"state\":\"lapsed\"}", 0 },
                { "{\"state\":\"snapshot\"}", 0 },
                { "{\"state\":\"extended\"}", 0 },
                { "{\"state\":\"planned\"}", 0 },
                { "{\"state\":\"refused\",\"reasons\":[\"threshold\"]}", 3 },
                { "{\"state\":\"refused\",\"reasons\":[]}", 3 },
                { "{\"state\":\"refused\",\"reasons\":[\"machine-failed\"]}", 1 },
                { "{\"state\":\"refused\",\"reasons\":[\"ledger-failed\"]}", 1 },
                { "{\"state\":\"refused\",\"reasons\":[\"from-the-future\"]}", 3 },
                { "{\"state\":\"from-the-future\"}", 1 },
                { "{\"state\":null}", 1 },
                { "{\"state\":1}", 1 },
                { "{\"state\":\"released\",\"reasons\":[\"persists\"]}", 4 },
                { "{\"state\":\"released\",\"reasons\":[\"held-by-other\"]}", 0 },
                { "{\"state\":\"contained\",\"reasons\":[\"from-the-future\"]}", 4 },
                { "{\"state\":\"contained\",\"flags\":[\"clock-untrusted\",\"no-systemd\"]}", 0 },
                { "{\"state\":\"planned\",\"targets\":[{\"target\":\"unit:x.service\",\"missing\":\"no-such-target\"}]"
                  "}",
                  3 },
                { "{\"state\":\"planned\",\"targets\":[{\"target\":\"unit:x.service\",\"missing\":\"from-the-future\"}]"
                  "}",
                  3 },
                { "{\"state\":\"planned\",\"targets\":[{\"target\":\"unit:x.service\"}]}", 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(exit_of(cases[i].changes), cases[i].code);
}

/* The word is not enough: what was read back has to bear it out. */
static void contained_with_figures_against_it_is_no_success(void **state) {
        static const char *const against[] = {
                "{\"targets\":[{\"target\":\"unit:a.service\",\"frozen\":false}]}",
                "{\"targets\":[{\"target\":\"unit:a.service\",\"frozen\":true},{\"target\":\"unit:b.service\","
                "\"frozen\":false}]}",
                "{\"targets\":[{\"target\":\"unit:a.service\",\"gaps\":[\"no-bpf\"]}]}",
                "{\"targets\":[{\"target\":\"unit:a.service\",\"selftest\":{\"new\":\"leak\",\"open\":\"blocked\"}}]}",
                "{\"targets\":[{\"target\":\"unit:a.service\",\"selftest\":{\"new\":\"blocked\",\"datagram\":\"leak\"}}"
                "]}",
                "{\"reasons\":[\"sockets-left\"]}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(against); i++)
                assert_int_equal(exit_of(against[i]), CTL_PARTIAL);
        assert_int_equal(
                exit_of("{\"verb\":\"isolate\",\"targets\":[{\"target\":\"unit:a.service\",\"frozen\":false}]}"),
                CTL_OK);
        assert_int_equal(exit_of("{\"targets\":[{\"target\":\"unit:a.service\",\"frozen\":true,\"selftest\":{\"new\":"
                                 "\"blocked\"},\"gaps\":[]}]}"),
                         CTL_OK);
}

static void a_duplicate_tells_what_the_first_one_did(void **state) {
        static const struct {
                const char *changes;
                int code;
        } cases[] = {
                { "{\"state\":\"duplicate\",\"hold\":\"active\",\"receipt\":{\"state\":\"contained\",\"id\":\"" ID
                  "\",\"digest\":\"" DIGEST "\"}}",
                  0 },
                { "{\"state\":\"duplicate\",\"hold\":\"active\",\"receipt\":{\"state\":\"partial\",\"id\":\"" ID
                  "\",\"digest\":\"" DIGEST "\"}}",
                  4 },
                { "{\"state\":\"duplicate\",\"hold\":\"ended\",\"receipt\":{\"state\":\"contained\",\"id\":\"" ID
                  "\",\"digest\":\"" DIGEST "\"}}",
                  3 },
                /* a stop order that holds nothing any more, however that came */
                { "{\"state\":\"duplicate\",\"hold\":\"ended\",\"receipt\":{\"state\":\"lapsed\",\"id\":\"" ID "\"}}",
                  3 },
                { "{\"state\":\"duplicate\",\"hold\":\"ended\",\"receipt\":{\"state\":\"released\",\"id\":\"" ID "\"}}",
                  3 },
                { "{\"state\":\"duplicate\",\"receipt\":{\"state\":\"released\",\"id\":\"" ID "\"}}", 0 },
                { "{\"state\":\"duplicate\"}", 4 },
                { "{\"state\":\"duplicate\",\"flags\":[\"ledger-failed\"],\"receipt\":{\"state\":\"contained\","
                  "\"final\":false,"
                  "\"id\":\"" ID "\"}}",
                  4 },
                /* the stored receipt of another order proves nothing about this one */
                { "{\"state\":\"duplicate\",\"receipt\":{\"state\":\"contained\",\"id\":\"" ID "\",\"digest\":\"02\"}}",
                  1 },
                { "{\"state\":\"duplicate\",\"receipt\":{\"state\":\"contained\",\"id\":"
                  "\"1123456789abcdef0123456789abcdef\",\"digest\":\"" DIGEST "\"}}",
                  1 },
                { "{\"state\":\"duplicate\",\"receipt\":{\"state\":\"contained\",\"digest\":\"" DIGEST "\"}}", 1 },
                { "{\"state\":\"duplicate\",\"digest\":null,\"receipt\":{\"state\":\"contained\",\"id\":\"" ID
                  "\",\"digest\":\"" DIGEST "\"}}",
                  1 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(exit_of(cases[i].changes), cases[i].code);
}

static void an_order_that_could_not_be_read_here_is_known_by_its_bytes(void **state) {
        struct receipt_want w = want();
        char *payload = payload_but("{}");

        (void) state;
        w.id = NULL;
        w.n_hosts = 0;
        struct receipt r = read_payload(payload, 0, &w);
        assert_int_equal(r.kind, RECEIPT_SIGNED);
        receipt_done(&r);
        free(payload);
        payload = payload_but("{\"digest\":\"02\"}");
        r = read_payload(payload, 0, &w);
        assert_int_equal(r.kind, RECEIPT_UNVERIFIED);
        receipt_done(&r);
        free(payload);
}

static enum receipt_kind report_kind(const char *members) {
        struct receipt_want w = { .type = DSSE_REPORT, .report = "status", .nonce = NONCE };
        char payload[256];

        (void) snprintf(payload, sizeof(payload), "{\"v\":1,\"host\":\"%s\",\"holds\":[],%s}", answers_id(0), members);
        struct receipt r = read_payload(payload, 0, &w);
        enum receipt_kind kind = r.kind;
        receipt_done(&r);
        return kind;
}

static void a_report_is_about_what_was_asked(void **state) {
        (void) state;
        assert_int_equal(report_kind("\"type\":\"status\",\"nonce\":\"" NONCE "\""), RECEIPT_SIGNED);
        assert_int_equal(report_kind("\"type\":\"health\",\"nonce\":\"" NONCE "\""), RECEIPT_UNVERIFIED);
        assert_int_equal(report_kind("\"type\":\"receipt\",\"nonce\":\"" NONCE "\""), RECEIPT_UNVERIFIED);
        assert_int_equal(report_kind("\"nonce\":\"" NONCE "\""), RECEIPT_UNVERIFIED);
}

/* Only who signs after the question can repeat its nonce. The clock of the report says nothing about that, so it has no
 * say. */
static void a_report_without_the_nonce_of_the_question_is_an_old_one(void **state) {
        static const char *const old[] = {
                "\"nonce\":\"00112233445566778899aabbccddeefe\"",
                "\"nonce\":\"10112233445566778899aabbccddeeff\"",
                "\"nonce\":\"00112233445566778899AABBCCDDEEFF\"",
                "\"nonce\":\"" NONCE " \"",
                "\"nonce\":\"00112233445566778899aabbccddeef\"",
                "\"nonce\":\"\"",
                "\"nonce\":null",
                "\"nonce\":[\"" NONCE "\"]",
                "\"Nonce\":\"" NONCE "\"",
                "\"wall_ms\":1794971525000",
        };
        char members[128];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(old); i++) {
                (void) snprintf(members, sizeof(members), "\"type\":\"status\",%s", old[i]);
                assert_int_equal(report_kind(members), RECEIPT_UNVERIFIED);
        }
        assert_int_equal(report_kind("\"type\":\"status\",\"wall_ms\":0,\"nonce\":\"" NONCE "\""), RECEIPT_SIGNED);
}

static bool is_final(const char *changes) {
        struct receipt_want w = want();
        char *payload = payload_but(changes);
        struct receipt r = read_payload(payload, 0, &w);
        const bool final = receipt_is_final(&r);

        assert_int_equal(r.kind, RECEIPT_SIGNED);
        receipt_done(&r);
        free(payload);
        return final;
}

static void a_preliminary_receipt_is_not_the_last(void **state) {
        (void) state;
        assert_true(is_final("{}"));
        assert_true(is_final("{\"final\":true}"));
        assert_false(is_final("{\"final\":false}"));
}

/* A broker can bring an order twice, and the answer to the second alone. */
static void a_duplicate_is_as_final_as_what_it_tells(void **state) {
        static const struct {
                const char *members;
                bool final;
        } cases[] = {
                { "\"final\":true,\"receipt\":{\"state\":\"contained\",\"final\":true,\"id\":\"" ID "\"}", true },
                { "\"final\":true,\"receipt\":{\"state\":\"contained\",\"final\":false,\"id\":\"" ID "\"}", false },
                { "\"final\":false,\"receipt\":{\"state\":\"contained\",\"final\":true,\"id\":\"" ID "\"}", false },
                { "\"final\":true,\"receipt\":{\"state\":\"contained\",\"id\":\"" ID "\"}", true },
                { "\"final\":true", false },
                /* the last receipt could not be recorded */
                { "\"final\":true,\"flags\":[\"ledger-failed\"]", true },
                { "\"final\":true,\"flags\":[\"ledger-failed\"],\"receipt\":{\"state\":\"contained\",\"final\":false,"
                  "\"id\":\"" ID "\"}",
                  true },
                { "\"final\":false,\"flags\":[\"ledger-failed\"]", false },
        };
        char changes[256];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                (void) snprintf(changes, sizeof(changes), "{\"state\":\"duplicate\",\"hold\":\"active\",%s}",
                                cases[i].members);
                assert_int_equal(is_final(changes), cases[i].final);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_receipt_of_the_addressed_host_about_these_bytes_counts),
                cmocka_unit_test(a_receipt_that_is_wrong_in_one_thing_is_unverified),
                cmocka_unit_test(another_key_is_another_host),
                cmocka_unit_test(a_known_host_that_was_not_addressed_can_only_refuse),
                cmocka_unit_test(bytes_that_are_no_signed_answer_are_unverified),
                cmocka_unit_test(an_envelope_of_another_type_is_no_receipt),
                cmocka_unit_test(every_changed_byte_of_an_envelope_is_noticed),
                cmocka_unit_test(the_gate_can_only_say_no),
                cmocka_unit_test(states_and_reasons_make_the_exit_code),
                cmocka_unit_test(contained_with_figures_against_it_is_no_success),
                cmocka_unit_test(a_duplicate_tells_what_the_first_one_did),
                cmocka_unit_test(an_order_that_could_not_be_read_here_is_known_by_its_bytes),
                cmocka_unit_test(a_report_is_about_what_was_asked),
                cmocka_unit_test(a_report_without_the_nonce_of_the_question_is_an_old_one),
                cmocka_unit_test(a_preliminary_receipt_is_not_the_last),
                cmocka_unit_test(a_duplicate_is_as_final_as_what_it_tells),
        };

        return sodium_init() < 0 ? EXIT_FAILURE : cmocka_run_group_tests(tests, set_up, tear_down);
}
