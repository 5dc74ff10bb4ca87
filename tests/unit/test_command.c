/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/commands.h"
#include "lib/twins.h"
#include "policy/command.h"
#include "policy/dsse.h"
#include "policy/sshkey.h"

static void command_reads_every_member(void **state) {
        _cleanup_command_ struct command *c = command_of(contain);
        uint8_t host[32];

        (void) state;
        assert_string_equal(c->fleet, "prod");
        assert_int_equal(c->id.b[1], 0x11);
        assert_int_equal(c->verb, VERB_CONTAIN);
        assert_int_equal(c->to, COMMAND_TO_HOSTS);
        assert_int_equal(c->n_hosts, 2);
        assert_int_equal(sshkey_id_from_str(HOST_B, host), 0);
        assert_memory_equal(c->hosts[1], host, sizeof(host));
        assert_int_equal(c->n_targets, 3);
        assert_int_equal(c->targets[0].cls, TARGET_UNIT);
        assert_string_equal(c->targets[0].name, "nginx.service");
        assert_int_equal(c->targets[2].cls, TARGET_CGROUP);
        assert_string_equal(c->targets[2].name, "/a/b");
        assert_int_equal(c->n_permits, 1);
        assert_int_equal(c->permits[0].port, 443);
        assert_int_equal(c->lease_ms, 900000);
        assert_true(c->iat_ms == 1795219200000 && c->exp_ms == 1795219500000);
        assert_int_equal(c->seq, 7);
        assert_int_equal(c->root_version, 3);
        assert_int_equal(c->severity, SEVERITY_P0);
        assert_string_equal(c->incident, "SA-20261120-001");
        assert_string_equal(c->reason, "exploit seen");
        assert_true(c->drill && c->plan);
}

static void command_gives_absent_members_their_stated_values(void **state) {
        _cleanup_command_ struct command *c = command_of(release);

        (void) state;
        assert_int_equal(c->to, COMMAND_TO_ALL);
        assert_int_equal(c->max_hosts, 5);
        assert_null(c->hosts);
        assert_null(c->permits);
        assert_int_equal(c->n_permits, 0);
        assert_true(c->lease_ms == 0 && c->seq == 0 && c->root_version == 0);
        assert_int_equal(c->severity, SEVERITY_P3);
        assert_string_equal(c->incident, "");
        assert_false(c->drill || c->plan);
}

static void expect_schema(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_SCHEMA);
}

static void expect_field(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_FIELD);
}

static void expect_malformed(const char *path, const char *json) {
        (void) path;
        assert_reason(json, REASON_MALFORMED);
}

static void expect_removed(const char *path, const char *json) {
        static const char *const optional[] = {
                "args",
                "args.permitted",
                "args.permitted.0.port",
                "args.permitted.0.proto",
                "args.lease_ms",
                "args.snapshot",
                "seq",
                "root_version",
                "incident",
                "drill",
                "plan",
        };
        bool is_optional = false;

        for (size_t i = 0; i < ELEMENTSOF(optional); i++)
                is_optional = is_optional || strcmp(optional[i], path) == 0;
        assert_reason(json, is_optional ? REASON_NONE : REASON_SCHEMA);
}

static void command_refuses_a_twin_without_a_required_member(void **state) {
        (void) state;
        twins_removed(contain, expect_removed);
        twins_removed(release, expect_schema);
        twins_removed(extend, expect_schema);
}

static void command_refuses_a_twin_with_an_unknown_member_at_any_level(void **state) {
        (void) state;
        twins_added(contain, expect_field);
        twins_added(release, expect_field);
        twins_added(extend, expect_field);
}

static void command_refuses_a_twin_with_a_value_of_another_type(void **state) {
        (void) state;
        twins_retyped(contain, expect_schema);
        twins_retyped(release, expect_schema);
        twins_retyped(extend, expect_schema);
}

static void command_refuses_a_twin_with_a_doubled_member_at_any_level(void **state) {
        (void) state;
        twins_doubled(contain, expect_malformed);
        twins_doubled(release, expect_malformed);
        twins_doubled(extend, expect_malformed);
}

struct change {
        const char *base, *path, *value;
        enum reason reason;
};

static void assert_changes(const struct change *rows, size_t n) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *json = twin_with(rows[i].base, rows[i].path, rows[i].value);

                assert_reason(json, rows[i].reason);
        }
}

