/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: malloc */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/oom.h"
#include "lib/twins.h"
#include "policy/local.h"

#define POLICY "policy/default-policy.json"

static const char full[] =
        "{\"v\":1,\"protected\":[\"db.service\",\"web-*.service\"],\"permitted\":[{\"net\":\"10.0.0.5/"
        "32\",\"port\":443,\"proto\":\"tcp\"}],"
        "\"automation_budget_ms\":1,\"automation_day_ms\":10,\"evidence\":{\"window_ms\":2,\"deadline_ms\":3000,\"max_"
        "bytes\":4,"
        "\"profiles\":{\"full\":{\"window_ms\":5,\"deadline_ms\":6000,\"max_bytes\":7}},\"logs\":[\"/var/log/"
        "nginx\"],\"quota_bytes\":8,\"free_bytes\":9}}";

static enum reason parse(const char *json, struct local *ret) {
        enum reason reason = _REASON_MAX;

        assert_int_equal(local_parse((const uint8_t *) json, strlen(json), ret, &reason), 0);
        return reason;
}

static void assert_reason(const char *json, enum reason expected) {
        static struct local before, l;
        enum reason reason;

        memset(&before, 0xaa, sizeof(before));
        l = before;
        reason = parse(json, &l);
        if (reason != expected)
                fail_msg("%s instead of %s: %s", reason_id(reason), reason_id(expected), json);
        if (reason != REASON_NONE)
                assert_memory_equal(&l, &before, sizeof(l));
}

static void local_reads_every_member(void **state) {
        static struct local l;

        (void) state;
        assert_int_equal(parse(full, &l), REASON_NONE);
        assert_int_equal(l.n_patterns, 2);
        assert_string_equal(l.patterns[1], "web-*.service");
        assert_int_equal(l.n_permits, 1);
        assert_int_equal(l.permits[0].port, 443);
        assert_int_equal(l.automation_budget_ms, 1);
        assert_int_equal(l.automation_day_ms, 10);
        assert_int_equal(l.profiles[PROFILE_DEFAULT].window_ms, 2);
        assert_int_equal(l.profiles[PROFILE_DEFAULT].deadline_ms, 3000);
        assert_int_equal(l.profiles[PROFILE_DEFAULT].max_bytes, 4);
        assert_int_equal(l.profiles[PROFILE_FULL].window_ms, 5);
        assert_int_equal(l.profiles[PROFILE_FULL].deadline_ms, 6000);
        assert_int_equal(l.profiles[PROFILE_FULL].max_bytes, 7);
        assert_memory_equal(&l.profiles[PROFILE_LOGS], &profile_info(PROFILE_LOGS)->budget, sizeof(l.profiles[0]));
        assert_int_equal(l.n_logs, 1);
        assert_int_equal(l.evidence_quota_bytes, 8);
        assert_int_equal(l.evidence_free_bytes, 9);
        assert_string_equal(l.logs[0], "/var/log/nginx");
}

static void local_absent_members_keep_their_defaults(void **state) {
        static struct local defaults, l;

        (void) state;
        local_defaults(&defaults);
        assert_int_equal(parse("{\"v\":1}", &l), REASON_NONE);
        assert_memory_equal(&l, &defaults, sizeof(l));
        assert_int_equal(parse("{\"v\":1,\"evidence\":{\"window_ms\":5}}", &l), REASON_NONE);
        assert_int_equal(l.profiles[PROFILE_DEFAULT].window_ms, 5);
        l.profiles[PROFILE_DEFAULT].window_ms = defaults.profiles[PROFILE_DEFAULT].window_ms;
        assert_memory_equal(&l, &defaults, sizeof(l));
}

/* A host that lets a key hold for longer per incident than a day has by default is not narrowed by what its file does
 * not know. */
