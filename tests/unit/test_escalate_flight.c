/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_flight.c ctl/escalate_state.c ctl/escalate_outcome.c ctl/escalate_template.c */
/* LINK: ctl/escalate_mend.c ctl/escalate_path.c ctl/times.c */
/* LINK: ctl/receipt.c ctl/hosts.c ctl/file.c ctl/member.c ctl/text.c ctl/why.c */

/* What becomes of an order that nobody answers, over a restart, too, or that is refused. */

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
#include "ctl/times.h"
#include "tests/lib/answers.h"

#define ID     "01000000000000000000000000000000"
#define DIGEST "0000000000000000000000000000000000000000000000000000000000000000"
#define NOW    INT64_C(1795284131482)
#define EXP    (NOW + 600000)

static int64_t now_ms;
static bool agent_is_there, agent_answers;
static char outcomes[256], why[256], *said;

int64_t order_now_ms(void) {
        return now_ms;
}

int deliver(const struct ctl *c, const char *envelope, struct client *ret) {
        (void) c;
        (void) envelope;
        *ret = CLIENT_NULL;
        ret->fd = agent_answers ? 3 : -1; /* never looked at; without an answer the connection has ended */
        ret->deadline_ms = mono_ms() + 60000;
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
        *ret = TAKE_PTR(said);
        *ret_n = *ret ? strlen(*ret) : 0;
        return *ret ? 0 : -ECONNRESET;
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

void escalate_tell_receipt(const struct escalate *e, const struct escalate_record *r, const struct receipt *answer,
                           const char *envelope, size_t n) {
        (void) answer;
        (void) envelope;
        (void) n;
        escalate_tell_order(e, r, ESCALATE_OUTCOME_RECEIPT, "", NULL);
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

static int set_up_answers(void **state) {
        const int r = set_up(state);

        x.known = answers_known(1);
        agent_is_there = agent_answers = true;
        return r;
}

static int tear_down(void **state) {
        (void) state;
        agent_answers = false;
        free(x.known.v);
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

/* The agent says this to the order that was sent first of those that wait. */
static void answer(const char *text) {
        char payload[512];

        (void) snprintf(payload, sizeof(payload),
                        "{\"v\":1,\"type\":\"receipt\",\"host\":\"%s\",\"id\":\"%s\",\"digest\":\"" DIGEST
                        "\",\"verb\":\"contain\",\"targets\":[],\"ledger\":{\"n\":1},%s}",
                        answers_id(0), x.flights[0].name, text);
        said = answers_sign(DSSE_RECEIPT, payload, 0, 0);
        escalate_flight_hear(&x, &x.flights[0]);
}

#define REFUSED   "\"state\":\"refused\",\"reasons\":[\"budget\"]"
#define CONTAINED "\"state\":\"contained\",\"reasons\":[]"

static void what_was_refused_for_what_may_pass_is_sent_again(void **state) {
        (void) state;
        escalate_flight_all(&x);
        answer(REFUSED);
        escalate_flight_all(&x);
        assert_int_equal(x.n_flights, 0);
        assert_false(escalate_flight_is_idle(&x));
        assert_in_range(escalate_flight_wait(&x), 20000, 30000);
        x.state.v[0].again_ms = 1;
        escalate_flight_all(&x);
        answer(CONTAINED);
        assert_string_equal(outcomes, "receipt waiting receipt ");
        assert_true(escalate_flight_is_idle(&x));
        assert_int_equal(x.worst, CTL_OK);
}

static void what_was_refused_for_good_is_not(void **state) {
        (void) state;
        escalate_flight_all(&x);
        answer("\"state\":\"refused\",\"reasons\":[\"protected\"]");
        assert_string_equal(outcomes, "receipt ");
        assert_true(escalate_flight_is_idle(&x));
        assert_int_equal(x.worst, CTL_REFUSED);
}

static void what_is_refused_to_the_end_may_be_ordered_again(void **state) {
        (void) state;
        escalate_flight_all(&x);
        answer(REFUSED);
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_string_equal(outcomes, "receipt waiting unfinished ");
        assert_non_null(strstr(why, "refused"));
        assert_int_equal(x.worst, CTL_REFUSED);
        assert_int_equal(x.state.n, 0);
}

static void orders_that_wait_hold_up_no_other(void **state) {
        static const char *const answers[] = { REFUSED, CONTAINED ",\"final\":false" };

        (void) state;
        for (size_t k = 0; k < ELEMENTSOF(answers); k++) {
                size_t answered = 0;

                for (size_t i = x.state.n; i < 40; i++) {
                        struct escalate_record r = { .id = { { 2, (uint8_t) i } },
                                                     .n_hosts = 1,
                                                     .at_ms = NOW,
                                                     .exp_ms = EXP,
                                                     .envelope = strdup("{}") };
                        assert_int_equal(escalate_state_add(&x.state, &r), 0);
                }
                for (escalate_flight_all(&x); answered < 40 && x.n_flights > 0; escalate_flight_all(&x)) {
                        size_t first = 0;

                        while (first < x.n_flights && x.flights[first].answered)
                                first++;
                        if (first == x.n_flights)
                                break;
                        struct escalate_flight f = x.flights[0];
                        x.flights[0] = x.flights[first];
                        x.flights[first] = f;
                        answer(answers[k]);
                        answered++;
                }
                assert_int_equal(answered, 40);
                assert_true(escalate_flight_wait(&x) > 0);
                for (size_t i = 0; i < x.state.n; i++)
                        x.state.v[i].again_ms = 0;
        }
}

static void a_duplicate_of_what_is_being_carried_out_is_asked_again(void **state) {
        (void) state;
        escalate_flight_all(&x);
        answer("\"state\":\"duplicate\",\"hold\":\"active\",\"receipt\":{" CONTAINED ",\"final\":false,\"id\":\"" ID
               "\"}");
        assert_int_equal(x.n_flights, 0);
        assert_in_range(escalate_flight_wait(&x), 3000, 5000);
        x.state.v[0].again_ms = 1;
        escalate_flight_all(&x);
        answer(CONTAINED);
        assert_true(escalate_flight_is_idle(&x));
        assert_int_equal(x.worst, CTL_OK);
}

/* The gate says it, or the core, in nobody's name. */
static void refuse_unsigned(const char *reason) {
        char text[64];

        (void) snprintf(text, sizeof(text), "{\"refused\":\"%s\"}", reason);
        said = strdup(text);
        escalate_flight_hear(&x, &x.flights[0]);
}

static void what_was_refused_without_a_signature_is_sent_again_too(void **state) {
        (void) state;
        escalate_flight_all(&x);
        refuse_unsigned("no-trust-root");
        assert_false(escalate_flight_is_idle(&x));
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_string_equal(outcomes, "waiting unfinished ");
        assert_int_equal(x.state.n, 0);
}

static void what_failed_may_have_been_carried_out(void **state) {
        (void) state;
        escalate_flight_all(&x);
        refuse_unsigned("machine-failed");
        assert_false(escalate_flight_is_idle(&x));
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_non_null(strstr(why, "may have been carried out"));
        assert_int_equal(x.state.n, 1);
}

static void what_was_sent_since_it_was_refused_too(void **state) {
        (void) state;
        escalate_flight_all(&x);
        answer(REFUSED);
        x.state.v[0].again_ms = 1;
        escalate_flight_all(&x);
        escalate_flight_hear(&x, &x.flights[0]); /* the connection ends */
        now_ms = EXP;
        escalate_flight_all(&x);
        assert_non_null(strstr(why, "may have been carried out"));
        assert_int_equal(x.state.n, 1);
}

static void who_took_it_did_not_refuse_it(void **state) {
        (void) state;
        escalate_flight_all(&x);
        answer("\"state\":\"duplicate\",\"hold\":\"active\"");
        x.state.v[0].again_ms = 1;
        escalate_flight_all(&x);
        answer("\"state\":\"refused\",\"reasons\":[\"untrusted-signer\"]");
        assert_false(escalate_flight_is_idle(&x));
        x.state.v[0].again_ms = 1;
        escalate_flight_all(&x);
        answer(CONTAINED);
        assert_true(escalate_flight_is_idle(&x));
        assert_int_equal(x.worst, CTL_OK);
}

int main(void) {
#define CASE(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define ANSWERED(name) cmocka_unit_test_setup_teardown(name, set_up_answers, tear_down)
        const struct CMUnitTest tests[] = {
                CASE(what_nobody_ever_had_may_be_ordered_again),
                CASE(what_somebody_may_have_had_is_not),
                CASE(nor_is_it_after_a_restart),
                ANSWERED(what_was_refused_for_what_may_pass_is_sent_again),
                ANSWERED(what_was_refused_for_good_is_not),
                ANSWERED(what_is_refused_to_the_end_may_be_ordered_again),
                ANSWERED(orders_that_wait_hold_up_no_other),
                ANSWERED(a_duplicate_of_what_is_being_carried_out_is_asked_again),
                ANSWERED(what_was_refused_without_a_signature_is_sent_again_too),
                ANSWERED(what_failed_may_have_been_carried_out),
                ANSWERED(what_was_sent_since_it_was_refused_too),
                ANSWERED(who_took_it_did_not_refuse_it),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
