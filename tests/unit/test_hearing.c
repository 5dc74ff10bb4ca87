/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/hearing.c agent/core/heard.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/fault.c agent/util/log.c */

/* What a host makes of heads, with a ledger of its own. The clocks are the test's: what a head is worth is about
 * nothing else. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "agent/core/hearing.h"
#include "agent/core/status.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "lib/fleet.h"
#include "lib/ledger_rig.h"
#include "lib/reasons.h"

#define START INT64_C(1795000000000)

static struct {
        int64_t boot_ms, wall_ms;
        bool synced;
} clocks;

int64_t clock_wall_ms(void) {
        return clocks.wall_ms;
}

int64_t clock_boot_ms(void) {
        return clocks.boot_ms;
}

int64_t clock_mono_us(void) {
        return clocks.boot_ms * 1000;
}

int64_t clock_cpu_us(void) {
        return 0;
}

bool clock_synced(void) {
        return clocks.synced;
}

void clock_boot_id(uint8_t ret[static 16]) {
        memset(ret, 7, 16);
}

/* The last answer. */
static json_t *report;

json_t *status_report_new(struct agent *a, const char *type, const struct frame *f) {
        (void) a;
        assert_null(f);
        return json_pack("{ss}", "type", type);
}

int status_report_send(struct agent *a, json_t *o, const struct answer *to) {
        (void) a;
        (void) to;
        json_decref(report);
        report = o;
        return 0;
}

static struct rig r;
static struct trust trust;

static void pass(int64_t ms) {
        clocks.boot_ms += ms;
        clocks.wall_ms += ms;
        hearing_begin(&r.a); /* what the timer does, and no more while the trust root is the same */
}

static int set_up(void **state) {
        (void) state;
        clocks.boot_ms = START; /* so that no timer of this test fires by itself */
        clocks.wall_ms = START;
        clocks.synced = true;
        rig_make(&r);
        fleet_trust(TRUST_HERALD_ROLE, &trust);
        r.a.trust = &trust;
        hearing_begin(&r.a);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        r.a.trust = NULL;
        heard_done(&r.a.heard);
        json_decref(report);
        report = NULL;
        rig_done(&r);
        return 0;
}

static struct herald_order order_to_all(uint8_t n) {
        return (struct herald_order) { .id = { { n } },
                                       .to = { .to = COMMAND_TO_ALL, .max_hosts = 9 },
                                       .exp_ms = START + 3600000 };
}

static struct herald_head head_of(int64_t n) {
        return (struct herald_head) {
                .fleet = "prod", .n = n, .iat_ms = clocks.wall_ms, .exp_ms = clocks.wall_ms + 90000, .trust_version = 1
        };
}

static struct dsse signed_head(const struct herald_head *h, unsigned int by) {
        char *json = NULL;

        assert_int_equal(herald_to_json(h, &json), 0);
        struct dsse d = people_sign(DSSE_HEAD, DSSE_HEAD, json, strlen(json), by);
        d.payload = realloc(d.payload, d.n_payload + 1);
        d.payload[d.n_payload] = '\0';
        free(json);
        return d;
}

static const char *take_signed(const struct dsse *d) {
        assert_int_equal(hearing_take(&r.a, d, &(struct answer) { 0 }), 0);
        assert_string_equal(json_string_value(json_object_get(report, "type")), "head");
        const bool taken = json_is_true(json_object_get(report, "taken"));
        const char *reason = json_string_value(json_object_get(report, "reason"));
        assert_int_equal(taken, reason == NULL);
        return taken ? "taken" : reason;
}

static const char *take(const struct herald_head *h) {
        _cleanup_(dsse_done) struct dsse d = signed_head(h, BY(BOT));

        return take_signed(&d);
}

static const char *state_now(void) {
        return heard_state_id(heard_state(&r.a));
}

static void assert_timer(int64_t ms) {
        uint64_t at = 0;

        assert_true(sd_event_source_get_time(r.a.heard.timer, &at) >= 0);
        assert_int_equal(at, (uint64_t) ms * 1000);
}

