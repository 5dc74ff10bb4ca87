/* SPDX-License-Identifier: Apache-2.0 */

/* For whom something is. The other forms of it: tests/unit/test_command.c. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/commands.h"
#include "lib/fleet.h"
#include "lib/twins.h"
#include "policy/address.h"

static void a_group_is_for_hosts_that_are_certified_to_be_of_it(void **state) {
        struct address to = { .to = COMMAND_TO_GROUP, .group = "web", .max_hosts = 5 };
        struct attributes a = fleet_host();

        (void) state;
        assert_true(address_names(&to, a.key.id, &a));
        assert_false(address_names(&to, a.key.id, NULL));
        strcpy(to.group, "db");
        assert_false(address_names(&to, a.key.id, &a));
        strcpy(to.group, "we");
        assert_false(address_names(&to, a.key.id, &a));
        strcpy(to.group, "eu");
        assert_true(address_names(&to, a.key.id, &a));
        a.n_groups = 0;
        assert_false(address_names(&to, a.key.id, &a));
}

static void a_part_takes_hosts_of_the_group_and_of_all_by_their_place(void **state) {
        const struct attributes a = fleet_host();
        struct address to = { .to = COMMAND_TO_ALL, .max_hosts = 5, .part = { .is_set = true, .salt = { 1 } } };
        const int64_t place = place_get(to.part.salt, a.key.id);

        (void) state;
        for (int group = 0; group < 2; group++) {
                to.to = group ? COMMAND_TO_GROUP : COMMAND_TO_ALL;
                strcpy(to.group, group ? "web" : "");
                to.part.from = place;
                to.part.below = place + 1;
                assert_true(address_names(&to, a.key.id, &a));
                to.part.from++;
                to.part.below++;
                assert_false(address_names(&to, a.key.id, &a));
        }
        to.part.from--;
        strcpy(to.group, "db");
        assert_false(address_names(&to, a.key.id, &a));
}

static void hosts_are_named_by_their_keys_and_need_no_certificate(void **state) {
        const struct attributes a = fleet_host();
        uint8_t hosts[2][32] = { { 1 } };
        struct address to = { .to = COMMAND_TO_HOSTS, .hosts = hosts, .n_hosts = 2 };

        (void) state;
        assert_false(address_names(&to, a.key.id, &a));
        memcpy(hosts[1], a.key.id, 32);
        assert_true(address_names(&to, a.key.id, NULL));
        to.n_hosts = 1;
        assert_false(address_names(&to, a.key.id, NULL));
}

static void the_breadth_is_what_was_promised(void **state) {
        const struct address hosts = { .to = COMMAND_TO_HOSTS, .n_hosts = 3 },
                             group = { .to = COMMAND_TO_GROUP, .max_hosts = 400 },
                             all = { .to = COMMAND_TO_ALL, .max_hosts = UINT32_MAX };

        (void) state;
        assert_int_equal(address_breadth(&hosts), 3);
        assert_int_equal(address_breadth(&group), 400);
        assert_int_equal(address_breadth(&all), UINT32_MAX);
}

static void a_part_is_a_salt_and_places_in_order(void **state) {
        static const struct {
                const char *part;
                enum reason reason;
        } rows[] = {
                { "{\"salt\":\"0011223344556677\",\"from\":0,\"below\":1}", REASON_NONE },
                { "{\"salt\":\"0011223344556677\",\"from\":4294967295,\"below\":4294967296}", REASON_NONE },
                { "{\"salt\":\"0011223344556677\",\"from\":1,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":2,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":0,\"below\":0}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":0,\"below\":4294967297}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":4294967296,\"below\":4294967296}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":-1,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":0.5,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"001122334455667\",\"from\":0,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"00112233445566778\",\"from\":0,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"00112233445566AA\",\"from\":0,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":7,\"from\":0,\"below\":1}", REASON_SCHEMA },
                { "{\"from\":0,\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"below\":1}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":0}", REASON_SCHEMA },
                { "{\"salt\":\"0011223344556677\",\"from\":0,\"below\":1,\"of\":9}", REASON_FIELD },
                { "[]", REASON_SCHEMA },
                { "null", REASON_SCHEMA },
        };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char to[256];

                (void) snprintf(to, sizeof(to), "{\"all\":true,\"max_hosts\":1,\"part\":%s}", rows[i].part);
                _cleanup_free_ char *json = twin_with(contain, "to", to);
                assert_reason(json, rows[i].reason);
        }
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_group_is_for_hosts_that_are_certified_to_be_of_it),
                cmocka_unit_test(a_part_takes_hosts_of_the_group_and_of_all_by_their_place),
                cmocka_unit_test(hosts_are_named_by_their_keys_and_need_no_certificate),
                cmocka_unit_test(the_breadth_is_what_was_promised),
                cmocka_unit_test(a_part_is_a_salt_and_places_in_order),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
