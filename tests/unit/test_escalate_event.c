/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_event.c ctl/escalate_mend.c ctl/escalate_path.c ctl/escalate_lines.c ctl/member.c ctl/text.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/escalate_event.h"
#include "ctl/escalate_lines.h"
#include "ctl/escalate_mend.h"
#include "ctl/escalate_path.h"
#include "ctl/member.h"
#include "tests/lib/escalation.h"

static struct escalate_events read_text(enum escalate_source s, const char *text, size_t n) {
        struct escalate_events e = ESCALATE_EVENTS_NULL;

        assert_int_equal(escalate_event_read(s, text, n, &e), 0);
        return e;
}

static struct escalate_events read_payload(enum escalate_source s, const char *name) {
        size_t n;
        char *text = escalation_payload(name, &n);
        struct escalate_events e = read_text(s, text, n);

        free(text);
        return e;
}

static const char *at(const struct escalate_event *e, const char *path, char ret[static ESCALATE_VALUE_MAX + 1]) {
        if (!escalate_path_text(escalate_path_find(e->json, path), ret))
                strcpy(ret, "(none)");
        return ret;
}
#define AT(e, path) at((e), (path), (char[ESCALATE_VALUE_MAX + 1]) { 0 })

static void alertmanager_has_an_event_for_each_alert_with_what_is_said_of_the_group(void **state) {
        struct escalate_events e = read_payload(ESCALATE_ALERTMANAGER, "alertmanager-firing");

        (void) state;
        assert_int_equal(e.n, 1);
        assert_null(e.v[0].wrong);
        assert_false(e.v[0].resolved);
        assert_string_equal(e.v[0].id, "7b1f0f8d4ad6c2e1");
        assert_string_equal(e.v[0].title, "BeaconTalksToStranger");
        assert_string_equal(AT(&e.v[0], "labels.unit"), "beacon.service");
        assert_string_equal(AT(&e.v[0], "commonLabels.severity"), "critical");
        assert_string_equal(AT(&e.v[0], "receiver"), "freezed");
        assert_int_equal(e.v[0].time_ms, -1);
        escalate_events_done(&e);
}

static void an_alert_is_resolved_by_its_own_status_and_not_by_the_groups(void **state) {
        struct escalate_events e = read_payload(ESCALATE_ALERTMANAGER, "alertmanager-batch");

        (void) state;
        assert_int_equal(e.n, 6);
        assert_int_equal(e.truncated, 3);
        assert_false(e.v[1].resolved);
        assert_true(e.v[2].resolved);
        assert_non_null(e.v[5].wrong);
        assert_null(e.v[5].json);
        escalate_events_done(&e);
}

static void the_same_event_has_the_same_key_and_another_has_another(void **state) {
        struct escalate_events a = read_payload(ESCALATE_ALERTMANAGER, "alertmanager-firing"),
                               b = read_payload(ESCALATE_ALERTMANAGER, "alertmanager-firing"),
                               r = read_payload(ESCALATE_ALERTMANAGER, "alertmanager-resolved"),
                               f = read_payload(ESCALATE_FALCO, "falco"), g = read_payload(ESCALATE_FALCO, "falco");
        size_t n;
        char *text = escalation_payload("alertmanager-firing", &n), *starts = strstr(text, "18:02:11");

        (void) state;
        assert_memory_equal(a.v[0].key, b.v[0].key, 32);
        assert_memory_equal(a.v[0].key, r.v[0].key, 32);
        assert_memory_equal(f.v[0].key, g.v[0].key, 32);
        /* it fires anew: the labels are the same */
        starts[0] = '2';
        struct escalate_events later = read_text(ESCALATE_ALERTMANAGER, text, n);
        assert_string_equal(later.v[0].id, a.v[0].id);
        assert_memory_not_equal(later.v[0].key, a.v[0].key, 32);
        free(text);
        escalate_events_done(&a);
        escalate_events_done(&b);
        escalate_events_done(&r);
        escalate_events_done(&f);
        escalate_events_done(&g);
        escalate_events_done(&later);
}

static void falcos_names_with_dots_are_found(void **state) {
        struct escalate_events e = read_payload(ESCALATE_FALCO, "falco");

        (void) state;
        assert_int_equal(e.n, 1);
        assert_string_equal(e.v[0].title, "Terminal shell in container");
        assert_string_equal(AT(&e.v[0], "output_fields.container.id"), "9f2b1c40d7ae");
        assert_string_equal(AT(&e.v[0], "output_fields.proc.pid"), "6461");
        assert_string_equal(AT(&e.v[0], "output_fields.proc.aname[2]"), "containerd-shim");
        assert_string_equal(AT(&e.v[0], "output_fields.k8s.ns.name"), "(none)");
        assert_string_equal(AT(&e.v[0], "tags.1"), "container");
        assert_int_equal(e.v[0].time_ms, 1795284131482LL);
        escalate_events_done(&e);
}