static size_t missing(void) {
        return json_array_size(json_object_get(report, "missing"));
}

/* The states that the ledger has, in order, as their first letters. */
static void assert_recorded(const char *letters) {
        char got[64] = "";
        size_t n = 0;

        for (uint64_t i = 1; i <= ledger_head(r.a.ledger).n; i++) {
                _cleanup_json_ json_t *body = NULL;

                assert_int_equal(ledger_read(r.a.ledger, i, &body), 0);
                if (strcmp(json_string_value(json_object_get(body, "kind")), "head") == 0)
                        got[n++] = json_string_value(json_object_get(body, "state"))[0];
        }
        assert_string_equal(got, letters);
}

static void a_head_is_fresh_until_it_is_over_and_then_the_host_says_so(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(state_now(), "unknown");
        assert_reasons(heard_notes(&r.a), 0);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "fresh");
        assert_timer(START + 90000);
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "stale");
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_HEAD_STALE));
        const struct herald_head next = head_of(6);
        assert_string_equal(take(&next), "taken");
        assert_string_equal(state_now(), "fresh");
        assert_reasons(heard_notes(&r.a), 0);
        pass(61000);
        assert_recorded("fsf");
}

static void a_host_that_never_hears_anything_says_so(void **state) {
        (void) state;
        assert_timer(START + HERALD_LIFE_MS);
        pass(HERALD_LIFE_MS - 1);
        assert_string_equal(state_now(), "unknown");
        pass(1);
        assert_string_equal(state_now(), "stale");
        assert_recorded("s");
}

static void without_a_herald_nothing_is_missed(void **state) {
        (void) state;
        fleet_trust(TRUST_REGISTRAR_ROLE, &trust);
        hearing_begin(&r.a);
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "none");
        assert_reasons(heard_notes(&r.a), 0);
        const struct herald_head h = head_of(5);
        assert_string_equal(take(&h), "wrong-role");
        assert_string_equal(state_now(), "none");
        assert_recorded("");
}

static void an_old_head_does_not_make_a_host_believe_that_it_hears(void **state) {
        const struct herald_head old = head_of(5), newer = head_of(6);
        _cleanup_(dsse_done) struct dsse d = signed_head(&old, BY(BOT));

        (void) state;
        assert_string_equal(take(&newer), "taken");
        assert_string_equal(take_signed(&d), "head-stale");
        pass(90000);
        assert_string_equal(take_signed(&d), "expired");
        assert_string_equal(take(&newer), "expired");
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "stale");
}

/* The agent died, and what it remembered with it. */
static void a_head_that_is_played_again_lives_no_longer_than_it_was_made_for(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        pass(60000);
        heard_done(&r.a.heard);
        r.a.heard = (struct heard) { 0 };
        hearing_begin(&r.a);
        assert_string_equal(take(&h), "taken");
        pass(29999);
        assert_string_equal(state_now(), "fresh");
        pass(1);
        assert_string_not_equal(state_now(), "fresh");
}

static void the_same_head_again_changes_nothing(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        pass(60000);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(r.a.heard.until_ms, r.a.heard.came_ms + 90000);
        pass(30000);
        assert_string_not_equal(state_now(), "fresh");
        /* another one with the same number */
        struct herald_head one = head_of(9), other = one;
        other.trust_version = 2;
        assert_string_equal(take(&one), "taken");
        assert_string_equal(take(&other), "head-stale");
}

static void a_number_that_jumps_to_the_end_deafens_for_one_life_of_a_head(void **state) {
        struct herald_head jump = head_of(SCHEMA_INT_MAX);

        (void) state;
        jump.exp_ms = jump.iat_ms + HERALD_LIFE_MS;
        assert_string_equal(take(&jump), "taken");
        for (int64_t i = 0; i < HERALD_LIFE_MS; i += 15000) {
                const struct herald_head h = head_of(10 + i);

                assert_string_equal(take(&h), "head-stale");
                pass(15000);
        }
        const struct herald_head h = head_of(7);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "fresh");
}