static void command_knows_one_version(void **state) {
        static const struct change rows[] = {
                { contain, "v", "2", REASON_VERSION },
                { contain, "v", "0", REASON_VERSION },
                { contain, "v", "1.0", REASON_SCHEMA },
        };
        _cleanup_free_ char *future = twin_with(contain, "v", "2"), *json = twin_with(future, "labels", "[\"x\"]");

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
        /* what is new in another version is not an unknown field of this one */
        assert_reason(json, REASON_VERSION);
}

static void command_integers_have_edges(void **state) {
        static const struct change rows[] = {
                { contain, "seq", "0", REASON_NONE },
                { contain, "seq", "9007199254740991", REASON_NONE },
                { contain, "seq", "9007199254740992", REASON_SCHEMA },
                { contain, "seq", "9223372036854775807", REASON_SCHEMA },
                { contain, "seq", "-1", REASON_SCHEMA },
                { contain, "seq", "-9223372036854775808", REASON_SCHEMA },
                { contain, "seq", "7.0", REASON_SCHEMA },
                { contain, "seq", "7e0", REASON_SCHEMA },
                { contain, "root_version", "9007199254740991", REASON_NONE },
                { contain, "root_version", "9007199254740992", REASON_SCHEMA },
                { contain, "root_version", "-1", REASON_SCHEMA },
                { contain, "args.lease_ms", "0", REASON_NONE },
                { contain, "args.lease_ms", "9007199254740991", REASON_NONE },
                { contain, "args.lease_ms", "9007199254740992", REASON_SCHEMA },
                { contain, "args.lease_ms", "-1", REASON_SCHEMA },
                { contain, "iat", "-1", REASON_SCHEMA },
                { contain, "exp", "9007199254740992", REASON_SCHEMA },
                { release, "to.max_hosts", "0", REASON_SCHEMA },
                { release, "to.max_hosts", "1", REASON_NONE },
                { release, "to.max_hosts", "4294967295", REASON_NONE },
                { release, "to.max_hosts", "4294967296", REASON_SCHEMA },
                { release, "to.max_hosts", "-1", REASON_SCHEMA },
        };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
}

static void command_lives_no_longer_than_its_verb_allows(void **state) {
        static const struct {
                const char *base, *verb, *iat, *exp;
                enum reason reason;
        } rows[] = {
                { contain, "\"contain\"", "0", DAY, REASON_NONE },
                { contain, "\"contain\"", "0", DAY_1, REASON_SCHEMA },
                { contain, "\"isolate\"", "0", DAY, REASON_NONE },
                { contain, "\"isolate\"", "1", DAY_1, REASON_NONE },
                { contain, "\"contain\"", "5", "5", REASON_SCHEMA },
                { contain, "\"contain\"", "5", "4", REASON_SCHEMA },
                { contain, "\"contain\"", "5", "6", REASON_NONE },
                { contain, "\"contain\"", "9007199254740990", "9007199254740991", REASON_NONE },
                { contain, "\"contain\"", "0", "9007199254740991", REASON_SCHEMA },
                { extend, "\"extend\"", "0", DAY, REASON_NONE },
                { extend, "\"extend\"", "0", DAY_1, REASON_SCHEMA },
                { release, "\"release\"", "0", HOUR, REASON_NONE },
                { release, "\"release\"", "0", HOUR_1, REASON_SCHEMA },
                { release, "\"release\"", "1", "1", REASON_SCHEMA },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *verb = twin_with(rows[i].base, "verb", rows[i].verb);
                _cleanup_free_ char *iat = twin_with(verb, "iat", rows[i].iat),
                                    *json = twin_with(iat, "exp", rows[i].exp);

                assert_reason(json, rows[i].reason);
        }
}

#define PART "{\"salt\":\"00112233445566ff\",\"from\":0,\"below\":4294967296}"