static void tetragons_kprobes_and_execs_are_read(void **state) {
        struct escalate_events k = read_payload(ESCALATE_TETRAGON, "tetragon-kprobe"),
                               e = read_payload(ESCALATE_TETRAGON, "tetragon-exec");

        (void) state;
        assert_string_equal(AT(&k.v[0], "process_kprobe.policy_name"), "egress-unlisted");
        assert_string_equal(AT(&k.v[0], "process_kprobe.args.0.sock_arg.daddr"), "203.0.113.9");
        assert_string_equal(AT(&k.v[0], "process_kprobe.args.7"), "(none)");
        assert_string_equal(AT(&k.v[0], "process_kprobe.process.in_init_tree"), "false");
        assert_string_equal(k.v[0].title, "process_kprobe egress-unlisted /usr/bin/curl");
        assert_string_equal(AT(&e.v[0], "process_exec.process.pid"), "50884");
        escalate_events_done(&k);
        escalate_events_done(&e);
}

static void cloudevents_come_alone_in_batches_and_in_binary_mode(void **state) {
        struct escalate_events one = read_payload(ESCALATE_CLOUDEVENTS, "cloudevent"),
                               batch = read_payload(ESCALATE_CLOUDEVENTS, "cloudevents-batch"),
                               binary = ESCALATE_EVENTS_NULL;
        const struct escalate_header headers[] = {
                { (char *) "Ce-Specversion", (char *) "1.0" },
                { (char *) "ce-id", (char *) "a89b61a2-5644-487a-8a86-144855c5dce8" },
                { (char *) "CE-Source", (char *) "https://ids.example/sensors/17" },
                { (char *) "ce-type", (char *) "example.ids.%61lert" },
        };
        static const char body[] = "{\"unit\":\"beacon.service\"}";

        (void) state;
        assert_int_equal(batch.n, 3);
        assert_memory_equal(batch.v[0].key, one.v[0].key, 32);
        assert_memory_not_equal(batch.v[1].key, one.v[0].key, 32);
        assert_non_null(batch.v[2].wrong);
        assert_int_equal(
                escalate_event_read_binary(headers, 4, "application/json; charset=utf-8", body, strlen(body), &binary),
                0);
        assert_null(binary.v[0].wrong);
        assert_memory_equal(binary.v[0].key, one.v[0].key, 32);
        assert_string_equal(AT(&binary.v[0], "type"), "example.ids.alert");
        assert_string_equal(AT(&binary.v[0], "data.unit"), "beacon.service");
        escalate_events_done(&one);
        escalate_events_done(&batch);
        escalate_events_done(&binary);
}

static void an_attribute_that_is_there_twice_is_no_event(void **state) {
        const struct escalate_header headers[] = {
                { (char *) "ce-specversion", (char *) "1.0" }, { (char *) "ce-id", (char *) "a" },
                { (char *) "ce-source", (char *) "s" },        { (char *) "ce-type", (char *) "t" },
                { (char *) "ce-subject", (char *) "web-1" },   { (char *) "Ce-Subject", (char *) "web-2" },
        };
        struct escalate_events e = ESCALATE_EVENTS_NULL;

        (void) state;
        assert_int_equal(escalate_event_read_binary(headers, 6, "", NULL, 0, &e), 0);
        assert_non_null(e.v[0].wrong);
        escalate_events_done(&e);
}

static void what_is_no_message_of_its_source_is_told_as_that(void **state) {
        static const char *const texts[] = { "",
                                             "x",
                                             "[]",
                                             "{}",
                                             "null",
                                             "{\"a\":1,\"a\":2}",
                                             "[1]",
                                             "\"a\"",
                                             "{\"alerts\":[]}",
                                             "{\"version\":\"3\",\"alerts\":[],\"receiver\":\"\","
                                             "\"groupLabels\":{},\"commonLabels\":{}}" };

        (void) state;
        for (enum escalate_source s = 0; s < _ESCALATE_SOURCE_MAX; s++)
                for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                        struct escalate_events e = read_text(s, texts[i], strlen(texts[i]));

                        if (s == ESCALATE_CLOUDEVENTS && strcmp(texts[i], "[]") == 0)
                                assert_int_equal(e.n, 0);
                        else {
                                assert_int_equal(e.n, 1);
                                assert_non_null(e.v[0].wrong);
                                assert_true(strlen(e.v[0].id) > 0);
                        }
                        escalate_events_done(&e);
                }
}

