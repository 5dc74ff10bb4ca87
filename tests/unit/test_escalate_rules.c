/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_rules.c ctl/escalate_template.c ctl/escalate_fill.c ctl/escalate_event.c ctl/escalate_mend.c ctl/escalate_path.c */
/* LINK: ctl/escalate_state.c ctl/escalate_outcome.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/escalate_rules.h"
#include "ctl/escalate_state.h"
#include "ctl/escalate_template.h"
#include "tests/lib/escalation.h"

#define RULE(match, then, more)                                                                                   \
        "{\"v\":1,\"rules\":[{\"name\":\"one\",\"source\":\"alertmanager\",\"match\":{" match "},\"then\":{" then \
        "}" more "}]}"
#define MATCH "\"labels.severity\":\"crit*\""
#define THEN  "\"verb\":\"contain\",\"targets\":[\"unit:{labels.unit}\"],\"lease\":\"15m\""

static struct escalate_rules parse(const char *text) {
        struct escalate_rules r = ESCALATE_RULES_NULL;
        struct why w = { "" };

        if (escalate_rules_parse("r.json", text, strlen(text), &r, &w) != 0)
                fail_msg("%s", w.text);
        return r;
}

static void check_wrong(const char *text, const char *says) {
        struct escalate_rules r = ESCALATE_RULES_NULL;
        struct why w = { "" };

        assert_int_equal(escalate_rules_parse("r.json", text, strlen(text), &r, &w), CTL_USAGE);
        if (!strstr(w.text, says))
                fail_msg("%s\n does not say: %s", w.text, says);
        assert_null(r.v);
}

static struct escalate_event event(const char *json) {
        struct escalate_event e = { .source = ESCALATE_ALERTMANAGER, .time_ms = -1 };

        e.json = json_loads(json, 0, NULL);
        assert_non_null(e.json);
        return e;
}

static void a_rule_has_its_members_and_what_is_usual_for_the_others(void **state) {
        struct escalate_rules r = parse(RULE(MATCH, THEN, ""));

        (void) state;
        assert_int_equal(r.n, 1);
        assert_int_equal(r.per_hour, 20);
        assert_int_equal(r.hosts_per_incident, 50);
        assert_string_equal(r.v[0].to, "local");
        assert_int_equal(r.v[0].lease_ms, 15 * 60 * 1000);
        assert_int_equal(r.v[0].cooldown_ms, r.v[0].lease_ms);
        assert_int_equal(r.v[0].severity, SEVERITY_P1);
        escalate_rules_done(&r);
}

static void every_error_says_file_rule_and_member(void **state) {
        (void) state;
        check_wrong("{", "r.json: ");
        check_wrong("[]", "r.json: ");
        check_wrong("{\"v\":2,\"rules\":[]}", "r.json: v: ");
        check_wrong("{\"v\":1}", "r.json: rules: is missing");
        check_wrong("{\"v\":1,\"rules\":[]}", "r.json: rules: ");
        check_wrong("{\"v\":1,\"budgets\":{\"per_day\":1},\"rules\":[]}", "r.json: budgets.per_day: there is no such");
        check_wrong("{\"v\":1,\"budgets\":{\"per_hour\":0},\"rules\":[]}", "r.json: budgets.per_hour: wants");
        check_wrong("{\"v\":1,\"rules\":[{}]}", "r.json: rule #1: name: is missing");
        check_wrong(RULE(MATCH, THEN, ",\"colour\":1"), "r.json: rule one: colour: there is no such member");
        check_wrong(RULE("", THEN, ""), "r.json: rule one: match: wants");
        check_wrong(RULE("\"a b\":\"x\"", THEN, ""), "r.json: rule one: match.a b: is no place");
        check_wrong(RULE("\"a\":1", THEN, ""), "r.json: rule one: match.a: wants a pattern");
        check_wrong(RULE(MATCH, "\"verb\":\"release\"", ""), "r.json: rule one: then.verb: wants");
        check_wrong(RULE(MATCH, "\"verb\":\"evidence-delete\"", ""), "then.verb: wants");
        check_wrong(RULE(MATCH, THEN ",\"lease\":15", ""), "r.json: ");
        check_wrong(RULE(MATCH, "\"verb\":\"contain\",\"targets\":[\"unit:a.service\"]", ""),
                    "r.json: rule one: then.lease: is missing");
        check_wrong(RULE(MATCH, "\"verb\":\"contain\",\"targets\":[\"unit:a.service\"],\"lease\":\"15\"", ""),
                    "rule one: then.lease: wants a duration");
        check_wrong(RULE(MATCH, "\"verb\":\"contain\",\"targets\":[\"unit:a.service\"],\"lease\":\"25h\"", ""),
                    "rule one: then.lease: is longer");
        check_wrong(RULE(MATCH, "\"verb\":\"snapshot\",\"targets\":[\"unit:a.service\"],\"lease\":\"15m\"", ""),
                    "rule one: then.lease: is for what stops");
        check_wrong(RULE(MATCH, THEN ",\"to\":\"everywhere\"", ""), "rule one: then.to: wants local");
        check_wrong(RULE(MATCH, THEN ",\"to\":\"host={annotations.host}\"", ""), "rule one: then.to: this place");
        check_wrong(RULE(MATCH, THEN ",\"incident\":\"mine\"", ""), "rule one: then.incident: wants");
        check_wrong(RULE(MATCH, THEN ",\"max_hosts\":0", ""), "rule one: then.max_hosts: wants");
        check_wrong(RULE(MATCH, THEN,
                         "},{\"name\":\"one\",\"source\":\"falco\",\"match\":{\"rule\":\"x\"},\"then\":{" THEN "}"),
                    "r.json: rule one: name: another rule has it");
}

static void a_target_has_its_class_written_out(void **state) {
        static const char *const wrong[] = { "{labels.unit}",
                                             "{labels.class}:{labels.unit}",
                                             "hold:{labels.hold}",
                                             "hold:00112233445566778899aabbccddeeff",
                                             "u{labels.x}:a",
                                             "unit:{labels.unit",
                                             "unit:}",
                                             "beacon.timer",
                                             "",
                                             "host:{labels.x}x}",
                                             "pod:{labels.pod}" };
        static const char *const right[] = {
                "unit:{labels.unit}", "container:{output_fields.container.id}", "host",
                "beacon.service",     "cgroup:/system.slice/{labels.unit}",     "pid:{a}"
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (escalate_template_is_target(wrong[i]))
                        fail_msg("%s", wrong[i]);
        for (size_t i = 0; i < ELEMENTSOF(right); i++)
                if (!escalate_template_is_target(right[i]))
                        fail_msg("%s", right[i]);
}

/* value is JSON. */
static const char *filled(const char *template, const char *value, struct target *t) {
        char json[1024];
        struct escalate_event e;

        (void) snprintf(json, sizeof(json), "{\"v\":%s}", value);
        e = event(json);
        const char *problem = escalate_template_target(template, e.json, t);
        json_decref(e.json);
        return problem;
}