static void command_addresses_one_kind_of_receiver(void **state) {
        static const struct change rows[] = {
                { contain, "to", "{\"all\":true,\"max_hosts\":1}", REASON_NONE },
                { contain, "to", "{\"group\":\"web-1\",\"max_hosts\":1}", REASON_NONE },
                { contain, "to", "{}", REASON_SCHEMA },
                { contain, "to", "{\"all\":true}", REASON_SCHEMA },
                { contain, "to", "{\"all\":false,\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"all\":1,\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"group\":\"web\"}", REASON_SCHEMA },
                { contain, "to", "{\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"all\":true,\"group\":\"web\",\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"all\":true,\"max_hosts\":1,\"hosts\":[\"" HOST_A "\"]}", REASON_SCHEMA },
                { contain, "to", "{\"group\":\"web\",\"max_hosts\":1,\"hosts\":[\"" HOST_A "\"]}", REASON_SCHEMA },
                { contain, "to", "{\"hosts\":[\"" HOST_A "\"],\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"hosts\":[]}", REASON_SCHEMA },
                { contain, "to", "{\"hosts\":[\"" HOST_A "\",\"" HOST_A "\"]}", REASON_SCHEMA },
                { contain, "to", "{\"hosts\":[\"host1\"]}", REASON_SCHEMA },
                { contain, "to", "{\"hosts\":[\"" HOST_A "=\"]}", REASON_SCHEMA },
                { contain, "to", "{\"hosts\":[\"*\"]}", REASON_SCHEMA },
                { contain, "to", "{\"group\":\"\",\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"group\":\"../x\",\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"group\":\"Web\",\"max_hosts\":1}", REASON_SCHEMA },
                { contain, "to", "{\"label\":\"x\"}", REASON_FIELD },
                { contain, "to", "{\"all\":true,\"max_hosts\":1,\"part\":" PART "}", REASON_NONE },
                { contain, "to", "{\"group\":\"web\",\"max_hosts\":1,\"part\":" PART "}", REASON_NONE },
                { contain, "to", "{\"hosts\":[\"" HOST_A "\"],\"part\":" PART "}", REASON_SCHEMA },
                { contain, "to", "{\"part\":" PART "}", REASON_SCHEMA },
        };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
}

static void command_targets_fit_the_verb(void **state) {
        static const struct change rows[] = {
                { contain, "targets", "[]", REASON_SCHEMA },
                { contain, "targets", "[\"nginx.service\"]", REASON_NONE },
                { contain, "targets", "[\"unit:nginx.service\",\"nginx.service\"]", REASON_SCHEMA },
                { contain, "targets", "[\"unit:a.service\",\"unit:b.service\",\"unit:a.service\"]", REASON_SCHEMA },
                { contain, "targets", "[\"hold:" HOLD_A "\"]", REASON_SCHEMA },
                { contain, "targets", "[\"unit:a.service\",\"hold:" HOLD_A "\"]", REASON_SCHEMA },
                { contain, "targets", "[\"cgroup:/a/../b\"]", REASON_SCHEMA },
                { contain, "targets", "[\"cgroup:/\"]", REASON_SCHEMA },
                { contain, "targets", "[\"unit:a/../b.service\"]", REASON_SCHEMA },
                { contain, "targets", "[\"pod:a\"]", REASON_SCHEMA },
                { contain, "targets", "[\"cgroup:/a\\u0085\"]", REASON_SCHEMA },
                { contain, "targets", "[\"\"]", REASON_SCHEMA },
                { release, "targets", "[\"hold:" HOLD_A "\",\"hold:" HOLD_B "\"]", REASON_NONE },
                { release, "targets", "[\"hold:" HOLD_A "\",\"hold:" HOLD_A "\"]", REASON_SCHEMA },
                { release, "targets", "[\"hold:" HOLD_A "\",\"unit:a.service\"]", REASON_SCHEMA },
                { release, "targets", "[\"unit:a.service\"]", REASON_SCHEMA },
                { release, "targets", "[\"" HOLD_A "\"]", REASON_SCHEMA },
                { extend, "targets", "[\"unit:a.service\"]", REASON_SCHEMA },
        };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
}