static void check_mend(const char *from, const char *want, bool mended) {
        char *text;
        size_t n;
        bool is;

        assert_int_equal(escalate_mend(from, strlen(from), &text, &n, &is), 0);
        assert_string_equal(text, want);
        assert_int_equal(n, strlen(want));
        assert_int_equal(is, mended);
        free(text);
}

static void whoever_is_watched_cannot_make_an_event_unreadable(void **state) {
        (void) state;
        check_mend("{\"a\":\"b\\n\\u00e4\\\\\"}", "{\"a\":\"b\\n\\u00e4\\\\\"}", false);
        check_mend("{\"a\":\"\xff\xc3\"}", "{\"a\":\"\357\277\275\357\277\275\"}", true);
        check_mend("{\"a\":\"x\\u0000y\"}", "{\"a\":\"x\\ufffdy\"}", true);
        check_mend("{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\\ud83d\\ude00\"}", false);
        check_mend("{\"a\":\"\\ud83d\"}", "{\"a\":\"\\ufffd\"}", true);
        check_mend("{\"a\":\"\\ude00\\ud83d\\u0041\"}", "{\"a\":\"\\ufffd\\ufffd\\u0041\"}", true);
        check_mend("{\"a\":\"\x01\"}", "{\"a\":\"\357\277\275\"}", true);
        check_mend("{\"a\":18446744073709551615,\"b\":-9223372036854775809}",
                   "{\"a\":\"18446744073709551615\",\"b\":\"-9223372036854775809\"}", true);
        check_mend("{\"a\":9223372036854775807,\"b\":1.25}", "{\"a\":9223372036854775807,\"b\":1.25}", false);
        check_mend("\"\\", "\"\\", false);
        check_mend("\"\\\xff", "\"\\\357\277\275", true);
        check_mend("\xed\xa0\x80", "\357\277\275\357\277\275\357\277\275", true);
}

static void a_mended_event_is_read_and_keeps_the_rest(void **state) {
        size_t n;
        char *text = escalation_payload("falco", &n), *p = strstr(text, "sh -c id");

        (void) state;
        p[0] = (char) 0xff;
        struct escalate_events e = read_text(ESCALATE_FALCO, text, n);
        assert_true(e.mended);
        assert_null(e.v[0].wrong);
        assert_string_equal(AT(&e.v[0], "output_fields.container.id"), "9f2b1c40d7ae");
        escalate_events_done(&e);
        free(text);
}

static void a_message_of_a_million_parts_is_not_read(void **state) {
        char *text = malloc(4000002), *p = text;

        (void) state;
        assert_non_null(text);
        *p++ = '[';
        for (size_t i = 0; i < 1000000; i++, p += 3)
                memcpy(p, "{},", 3);
        p[-1] = ']';
        struct escalate_events e = read_text(ESCALATE_CLOUDEVENTS, text, (size_t) (p - text));
        assert_int_equal(e.n, 1);
        assert_non_null(e.v[0].wrong);
        escalate_events_done(&e);
        free(text);
}

/* Each of them costs what it is long, and not what all of them are. */
static void a_batch_of_too_many_is_one_event_and_one_of_many_bad_ones_is_told_in_time(void **state) {
        static char text[2 * ESCALATE_EVENTS_MAX + 4096];
        char *p = text;

        (void) state;
        *p++ = '[';
        for (size_t i = 0; i < ESCALATE_EVENTS_MAX; i++, p += 2)
                memcpy(p, "1,", 2);
        p[-1] = ']';
        struct escalate_events e = read_text(ESCALATE_CLOUDEVENTS, text, (size_t) (p - text));
        assert_int_equal(e.n, ESCALATE_EVENTS_MAX);
        assert_non_null(e.v[ESCALATE_EVENTS_MAX - 1].wrong);
        escalate_events_done(&e);
        memcpy(p - 1, ",1]", 3);
        e = read_text(ESCALATE_CLOUDEVENTS, text, (size_t) (p + 2 - text));
        assert_int_equal(e.n, 1);
        assert_string_equal(e.v[0].wrong, "the message has more events than are taken");
        escalate_events_done(&e);
}