static void a_value_fills_its_place_and_no_more(void **state) {
        static const struct {
                const char *template, *value;
        } wrong[] = {
                { "unit:{v}", "\"\"" },
                { "unit:{v}", "\"*.service\"" },
                { "unit:{v}", "\"a.service b.service\"" },
                { "unit:{v}", "\"app.slice\"" },
                { "unit:{v}", "\"getty@.service\"" },
                { "unit:{v}", "\"../../x.service\"" },
                { "unit:{v}", "null" },
                { "unit:{v}", "[\"a.service\"]" },
                { "unit:{v}", "\"a\\ufffd.service\"" },
                { "unit:{v}", "\"a.service\\n\"" },
                { "unit:{w}", "\"a.service\"" },
                { "slice:{v}", "\"-.slice\"" },
                { "slice:{v}", "\"a.service\"" },
                { "cgroup:{v}", "\"/system.slice\"" },
                { "cgroup:/system.slice/{v}", "\"\"" },
                { "cgroup:/system.slice/{v}", "\"..\"" },
                { "cgroup:/system.slice/{v}", "\"../user.slice\"" },
                { "cgroup:/system.slice/{v}", "\"a/b\"" },
                { "container:{v}", "\"9f2b*\"" },
                { "container:{v}", "\"\"" },
                { "user:{v}", "\"-1\"" },
                { "pid:{v}", "0" },
                { "pid:{v}", "-5" },
                { "pid:{v}", "\"0x10\"" },
                { "pid:{v}", "1.5" },
        };
        static const struct {
                const char *template, *value, *name;
        } right[] = {
                { "unit:{v}", "\"beacon.service\"", "beacon.service" },
                { "unit:{v}.service", "\"beacon\"", "beacon.service" },
                { "container:{v}", "\"9f2b1c40d7ae\"", "9f2b1c40d7ae" },
                { "pid:{v}", "6461", "6461" },
                { "cgroup:/system.slice/{v}", "\"a.service\"", "/system.slice/a.service" },
        };
        struct target t;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (!filled(wrong[i].template, wrong[i].value, &t))
                        fail_msg("%s %s", wrong[i].template, wrong[i].value);
        for (size_t i = 0; i < ELEMENTSOF(right); i++) {
                const char *problem = filled(right[i].template, right[i].value, &t);

                if (problem)
                        fail_msg("%s %s: %s", right[i].template, right[i].value, problem);
                assert_string_equal(t.name, right[i].name);
        }
        assert_null(filled("host", "1", &t));
        assert_int_equal(t.cls, TARGET_HOST);
}