static void a_stolen_key_is_of_no_more_use_with_the_next_trust_root(void **state) {
        struct herald_head jump = head_of(SCHEMA_INT_MAX);
        struct herald_order fake = order_to_all(1);

        (void) state;
        jump.orders = &fake;
        jump.n_orders = 1;
        assert_string_equal(take(&jump), "taken");
        assert_int_equal(missing(), 1);
        trust.roles[_ROLE_MAX].people = PERSON(CAROL);
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "unknown");
        assert_string_equal(take(&jump), "wrong-role");
        assert_int_equal(missing(), 0);
        const struct herald_head h = head_of(3);
        _cleanup_(dsse_done) struct dsse d = signed_head(&h, BY(CAROL));
        assert_string_equal(take_signed(&d), "taken");
        assert_string_equal(state_now(), "fresh");
        /* and a trust root that names it still changes nothing */
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "fresh");
}

static void a_head_of_next_year_is_not_taken(void **state) {
        struct herald_head h = head_of(5);

        (void) state;
        h.iat_ms += 365LL * 24 * 3600 * 1000;
        h.exp_ms = h.iat_ms + 90000;
        assert_string_equal(take(&h), "not-yet-valid");
        assert_string_equal(state_now(), "unknown");
}

static void a_clock_that_nobody_vouches_for_proves_nothing(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        clocks.synced = false;
        clocks.wall_ms += 400LL * 24 * 3600 * 1000;
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "unknown");
        assert_recorded("");
        clocks.synced = true;
        clocks.wall_ms = h.iat_ms;
        assert_string_equal(state_now(), "fresh");
}

