/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hold_box.h"

static void a_seen_id_keeps_its_first_digest(void **state) {
        struct command_id id = id_of(1);

        (void) state;
        assert_int_equal(hold_set_see(set, &id, digest_1, 10), 0);
        assert_int_equal(hold_set_receipt(set, &id, 77, true), 0);
        assert_int_equal(hold_set_see(set, &id, digest_1, 10), 0);
        assert_int_equal(hold_set_see(set, &id, digest_2, 10), -EEXIST);

        const struct seen *s = hold_set_seen(set, &id);
        assert_non_null(s);
        assert_memory_equal(s->digest, digest_1, sizeof(digest_1));
        assert_int_equal(s->receipt, 77);
        assert_false(s->unwritten);
        assert_int_equal(hold_set_receipt(set, &id, 0, false), 0);
        assert_int_equal(s->receipt, 77);
        assert_true(s->unwritten && s->more);
        assert_int_equal(hold_set_receipt(set, &id, 78, false), 0);
        assert_int_equal(s->receipt, 78);
        assert_false(s->unwritten || s->more);
        assert_int_equal(s->exp_ms, 10);
        assert_false(hold_set_buried(set, &id));
}

static void a_tombstone_is_replaced_by_what_comes_and_replaces_nothing(void **state) {
        struct command_id id = id_of(1), acted = id_of(2);

        (void) state;
        assert_int_equal(hold_set_bury(set, &id, 50), 0);
        assert_true(hold_set_buried(set, &id));
        assert_int_equal(hold_set_bury(set, &id, 40), 0);
        assert_int_equal(hold_set_seen(set, &id)->exp_ms, 50 + COMMAND_STOP_LIFE_MS);
        assert_int_equal(hold_set_bury(set, &id, 60), 0);
        assert_int_equal(hold_set_seen(set, &id)->exp_ms, 60 + COMMAND_STOP_LIFE_MS);
        assert_int_equal(hold_set_see(set, &id, digest_1, 30), 0);
        assert_false(hold_set_buried(set, &id));
        assert_int_equal(hold_set_seen(set, &id)->exp_ms, 60 + COMMAND_STOP_LIFE_MS);

        assert_int_equal(hold_set_see(set, &acted, digest_2, 30), 0);
        assert_int_equal(hold_set_bury(set, &acted, 90), 0);
        assert_false(hold_set_buried(set, &acted));
        assert_int_equal(hold_set_seen(set, &acted)->exp_ms, 30);
}

/* Ids that will not be forgotten, so many that one may be. */
static void fill_seen(size_t n) {
        for (uint32_t i = 0; hold_set_seen_room(set) > SEEN_MAX - n; i++) {
                struct command_id id = id_of(1 << 20 | i);

                assert_int_equal(hold_set_see(set, &id, digest_2, COMMAND_INT_MAX), 0);
        }
}

static void nothing_is_forgotten_while_there_is_room(void **state) {
        struct command_id id = id_of(1);

        (void) state;
        assert_int_equal(hold_set_see(set, &id, digest_1, DAY), 0);
        fill_seen(SEEN_KEPT);
        hold_set_forget(set, COMMAND_INT_MAX);
        assert_non_null(hold_set_seen(set, &id));
        assert_int_equal(hold_set_forgotten(set), 0);
        fill_seen(SEEN_KEPT + 1);
        hold_set_forget(set, COMMAND_INT_MAX);
        assert_null(hold_set_seen(set, &id));
        assert_int_equal(hold_set_forgotten(set), DAY);
}

static void forgetting_waits_for_the_grace_and_for_the_hold(void **state) {
        struct command_id gone = id_of(1), tomb = id_of(2), active = begin(3, 0, false), by = id_of(4);

        (void) state;
        assert_int_equal(hold_set_see(set, &gone, digest_1, 2 * DAY), 0);
        assert_int_equal(hold_set_bury(set, &tomb, DAY), 0);
        assert_int_equal(hold_set_see(set, &active, digest_1, 3 * DAY), 0);
        assert_int_equal(hold_set_see(set, &by, digest_1, 3 * DAY), 0);
        assert_int_equal(hold_set_release(set, &active, &by), 0);
        fill_seen(SEEN_KEPT + 5);

        hold_set_forget(set, 2 * DAY + SEEN_GRACE_MS - 1);
        assert_int_equal(hold_set_seen_room(set), SEEN_MAX - SEEN_KEPT - 5);
        assert_int_equal(hold_set_forgotten(set), 0);
        hold_set_forget(set, 2 * DAY + SEEN_GRACE_MS);
        assert_null(hold_set_seen(set, &gone));
        assert_false(hold_set_buried(set, &tomb));
        assert_int_equal(hold_set_forgotten(set), 2 * DAY);

        hold_set_forget(set, 3 * DAY + SEEN_GRACE_MS);
        assert_non_null(hold_set_seen(set, &active));
        assert_non_null(hold_set_seen(set, &by));
        assert_int_equal(hold_set_end(set, &active), 0);
        hold_set_forget(set, 3 * DAY + SEEN_GRACE_MS);
        assert_null(hold_set_seen(set, &active));
        assert_null(hold_set_seen(set, &by));
        assert_int_equal(hold_set_forgotten(set), 3 * DAY);
        assert_int_equal(hold_set_seen_room(set), SEEN_MAX - SEEN_KEPT - 1);
}

/* Every id in an order that neither rises nor falls; then every other one forgotten, and its place used again. */
static void as_many_ids_as_promised_are_remembered(void **state) {
        uint8_t digest[32] = { 1 };
        struct command_id id;

        (void) state;
        for (uint32_t i = 0; i < SEEN_MAX; i++) {
                id = id_of(i * 2654435761U);
                memcpy(&digest[1], &i, sizeof(i));
                assert_int_equal(hold_set_see(set, &id, digest, i % 2 ? DAY : 2 * DAY), 0);
        }
        assert_int_equal(hold_set_seen_room(set), 0);
        id = id_of(1);
        assert_null(hold_set_seen(set, &id));
        assert_int_equal(hold_set_see(set, &id, digest, DAY), -ENOSPC);
        assert_int_equal(hold_set_bury(set, &id, DAY), -ENOSPC);

        hold_set_forget(set, DAY + SEEN_GRACE_MS);
        assert_int_equal(hold_set_seen_room(set), SEEN_MAX / 2);
        for (uint32_t round = 0; round < 2; round++) {
                for (uint32_t i = 0; i < SEEN_MAX; i++) {
                        id = id_of(i * 2654435761U);
                        memcpy(&digest[1], &i, sizeof(i));
                        const struct seen *s = hold_set_seen(set, &id);
                        assert_int_equal(s != NULL, round == 1 || i % 2 == 0);
                        if (s)
                                assert_memory_equal(s->digest, digest, sizeof(digest));
                        else
                                assert_int_equal(hold_set_see(set, &id, digest, DAY), 0);
                }
        }
        assert_int_equal(hold_set_seen_room(set), 0);
}

int main(void) {
        const struct CMUnitTest cases[] = {
                CASE(a_seen_id_keeps_its_first_digest),
                CASE(a_tombstone_is_replaced_by_what_comes_and_replaces_nothing),
                CASE(nothing_is_forgotten_while_there_is_room),
                CASE(forgetting_waits_for_the_grace_and_for_the_hold),
                CASE(as_many_ids_as_promised_are_remembered),
        };

        return cmocka_run_group_tests(cases, NULL, NULL);
}