static void falcos_hostname_is_no_host(void **state) {
        (void) state;
        assert_non_null(escalate_template_to_problem("host={hostname}", ESCALATE_FALCO));
        assert_non_null(escalate_template_to_problem("host={output_fields.evt.hostname}", ESCALATE_FALCO));
        assert_non_null(escalate_template_to_problem("host={process_exec.process.pod.name}", ESCALATE_TETRAGON));
        assert_non_null(escalate_template_to_problem("host={node_name_of_mine}", ESCALATE_TETRAGON));
        assert_null(escalate_template_to_problem("host={node_name}", ESCALATE_TETRAGON));
        assert_null(escalate_template_to_problem("host={labels.host}", ESCALATE_ALERTMANAGER));
        assert_null(escalate_template_to_problem("host=web-17", ESCALATE_FALCO));
        assert_non_null(escalate_template_to_problem("group={labels.group}", ESCALATE_ALERTMANAGER));
        assert_null(escalate_template_to_problem("group=web", ESCALATE_ALERTMANAGER));
}

static void all_that_a_rule_asks_for_has_to_be_there(void **state) {
        struct escalate_rules r = parse(RULE(MATCH ",\"labels.job\":\"node\",\"tags\":\"b*\"", THEN, ""));
        struct escalate_event e[] = {
                event("{\"labels\":{\"severity\":\"critical\",\"job\":\"node\"},\"tags\":[\"a\",\"bc\"]}"),
                event("{\"labels\":{\"severity\":\"critical\",\"job\":\"nodes\"},\"tags\":[\"bc\"]}"),
                event("{\"labels\":{\"severity\":\"critical\"},\"tags\":[\"bc\"]}"),
                event("{\"labels\":{\"severity\":\"critical\",\"job\":\"node\"},\"tags\":[\"a\",[\"bc\"]]}"),
        };

        (void) state;
        assert_true(escalate_fill_matches(&r.v[0], &e[0]));
        assert_false(escalate_fill_matches(&r.v[0], &e[1]));
        assert_false(escalate_fill_matches(&r.v[0], &e[2]));
        assert_false(escalate_fill_matches(&r.v[0], &e[3]));
        e[0].source = ESCALATE_CLOUDEVENTS;
        assert_false(escalate_fill_matches(&r.v[0], &e[0]));
        for (size_t i = 0; i < ELEMENTSOF(e); i++)
                json_decref(e[i].json);
        escalate_rules_done(&r);
}

static void a_host_is_one_of_the_known_ones_or_none(void **state) {
        struct escalate_rules r = parse(RULE(MATCH, THEN ",\"to\":\"host={labels.host}\"", ""));
        struct host one = { .name = "web-17" };
        const struct hosts known = { &one, 1 };
        struct escalate_event e = event("{\"labels\":{\"unit\":\"a.service\",\"host\":\"web-17\"}}"),
                              other = event("{\"labels\":{\"unit\":\"a.service\",\"host\":\"web-1\"}}");
        struct escalate_draft d;

        (void) state;
        assert_null(escalate_fill(&r.v[0], &e, &known, &d));
        assert_ptr_equal(d.host, &one);
        assert_non_null(escalate_fill(&r.v[0], &other, &known, &d));
        json_decref(e.json);
        json_decref(other.json);
        escalate_rules_done(&r);
}

/* --- what was ordered */

#define NOW 1795284131482LL

struct world {
        struct escalate_rules r;
        struct escalate_state s;
        struct escalate_draft d;
        uint8_t key[32], host[32];
};

static struct world world(const char *budgets) {
        char text[1024];
        struct world w = { .s = ESCALATE_STATE_NULL };

        (void) snprintf(text, sizeof(text), "{\"v\":1,\"budgets\":{%s},%s", budgets,
                        strstr(RULE(MATCH, THEN, ""), "\"rules\""));
        w.r = parse(text);
        w.d.rule = &w.r.v[0];
        w.d.n_hosts = 1;
        escalate_state_incident(&w.s, "one", NOW, w.d.incident);
        return w;
}

static void world_done(struct world *w) {
        escalate_state_done(&w->s);
        escalate_rules_done(&w->r);
}