/* Silence needs no clock to be heard. */
static void silence_is_told_whatever_the_clock(void **state) {
        (void) state;
        clocks.synced = false;
        pass(HERALD_LIFE_MS);
        assert_string_equal(state_now(), "stale");
}

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

        heard_arrived(&r.a, &orders[0].id);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 1);
        pass(HERALD_PATIENCE_MS);
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_WITHHELD));
        _cleanup_json_ json_t *told = heard_to_json(&r.a);
        assert_string_equal(json_string_value(json_array_get(json_object_get(told, "withheld"), 0)),
                            "03000000000000000000000000000000");

        /* it came, and the ledger knows it */
        assert_int_equal(hold_set_see(r.a.holds, &orders[2].id, others[0], orders[2].exp_ms), 0);
        assert_reasons(heard_notes(&r.a), 0);
        assert_string_equal(take(&h), "taken");
        assert_int_equal(missing(), 0);
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

        (void) state;
        for (int i = 0; i < 4; i++) {
                struct herald_head h = head_of(5 + i);

                for (size_t k = 0; k < ELEMENTSOF(orders); k++) {
                        orders[k] = order_to_all((uint8_t) i);
                        orders[k].id.b[1] = (uint8_t) k;
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
                heard_arrived(&r.a, &id);
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
                orders[k].id.b[1] = (uint8_t) k;
                orders[k].id.b[2] = 1;
                orders[k].exp_ms = SCHEMA_INT_MAX;
        }
        h.orders = orders;
        h.n_orders = ELEMENTSOF(orders);
        assert_string_equal(take(&h), "taken");
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

/* A thief of the key could have it change all day. */
static void the_ledger_has_one_change_a_minute(void **state) {
        (void) state;
        pass(HERALD_LIFE_MS);
        for (int64_t i = 0; i < 60; i++) {
                struct herald_head h = head_of(10 + i);

                h.exp_ms = h.iat_ms + 500;
                assert_string_equal(take(&h), "taken");
                pass(1000);
        }
        for (int64_t i = 0; i < 60; i++)
                pass(1000);
        assert_string_equal(state_now(), "stale");
        assert_true(ledger_head(r.a.ledger).n < 8);
}

static void a_change_during_that_minute_is_recorded_after_it(void **state) {
        struct herald_head h = head_of(5);

        (void) state;
        pass(HERALD_LIFE_MS);
        h = head_of(5);
        h.exp_ms = h.iat_ms + HERALD_LIFE_MS;
        assert_string_equal(take(&h), "taken");
        assert_recorded("s");
        for (int64_t i = 0; i < 61; i++)
                pass(1000);
        assert_recorded("sf");
}

static void a_restart_knows_what_was_recorded_last(void **state) {
        const struct herald_head h = head_of(5);

        (void) state;
        assert_string_equal(take(&h), "taken");
        assert_recorded("f");
        heard_done(&r.a.heard);
        r.a.heard = (struct heard) { 0 };
        rig_stop(&r);
        rig_start(&r);
        r.a.trust = &trust;
        assert_int_equal(r.a.heard.recorded, HEARD_FRESH);
        hearing_begin(&r.a);
        assert_string_equal(take(&h), "taken");
        assert_recorded("f");
}

static void who_was_deaf_before_a_restart_still_is(void **state) {
        (void) state;
        pass(HERALD_LIFE_MS);
        assert_recorded("s");
        heard_done(&r.a.heard);
        rig_stop(&r);
        rig_start(&r);
        r.a.trust = &trust;
        hearing_begin(&r.a);
        assert_string_equal(state_now(), "stale");
        assert_reasons(heard_notes(&r.a), reason_bit(REASON_HEAD_STALE));
        const struct herald_head h = head_of(5);
        assert_string_equal(take(&h), "taken");
        assert_string_equal(state_now(), "fresh");
        assert_recorded("sf");
}

static void whoever_is_no_herald_is_not_heard(void **state) {
        const struct herald_head h = head_of(5);
        static const unsigned int by[] = { BY(ALICE), BY(ALICE) | BY(BOB), BY(STRANGER), 0 };

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(by); i++) {
                _cleanup_(dsse_done) struct dsse d = signed_head(&h, by[i]);

                assert_string_equal(take_signed(&d), i < 2 ? "wrong-role" : "untrusted-signer");
                assert_string_equal(state_now(), "unknown");
        }
        _cleanup_(dsse_done) struct dsse changed = signed_head(&h, BY(BOT));
        changed.payload[20] ^= 1;
        assert_string_equal(take_signed(&changed), "bad-signature");
        r.a.trust = NULL;
        assert_string_equal(take(&h), "no-trust-root");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                CASE(a_head_is_fresh_until_it_is_over_and_then_the_host_says_so),
                CASE(a_host_that_never_hears_anything_says_so),
                CASE(without_a_herald_nothing_is_missed),
                CASE(an_old_head_does_not_make_a_host_believe_that_it_hears),
                CASE(a_head_that_is_played_again_lives_no_longer_than_it_was_made_for),
                CASE(the_same_head_again_changes_nothing),
                CASE(a_number_that_jumps_to_the_end_deafens_for_one_life_of_a_head),
                CASE(a_stolen_key_is_of_no_more_use_with_the_next_trust_root),
                CASE(a_head_of_next_year_is_not_taken),
                CASE(a_clock_that_nobody_vouches_for_proves_nothing),
                CASE(silence_is_told_whatever_the_clock),
                CASE(what_the_head_lists_and_has_not_come_is_missing_and_then_withheld),
                CASE(what_was_released_before_it_came_is_not_missing),
                CASE(what_is_over_is_missed_no_more),
                CASE(more_than_there_is_room_for_is_dropped),
                CASE(what_a_thief_listed_is_in_nobodys_way_for_long),
                CASE(what_no_head_names_any_more_is_forgotten),
                CASE(the_ledger_has_one_change_a_minute),
                CASE(a_change_during_that_minute_is_recorded_after_it),
                CASE(a_restart_knows_what_was_recorded_last),
                CASE(who_was_deaf_before_a_restart_still_is),
                CASE(whoever_is_no_herald_is_not_heard),
        };

        if (sodium_init() < 0)
                return 1;
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