static void what_an_incident_may_have_fits_into_a_day_that_is_not_named(void **state) {
        static struct local defaults, l;
        static const struct {
                const char *json;
                int64_t day_ms;
        } rows[] = {
                { "{\"v\":1,\"automation_budget_ms\":28800001}", 28800001 },
                { "{\"v\":1,\"automation_budget_ms\":9007199254740991}", 9007199254740991 },
                { "{\"v\":1,\"automation_budget_ms\":28799999}", 28800000 },
                { "{\"v\":1,\"automation_budget_ms\":28800001,\"automation_day_ms\":5}", 5 },
                { "{\"v\":1,\"automation_budget_ms\":28800001,\"automation_day_ms\":0}", 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                assert_int_equal(parse(rows[i].json, &l), REASON_NONE);
                assert_true(l.automation_day_ms == rows[i].day_ms);
        }
        local_defaults(&defaults);
        assert_true(defaults.automation_day_ms == 28800000);
}

static void local_shipped_file_says_what_an_absent_one_means(void **state) {
        static struct local defaults, l;
        static char json[LOCAL_FILE_MAX];
        FILE *f = fopen(POLICY, "re");
        size_t n;

        (void) state;
        assert_non_null(f);
        n = fread(json, 1, sizeof(json) - 1, f);
        (void) fclose(f);
        json[n] = '\0';
        local_defaults(&defaults);
        assert_int_equal(parse(json, &l), REASON_NONE);
        assert_memory_equal(&l, &defaults, sizeof(l));

        assert_int_equal(l.profiles[PROFILE_DEFAULT].window_ms, 15 * 60 * 1000);
        assert_int_equal(l.profiles[PROFILE_DEFAULT].deadline_ms, 60 * 1000);
        assert_true(l.profiles[PROFILE_DEFAULT].max_bytes == 1LL << 30);
        assert_int_equal(l.automation_budget_ms, 4 * 3600 * 1000);
        assert_int_equal(l.automation_day_ms, 8 * 3600 * 1000);
}

/* Every member of the shipped file is there: take one away and the meaning may not change only because of luck. */
static void expect_removed(const char *path, const char *json) {
        assert_reason(json,
                      strcmp(path, "v") == 0 || strcmp(path, "permitted.0.net") == 0 ? REASON_SCHEMA : REASON_NONE);
}

static void expect_field(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_FIELD);
}

static void expect_schema(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_SCHEMA);
}

static void expect_malformed(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_MALFORMED);
}

static void local_refuses_twins(void **state) {
        (void) state;
        twins_removed(full, expect_removed);
        twins_added(full, expect_field);
        twins_retyped(full, expect_schema);
        twins_doubled(full, expect_malformed);
}

