/* SPDX-License-Identifier: Apache-2.0 */
/* WRAP: malloc */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <netinet/in.h>

#include "lib/commands.h"
#include "lib/oom.h"
#include "lib/twins.h"
#include "policy/command.h"

static void assert_round_trip(const char *json) {
        _cleanup_command_ struct command *c = command_of(json), *again = NULL;
        _cleanup_free_ char *first = NULL, *second = NULL;

        assert_int_equal(command_to_json(c, &first), 0);
        again = command_of(first);
        assert_int_equal(command_to_json(again, &second), 0);
        assert_string_equal(first, second);

        assert_int_equal(again->n_hosts, c->n_hosts);
        assert_int_equal(again->n_targets, c->n_targets);
        assert_int_equal(again->n_permits, c->n_permits);
        assert_memory_equal(again->targets, c->targets, c->n_targets * sizeof(*c->targets));
        if (c->n_hosts > 0)
                assert_memory_equal(again->hosts, c->hosts, c->n_hosts * sizeof(*c->hosts));
        if (c->n_permits > 0)
                assert_memory_equal(again->permits, c->permits, c->n_permits * sizeof(*c->permits));
        free(again->hosts);
        free(again->targets);
        free(again->permits);
        again->hosts = c->hosts;
        again->targets = c->targets;
        again->permits = c->permits;
        assert_memory_equal(again, c, sizeof(*c));
        again->hosts = NULL;
        again->targets = NULL;
        again->permits = NULL;
}

static void command_to_json_reads_back_as_the_same(void **state) {
        _cleanup_free_ char *text = twin_with(contain, "reason", "\"\\\"q\\\\ \\u20ac /\"");

        (void) state;
        assert_round_trip(contain);
        assert_round_trip(release);
        assert_round_trip(extend);
        assert_round_trip(text);
}

static void command_to_json_is_compact_and_sorted(void **state) {
        _cleanup_command_ struct command *c = command_of(release);
        _cleanup_free_ char *json = NULL;

        (void) state;
        assert_int_equal(command_to_json(c, &json), 0);
        assert_string_equal(
                json,
                "{\"args\":{},\"drill\":false,\"exp\":1,\"fleet\":\"prod\",\"iat\":0,\"id\":\"" HOLD_B
                "\",\"incident\":\"\",\"plan\":false,\"reason\":\"r\",\"root_version\":0,\"seq\":0,\"severity\":\"P3\","
                "\"targets\":[\"hold:" HOLD_A
                "\"],\"to\":{\"all\":true,\"max_hosts\":5},\"v\":1,\"verb\":\"release\"}");
        free(TAKE_PTR(json));
        c->step = true;
        assert_int_equal(command_to_json(c, &json), 0);
        assert_non_null(strstr(json, "{\"args\":{\"step\":true},"));
        free(TAKE_PTR(json));
        c->step = false;
        c->profile = PROFILE_LOGS;
        assert_int_equal(command_to_json(c, &json), -EINVAL);
        c->profile = _PROFILE_MAX;
        assert_int_equal(command_to_json(c, &json), -EINVAL);
        command_freep(&c);
        c = command_of(contain);
        c->profile = PROFILE_LOGS;
        assert_int_equal(command_to_json(c, &json), 0);
        assert_non_null(strstr(json, "\"snapshot\":\"logs\""));
}

