/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/openc2.c ctl/escalate_template.c ctl/escalate_mend.c ctl/escalate_path.c ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c */
/* LINK: ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/member.h"
#include "ctl/openc2.h"

#define NOW 1795284131482LL

static unsigned read_text(const char *text, struct openc2_command *ret) {
        json_t *o = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        const char *why = NULL;

        assert_non_null(o);
        unsigned status = openc2_read(o, NOW, ret, &why);
        assert_int_equal(status != 0, why != NULL);
        json_decref(o);
        return status;
}

static void check(const char *text, enum verb verb, const char *target) {
        struct openc2_command c;
        char got[TARGET_STR_SIZE];

        assert_int_equal(read_text(text, &c), 0);
        target_to_str(&c.target, got, sizeof(got));
        assert_int_equal(c.verb, verb);
        assert_string_equal(got, target);
}

static void actions_are_verbs_and_targets_targets(void **state) {
        (void) state;
        check("{\"action\":\"contain\",\"target\":{\"x-frz:unit\":\"nginx.service\"}}", VERB_CONTAIN,
              "unit:nginx.service");
        check("{\"action\":\"deny\",\"target\":{\"er:service\":{\"name\":\"nginx.service\"}}}", VERB_ISOLATE,
              "unit:nginx.service");
        check("{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":4711}}}", VERB_FREEZE, "pid:4711");
        check("{\"action\":\"contain\",\"target\":{\"x-frz:container\":\"9f2b1c40d7\"}}", VERB_CONTAIN,
              "container:9f2b1c40d7");
        check("{\"action\":\"investigate\",\"target\":{\"device\":{}}}", VERB_SNAPSHOT, "host");
        check("{\"action\":\"contain\",\"target\":{\"device\":{\"hostname\":\"web1\"}}}", VERB_CONTAIN, "host");
        check("{\"action\":\"contain\",\"target\":{\"device\":{}},\"args\":{\"er\":{\"device_containment\":"
              "\"network_isolation\"}}}",
              VERB_ISOLATE, "host");
        check("{\"action\":\"cancel\",\"target\":{\"command\":\"00112233445566778899aabbccddeeff\"}}", VERB_RELEASE,
              "hold:00112233445566778899aabbccddeeff");
}

static void arguments_are_leases_addresses_and_what_is_ours(void **state) {
        struct openc2_command c;

        (void) state;
        assert_int_equal(
                read_text("{\"action\":\"deny\",\"target\":{\"x-frz:unit\":\"a.service\"},\"command_id\":\"c-1\","
                          "\"actuator\":{\"x-frz\":{}},\"args\":{\"duration\":900000,\"response_requested\":"
                          "\"none\",\"er\":{\"permitted_addresses\":{\"ipv4_net\":[\"10.0.0.0/8\"],\"ipv6_net\":["
                          "\"fd00::/8\"]}},\"x-frz\":{\"severity\":\"Critical\",\"incident\":\"SA-20261121-001\","
                          "\"reason\":\"why\"}}}",
                          &c),
                0);
        assert_int_equal(c.lease_ms, 900000);
        assert_int_equal(c.n_permits, 2);
        assert_int_equal(c.severity, SEVERITY_P0);
        assert_string_equal(c.incident, "SA-20261121-001");
        assert_string_equal(c.reason, "why");
        assert_string_equal(c.id, "c-1");
        assert_true(c.silent);
        char text[256];
        (void) snprintf(text, sizeof(text),
                        "{\"action\":\"stop\",\"target\":{\"x-frz:unit\":\"a.service\"},\"args\":{\"stop_time\":%lld}}",
                        NOW + 60000);
        assert_int_equal(read_text(text, &c), 0);
        assert_int_equal(c.lease_ms, 60000);
}

static void what_is_not_known_is_501_and_what_is_wrong_400(void **state) {
        static const struct {
                unsigned status;
                const char *text;
        } cases[] = {
                { 400, "[]" },
                { 400, "{}" },
                { 400, "{\"action\":\"contain\"}" },
                { 400, "{\"action\":\"contain\",\"target\":{}}" },
                { 400, "{\"action\":\"contain\",\"target\":{\"device\":{},\"process\":{\"pid\":1}}}" },
                { 400, "{\"action\":\"contain\",\"target\":{\"x-frz:unit\":\"*\"}}" },
                { 400, "{\"action\":\"contain\",\"target\":{\"x-frz:unit\":\"app.slice\"}}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":\"1\"}}}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":-1}}}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"args\":{\"duration\":0}}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"args\":{\"duration\":1,\"stop_"
                       "time\":1}}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"args\":{\"stop_time\":"
                       "-9223372036854775807}}" },
                { 400, "{\"action\":\"investigate\",\"target\":{\"device\":{}},\"args\":{\"duration\":1}}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"command_id\":\"a b\"}" },
                { 400, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"more\":1}" },
                { 400, "{\"action\":\"cancel\",\"target\":{\"command\":\"0011\"}}" },
                { 501, "{\"action\":\"delete\",\"target\":{\"file\":{}}}" },
                { 501, "{\"action\":\"contain\",\"target\":{\"file\":{}}}" },
                { 501, "{\"action\":\"allow\",\"target\":{\"device\":{}}}" },
                { 501, "{\"action\":\"cancel\",\"target\":{\"device\":{}}}" },
                { 501, "{\"action\":\"contain\",\"target\":{\"command\":\"00112233445566778899aabbccddeeff\"}}" },
                { 501, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7,\"name\":\"sh\"}}}" },
                { 501, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"args\":{\"start_time\":1}}" },
                { 501, "{\"action\":\"stop\",\"target\":{\"process\":{\"pid\":7}},\"actuator\":{\"slpf\":{}}}" },
                { 501, "{\"action\":\"contain\",\"target\":{\"device\":{}},\"args\":{\"er\":{\"device_containment\":"
                       "\"disable_nic\"}}}" },
                { 501, "{\"action\":\"deny\",\"target\":{\"device\":{}},\"args\":{\"er\":{\"permitted_addresses\":{"
                       "\"domain_name\":[]}}}}" },
                { 501, "{\"action\":\"query\",\"target\":{\"properties\":[]}}" },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                struct openc2_command c;
                unsigned status = read_text(cases[i].text, &c);

                if (status != cases[i].status)
                        fail_msg("%s: %u", cases[i].text, status);
        }
}

static void features_are_told(void **state) {
        json_t *o = json_loads("{\"action\":\"query\",\"target\":{\"features\":[\"versions\",\"profiles\",\"pairs\"]}}",
                               0, NULL),
               *results;
        struct openc2_command c;
        const char *why;

        (void) state;
        assert_int_equal(openc2_read(o, NOW, &c, &why), 0);
        assert_true(c.query);
        results = openc2_features(&c);
        const json_t *pairs = json_object_get(results, "pairs");
        assert_string_equal(json_string_value(json_array_get(json_object_get(results, "versions"), 0)), "1.0");
        assert_int_equal(json_array_size(json_object_get(pairs, "cancel")), 1);
        assert_true(json_array_size(json_object_get(pairs, "contain")) > 5);
        json_decref(results);
        json_decref(o);
}

static void check_status(enum receipt_kind kind, enum reason gate, const char *payload, unsigned status) {
        struct receipt r = { .kind = kind, .reason = gate };
        char text[512];

        r.payload = payload ? json_loads(payload, 0, NULL) : NULL;
        assert_int_equal(openc2_status(&r, text, sizeof(text)), status);
        assert_true(*text);
        receipt_done(&r);
}

static void answers_are_statuses(void **state) {
        (void) state;
        check_status(RECEIPT_GATE, REASON_BUSY, NULL, 503);
        check_status(RECEIPT_GATE, REASON_UNTRUSTED, NULL, 401);
        check_status(RECEIPT_GATE, REASON_MALFORMED, NULL, 400);
        check_status(RECEIPT_UNVERIFIED, REASON_NONE, NULL, 500);
        check_status(RECEIPT_SIGNED, REASON_NONE, "{\"state\":\"refused\",\"reasons\":[\"threshold\"]}", 403);
        check_status(RECEIPT_SIGNED, REASON_NONE, "{\"state\":\"refused\",\"reasons\":[\"no-such-hold\"]}", 404);
        check_status(RECEIPT_SIGNED, REASON_NONE, "{\"state\":\"refused\",\"reasons\":[\"lease-required\"]}", 403);
        check_status(RECEIPT_SIGNED, REASON_NONE, "{\"state\":\"refused\",\"reasons\":[\"of-tomorrow\"]}", 403);
        check_status(RECEIPT_SIGNED, REASON_NONE, "{\"state\":\"partial\",\"reasons\":[\"not-frozen\"]}", 500);
}

static void an_order_goes_out_and_comes_back_the_same(void **state) {
        uint8_t host[1][32] = { { 7 } };
        struct target t;
        struct permit p = { 0 };
        struct command c = { .verb = VERB_ISOLATE,
                             .hosts = host,
                             .n_hosts = 1,
                             .targets = &t,
                             .n_targets = 1,
                             .permits = &p,
                             .n_permits = 1,
                             .lease_ms = 60000,
                             .severity = SEVERITY_P0,
                             .reason = "why" };
        static const char *const targets[] = { "unit:a.service", "host", "pid:7", "user:alice", "slice:app.slice" };
        struct openc2_command back;
        const char *why;

        (void) state;
        assert_int_equal(permit_net_from_str("10.0.0.0/8", &p), 0);
        for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
                char text[TARGET_STR_SIZE];

                assert_int_equal(target_from_str(targets[i], &t), 0);
                json_t *o = openc2_from_command(&c, &why);
                assert_non_null(o);
                assert_int_equal(openc2_read(o, NOW, &back, &why), 0);
                target_to_str(&back.target, text, sizeof(text));
                assert_string_equal(text, targets[i]);
                assert_int_equal(back.verb, VERB_ISOLATE);
                assert_int_equal(back.lease_ms, 60000);
                assert_int_equal(back.severity, SEVERITY_P0);
                assert_memory_equal(back.permits, &p, sizeof(p));
                json_decref(o);
        }
        p.port = 443;
        assert_null(openc2_from_command(&c, &why));
        c.n_permits = 0;
        c.n_targets = 2;
        assert_null(openc2_from_command(&c, &why));
        c.n_targets = 1;
        c.verb = VERB_EXTEND;
        assert_null(openc2_from_command(&c, &why));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(actions_are_verbs_and_targets_targets),
                cmocka_unit_test(arguments_are_leases_addresses_and_what_is_ours),
                cmocka_unit_test(what_is_not_known_is_501_and_what_is_wrong_400),
                cmocka_unit_test(features_are_told),
                cmocka_unit_test(answers_are_statuses),
                cmocka_unit_test(an_order_goes_out_and_comes_back_the_same),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
