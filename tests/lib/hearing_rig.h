/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* A host that hears heads, with a ledger of its own. The clocks are the test's: what a head is worth is about nothing
 * else. */

#include <string.h>

#include <sodium.h>

#include "agent/core/hearing.h"
#include "agent/core/status.h"
#include "agent/util/clock.h"
#include "agent/util/log.h"
#include "lib/fleet.h"
#include "lib/ledger_rig.h"

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

static inline void pass(int64_t ms) {
        clocks.boot_ms += ms;
        clocks.wall_ms += ms;
        hearing_begin(&r.a); /* what the timer does, and no more while the trust root is the same */
}

static inline int set_up(void **state) {
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

static inline int tear_down(void **state) {
        (void) state;
        r.a.trust = NULL;
        heard_done(&r.a.heard);
        json_decref(report);
        report = NULL;
        rig_done(&r);
        return 0;
}

static inline struct herald_order order_to_all(uint8_t n) {
        return (struct herald_order) { .id = { { n } },
                                       .to = { .to = COMMAND_TO_ALL, .max_hosts = 9 },
                                       .exp_ms = START + 3600000,
                                       .digest = { 0xd0, n } };
}

/* It came, with its bytes or with these in the first place. */
static inline void arrives(const struct herald_order *o, const uint8_t *other) {
        uint8_t digest[32] = { 0 };

        memcpy(digest, other ? other : o->digest, sizeof(o->digest));
        heard_arrived(&r.a, &o->id, digest);
}

static inline void is_seen(const struct herald_order *o, const uint8_t *other) {
        uint8_t digest[32] = { 0 };

        memcpy(digest, other ? other : o->digest, sizeof(o->digest));
        assert_int_equal(hold_set_see(r.a.holds, &o->id, digest, o->exp_ms), 0);
}

static inline struct herald_head head_of(int64_t n) {
        return (struct herald_head) {
                .fleet = "prod", .n = n, .iat_ms = clocks.wall_ms, .exp_ms = clocks.wall_ms + 90000, .trust_version = 1
        };
}

static inline struct dsse signed_head(const struct herald_head *h, unsigned int by) {
        char *json = NULL;

        assert_int_equal(herald_to_json(h, &json), 0);
        struct dsse d = people_sign(DSSE_HEAD, DSSE_HEAD, json, strlen(json), by);
        d.payload = realloc(d.payload, d.n_payload + 1);
        d.payload[d.n_payload] = '\0';
        free(json);
        return d;
}

static inline const char *take_signed(const struct dsse *d) {
        assert_int_equal(hearing_take(&r.a, d, &(struct answer) { 0 }), 0);
        assert_string_equal(json_string_value(json_object_get(report, "type")), "head");
        const bool taken = json_is_true(json_object_get(report, "taken"));
        const char *reason = json_string_value(json_object_get(report, "reason"));
        assert_int_equal(taken, reason == NULL);
        return taken ? "taken" : reason;
}

static inline const char *take(const struct herald_head *h) {
        _cleanup_(dsse_done) struct dsse d = signed_head(h, BY(BOT));

        return take_signed(&d);
}

static inline const char *state_now(void) {
        return heard_state_id(heard_state(&r.a));
}

static inline void assert_timer(int64_t ms) {
        uint64_t at = 0;

        assert_true(sd_event_source_get_time(r.a.heard.timer, &at) >= 0);
        assert_int_equal(at, (uint64_t) ms * 1000);
}

static inline size_t missing(void) {
        return json_array_size(json_object_get(report, "missing"));
}

/* The states that the ledger has, in order, as their first letters. */
static inline void assert_recorded(const char *letters) {
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