static void times_are_read_with_their_zone_and_nothing_else_is(void **state) {
        (void) state;
        assert_int_equal(escalate_event_time("1970-01-01T00:00:01Z"), 1000);
        assert_int_equal(escalate_event_time("2026-11-21T19:02:11.5+01:00"),
                         escalate_event_time("2026-11-21T18:02:11.500Z"));
        assert_int_equal(escalate_event_time("2026-11-21T16:32:11-01:30"), escalate_event_time("2026-11-21T18:02:11Z"));
        assert_int_equal(escalate_event_time("2026-11-21T18:02:11"), -1);
        assert_int_equal(escalate_event_time("2026-11-21T18:02:11Zx"), -1);
        assert_int_equal(escalate_event_time("2026-11-21T18:02:11+1:00"), -1);
        assert_int_equal(escalate_event_time("1969-12-31T23:59:59Z"), -1);
        assert_int_equal(escalate_event_time(""), -1);
}

static void the_longest_name_is_taken_and_none_else(void **state) {
        json_t *o = json_loads("{\"a.b\":{\"c\":1},\"a\":{\"b\":{\"c\":2,\"d\":3}}}", 0, NULL);

        (void) state;
        assert_int_equal(json_integer_value(escalate_path_find(o, "a.b.c")), 1);
        assert_null(escalate_path_find(o, "a.b.d"));
        assert_null(escalate_path_find(o, "b"));
        assert_false(escalate_path_ok("a{b"));
        assert_false(escalate_path_ok(".a"));
        assert_false(escalate_path_ok(""));
        assert_true(escalate_path_ok("output_fields.proc.aname[2]"));
        json_decref(o);
}

static void a_line_of_ten_megabytes_costs_no_more_than_the_longest_that_is_taken(void **state) {
        struct escalate_lines l = ESCALATE_LINES_NULL;
        static char chunk[65536];
        size_t taken, sent = 0;

        (void) state;
        memset(chunk, 'x', sizeof(chunk));
        for (; sent < 10U * 1024 * 1024; sent += sizeof(chunk))
                assert_int_equal(escalate_lines_feed(&l, chunk, sizeof(chunk), &taken), ESCALATE_LINES_MORE);
        assert_true(l.size <= 2 * ESCALATE_LINE_MAX);
        assert_int_equal(escalate_lines_feed(&l, "\nnext\n", 6, &taken), ESCALATE_LINES_LONG);
        assert_int_equal(l.n, sent);
        assert_int_equal(taken, 1);
        assert_int_equal(escalate_lines_feed(&l, "next\nla", 7, &taken), ESCALATE_LINES_LINE);
        assert_int_equal(l.n, 4);
        assert_memory_equal(l.text, "next", 4);
        assert_int_equal(escalate_lines_feed(&l, "la", 2, &taken), ESCALATE_LINES_MORE);
        assert_int_equal(escalate_lines_finish(&l), ESCALATE_LINES_LINE);
        assert_memory_equal(l.text, "la", 2);
        assert_int_equal(escalate_lines_finish(&l), ESCALATE_LINES_MORE);
        escalate_lines_done(&l);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(alertmanager_has_an_event_for_each_alert_with_what_is_said_of_the_group),
                cmocka_unit_test(an_alert_is_resolved_by_its_own_status_and_not_by_the_groups),
                cmocka_unit_test(the_same_event_has_the_same_key_and_another_has_another),
                cmocka_unit_test(falcos_names_with_dots_are_found),
                cmocka_unit_test(tetragons_kprobes_and_execs_are_read),
                cmocka_unit_test(cloudevents_come_alone_in_batches_and_in_binary_mode),
                cmocka_unit_test(an_attribute_that_is_there_twice_is_no_event),
                cmocka_unit_test(what_is_no_message_of_its_source_is_told_as_that),
                cmocka_unit_test(whoever_is_watched_cannot_make_an_event_unreadable),
                cmocka_unit_test(a_mended_event_is_read_and_keeps_the_rest),
                cmocka_unit_test(a_message_of_a_million_parts_is_not_read),
                cmocka_unit_test(a_batch_of_too_many_is_one_event_and_one_of_many_bad_ones_is_told_in_time),
                cmocka_unit_test(times_are_read_with_their_zone_and_nothing_else_is),
                cmocka_unit_test(the_longest_name_is_taken_and_none_else),
                cmocka_unit_test(a_line_of_ten_megabytes_costs_no_more_than_the_longest_that_is_taken),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
