/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/hearing.c agent/core/heard.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/fault.c agent/util/log.c */

/* What a host makes of the orders that heads list. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hearing_rig.h"
#include "lib/reasons.h"

static void what_the_head_lists_and_has_not_come_is_missing_and_then_withheld(void **state) {
        struct herald_order orders[] = { order_to_all(1), order_to_all(2), order_to_all(3), order_to_all(4),
                                         order_to_all(5) };
        uint8_t others[1][32] = { { 0x99 } }, ours[1][32];
        struct herald_head h = head_of(5);

        (void) state;
        memcpy(ours[0], hostkey_public(r.a.key)->id, 32);
        orders[1].to = (struct address) { .to = COMMAND_TO_HOSTS, .hosts = others, .n_hosts = 1 };
        orders[2].to = (struct address) { .to = COMMAND_TO_HOSTS, .hosts = ours, .n_hosts = 1 };
        orders[3].to = (struct address) { .to = COMMAND_TO_GROUP, .group = "web", .max_hosts = 3 };
        orders[4].exp_ms = START;
        h.orders = orders;
        h.n_orders = ELEMENTSOF(orders);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 2);
        assert_reasons(heard_notes(&r.a), 0);

        arrives(&orders[0], NULL);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 1);
        pass(HERALD_PATIENCE_MS);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD));
        _cleanup_json_ json_t *told = heard_to_json(&r.a);
        assert_string_equal(json_string_value(json_array_get(json_object_get(told, "withheld"), 0)),
                            "03000000000000000000000000000000");

        /* it came, and the ledger knows it */
        is_seen(&orders[2], NULL);
        assert_reasons(heard_notes(&r.a), 0);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 0);
}

/* Nothing is remembered of the order of another wave, which comes, is passed over, and is listed: before that, after
 * it, and when the agent was started again. */
static void what_is_for_another_part_is_never_missing(void **state) {
        const uint8_t salt[PLACE_SALT_SIZE] = { 1, 2, 3 };
        const int64_t place = place_get(salt, hostkey_public(r.a.key)->id);
        struct herald_order orders[] = { order_to_all(1), order_to_all(2) };
        struct herald_head h = head_of(5);

        (void) state;
        orders[0].to.part = (struct place_part) { .is_set = true, .from = place, .below = place + 1 };
        orders[1].to.part = (struct place_part) { .is_set = true, .from = 0, .below = place };
        memcpy(orders[0].to.part.salt, salt, sizeof(salt));
        memcpy(orders[1].to.part.salt, salt, sizeof(salt));
        h.orders = orders;
        h.n_orders = ELEMENTSOF(orders);
        for (int again = 0; again < 2; again++) {
                assert_string_equal(take(&h), "taken");
                assert_int_equal(missing(), 1);
                assert_string_equal(json_string_value(json_array_get(json_object_get(report, "missing"), 0)),
                                    "01000000000000000000000000000000");
                heard_done(&r.a.heard);
                r.a.heard = (struct heard) { 0 };
                hearing_begin(&r.a);
        }
        h.orders = &orders[1];
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        pass(HERALD_PATIENCE_MS);
        assert_reasons(heard_notes(&r.a), 0);
        assert_string_equal(state_now(), "fresh");
}

static void what_was_released_before_it_came_is_not_missing(void **state) {
        struct herald_order order = order_to_all(1);
        struct herald_head h = head_of(5);

        (void) state;
        h.orders = &order;
        h.n_orders = 1;
        assert_int_equal(hold_set_bury(r.a.holds, &order.id, order.exp_ms), 0);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 0);
}

/* Somebody had its id from the head, and was here first with an order of theirs, whatever became of that. */
static void another_order_of_its_id_is_not_what_the_head_lists(void **state) {
        const uint8_t other[32] = { 0xd0, 99 };
        struct herald_order orders[] = { order_to_all(1), order_to_all(2) };
        struct herald_head h = head_of(5);

        (void) state;
        h.orders = orders;
        h.n_orders = ELEMENTSOF(orders);
        is_seen(&orders[0], other);
        arrives(&orders[1], other);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 2);
        pass(HERALD_PATIENCE_MS);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD));
        /* then they come themselves: one is refused for its id, which was used */
        arrives(&orders[0], NULL);
        is_seen(&orders[1], NULL);
        assert_reasons(heard_notes(&r.a), 0);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 0);
}

/* People can, too; each is missed until it comes. */
static void two_orders_of_one_id_are_both_missed(void **state) {
        struct herald_order orders[] = { order_to_all(1), order_to_all(2) };
        struct herald_head h = head_of(5);

        (void) state;
        orders[1].id = orders[0].id;
        h.orders = orders;
        h.n_orders = ELEMENTSOF(orders);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 2);
        is_seen(&orders[1], NULL);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 1);
}

