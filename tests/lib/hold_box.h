/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A set of holds and orders to fill it with. Included after cmocka.h. */

#include <stdint.h>
#include <string.h>

#include "policy/hold.h"

#define MINUTE (60LL * 1000)
#define DAY    (24LL * 3600 * 1000)

static const uint8_t boot_a[16] = { 0xa }, boot_b[16] = { 0xb };
static const uint8_t digest_1[32] = { 1 }, digest_2[32] = { 2 };

/* a key of automation, at the beginning of an hour of the floor */
static const struct account_charge robot = { { 0x40 }, 20000 * DAY };

static struct hold_set *set;

static inline int set_up(void **state) {
        (void) state;
        set = hold_set_new();
        return set ? 0 : -1;
}

static inline int tear_down(void **state) {
        (void) state;
        hold_set_free(set);
        return 0;
}

static inline struct command_id id_of(uint32_t n) {
        struct command_id id = {};

        /* in the middle, so that an order by only the first bytes would show */
        memcpy(&id.b[6], &n, sizeof(n));
        return id;
}

static inline struct command order_of(uint32_t n, int64_t lease_ms) {
        static struct target targets[] = { { TARGET_UNIT, "nginx.service" }, { TARGET_SLICE, "app.slice" } };
        static struct permit permits[] = { { .prefix = 128, .port = 443 } };

        return (struct command) {
                .id = id_of(n),
                .verb = VERB_CONTAIN,
                .targets = targets,
                .n_targets = ELEMENTSOF(targets),
                .permits = permits,
                .n_permits = ELEMENTSOF(permits),
                .lease_ms = lease_ms,
                .iat_ms = DAY,
                .exp_ms = 2 * DAY,
                .severity = SEVERITY_P1,
                .incident = "SA-20261120-001",
        };
}

static inline struct command_id begin(uint32_t n, int64_t lease_ms, bool automation) {
        struct command c = order_of(n, lease_ms);

        assert_int_equal(hold_set_begin(set, &c, automation ? &robot : NULL, 1234), 0);
        return c.id;
}

static inline const struct hold *get(const struct command_id *id) {
        const struct hold *h = hold_set_find(set, id);

        assert_non_null(h);
        return h;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