static void local_members_have_edges(void **state) {
        static const struct {
                const char *path, *value;
                enum reason reason;
        } rows[] = {
                { "v", "2", REASON_VERSION },
                { "automation_budget_ms", "0", REASON_NONE },
                { "automation_budget_ms", "-1", REASON_SCHEMA },
                { "automation_budget_ms", "9007199254740991", REASON_NONE },
                { "automation_budget_ms", "9007199254740992", REASON_SCHEMA },
                { "automation_day_ms", "0", REASON_NONE },
                { "automation_day_ms", "-1", REASON_SCHEMA },
                { "automation_day_ms", "9007199254740991", REASON_NONE },
                { "automation_day_ms", "9007199254740992", REASON_SCHEMA },
                { "evidence.window_ms", "0", REASON_NONE },
                { "evidence.window_ms", "-1", REASON_SCHEMA },
                { "evidence.deadline_ms", "999", REASON_SCHEMA },
                { "evidence.deadline_ms", "1000", REASON_NONE },
                { "evidence.deadline_ms", "3600000", REASON_NONE },
                { "evidence.deadline_ms", "3600001", REASON_SCHEMA },
                { "evidence.max_bytes", "0", REASON_NONE },
                { "evidence.quota_bytes", "0", REASON_NONE },
                { "evidence.quota_bytes", "-1", REASON_SCHEMA },
                { "evidence.free_bytes", "0", REASON_NONE },
                { "evidence.free_bytes", "-1", REASON_SCHEMA },
                { "evidence.max_bytes", "-1", REASON_SCHEMA },
                { "evidence.max_bytes", "9007199254740992", REASON_SCHEMA },
                { "evidence", "{}", REASON_NONE },
                { "evidence.profiles", "{\"default\":{}}", REASON_FIELD },
                { "evidence.profiles.full.deadline_ms", "999", REASON_SCHEMA },
                { "evidence.profiles.full.deadline_ms", "1000", REASON_NONE },
                { "evidence.profiles.full.max_bytes", "-1", REASON_SCHEMA },
                { "evidence.logs", "[]", REASON_NONE },
                { "evidence.logs", "[\"/a\",\"/a\"]", REASON_SCHEMA },
                { "evidence.logs.0", "\"/var/log/*/access?log*\"", REASON_NONE },
                { "evidence.logs.0", "\"/...\"", REASON_NONE },
                { "evidence.logs.0", "\"var/log\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/var/log/\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/var//log\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/var/./log\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/var/..\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/../etc/shadow\"", REASON_SCHEMA },
                { "evidence.logs.0", "\"/var/a\\nb\"", REASON_SCHEMA },
                { "protected", "[]", REASON_NONE },
                { "protected", "[\"\"]", REASON_SCHEMA },
                { "protected", "[\"*\"]", REASON_NONE },
                { "protected", "[\"a b.service\"]", REASON_SCHEMA },
                { "protected", "[\"a/b.service\"]", REASON_SCHEMA },
                { "protected", "[\"[ab].service\"]", REASON_SCHEMA },
                { "protected", "[\"a\\n.service\"]", REASON_SCHEMA },
                { "protected", "[\"\\u00e4.service\"]", REASON_SCHEMA },
                { "protected", "[\"a\\\\x2db@*.service\"]", REASON_NONE },
                { "permitted", "[]", REASON_NONE },
                { "permitted", "[{\"net\":\"10.0.0.5/8\"}]", REASON_SCHEMA },
                { "permitted", "[{\"net\":\"10.0.0.5\",\"x\":1}]", REASON_FIELD },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *json = twin_with(full, rows[i].path, rows[i].value);

                assert_reason(json, rows[i].reason);
        }
}

/* {"v":1,"member":[...]} with n times the item. */
static char *list_of(const char *member, const char *item, size_t n) {
        json_t *array = json_array(), *root = json_pack("{s:i,s:o}", "v", 1, member, array);
        char *json;

        for (size_t i = 0; i < n; i++)
                json_array_append_new(array, json_loads(item, JSON_DECODE_ANY, NULL));
        json = json_dumps(root, JSON_COMPACT);
        json_decref(root);
        return json;
}

static void the_relay_alone_asks_and_at_one_port_of_each_broker(void **state) {
        static const char *const open[] = {
                "{\"net\":\"10.0.0.5\"}",
                "{\"net\":\"10.0.0.5\",\"port\":4222}",
                "{\"net\":\"10.0.0.5\",\"proto\":\"tcp\"}",
                "{\"net\":\"10.0.0.5\",\"port\":4222,\"proto\":\"udp\"}",
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(open); i++) {
                _cleanup_free_ char *json = list_of("brokers", open[i], 1);

                assert_reason(json, REASON_SCHEMA);
        }
        assert_true(local_asks("freezed-relay.service"));
        assert_false(local_asks("freezed-relay.service.x"));
        assert_false(local_asks("ssh.service"));
}