/* A thief's head named it first, by an id that nobody gave. */
static void what_is_missing_has_the_id_of_the_last_head(void **state) {
        struct herald_order honest = order_to_all(1), thief = order_to_all(2);
        struct herald_head h = head_of(5);

        (void) state;
        memcpy(thief.digest, honest.digest, sizeof(thief.digest));
        h.orders = &thief;
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 1);
        h = head_of(6);
        h.orders = &honest;
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 1);
        assert_string_equal(json_string_value(json_array_get(json_object_get(report, "missing"), 0)),
                            "01000000000000000000000000000000");
        arrives(&honest, NULL);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 0);
}

static void what_is_over_is_missed_no_more(void **state) {
        struct herald_order order = order_to_all(1);
        struct herald_head h = head_of(5);

        (void) state;
        order.exp_ms = START + 61000;
        h.orders = &order;
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        pass(60000);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD));
        pass(1000);
        assert_reasons(heard_notes(&r.a), 0);
}

static void more_than_there_is_room_for_is_dropped(void **state) {
        static struct herald_order orders[200];
        uint8_t digest[32] = { 0xff };

        (void) state;
        for (int i = 0; i < 4; i++) {
                struct herald_head h = head_of(5 + i);

                for (size_t k = 0; k < ELEMENTSOF(orders); k++) {
                        orders[k] = order_to_all((uint8_t) i);
                        orders[k].id.b[1] = orders[k].digest[2] = (uint8_t) k;
                        orders[k].id.b[2] = 1;
                }
                h.orders = orders;
                h.n_orders = ELEMENTSOF(orders);
                assert_string_equal(take(&h), "taken");
        }
        assert_int_equal(missing(), HEARD_MISSING_MAX);
        for (uint32_t i = 0; i < 3 * HEARD_REFUSED_MAX; i++) {
                struct command_id id = { { 0xff } };

                memcpy(id.b + 4, &i, sizeof(i));
                memcpy(digest + 4, &i, sizeof(i));
                heard_arrived(&r.a, &id, digest);
        }
        assert_in_range(r.a.heard.next_refused, HEARD_REFUSED_MAX, 2 * HEARD_REFUSED_MAX);
}

/* Whoever had the key for a moment listed what nobody ordered, for a hundred years. */
static void what_a_thief_listed_is_in_nobodys_way_for_long(void **state) {
        static struct herald_order orders[HEARD_MISSING_MAX];
        struct herald_order real = order_to_all(0xee);
        struct herald_head h = head_of(5);

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(orders); k++) {
                orders[k] = order_to_all(1);
                orders[k].id.b[1] = orders[k].digest[2] = (uint8_t) k;
                orders[k].id.b[2] = 1;
                orders[k].exp_ms = SCHEMA_INT_MAX;
        }
        /* more than there is room for in one head */
        for (int i = 0; i < 2; i++) {
                h = head_of(5 + i);
                h.orders = orders + i * ELEMENTSOF(orders) / 2;
                h.n_orders = ELEMENTSOF(orders) / 2;
                assert_string_equal(take(&h), "taken");
        }
        assert_int_equal(missing(), HEARD_MISSING_MAX);
        for (int64_t i = 0; i < HERALD_LIFE_MS; i += 15000) {
                const struct herald_head none = head_of(10 + i);

                assert_string_equal(take(&none), "taken");
                pass(15000);
        }
        h = head_of(HERALD_LIFE_MS + 100);
        real.exp_ms += HERALD_LIFE_MS;
        h.orders = &real;
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 1);
        assert_reasons(heard_notes(&r.a), 0);
        pass(HERALD_PATIENCE_MS);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD));
}

/* It filled nothing, and so it is believed for longer; also while heads are kept back, and without a herald not. */
static void what_no_head_names_any_more_is_forgotten(void **state) {
        struct herald_order fake = order_to_all(1);
        struct herald_head h = head_of(5);

        (void) state;
        fake.exp_ms = SCHEMA_INT_MAX;
        h.orders = &fake;
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        pass(HEARD_UNNAMED_MS);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD) | reason_bit(REASON_HEAD_STALE));
        h = head_of(6);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 0);
        h = head_of(7);
        h.orders = &fake;
        h.n_orders = 1;
        assert_string_equal(take(&h), "taken");
        pass(HERALD_LIFE_MS);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD) | reason_bit(REASON_HEAD_STALE));
        fleet_trust(TRUST_REGISTRAR_ROLE, &trust);
        hearing_begin(&r.a);
        assert_reasons(heard_notes(&r.a), 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                CASE(what_the_head_lists_and_has_not_come_is_missing_and_then_withheld),
                CASE(what_is_for_another_part_is_never_missing),
                CASE(what_was_released_before_it_came_is_not_missing),
                CASE(another_order_of_its_id_is_not_what_the_head_lists),
                CASE(two_orders_of_one_id_are_both_missed),
                CASE(what_is_missing_has_the_id_of_the_last_head),
                CASE(what_is_over_is_missed_no_more),
                CASE(more_than_there_is_room_for_is_dropped),
                CASE(what_a_thief_listed_is_in_nobodys_way_for_long),
                CASE(what_no_head_names_any_more_is_forgotten),
        };

        if (sodium_init() < 0)
                return 1;
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
