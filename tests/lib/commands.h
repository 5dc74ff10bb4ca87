/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* One payload of each kind of command, and what the parser says of a text. Include after cmocka.h. */

#include <stdint.h>
#include <string.h>

#include "policy/command.h"

#define HOST_A "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HOST_B "SHA256:AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HOLD_A "00112233445566778899aabbccddeeff"
#define HOLD_B "ffeeddccbbaa99887766554433221100"
#define DAY    "86400000"
#define DAY_1  "86400001"
#define HOUR   "3600000"
#define HOUR_1 "3600001"

/* Every member that there is. */
static const char contain[] = "{\"v\":1,\"fleet\":\"prod\",\"id\":\"" HOLD_A
                              "\",\"verb\":\"contain\",\"to\":{\"hosts\":[\"" HOST_A "\",\"" HOST_B "\"]},"
                              "\"targets\":[\"unit:nginx.service\",\"slice:app.slice\",\"cgroup:/a/b\"],"
                              "\"args\":{\"permitted\":[{\"net\":\"10.0.0.5/"
                              "32\",\"port\":443,\"proto\":\"tcp\"}],\"lease_ms\":900000,\"snapshot\":\"default\"},"
                              "\"iat\":1795219200000,\"exp\":1795219500000,\"seq\":7,\"root_version\":3,\"severity\":"
                              "\"P0\",\"incident\":\"SA-20261120-001\","
                              "\"reason\":\"exploit seen\",\"drill\":true,\"plan\":true}";
/* Every member that there has to be. */
static const char release[] =
        "{\"v\":1,\"fleet\":\"prod\",\"id\":\"" HOLD_B "\",\"verb\":\"release\",\"to\":{\"all\":true,\"max_hosts\":5},"
        "\"targets\":[\"hold:" HOLD_A "\"],\"iat\":0,\"exp\":1,\"severity\":\"Low\",\"reason\":\"r\"}";
static const char extend[] = "{\"v\":1,\"fleet\":\"prod\",\"id\":\"" HOLD_B
                             "\",\"verb\":\"extend\",\"to\":{\"group\":\"web\",\"max_hosts\":1},"
                             "\"targets\":[\"hold:" HOLD_A
                             "\"],\"args\":{\"lease_ms\":1},\"iat\":0,\"exp\":1,\"severity\":\"P1\",\"reason\":\"r\"}";

static inline int parse(const char *json, size_t n, struct command **ret, enum reason *ret_reason) {
        /* of just that size, so that a read beyond the bytes is seen */
        uint8_t *bytes = malloc(n > 0 ? n : 1);
        int r;

        memcpy(bytes, json, n);
        r = command_parse(bytes, n, ret, ret_reason);
        free(bytes);
        return r;
}

static inline enum reason reason_of(const char *json) {
        struct command *untouched = (struct command *) 1, *c = untouched;
        enum reason reason = _REASON_MAX;

        assert_int_equal(parse(json, strlen(json), &c, &reason), 0);
        if (reason == REASON_NONE)
                command_free(c);
        else
                assert_ptr_equal(c, untouched);
        return reason;
}

static inline struct command *command_of(const char *json) {
        struct command *c = NULL;
        enum reason reason = _REASON_MAX;

        assert_int_equal(parse(json, strlen(json), &c, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        return c;
}

static inline void assert_reason(const char *json, enum reason expected) {
        enum reason reason = reason_of(json);

        if (reason != expected)
                fail_msg("%s instead of %s: %s", reason_id(reason), reason_id(expected), json);
}
