/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Files of signed orders. Include after cmocka.h; ids are told apart by their first byte. */

#include <stdint.h>
#include <string.h>

#include "policy/command.h"
#include "policy/dsse.h"

/* An order to all, with the part of the fleet that is between; 0, 0: all of it. */
static inline struct command bundles_command(uint8_t id, struct target *t, int64_t from, int64_t below) {
        struct command c = { .fleet = "prod",
                             .id.b = { id, 1 },
                             .verb = VERB_CONTAIN,
                             .to = COMMAND_TO_ALL,
                             .max_hosts = 5,
                             .targets = t,
                             .n_targets = 1,
                             .iat_ms = 1000,
                             .exp_ms = 61000,
                             .reason = "test",
                             .part = { .is_set = below > 0, .salt = { 1, 2 }, .from = from, .below = below } };

        assert_int_equal(target_from_str("unit:beacon.service", t), 0);
        return c;
}

/* Its envelope with a signature of nobody, a line. */
static inline char *bundles_line(const struct command *c) {
        static const uint8_t keyid[32] = { 1 }, sig[64] = { 2 };
        struct dsse d = { .type = DSSE_COMMAND };
        char *json, *text, *line;

        assert_int_equal(command_to_json(c, &json), 0);
        d.payload = (uint8_t *) json;
        d.n_payload = strlen(json);
        assert_int_equal(dsse_add(&d, keyid, sig), 0);
        assert_int_equal(dsse_to_json(&d, &text), 0);
        dsse_done(&d);
        assert_true(asprintf(&line, "%s\n", text) > 0);
        free(text);
        return line;
}

/* Two waves of one order. */
static inline char *bundles_two(uint8_t id) {
        struct target t;
        struct command a = bundles_command(id, &t, 0, 1000),
                       b = bundles_command((uint8_t) (id + 1), &t, 1000, PLACE_END);
        _cleanup_free_ char *x = bundles_line(&a), *y = bundles_line(&b);
        char *text;

        assert_true(asprintf(&text, "%s%s", x, y) > 0);
        return text;
}
