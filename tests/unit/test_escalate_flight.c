/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_flight.c ctl/escalate_state.c ctl/escalate_outcome.c ctl/escalate_template.c */
/* LINK: ctl/escalate_mend.c ctl/escalate_path.c ctl/times.c */
/* LINK: ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* What becomes of an order that nobody answers, over a restart, too. The agent is away all the time. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/deliver.h"
#include "ctl/escalate.h"
#include "ctl/escalate_tell.h"
#include "ctl/order.h"

#define NOW INT64_C(1795284131482)
#define EXP (NOW + 600000)

static int64_t now_ms;
static bool agent_is_there;
static char outcomes[256], why[256];

int64_t order_now_ms(void) {
        return now_ms;
}

int deliver(const struct ctl *c, const char *envelope, struct client *ret) {
        (void) c;
        (void) envelope;
        /* it is sent, and then the connection ends */
        *ret = CLIENT_NULL;
        return agent_is_there ? 0 : -ENOENT;
}

void client_done(struct client *c) {
        *c = CLIENT_NULL;
}

void client_rearm(struct client *c, int64_t timeout_ms) {
        (void) c;
        (void) timeout_ms;
}

int client_recv(struct client *c, char **ret, size_t *ret_n) {
        (void) c;
        (void) ret;
        (void) ret_n;
        return -ECONNRESET;
}

bool escalate_fleet_has(const struct escalate *x, const uint8_t *host) {
        (void) x;
        (void) host;
        return false;
}

int escalate_order_read(const struct escalate_record *r, struct command **ret, uint8_t ret_digest[static 32]) {
        (void) r;
        memset(ret_digest, 0, 32);
        *ret = calloc(1, sizeof(**ret));
        if (*ret)
                (*ret)->to = COMMAND_TO_ALL;
        return *ret ? 0 : -ENOMEM;
}

void escalate_order_keep(struct escalate *x) {
        (void) x;
}

void escalate_tell_order(const struct escalate *x, const struct escalate_record *r, enum escalate_outcome outcome,
                         const char *text, json_t *more) {
        const size_t n = strlen(outcomes);

        (void) x;
        (void) r;
        json_decref(more);
        (void) snprintf(outcomes + n, sizeof(outcomes) - n, "%s ", escalate_outcome_id(outcome));
        (void) snprintf(why, sizeof(why), "%s", text);
}

void escalate_tell_receipt(const struct escalate *x, const struct escalate_record *r, const struct receipt *answer,
                           const char *envelope, size_t n) {
        (void) x;
        (void) r;
        (void) answer;
        (void) envelope;
        (void) n;
}

static struct ctl c;
static struct escalate x;

static int set_up(void **state) {
        struct escalate_record r = { .id = { { 1 } },
                                     .n_hosts = 1,
                                     .at_ms = NOW,
                                     .cool_ms = NOW,
                                     .exp_ms = EXP,
                                     .rule = "one",
                                     .incident = "SA-20261121-901",
                                     .event = "e",
                                     .envelope = strdup("{}") };

        (void) state;
        memset(&x, 0, sizeof(x));
        x.c = &c;
        now_ms = NOW;
        outcomes[0] = why[0] = '\0';
        return escalate_state_add(&x.state, &r);
}

static int tear_down(void **state) {
        (void) state;
        escalate_state_done(&x.state);
        return 0;
}

/* The program is killed, and started anew with what is on the disk. */
static void restart(void) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(escalate_state_to_json(&x.state, &text), 0);
        escalate_state_done(&x.state);
        memset(x.flights, 0, sizeof(x.flights));
        x.n_flights = 0;
        assert_int_equal(escalate_state_from_json(text, strlen(text), &x.state), 0);
}

static void what_nobody_ever_had_may_be_ordered_again(void **state) {
        (void) state;
        agent_is_there = false;
        escalate_flight_all(&x);
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_string_equal(outcomes, "waiting silent ");
        assert_string_equal(why, "nobody could be reached before it expired");
        assert_int_equal(x.state.n, 0);
}

static void what_somebody_may_have_had_is_not(void **state) {
        (void) state;
        agent_is_there = true;
        escalate_flight_all(&x);
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_non_null(strstr(why, "may have been carried out"));
        assert_int_equal(x.state.n, 1);
        assert_true(escalate_flight_is_idle(&x));
}

static void nor_is_it_after_a_restart(void **state) {
        (void) state;
        agent_is_there = true;
        escalate_flight_all(&x);
        agent_is_there = false;
        restart();
        escalate_flight_all(&x);
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_non_null(strstr(why, "may have been carried out"));
        assert_int_equal(x.state.n, 1);
        assert_true(escalate_flight_is_idle(&x));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                CASE(what_nobody_ever_had_may_be_ordered_again),
                CASE(what_somebody_may_have_had_is_not),
                CASE(nor_is_it_after_a_restart),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
