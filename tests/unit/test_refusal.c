/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/refusal.c agent/util/log.c */

/* How many refusals are recorded: whoever has a key fills no ledger with them, and hides nobody else's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/core/receipt.h"
#include "agent/core/record.h"
#include "agent/core/refusal.h"
#include "agent/util/clock.h"

#define MINUTE_MS INT64_C(60000)
#define A_DAY     500U

static int64_t now_ms;
static uint64_t room;
static unsigned recorded, answered;
static struct agent agent;

int64_t clock_boot_ms(void) {
        return now_ms;
}

int64_t clock_wall_ms(void) {
        return now_ms;
}

int64_t clock_mono_us(void) {
        return now_ms * 1000;
}

bool ledger_ok(const struct ledger *l) {
        (void) l;
        return true;
}

uint64_t ledger_room(const struct ledger *l) {
        (void) l;
        return room;
}

int record_refusal(struct agent *a, const struct command_id *id, const uint8_t digest[static 32], enum reason reason) {
        (void) a;
        (void) id;
        (void) digest;
        (void) reason;
        recorded++;
        return 0;
}

json_t *receipt_of_refusal(struct agent *a, const struct command *c, const uint8_t *digest, const struct decision *d) {
        (void) a;
        (void) c;
        (void) digest;
        (void) d;
        return json_object();
}

int receipt_seal(struct agent *a, json_t *receipt, bool final, char **ret) {
        (void) a;
        (void) receipt;
        (void) final;
        *ret = strdup("{}");
        return 0;
}

void link_answer(const struct answer *to, const char *envelope, bool again) {
        (void) to;
        (void) envelope;
        (void) again;
        answered++;
}

/* Not asked for here. */
json_t *receipt_of_duplicate(struct agent *a, const struct command *c, const uint8_t *digest) {
        return receipt_of_refusal(a, c, digest, NULL);
}

void receipt_add_flag(json_t *receipt, enum reason r) {
        (void) receipt;
        (void) r;
}

json_t *receipt_missing(const struct sites *sites) {
        (void) sites;
        return NULL;
}

void link_refuse(const struct answer *to, enum reason reason) {
        (void) to;
        (void) reason;
}

/* n refusals of these people, each of other bytes and a second after the one before. */
static unsigned refuse(uint64_t people, unsigned n) {
        static uint32_t serial;
        const struct decision d = { .kind = DECISION_REFUSED, .reason = REASON_ROLE };

        recorded = answered = 0;
        for (unsigned i = 0; i < n; i++) {
                uint8_t digest[32] = { 0 };

                serial++;
                memcpy(digest, &serial, sizeof(serial));
                now_ms += 1000;
                assert_int_equal(refusal_answer(&agent, NULL, people, digest, &d, &(struct answer) { 0 }), 0);
        }
        assert_int_equal(answered, n);
        return recorded;
}

static int begin(void **state) {
        (void) state;
        agent = (struct agent) { .ledger = (struct ledger *) &agent };
        now_ms = 10 * 24 * 60 * MINUTE_MS;
        room = LEDGER_SEGMENT_SIZE;
        return 0;
}

static void one_persons_refusals_are_recorded_so_many_a_day(void **state) {
        (void) state;
        assert_int_equal(refuse(1, 2 * A_DAY), A_DAY);
        /* nobody else's are left out for that: another person's, who signs alone or with a third, or a registrar's */
        assert_int_equal(refuse(2, 10), 10);
        assert_int_equal(refuse(UINT64_C(3) << 62, 10), 10);
        assert_int_equal(refuse(0, 10), 10);
        assert_int_equal(refuse(1, 10), 0);
        now_ms += 24 * 60 * MINUTE_MS;
        assert_int_equal(refuse(1, 10), 10);
}

static void what_is_repeated_is_recorded_once(void **state) {
        const struct decision d = { .kind = DECISION_REFUSED, .reason = REASON_ROLE };
        const uint8_t digest[32] = { 0xff };

        (void) state;
        recorded = 0;
        for (unsigned i = 0; i < 10; i++)
                assert_int_equal(refusal_answer(&agent, NULL, 1, digest, &d, &(struct answer) { 0 }), 0);
        assert_int_equal(recorded, 1);
        /* nor is what nobody signed */
        assert_int_equal(refusal_answer(&agent, NULL, 1, NULL, &d, &(struct answer) { 0 }), 0);
        assert_int_equal(recorded, 1);
}

static void the_last_of_the_room_is_for_orders(void **state) {
        (void) state;
        room = LEDGER_ROOM_LEFT;
        assert_int_equal(refuse(1, 10), 0);
        room = LEDGER_ROOM_LEFT + 1;
        assert_int_equal(refuse(1, 10), 10);
        agent.ledger = NULL;
        assert_int_equal(refuse(1, 10), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(one_persons_refusals_are_recorded_so_many_a_day, begin),
                cmocka_unit_test_setup(what_is_repeated_is_recorded_once, begin),
                cmocka_unit_test_setup(the_last_of_the_room_is_for_orders, begin),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