static enum escalate_verdict judge(struct world *w, int64_t at) {
        return escalate_state_judge(&w->s, &w->r, &w->d, w->key, w->host, at);
}

/* What was judged is ordered. */
static void order(struct world *w, int64_t at) {
        struct escalate_record r = {
                .n_hosts = 1, .at_ms = at, .cool_ms = at + w->d.rule->cooldown_ms, .exp_ms = at + 600000
        };

        r.id.b[0] = (uint8_t) w->s.n;
        memcpy(r.key, w->key, 32);
        memcpy(r.subject, w->d.subject, 32);
        memcpy(r.host, w->host, 32);
        strcpy(r.rule, w->d.rule->name);
        strcpy(r.incident, w->d.incident);
        assert_int_equal(escalate_state_add(&w->s, &r), 0);
}

static void an_event_orders_once_and_a_target_again_after_its_cooldown(void **state) {
        struct world w = world("");

        (void) state;
        assert_int_equal(judge(&w, NOW), ESCALATE_VERDICT_GO);
        order(&w, NOW);
        assert_int_equal(judge(&w, NOW + 1), ESCALATE_VERDICT_DUPLICATE);
        w.key[0] = 1;
        assert_int_equal(judge(&w, NOW + 1), ESCALATE_VERDICT_COOLDOWN);
        assert_int_equal(judge(&w, NOW + 15 * 60 * 1000), ESCALATE_VERDICT_GO);
        w.d.subject[0] = 1;
        assert_int_equal(judge(&w, NOW + 1), ESCALATE_VERDICT_GO);
        w.key[0] = 0;
        escalate_state_forget(&w.s, NOW + ESCALATE_MEMORY_MS);
        assert_int_equal(judge(&w, NOW + ESCALATE_MEMORY_MS), ESCALATE_VERDICT_DUPLICATE);
        escalate_state_forget(&w.s, NOW + ESCALATE_MEMORY_MS + 1);
        assert_int_equal(w.s.n, 0);
        world_done(&w);
}

/* An event may name the incident of a rule: it is not to name those of all other rules by that. */
static void an_incident_that_an_event_names_is_not_where_all_others_end(void **state) {
        struct world w = world("");
        char one[COMMAND_INCIDENT_MAX + 1], two[COMMAND_INCIDENT_MAX + 1];

        (void) state;
        strcpy(w.d.incident + strlen("SA-20261121-"), "999999");
        order(&w, NOW);
        strcpy(w.s.v[0].rule, "named");
        escalate_state_incident(&w.s, "one", NOW, one);
        assert_string_not_equal(one, w.d.incident);
        strcpy(w.d.incident, one);
        order(&w, NOW);
        strcpy(w.s.v[1].rule, "one");
        escalate_state_incident(&w.s, "two", NOW, two);
        assert_string_not_equal(two, one);
        assert_string_not_equal(two, w.s.v[0].incident);
        escalate_state_incident(&w.s, "one", NOW, two);
        assert_string_equal(two, one);
        world_done(&w);
}

static void budgets_end_what_a_storm_of_alerts_orders(void **state) {
        struct world w = world("\"per_hour\":3,\"per_incident\":5");

        (void) state;
        for (uint8_t i = 0; i < 3; i++) {
                w.key[0] = w.d.subject[0] = i;
                assert_int_equal(judge(&w, NOW), ESCALATE_VERDICT_GO);
                order(&w, NOW);
        }
        w.key[0] = w.d.subject[0] = 9;
        assert_int_equal(judge(&w, NOW), ESCALATE_VERDICT_HOUR);
        /* a clock that was set back gives nothing back */
        assert_int_equal(judge(&w, NOW - 5 * ESCALATE_HOUR_MS), ESCALATE_VERDICT_HOUR);
        assert_int_equal(judge(&w, NOW + ESCALATE_HOUR_MS), ESCALATE_VERDICT_GO);
        for (uint8_t i = 3; i < 5; i++) {
                w.key[0] = w.d.subject[0] = i;
                order(&w, NOW - 2 * ESCALATE_HOUR_MS);
        }
        w.key[0] = w.d.subject[0] = 9;
        assert_int_equal(judge(&w, NOW + ESCALATE_HOUR_MS), ESCALATE_VERDICT_INCIDENT);
        world_done(&w);
}