/* Each makes a command that command_parse would not take. */
static void spoil_verb(struct command *c) {
        c->verb = _VERB_MAX;
}
static void spoil_severity(struct command *c) {
        c->severity = _SEVERITY_MAX;
}
static void spoil_to(struct command *c) {
        c->to = COMMAND_TO_ALL + 1;
}
static void spoil_max_hosts(struct command *c) {
        c->to = COMMAND_TO_ALL;
        c->max_hosts = 0;
}
static void spoil_group(struct command *c) {
        c->to = COMMAND_TO_GROUP;
        c->max_hosts = 1;
}
static void spoil_part(struct command *c) {
        c->to = COMMAND_TO_ALL;
        c->max_hosts = 1;
        c->part = (struct place_part) { .is_set = true, .from = 7, .below = 7 };
}
static void spoil_part_of_hosts(struct command *c) {
        c->part = (struct place_part) { .is_set = true, .from = 0, .below = PLACE_END };
}
static void spoil_hosts(struct command *c) {
        c->n_hosts = 0;
}
static void spoil_host_twice(struct command *c) {
        memcpy(c->hosts[1], c->hosts[0], sizeof(c->hosts[0]));
}
static void spoil_fleet(struct command *c) {
        c->fleet[0] = 'P';
}
static void spoil_fleet_end(struct command *c) {
        memset(c->fleet, 'x', sizeof(c->fleet));
}
static void spoil_reason(struct command *c) {
        c->reason[0] = '\0';
}
static void spoil_reason_bytes(struct command *c) {
        c->reason[0] = '\xff';
}
static void spoil_reason_control(struct command *c) {
        c->reason[0] = '\n';
}
static void spoil_incident(struct command *c) {
        c->incident[2] = '/';
}
static void spoil_targets(struct command *c) {
        c->n_targets = 0;
}
static void spoil_target_class(struct command *c) {
        c->targets[0].cls = _TARGET_MAX;
}
static void spoil_target_hold(struct command *c) {
        assert_int_equal(target_from_str("hold:" HOLD_A, &c->targets[0]), 0);
}
static void spoil_target_name(struct command *c) {
        c->targets[0].name[0] = '/';
}
static void spoil_target_bytes(struct command *c) {
        c->targets[2].name[1] = '\xff';
}
static void spoil_target_twice(struct command *c) {
        c->targets[1] = c->targets[0];
}
static void spoil_permit_prefix(struct command *c) {
        c->permits[0].prefix = 129;
}
static void spoil_permit_host_bits(struct command *c) {
        c->permits[0].prefix = 100;
}
static void spoil_permit_proto(struct command *c) {
        c->permits[0].proto = IPPROTO_ICMP;
}
static void spoil_permit_verb(struct command *c) {
        c->verb = VERB_FREEZE;
}
static void spoil_lease(struct command *c) {
        c->lease_ms = -1;
}
static void spoil_exp(struct command *c) {
        c->exp_ms = c->iat_ms;
}
static void spoil_life(struct command *c) {
        c->exp_ms = c->iat_ms + COMMAND_STOP_LIFE_MS + 1;
}
static void spoil_iat(struct command *c) {
        c->iat_ms = -1;
}
static void spoil_seq(struct command *c) {
        c->seq = COMMAND_INT_MAX + 1;
}
static void spoil_root_version(struct command *c) {
        c->root_version = -1;
}

static void command_to_json_refuses_what_could_not_be_read_back(void **state) {
        static void (*const spoils[])(struct command *) = {
                spoil_verb,          spoil_severity,      spoil_to,
                spoil_max_hosts,     spoil_group,         spoil_hosts,
                spoil_host_twice,    spoil_fleet,         spoil_fleet_end,
                spoil_reason,        spoil_reason_bytes,  spoil_reason_control,
                spoil_incident,      spoil_targets,       spoil_target_class,
                spoil_target_hold,   spoil_target_name,   spoil_target_bytes,
                spoil_target_twice,  spoil_permit_prefix, spoil_permit_host_bits,
                spoil_permit_proto,  spoil_permit_verb,   spoil_lease,
                spoil_exp,           spoil_life,          spoil_iat,
                spoil_seq,           spoil_root_version,  spoil_part,
                spoil_part_of_hosts,
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(spoils); i++) {
                _cleanup_command_ struct command *c = command_of(contain);
                char untouched, *json = &untouched;

                spoils[i](c);
                if (command_to_json(c, &json) != -EINVAL)
                        fail_msg("spoil %zu was serialised", i);
                assert_ptr_equal(json, &untouched);
        }
}

static void command_lack_of_memory_is_never_a_refusal(void **state) {
        bool hit = true;

        (void) state;
        for (size_t k = 0; hit; k++) {
                struct command *c = NULL;
                enum reason reason = _REASON_MAX;
                int r;

                oom_begin(k);
                r = command_parse((const uint8_t *) contain, strlen(contain), &c, &reason);
                hit = oom_end();
                assert_int_equal(r, hit ? -ENOMEM : 0);
                assert_int_equal(reason, hit ? _REASON_MAX : REASON_NONE);
                assert_int_equal(c == NULL, hit);
                command_free(c);
        }
}

static void command_to_json_tells_lack_of_memory(void **state) {
        _cleanup_command_ struct command *c = command_of(contain);
        bool hit = true;

        (void) state;
        for (size_t k = 0; hit; k++) {
                _cleanup_free_ char *json = NULL;
                int r;

                oom_begin(k);
                r = command_to_json(c, &json);
                hit = oom_end();
                assert_int_equal(r, hit ? -ENOMEM : 0);
                assert_int_equal(json == NULL, hit);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(command_to_json_reads_back_as_the_same),
                cmocka_unit_test(command_to_json_is_compact_and_sorted),
                cmocka_unit_test(command_to_json_refuses_what_could_not_be_read_back),
                cmocka_unit_test(command_lack_of_memory_is_never_a_refusal),
                cmocka_unit_test(command_to_json_tells_lack_of_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