static void command_args_fit_the_verb(void **state) {
        static const char permit[] = "{\"permitted\":[{\"net\":\"10.0.0.5\"}]}";
        static const char lease[] = "{\"lease_ms\":1}", nothing[] = "{\"lease_ms\":0,\"permitted\":[]}";
        static const struct {
                const char *base, *verb;
                enum reason permit, lease, nothing, profile;
        } rows[] = {
                { contain, "\"contain\"", REASON_NONE, REASON_NONE, REASON_NONE, REASON_NONE },
                { contain, "\"isolate\"", REASON_NONE, REASON_NONE, REASON_NONE, REASON_SCHEMA },
                { contain, "\"freeze\"", REASON_SCHEMA, REASON_NONE, REASON_NONE, REASON_SCHEMA },
                { contain, "\"snapshot\"", REASON_SCHEMA, REASON_SCHEMA, REASON_NONE, REASON_NONE },
                { extend, "\"extend\"", REASON_SCHEMA, REASON_NONE, REASON_SCHEMA, REASON_SCHEMA },
                { release, "\"release\"", REASON_SCHEMA, REASON_SCHEMA, REASON_NONE, REASON_SCHEMA },
                { release, "\"evidence-hold\"", REASON_SCHEMA, REASON_SCHEMA, REASON_NONE, REASON_SCHEMA },
                { release, "\"evidence-unhold\"", REASON_SCHEMA, REASON_SCHEMA, REASON_NONE, REASON_SCHEMA },
                { release, "\"evidence-delete\"", REASON_SCHEMA, REASON_SCHEMA, REASON_NONE, REASON_SCHEMA },
        };

        (void) state;
        assert_int_equal(ELEMENTSOF(rows), _VERB_MAX);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *verb = twin_with(rows[i].base, "verb", rows[i].verb);
                const struct change changes[] = {
                        { verb, "args", permit, rows[i].permit },
                        { verb, "args", lease, rows[i].lease },
                        { verb, "args", nothing, rows[i].nothing },
                        { verb, "args", "{}", rows[i].nothing },
                        { verb, "args", "{\"snapshot\":\"full\"}", rows[i].profile },
                        { verb, "args", "{\"snapshot\":\"logs\"}", rows[i].profile },
                        { verb, "args", "{\"snapshot\":\"most\"}", REASON_SCHEMA },
                        { verb, "args", "{\"on_expire\":\"release\"}", REASON_FIELD },
                };

                assert_changes(changes, ELEMENTSOF(changes));
        }
}

static void command_extend_takes_a_lease_and_nothing_else(void **state) {
        static const struct change rows[] = {
                { extend, "args", "{\"lease_ms\":1,\"permitted\":[{\"net\":\"10.0.0.5\"}]}", REASON_SCHEMA },
                { extend, "args", NULL, REASON_SCHEMA },
        };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
}

static void command_steps_only_to_release(void **state) {
        static const struct change rows[] = {
                { release, "args", "{\"step\":true}", REASON_NONE },
                { release, "args", "{\"step\":false}", REASON_NONE },
                { release, "args", "{\"step\":1}", REASON_SCHEMA },
                { contain, "args", "{\"step\":false}", REASON_NONE },
                { contain, "args", "{\"step\":true}", REASON_SCHEMA },
                { extend, "args", "{\"lease_ms\":1,\"step\":true}", REASON_SCHEMA },
        };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
}

static void command_text_is_printable(void **state) {
        static const struct change rows[] = {
                { contain, "reason", "\"\"", REASON_SCHEMA },
                { contain, "reason", "\"gr\\u00fc\\u00dfe \\u20ac \\ud83d\\udd12\"", REASON_NONE },
                { contain, "reason", "\"a\\nb\"", REASON_SCHEMA },
                { contain, "reason", "\"a\\tb\"", REASON_SCHEMA },
                { contain, "reason", "\"\\u001b[2J\"", REASON_SCHEMA },
                { contain, "reason", "\"\\u007f\"", REASON_SCHEMA },
                { contain, "reason", "\"\\u0080\"", REASON_SCHEMA },
                { contain, "reason", "\"\\u009f\"", REASON_SCHEMA },
                { contain, "reason", "\"\\u00a0\"", REASON_NONE },
                { contain, "fleet", "\"\"", REASON_SCHEMA },
                { contain, "fleet", "\"Prod\"", REASON_SCHEMA },
                { contain, "fleet", "\"-prod\"", REASON_SCHEMA },
                { contain, "fleet", "\"a/b\"", REASON_SCHEMA },
                { contain, "fleet", "\"p.r-o_d2\"", REASON_NONE },
                { contain, "verb", "\"Contain\"", REASON_SCHEMA },
                { contain, "verb", "\"\"", REASON_SCHEMA },
                { contain, "severity", "\"high\"", REASON_NONE },
                { contain, "severity", "\"P4\"", REASON_SCHEMA },
                { contain, "id", "\"00112233445566778899AABBCCDDEEFF\"", REASON_SCHEMA },
                { contain, "id", "\"00112233445566778899aabbccddeef\"", REASON_SCHEMA },
                { contain, "id", "\"00112233445566778899aabbccddeeff0\"", REASON_SCHEMA },
                { contain, "id", "\"\"", REASON_SCHEMA },
        };
        static const char *const malformed[] = { "\\ud800", "\\udc00", "\\ud83d", "\\u0000", "\t", "\x01" };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
        for (size_t i = 0; i < ELEMENTSOF(malformed); i++) {
                char json[2048];
                const char *p = strstr(contain, "exploit");

                (void) snprintf(json, sizeof(json), "%.*s%s%s", (int) (p - contain), contain, malformed[i], p);
                assert_reason(json, REASON_MALFORMED);
        }
}

