/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/rollout_apart.c ctl/quorum.c ctl/trustfile.c ctl/seenset.c ctl/file.c ctl/text.c ctl/why.c */

/* Before a release is given: which orders that it names outlive it in the stream. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/catchup.h"
#include "ctl/order.h"
#include "ctl/rollout.h"
#include "ctl/times.h"
#include "lib/people.h"

#define NOW    1795000000000LL
#define MINUTE 60000LL
#define HOLD   "01000000000000000000000000000000"

static struct trust trust;
static struct ctl ctl;
static struct rollout *r;
static struct command release;
static struct target hold;
static int64_t clock_ms, takes_ms;
static bool is_plan;
/* what the stream has, but for what is nobody's before it */
static char *order;
static unsigned junk, copies, asked;

int64_t mono_ms(void) {
        return clock_ms;
}

int64_t order_now_ms(void) {
        return NOW;
}

int carrier_open(const struct broker *b, struct carrier **ret, struct why *w) {
        (void) b, (void) ret, (void) w;
        return 0;
}

void carrier_free(struct carrier *c) {
        (void) c;
}

int catchup_next(struct carrier *c, const char *fleet, const char *pattern, int64_t *from, struct carrier_event **ret,
                 struct why *w) {
        const int64_t at = (*from)++;
        const char *text = at <= junk ? "nobody's" : order;

        (void) c, (void) fleet, (void) w;
        *ret = NULL;
        asked++;
        clock_ms += takes_ms;
        if (!strstr(pattern, ".cmd.all.") || at > junk + copies)
                return 0;
        *ret = calloc(1, sizeof(**ret) + strlen(text) + 1);
        assert_non_null(*ret);
        (*ret)->n = strlen(text);
        memcpy((*ret)->text, text, (*ret)->n);
        return 0;
}

/* An order to all that is good for longer than the release. */
static char *make_order(void) {
        static struct target unit;
        struct command c = { .fleet = "prod",
                             .id = { { 1 } },
                             .verb = VERB_CONTAIN,
                             .to = COMMAND_TO_ALL,
                             .max_hosts = 9,
                             .targets = &unit,
                             .n_targets = 1,
                             .iat_ms = NOW,
                             .exp_ms = NOW + 60 * MINUTE,
                             .severity = SEVERITY_P1,
                             .reason = "test" };
        _cleanup_free_ char *json = NULL;
        char *text = NULL;

        assert_int_equal(target_from_str("unit:a.service", &unit), 0);
        assert_int_equal(command_to_json(&c, &json), 0);
        struct dsse d = people_sign(DSSE_COMMAND, DSSE_COMMAND, json, strlen(json), BY(ALICE));
        assert_int_equal(dsse_to_json(&d, &text), 0);
        dsse_done(&d);
        return text;
}

static int begin(void **state) {
        (void) state;
        people_trust(NOW - MINUTE, &trust);
        order = make_order();
        r = calloc(1, sizeof(*r));
        return r ? 0 : -1;
}

static int end(void **state) {
        (void) state;
        free(order);
        free(r);
        return 0;
}

static int apart(void) {
        return rollout_apart(r);
}

static int tell(void) {
        rollout_tell_stays(r);
        return 0;
}

/* What how() says. ret holds 4 KiB. */
static void hear(int (*how)(void), char *ret) {
        _cleanup_fclose_ FILE *f = tmpfile();
        int saved = dup(STDERR_FILENO);

        assert_non_null(f);
        assert_true(saved >= 0 && dup2(fileno(f), STDERR_FILENO) >= 0);
        int x = how();
        assert_true(dup2(saved, STDERR_FILENO) >= 0);
        assert_int_equal(close(saved), 0);
        assert_int_equal(x, 0);
        rewind(f);
        ret[fread(ret, 1, 4095, f)] = '\0';
}

/* A release to all of nine hosts, and what is said before it. ret holds 4 KiB. */
static void say(size_t hosts, char *ret) {
        assert_int_equal(target_from_str("hold:" HOLD, &hold), 0);
        release = (struct command) { .verb = VERB_RELEASE,
                                     .plan = is_plan,
                                     .targets = &hold,
                                     .n_targets = 1,
                                     .iat_ms = NOW,
                                     .exp_ms = NOW + 10 * MINUTE };
        ctl = (struct ctl) { .opt = OPTIONS_NULL };
        *r = (struct rollout) { .c = &ctl, .trust = &trust, .cmd = &release, .n_waves = 1 };
        r->to.to.to = COMMAND_TO_ALL;
        r->to.n = 9;
        r->waves[0].part.hosts = hosts;
        clock_ms = 0;
        asked = 0;
        hear(apart, ret);
}

static unsigned times(const char *text, const char *what) {
        unsigned n = 0;

        for (; (text = strstr(text, what)); text++)
                n++;
        return n;
}