static void local_lists_and_file_end_at_their_limit(void **state) {
        static char large[LOCAL_FILE_MAX + 2];
        char name[TARGET_NAME_MAX + 4];

        (void) state;
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *patterns = list_of("protected", "\"a.service\"", LOCAL_PATTERNS_MAX + more),
                                    *pattern = NULL;
                _cleanup_free_ char *brokers = list_of("brokers", "{\"net\":\"10.0.0.5\",\"port\":1,\"proto\":\"tcp\"}",
                                                       LOCAL_BROKERS_MAX + more);
                _cleanup_free_ char *permits =
                        list_of("permitted", "{\"net\":\"10.0.0.5\"}", COMMAND_PERMITS_MAX + more);

                assert_reason(patterns, more ? REASON_SCHEMA : REASON_NONE);
                assert_reason(permits, more ? REASON_SCHEMA : REASON_NONE);
                assert_reason(brokers, more ? REASON_SCHEMA : REASON_NONE);
                (void) snprintf(name, sizeof(name), "\"%0*d\"", (int) (TARGET_NAME_MAX + more), 0);
                pattern = list_of("protected", name, 1);
                assert_reason(pattern, more ? REASON_SCHEMA : REASON_NONE);
        }
        memset(large, ' ', LOCAL_FILE_MAX + 1);
        memcpy(large, full, strlen(full));
        assert_reason(large, REASON_OVERSIZE);
        large[LOCAL_FILE_MAX] = '\0';
        assert_reason(large, REASON_NONE);
}

static const char *const vital[] = {
        "init.scope",
        "-.slice",
        "system.slice",
        "user.slice",
        "machine.slice",
        "dbus.service",
        "dbus.socket",
        "dbus-broker.service",
        "systemd-journald.service",
        "systemd-journald.socket",
        "systemd-journald-dev-log.socket",
        "systemd-journald-audit.socket",
        "systemd-journald@x.service",
        "systemd-udevd.service",
        "systemd-udevd-control.socket",
        "systemd-udevd-kernel.socket",
        "systemd-logind.service",
        "systemd-networkd.service",
        "systemd-networkd.socket",
        "systemd-networkd-wait-online.service",
        "systemd-resolved.service",
        "systemd-oomd.service",
        "polkit.service",
        "freezed.service",
        "freezed-gate.service",
        "freezed-gate.socket",
        "freezed.slice",
        "freezed-collect@1.service",
};

static void local_compiled_in_names_cannot_be_taken_out(void **state) {
        static struct local l;

        (void) state;
        assert_int_equal(parse("{\"v\":1,\"protected\":[]}", &l), REASON_NONE);
        assert_int_equal(l.n_patterns, 0);
        for (size_t i = 0; i < ELEMENTSOF(vital); i++)
                if (!local_protects(&l, vital[i]))
                        fail_msg("%s", vital[i]);
        assert_false(local_protects(&l, "ssh.service"));
        assert_false(local_protects(&l, "nginx.service"));
}

static void local_defaults_keep_the_way_in_and_the_clock(void **state) {
        static const char *const more[] = { "ssh.service",    "ssh@1.service",   "ssh.socket",
                                            "sshd.service",   "sshd.socket",     "sshd@1-2.service",
                                            "chrony.service", "chronyd.service", "systemd-timesyncd.service" };
        static struct local l;

        (void) state;
        local_defaults(&l);
        for (size_t i = 0; i < ELEMENTSOF(vital); i++)
                assert_true(local_protects(&l, vital[i]));
        for (size_t i = 0; i < ELEMENTSOF(more); i++)
                assert_true(local_protects(&l, more[i]));
}

static void local_does_not_protect_look_alikes(void **state) {
        static const char *const names[] = {
                "",
                "nginx.service",
                "init.scope.service",
                "xinit.scope",
                "system-x.slice",
                "app.slice",
                "user-1000.slice",
                "dbus.service2",
                "mydbus.service",
                "Dbus.service",
                "systemd-journal.service",
                "systemd-journald",
                "systemd-journald.slice",
                "xsystemd-udevd.service",
                "systemd-logind.servicex",
                "systemd-resolved.socket",
                "freeze.service",
                "freezed.scope",
                "polkit.service.d",
                "sshd-proxy.service",
                "ssh@.socket",
        };
        static struct local l;

        (void) state;
        local_defaults(&l);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (local_protects(&l, names[i]))
                        fail_msg("%s", names[i]);
}

