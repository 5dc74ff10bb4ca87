/* SPDX-License-Identifier: Apache-2.0 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/fleet.h"
#include "policy/decide.h"
#include "policy/herald.h"

#define NOW    1795000000000LL
#define MINUTE 60000LL
#define ID(n)  ((struct command_id) { { n } })

static uint8_t hosts[2][32] = { { 1 }, { 2 } };
static struct herald_order orders[HERALD_ORDERS_MAX + 1];

static struct herald_head head(void) {
        orders[0] = (struct herald_order) {
                ID(1), { .to = COMMAND_TO_HOSTS, .hosts = hosts, .n_hosts = 2 }, NOW + 1, { 0xd1 }
        };
        orders[1] = (struct herald_order) {
                ID(2), { .to = COMMAND_TO_GROUP, .group = "web", .max_hosts = 4 }, NOW + 2, { 0xd2 }
        };
        orders[2] =
                (struct herald_order) { ID(3),
                                        { .to = COMMAND_TO_ALL, .max_hosts = 4, .part = { true, { 9 }, 5, PLACE_END } },
                                        NOW + 3,
                                        { 0xd3 } };
        return (struct herald_head) { .fleet = "prod",
                                      .n = 1234,
                                      .iat_ms = NOW,
                                      .exp_ms = NOW + 90000,
                                      .trust_version = 1,
                                      .orders = orders,
                                      .n_orders = 3 };
}

static char *text_of(const struct herald_head *h) {
        char *json = NULL;

        assert_int_equal(herald_to_json(h, &json), 0);
        return json;
}

static enum reason reason_of(const char *json) {
        struct herald_head *untouched = (struct herald_head *) 1, *h = untouched;
        enum reason reason = _REASON_MAX;

        assert_int_equal(herald_parse((const uint8_t *) json, strlen(json), &h, &reason), 0);
        assert_int_equal(reason != REASON_NONE, h == untouched);
        if (reason == REASON_NONE)
                herald_free(h);
        return reason;
}

static void what_is_written_is_read_back(void **state) {
        const struct herald_head h = head();
        _cleanup_free_ char *json = text_of(&h), *again = NULL;
        _cleanup_herald_ struct herald_head *back = NULL;
        enum reason reason;

        (void) state;
        assert_int_equal(herald_parse((const uint8_t *) json, strlen(json), &back, &reason), 0);
        assert_int_equal(reason, REASON_NONE);
        assert_int_equal(back->n_orders, 3);
        assert_memory_equal(&back->orders[2], &orders[2], sizeof(orders[2]));
        assert_memory_equal(back->orders[0].to.hosts, hosts, sizeof(hosts));
        assert_int_equal(herald_to_json(back, &again), 0);
        assert_string_equal(json, again);
}

static void every_member_has_to_be_right(void **state) {
        static const struct {
                const char *from, *to;
                enum reason reason;
        } rows[] = {
                { "\"v\":1", "\"v\":2", REASON_VERSION },
                { "\"v\":1", "\"v\":1,\"x\":1", REASON_FIELD },
                { "\"fleet\":\"prod\",", "", REASON_SCHEMA },
                { "\"n\":1234", "\"n\":0", REASON_SCHEMA },
                { "\"n\":1234", "\"n\":9007199254740991", REASON_NONE },
                { "\"n\":1234", "\"n\":9007199254740992", REASON_SCHEMA },
                { "\"trust_version\":1", "\"trust_version\":0", REASON_SCHEMA },
                { "\"exp\":1795000090000", "\"exp\":1795000000000", REASON_SCHEMA },
                { "\"exp\":1795000090000", "\"exp\":1795000000001", REASON_NONE },
                { "\"exp\":1795000090000", "\"exp\":1795000300000", REASON_NONE },
                { "\"exp\":1795000090000", "\"exp\":1795000300001", REASON_SCHEMA },
                { "\"id\":\"01", "\"id\":\"02", REASON_NONE },
                { "\"digest\":\"d1", "\"digest\":\"d2", REASON_SCHEMA },
                { "\"digest\":\"d1", "\"digest\":\"D1", REASON_SCHEMA },
                { "\"digest\":\"d1", "\"digest\":\"d", REASON_SCHEMA },
                { "\"digest\":\"d1", "\"digest\":\"d100", REASON_SCHEMA },
                { "\"digest\":\"d1000000000000000000000000000000\",", "", REASON_SCHEMA },
                { "\"id\":\"01", "\"id\":\"0", REASON_SCHEMA },
                { "\"exp\":1795000000001,", "", REASON_SCHEMA },
                { "\"exp\":1795000000001,", "\"exp\":1795000000001,\"verb\":\"contain\",", REASON_FIELD },
                { "\"group\":\"web\"", "\"group\":\"Web\"", REASON_SCHEMA },
                { "\"group\":\"web\"", "\"all\":true", REASON_NONE },
                { "\"from\":5", "\"from\":4294967296", REASON_SCHEMA },
                { "\"orders\":[", "\"orders\":[7,", REASON_SCHEMA },
        };
        const struct herald_head h = head();
        _cleanup_free_ char *json = text_of(&h);

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *changed = with(json, rows[i].from, rows[i].to);

                if (reason_of(changed) != rows[i].reason)
                        fail_msg("%s instead of %s: %s", reason_id(reason_of(changed)), reason_id(rows[i].reason),
                                 changed);
        }
}

static void a_head_of_a_quiet_fleet_lists_nothing(void **state) {
        struct herald_head h = head();

        (void) state;
        h.n_orders = 0;
        _cleanup_free_ char *json = text_of(&h), *object = with(json, "[]", "{}");
        assert_int_equal(reason_of(json), REASON_NONE);
        assert_int_equal(reason_of(object), REASON_SCHEMA);
}

static void what_does_not_fit_is_not_written(void **state) {
        struct herald_head h = head();
        char *json = NULL;

        (void) state;
        for (size_t i = 3; i < ELEMENTSOF(orders); i++) {
                orders[i] = (struct herald_order) { .to = { .to = COMMAND_TO_ALL, .max_hosts = 1 } };
                memcpy(orders[i].id.b, &i, sizeof(i));
                orders[i].id.b[15] = 1;
                memcpy(orders[i].digest, &i, sizeof(i));
        }
        h.n_orders = 200;
        free(text_of(&h));
        h.n_orders = HERALD_ORDERS_MAX;
        assert_int_equal(herald_to_json(&h, &json), -EINVAL);
        h.n_orders = ELEMENTSOF(orders);
        assert_int_equal(herald_to_json(&h, &json), -EINVAL);
        h = head();
        orders[1].to.max_hosts = 0;
        assert_int_equal(herald_to_json(&h, &json), -EINVAL);
        h = head();
        h.exp_ms = h.iat_ms;
        assert_int_equal(herald_to_json(&h, &json), -EINVAL);
}

static enum reason verified(const struct trust *t, const struct herald_head *h, unsigned int by) {
        _cleanup_free_ char *json = text_of(h);
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_HEAD, DSSE_HEAD, json, strlen(json), by);
        _cleanup_herald_ struct herald_head *got = NULL;
        enum reason reason = _REASON_MAX;

        assert_int_equal(herald_verify(t, &d, &got, &reason), 0);
        assert_int_equal(reason == REASON_NONE, got != NULL);
        return reason;
}

static void only_a_herald_is_believed(void **state) {
        struct herald_head h = head();
        struct trust t;

        (void) state;
        fleet_trust(TRUST_HERALD_ROLE, &t);
        assert_int_equal(verified(&t, &h, BY(BOT)), REASON_NONE);
        assert_int_equal(verified(&t, &h, BY(ALICE) | BY(BOB)), REASON_ROLE);
        assert_int_equal(verified(&t, &h, BY(STRANGER)), REASON_UNTRUSTED);
        assert_int_equal(verified(NULL, &h, BY(BOT)), REASON_NO_TRUST);
        strcpy(h.fleet, "test");
        assert_int_equal(verified(&t, &h, BY(BOT)), REASON_FLEET);
        fleet_trust(TRUST_REGISTRAR_ROLE, &t);
        strcpy(h.fleet, "prod");
        assert_int_equal(verified(&t, &h, BY(BOT)), REASON_ROLE);
}

static void a_head_lives_until_it_ends_and_no_longer_than_it_was_made_for(void **state) {
        const struct herald_head h = head();
        static const struct {
                int64_t wall, floor;
                bool synced;
                enum reason reason;
                int64_t life;
        } rows[] = {
                { NOW, 0, true, REASON_NONE, 90000 },
                { NOW + 30000, 0, true, REASON_NONE, 60000 },
                { NOW + 89999, 0, true, REASON_NONE, 1 },
                { NOW + 90000, 0, true, REASON_EXPIRED, 0 },
                { NOW - MINUTE, 0, true, REASON_NONE, 90000 },
                { NOW - DECIDE_AHEAD_MS, 0, true, REASON_NONE, 90000 },
                { NOW - DECIDE_AHEAD_MS - 1, 0, true, REASON_NOT_YET, 0 },
                /* a clock that nobody vouches for judges nothing; the floor does */
                { NOW + 365 * 24 * 60 * MINUTE, NOW - 24 * 60 * MINUTE, false, REASON_NONE, 90000 },
                { 0, NOW + 30000, false, REASON_NONE, 60000 },
                { 0, NOW + 90000, false, REASON_EXPIRED, 0 },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const struct herald_clock c = { rows[i].wall, rows[i].floor, rows[i].synced };
                int64_t life = 0;

                assert_int_equal(herald_life(&h, &c, &life), rows[i].reason);
                assert_int_equal(life, rows[i].life);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(what_is_written_is_read_back),
                cmocka_unit_test(every_member_has_to_be_right),
                cmocka_unit_test(a_head_of_a_quiet_fleet_lists_nothing),
                cmocka_unit_test(what_does_not_fit_is_not_written),
                cmocka_unit_test(only_a_herald_is_believed),
                cmocka_unit_test(a_head_lives_until_it_ends_and_no_longer_than_it_was_made_for),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