/* In its place is said only what all hear whom the order was for. */
static void a_release_for_some_leaves_the_order_where_it_is(void **state) {
        char text[4096];

        (void) state;
        junk = 0;
        copies = 1;
        takes_ms = 1;
        say(9, text);
        assert_string_equal(text, "");
        say(8, text);
        assert_int_equal(times(text, "stays in the stream"), 1);
        assert_int_equal(times(text, "addressed to all "), 1);
        is_plan = true;
        say(8, text);
        assert_string_equal(text, "");
        is_plan = false;
}

static void what_was_put_before_it_hides_nothing_and_it_is_said_once(void **state) {
        char text[4096];

        (void) state;
        junk = 100;
        copies = 512;
        takes_ms = 1;
        say(8, text);
        assert_int_equal(times(text, "stays in the stream"), 1);
        junk = 1000000;
        say(8, text);
        assert_int_equal(times(text, "stays in the stream"), 0);
        assert_int_equal(times(text, "cannot be known"), 1);
        assert_in_range(asked, 1, 2000);
        /* what is behind it may outlive it */
        assert_true(r->outlived);
}

/* Each answer is in time, and there is no end of them. */
static void a_broker_that_takes_its_time_keeps_nobody(void **state) {
        char text[4096];

        (void) state;
        junk = 1000000;
        takes_ms = 4000;
        say(8, text);
        assert_int_equal(times(text, "cannot be known (the broker takes too long)"), 1);
        assert_in_range(clock_ms, 1, 15000);
        assert_string_equal(ctl.why.text, "");
}

/* What each of n hosts made of the release. */
static bool is_taken_by(struct rollcall_entry *v, size_t n) {
        struct rollcall *c = &r->waves[0].calls;

        *c = (struct rollcall) { .v = v, .n = n };
        for (size_t i = 0; i < n; i++)
                c->counts[v[i].class]++;
        r->n_waves = 1;
        return rollout_is_taken(r);
}

static void it_is_taken_when_a_host_let_go_and_none_doubts_it(void **state) {
        static const enum reason doubts[] = { REASON_ROLE,         REASON_THRESHOLD,  REASON_UNTRUSTED,
                                              REASON_ROOT_EXPIRED, REASON_ROOT_STALE, REASON_CLOCK,
                                              _REASON_MAX };
        struct rollcall_entry v[] = { { .class = ROLLCALL_VERIFIED }, { .class = ROLLCALL_SILENT } };

        (void) state;
        assert_true(is_taken_by(v, 1));
        assert_true(is_taken_by(v, 2));
        assert_false(is_taken_by(v + 1, 1));
        v[1] = (struct rollcall_entry) { .class = ROLLCALL_REFUSED, .reason = REASON_LEDGER };
        assert_true(is_taken_by(v, 2));
        assert_false(is_taken_by(v + 1, 1));
        for (size_t i = 0; i < ELEMENTSOF(doubts); i++) {
                v[1].reason = doubts[i];
                assert_false(is_taken_by(v, 2));
        }
        r->waves[0].calls = ROLLCALL_NULL;
}

static void that_an_order_outlives_it_is_told_when_it_takes_no_place(void **state) {
        char text[4096];

        (void) state;
        junk = 0;
        takes_ms = 1;
        copies = 0;
        say(9, text);
        assert_false(r->outlived);
        copies = 1;
        say(9, text);
        assert_true(r->outlived);
        hear(tell, text);
        assert_int_equal(times(text, "No host has said that it let go, or one doubts who may release: what the"), 1);
        r->waves[0].calls.counts[ROLLCALL_VERIFIED] = 9;
        hear(tell, text);
        assert_int_equal(times(text, "Its last wave was not sent: what the stream has"), 1);
        r->waves[0].sent = true;
        hear(tell, text);
        assert_int_equal(times(text, "The broker was lost, or does not permit it: what the stream has"), 1);
        r->stopped = true;
        hear(tell, text);
        assert_int_equal(times(text, "It was stopped: what the stream has"), 1);
        assert_int_equal(times(text, "let go"), 0);
        r->placed = true;
        hear(tell, text);
        assert_string_equal(text, "");
        /* it was never to take one; what stays is said before */
        say(8, text);
        r->outlived = true;
        hear(tell, text);
        assert_string_equal(text, "");
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_release_for_some_leaves_the_order_where_it_is),
                cmocka_unit_test(what_was_put_before_it_hides_nothing_and_it_is_said_once),
                cmocka_unit_test(a_broker_that_takes_its_time_keeps_nobody),
                cmocka_unit_test(it_is_taken_when_a_host_let_go_and_none_doubts_it),
                cmocka_unit_test(that_an_order_outlives_it_is_told_when_it_takes_no_place),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