static void an_incident_has_so_many_hosts(void **state) {
        struct world w = world("\"hosts_per_incident\":2");

        (void) state;
        for (uint8_t i = 0; i < 4; i++) {
                w.key[0] = w.d.subject[0] = i;
                w.host[0] = i / 2;
                assert_int_equal(judge(&w, NOW), ESCALATE_VERDICT_GO);
                order(&w, NOW);
        }
        w.key[0] = w.d.subject[0] = 9;
        assert_int_equal(judge(&w, NOW), ESCALATE_VERDICT_GO);
        w.host[0] = 7;
        assert_int_equal(judge(&w, NOW), ESCALATE_VERDICT_BREADTH);
        world_done(&w);
}

static void a_part_of_the_fleet_counts_as_many_hosts_as_are_expected(void **state) {
        struct world w = world("\"hosts_per_incident\":5");

        (void) state;
        order(&w, NOW);
        w.key[0] = w.d.subject[0] = 9;
        w.d.n_hosts = 4;
        assert_int_equal(escalate_state_judge(&w.s, &w.r, &w.d, w.key, NULL, NOW), ESCALATE_VERDICT_GO);
        w.d.n_hosts = 5;
        assert_int_equal(escalate_state_judge(&w.s, &w.r, &w.d, w.key, NULL, NOW), ESCALATE_VERDICT_BREADTH);
        world_done(&w);
}

static void an_incident_is_of_a_rule_and_a_day_and_never_one_of_peoples(void **state) {
        struct world w = world("");
        char incident[COMMAND_INCIDENT_MAX + 1];

        (void) state;
        assert_string_equal(w.d.incident, "SA-20261121-901");
        order(&w, NOW);
        escalate_state_incident(&w.s, "one", NOW + 1, incident);
        assert_string_equal(incident, "SA-20261121-901");
        escalate_state_incident(&w.s, "two", NOW + 1, incident);
        assert_string_equal(incident, "SA-20261121-902");
        escalate_state_incident(&w.s, "one", NOW + ESCALATE_MEMORY_MS, incident);
        assert_string_equal(incident, "SA-20261122-901");
        strcpy(w.s.v[0].incident, "SA-20261121-004");
        escalate_state_incident(&w.s, "one", NOW, incident);
        assert_string_equal(incident, "SA-20261121-901");
        world_done(&w);
}

static void what_was_ordered_is_known_after_a_restart(void **state) {
        struct world w = world("");
        struct escalate_state back = ESCALATE_STATE_NULL;
        char *text;

        (void) state;
        order(&w, NOW);
        w.s.v[0].envelope = strdup("{\"payload\":\"\"}");
        strcpy(w.s.v[0].event, "7b1f0f8d4ad6c2e1");
        assert_int_equal(escalate_state_to_json(&w.s, &text), 0);
        assert_int_equal(escalate_state_from_json(text, strlen(text), &back), 0);
        assert_int_equal(back.n, 1);
        assert_string_equal(back.v[0].envelope, "{\"payload\":\"\"}");
        assert_string_equal(back.v[0].event, "7b1f0f8d4ad6c2e1");
        escalate_state_done(&w.s);
        w.s = back;
        assert_int_equal(judge(&w, NOW + 1), ESCALATE_VERDICT_DUPLICATE);
        /* what nobody has answered is not forgotten by time */
        escalate_state_forget(&w.s, NOW + 2 * ESCALATE_MEMORY_MS);
        assert_int_equal(w.s.n, 1);
        for (size_t i = 0; i < strlen(text); i++) {
                struct escalate_state none = ESCALATE_STATE_NULL;
                int r = escalate_state_from_json(text, i, &none);

                assert_int_equal(r, -EBADMSG);
        }
        free(text);
        world_done(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_rule_has_its_members_and_what_is_usual_for_the_others),
                cmocka_unit_test(every_error_says_file_rule_and_member),
                cmocka_unit_test(a_target_has_its_class_written_out),
                cmocka_unit_test(a_value_fills_its_place_and_no_more),
                cmocka_unit_test(falcos_hostname_is_no_host),
                cmocka_unit_test(all_that_a_rule_asks_for_has_to_be_there),
                cmocka_unit_test(a_host_is_one_of_the_known_ones_or_none),
                cmocka_unit_test(an_event_orders_once_and_a_target_again_after_its_cooldown),
                cmocka_unit_test(an_incident_that_an_event_names_is_not_where_all_others_end),
                cmocka_unit_test(budgets_end_what_a_storm_of_alerts_orders),
                cmocka_unit_test(an_incident_has_so_many_hosts),
                cmocka_unit_test(a_part_of_the_fleet_counts_as_many_hosts_as_are_expected),
                cmocka_unit_test(an_incident_is_of_a_rule_and_a_day_and_never_one_of_peoples),
                cmocka_unit_test(what_was_ordered_is_known_after_a_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