static void command_bytes_that_are_not_utf8_are_told_apart(void **state) {
        static const char *const bytes[] = { "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3" };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(bytes); i++) {
                char json[2048];
                const char *p = strstr(contain, "exploit");

                (void) snprintf(json, sizeof(json), "%.*s%s%s", (int) (p - contain), contain, bytes[i], p);
                assert_reason(json, REASON_ENCODING);
        }
}

static void command_incident_can_name_a_folder(void **state) {
        static const struct change rows[] = {
                { contain, "incident", "\"\"", REASON_NONE },
                { contain, "incident", "\"SA-20261120-001\"", REASON_NONE },
                { contain, "incident", "\"INCIDENT-20261120-123456\"", REASON_NONE },
                { contain, "incident", "\"S-20261120-001\"", REASON_SCHEMA },
                { contain, "incident", "\"INCIDENTS-20261120-001\"", REASON_SCHEMA },
                { contain, "incident", "\"sa-20261120-001\"", REASON_SCHEMA },
                { contain, "incident", "\"SA-2026112-001\"", REASON_SCHEMA },
                { contain, "incident", "\"SA-202611200-001\"", REASON_SCHEMA },
                { contain, "incident", "\"SA-20261120-01\"", REASON_SCHEMA },
                { contain, "incident", "\"SA-20261120-1234567\"", REASON_SCHEMA },
                { contain, "incident", "\"SA-20261120-001 \"", REASON_SCHEMA },
                { contain, "incident", "\"SA-20261120-001/..\"", REASON_SCHEMA },
                { contain, "incident", "\"SA--20261120-001\"", REASON_SCHEMA },
                { contain, "incident", "\"../../etc\"", REASON_SCHEMA },
                { contain, "incident", "\"SA-20261120-001\\n\"", REASON_SCHEMA },
                { contain, "incident", "\"-\"", REASON_SCHEMA },
        };

        (void) state;
        assert_changes(rows, ELEMENTSOF(rows));
}

/* A string value of n times the letter. */
static char *quoted(char letter, size_t n) {
        char *s = calloc(1, n + 3);

        memset(s, letter, n + 2);
        s[0] = s[n + 1] = '"';
        return s;
}

static void command_strings_end_at_their_limit(void **state) {
        static const struct {
                const char *path;
                size_t max;
        } rows[] = { { "fleet", COMMAND_FLEET_MAX }, { "reason", COMMAND_REASON_MAX } };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                for (size_t more = 0; more < 2; more++) {
                        _cleanup_free_ char *value = quoted('x', rows[i].max + more);
                        _cleanup_free_ char *json = twin_with(contain, rows[i].path, value);

                        assert_reason(json, more ? REASON_SCHEMA : REASON_NONE);
                }
}

/* An array of n values, the i-th made by format from i. */
__attribute__((format(printf, 2, 0))) static char *array_of(size_t n, const char *format) {
        char *s = calloc(1, n * 64 + 3), *p = s;

        *p++ = '[';
        for (size_t i = 0; i < n; i++)
                p += sprintf(p, format, (unsigned int) i);
        if (n > 0)
                p--;
        (void) strcpy(p, "]");
        return s;
}

static char *hosts_of(size_t n) {
        char *s = calloc(1, n * 64 + 3), *p = s;

        *p++ = '[';
        for (size_t i = 0; i < n; i++) {
                uint8_t host[32] = { (uint8_t) i, (uint8_t) (i >> 8) };
                char id[SSHKEY_ID_SIZE];

                sshkey_id_to_str(host, id);
                p += sprintf(p, "\"%s\"%s", id, i + 1 < n ? "," : "]");
        }
        return s;
}

static void command_lists_end_at_their_limit(void **state) {
        (void) state;
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *hosts = hosts_of(COMMAND_HOSTS_MAX + more),
                                    *hosts_json = twin_with(contain, "to.hosts", hosts);
                _cleanup_free_ char *targets = array_of(COMMAND_TARGETS_MAX + more, "\"unit:a%u.service\",");
                _cleanup_free_ char *targets_json = twin_with(contain, "targets", targets);
                _cleanup_free_ char *permits = array_of(COMMAND_PERMITS_MAX + more, "{\"net\":\"10.0.0.%u\"},");
                _cleanup_free_ char *permits_json = twin_with(contain, "args.permitted", permits);

                assert_reason(hosts_json, more ? REASON_SCHEMA : REASON_NONE);
                assert_reason(targets_json, more ? REASON_SCHEMA : REASON_NONE);
                assert_reason(permits_json, more ? REASON_SCHEMA : REASON_NONE);
        }
}