static void local_patterns_match_whole_names(void **state) {
        static const struct {
                const char *pattern, *name;
                bool match;
        } rows[] = {
                { "a.service", "a.service", true },
                { "a.service", "a.servic", false },
                { "a.service", "a.services", false },
                { "a.service", "A.service", false },
                { "*", "", true },
                { "*", "x", true },
                { "**", "x", true },
                { "?", "", false },
                { "?", "x", true },
                { "?", "xy", false },
                { "??", "xy", true },
                { "a*", "a", true },
                { "a*", "abc", true },
                { "a*", "ba", false },
                { "*a", "a", true },
                { "*a", "ba", true },
                { "*a", "ab", false },
                { "a*b", "ab", true },
                { "a*b", "axb", true },
                { "a*b", "axbx", false },
                { "a*b", "abab", true },
                { "a*b*c", "aXbYc", true },
                { "a*b*c", "aXcYb", false },
                { "*ab*ab", "ab", false },
                { "*ab*ab", "abab", true },
                { "*aab", "aaab", true },
                { "a?c*", "abc", true },
                { "a?c*", "ac", false },
                { "*?", "", false },
                { "*?", "x", true },
                { "web-?.service", "web-1.service", true },
                { "web-?.service", "web-12.service", false },
                { "a\\x2db.service", "a\\x2db.service", true },
                { "a\\*.service", "a\\x2db.service", true },
                { "a\\*.service", "a*.service", false },
                { "a.b", "axb", false },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                static struct local l;

                memset(&l, 0, sizeof(l));
                l.n_patterns = 1;
                (void) snprintf(l.patterns[0], sizeof(l.patterns[0]), "%s", rows[i].pattern);
                if (local_protects(&l, rows[i].name) != rows[i].match)
                        fail_msg("%s against %s", rows[i].pattern, rows[i].name);
        }
}

static void local_pattern_of_many_stars_ends_soon(void **state) {
        static struct local l;
        char name[TARGET_NAME_MAX + 1];

        (void) state;
        l.n_patterns = LOCAL_PATTERNS_MAX;
        for (size_t i = 0; i < LOCAL_PATTERNS_MAX; i++)
                for (size_t k = 0; k + 1 < TARGET_NAME_MAX; k += 2)
                        memcpy(&l.patterns[i][k], "*a", 3);
        memset(name, 'a', sizeof(name));
        name[TARGET_NAME_MAX] = '\0';
        name[TARGET_NAME_MAX - 1] = 'b';
        assert_false(local_protects(&l, name));
}

static void local_lack_of_memory_is_never_a_refusal(void **state) {
        static struct local l;
        bool hit = true;

        (void) state;
        for (size_t k = 0; hit; k++) {
                enum reason reason = _REASON_MAX;
                int r;

                oom_begin(k);
                r = local_parse((const uint8_t *) full, strlen(full), &l, &reason);
                hit = oom_end();
                assert_int_equal(r, hit ? -ENOMEM : 0);
                assert_int_equal(reason, hit ? _REASON_MAX : REASON_NONE);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(local_reads_every_member),
                cmocka_unit_test(local_absent_members_keep_their_defaults),
                cmocka_unit_test(what_an_incident_may_have_fits_into_a_day_that_is_not_named),
                cmocka_unit_test(local_shipped_file_says_what_an_absent_one_means),
                cmocka_unit_test(local_refuses_twins),
                cmocka_unit_test(local_members_have_edges),
                cmocka_unit_test(the_relay_alone_asks_and_at_one_port_of_each_broker),
                cmocka_unit_test(local_lists_and_file_end_at_their_limit),
                cmocka_unit_test(local_compiled_in_names_cannot_be_taken_out),
                cmocka_unit_test(local_defaults_keep_the_way_in_and_the_clock),
                cmocka_unit_test(local_does_not_protect_look_alikes),
                cmocka_unit_test(local_patterns_match_whole_names),
                cmocka_unit_test(local_pattern_of_many_stars_ends_soon),
                cmocka_unit_test(local_lack_of_memory_is_never_a_refusal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
