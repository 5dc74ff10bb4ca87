/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/core/certified.c agent/core/heard.c agent/core/preserved.c */
/* LINK: agent/core/head.c agent/core/epochkey.c agent/core/hostkey.c agent/core/ledger.c agent/core/segment.c */
/* LINK: agent/core/record.c agent/core/fold.c agent/core/site.c agent/core/cgroup.c agent/core/floor.c */
/* LINK: agent/core/late.c */
/* LINK: agent/core/tried.c agent/core/paths.c agent/core/report_json.c */
/* LINK: agent/util/io.c agent/util/fault.c agent/util/log.c */

/* What a host makes of attributes, with a ledger of its own and a clock of the test's. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "agent/core/certified.h"
#include "agent/core/receipt.h"
#include "agent/core/refusal.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "lib/fleet.h"
#include "lib/ledger_rig.h"

#define START INT64_C(1795000000000)

static int64_t now_ms;

int64_t clock_wall_ms(void) {
        return now_ms;
}

int64_t clock_boot_ms(void) {
        return now_ms;
}

int64_t clock_mono_us(void) {
        return now_ms * 1000;
}

int64_t clock_cpu_us(void) {
        return 0;
}

bool clock_synced(void) {
        return true;
}

void clock_boot_id(uint8_t ret[static 16]) {
        memset(ret, 7, 16);
}

/* Of the last answer; NONE: it was certified. */
static enum reason said;

json_t *receipt_plain(struct agent *a, const struct command_id *id, const uint8_t *digest, const char *verb,
                      const char *state, reason_set reasons) {
        (void) a;
        (void) id;
        (void) digest;
        (void) verb;
        (void) reasons;
        said = strcmp(state, "certified") == 0 ? REASON_NONE : _REASON_MAX;
        return json_object();
}

int receipt_seal(struct agent *a, json_t *receipt, bool final, char **ret) {
        (void) a;
        (void) receipt;
        (void) final;
        *ret = strdup("{}");
        return 0;
}

void link_answer(const struct answer *to, const char *envelope, bool more) {
        (void) to;
        (void) envelope;
        (void) more;
}

int refusal_of(struct agent *a, const char *label, const uint8_t *digest, const struct decision *d,
               const struct answer *to) {
        (void) a;
        (void) label;
        (void) digest;
        (void) to;
        said = d->reason;
        return 0;
}

static struct rig r;
static struct trust trust;

static int set_up(void **state) {
        (void) state;
        now_ms = START;
        rig_make(&r);
        fleet_trust(TRUST_REGISTRAR_ROLE, &trust);
        trust.expires_ms = INT64_MAX;
        r.a.trust = &trust;
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        r.a.trust = NULL;
        free(TAKE_PTR(r.a.attributes));
        rig_done(&r);
        return 0;
}

static int hand_in(int64_t n) {
        struct attributes a = fleet_host();
        char *json = NULL;

        a.key = *hostkey_public(r.a.key);
        a.n = n;
        assert_int_equal(attributes_to_json(&a, &json), 0);
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_ATTRIBUTES, DSSE_ATTRIBUTES, json, strlen(json), BY(BOT));
        free(json);
        return certified_take(&r.a, &d, &(struct answer) { 0 });
}

static enum reason certify(int64_t n) {
        assert_int_equal(hand_in(n), 0);
        return said;
}

static void a_higher_number_counts_and_a_lower_one_does_not(void **state) {
        (void) state;
        assert_int_equal(certify(3), REASON_NONE);
        assert_int_equal(certify(3), REASON_NONE);
        assert_int_equal(certify(2), REASON_ATTRIBUTES_STALE);
        assert_int_equal(certify(4), REASON_NONE);
        assert_int_equal(r.a.attributes->n, 4);
}

/* Whatever lets go needs room in the ledger, and a registrar is nobody who decides that there is none. */
static void a_stolen_key_does_not_fill_the_ledger(void **state) {
        uint64_t before;
        unsigned taken = 0;

        (void) state;
        before = ledger_head(r.a.ledger).n;
        for (int64_t i = 1; i <= 1000; i++)
                taken += certify(i) == REASON_NONE;
        assert_in_range(taken, 10, 20);
        assert_int_equal(ledger_head(r.a.ledger).n - before, taken);
        assert_int_equal(certify(2000), REASON_BUSY);
        /* it is what is in force that is told of the same bytes */
        assert_int_equal(certify(r.a.attributes->n), REASON_NONE);
        now_ms += 60000;
        assert_int_equal(certify(2000), REASON_NONE);
        assert_int_equal(r.a.attributes->n, 2000);
        assert_int_equal(certify(2001), REASON_BUSY);
}

static void what_another_core_may_have_recorded_is_not_refused(void **state) {
        (void) state;
        ledger_free(TAKE_PTR(r.a.ledger));
        assert_int_equal(certify(1), REASON_LEDGER);
        r.a.aside = true;
        assert_int_equal(hand_in(1), -ENOTRECOVERABLE);
        r.a.aside = false;
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        static const struct CMUnitTest tests[] = {
                CASE(a_higher_number_counts_and_a_lower_one_does_not),
                CASE(a_stolen_key_does_not_fill_the_ledger),
                CASE(what_another_core_may_have_recorded_is_not_refused),
        };

        if (sodium_init() < 0)
                return 1;
        log_open();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