static void command_of_more_than_a_payload_is_oversize(void **state) {
        char *json = malloc(DSSE_PAYLOAD_MAX + 2);

        (void) state;
        memset(json, ' ', DSSE_PAYLOAD_MAX + 1);
        json[DSSE_PAYLOAD_MAX + 1] = '\0';
        memcpy(json, contain, strlen(contain));
        assert_reason(json, REASON_OVERSIZE);
        json[DSSE_PAYLOAD_MAX] = '\0';
        assert_reason(json, REASON_NONE);
        free(json);
}

static void command_that_is_no_object_is_refused(void **state) {
        static const struct {
                const char *json;
                enum reason reason;
        } rows[] = {
                { "", REASON_MALFORMED },     { "x", REASON_MALFORMED }, { "null", REASON_MALFORMED },
                { "[]", REASON_SCHEMA },      { "{}", REASON_SCHEMA },   { "{\"v\":1}", REASON_SCHEMA },
                { "[[[[", REASON_MALFORMED },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                assert_reason(rows[i].json, rows[i].reason);
}

static void command_cut_off_anywhere_is_malformed(void **state) {
        (void) state;
        for (size_t n = 0; n < strlen(contain); n++) {
                enum reason reason = _REASON_MAX;
                struct command *c = NULL;

                assert_int_equal(parse(contain, n, &c, &reason), 0);
                assert_int_equal(reason, REASON_MALFORMED);
        }
}

static void command_ids_have_one_spelling(void **state) {
        static const char *const refused[] = {
                "",          "0",         "00112233445566778899AABBCCDDEEFF", HOLD_A "0", " " HOLD_A,
                "0x" HOLD_A, HOLD_A "\n", "g0112233445566778899aabbccddeeff"
        };
        struct command_id id, same, other;
        char s[33];

        (void) state;
        assert_int_equal(command_id_from_str(HOLD_A, &id), 0);
        assert_int_equal(command_id_from_str(HOLD_A, &same), 0);
        assert_int_equal(command_id_from_str(HOLD_B, &other), 0);
        command_id_to_str(&id, s);
        assert_string_equal(s, HOLD_A);
        assert_true(command_id_equal(&id, &same));
        assert_false(command_id_equal(&id, &other));
        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                assert_int_equal(command_id_from_str(refused[i], &same), -EINVAL);
                assert_true(command_id_equal(&id, &same));
        }
}

static void command_free_takes_nothing(void **state) {
        struct command *c = NULL;

        (void) state;
        command_free(NULL);
        command_freep(&c);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(command_reads_every_member),
                cmocka_unit_test(command_gives_absent_members_their_stated_values),
                cmocka_unit_test(command_refuses_a_twin_without_a_required_member),
                cmocka_unit_test(command_refuses_a_twin_with_an_unknown_member_at_any_level),
                cmocka_unit_test(command_refuses_a_twin_with_a_value_of_another_type),
                cmocka_unit_test(command_refuses_a_twin_with_a_doubled_member_at_any_level),
                cmocka_unit_test(command_knows_one_version),
                cmocka_unit_test(command_integers_have_edges),
                cmocka_unit_test(command_lives_no_longer_than_its_verb_allows),
                cmocka_unit_test(command_addresses_one_kind_of_receiver),
                cmocka_unit_test(command_targets_fit_the_verb),
                cmocka_unit_test(command_args_fit_the_verb),
                cmocka_unit_test(command_extend_takes_a_lease_and_nothing_else),
                cmocka_unit_test(command_steps_only_to_release),
                cmocka_unit_test(command_text_is_printable),
                cmocka_unit_test(command_bytes_that_are_not_utf8_are_told_apart),
                cmocka_unit_test(command_incident_can_name_a_folder),
                cmocka_unit_test(command_strings_end_at_their_limit),
                cmocka_unit_test(command_lists_end_at_their_limit),
                cmocka_unit_test(command_of_more_than_a_payload_is_oversize),
                cmocka_unit_test(command_that_is_no_object_is_refused),
                cmocka_unit_test(command_cut_off_anywhere_is_malformed),
                cmocka_unit_test(command_ids_have_one_spelling),
                cmocka_unit_test(command_free_takes_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
