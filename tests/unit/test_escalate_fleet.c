/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/escalate_fleet.c ctl/escalate_state.c ctl/escalate_outcome.c ctl/escalate_template.c ctl/escalate_mend.c */
/* LINK: ctl/escalate_path.c ctl/times.c */
/* LINK: ctl/brokerfile.c ctl/inventory.c ctl/parallel.c ctl/rollcall.c ctl/receipt.c ctl/hosts.c ctl/file.c */
/* LINK: ctl/member.c */
/* LINK: ctl/text.c ctl/why.c */

/* What becomes of an order to hosts elsewhere, by clocks and a courier of the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/courier.h"
#include "ctl/escalate.h"
#include "ctl/escalate_tell.h"
#include "ctl/order.h"
#include "lib/fleet.h"
#include "lib/scratch.h"
#include "tests/lib/answers.h"

#define ID     "01000000000000000000000000000000"
#define DIGEST "0000000000000000000000000000000000000000000000000000000000000000"
#define NOW    INT64_C(1795284131482)
#define EXP    (NOW + 600000)

static int64_t now_ms;
static unsigned given;
static enum command_to to = COMMAND_TO_ALL;
static int readable;
static struct courier_event *events[4];
static size_t n_events;
static char outcomes[256], why[256];

int clock_gettime(clockid_t id, struct timespec *ts) {
        (void) id;
        *ts = (struct timespec) { .tv_sec = now_ms / 1000, .tv_nsec = now_ms % 1000 * 1000000 };
        return 0;
}

int64_t order_now_ms(void) {
        return now_ms;
}

int courier_start(const struct broker *b, const char *fleet, struct courier **ret) {
        (void) b;
        (void) fleet;
        *ret = (struct courier *) events; /* never looked at */
        return 0;
}

void courier_freep(struct courier **c) {
        *c = NULL;
}

int courier_fd(const struct courier *c) {
        (void) c;
        return -1;
}

int courier_give(struct courier *c, const char *subject, const char *text, size_t n) {
        (void) c;
        (void) subject;
        (void) text;
        (void) n;
        given++;
        return 0;
}

int courier_take(struct courier *c, struct courier_event **ret) {
        (void) c;
        *ret = n_events > 0 ? events[--n_events] : NULL;
        return 0;
}

int escalate_order_read(const struct escalate_record *r, struct command **ret, uint8_t ret_digest[static 32]) {
        if (readable < 0)
                return readable;
        memset(ret_digest, 0, 32);
        *ret = calloc(1, sizeof(**ret));
        assert_non_null(*ret);
        (*ret)->to = to;
        strcpy((*ret)->group, "nobody");
        (*ret)->id = r->id;
        strcpy((*ret)->fleet, "prod");
        return 0;
}

void escalate_order_keep(struct escalate *x) {
        (void) x;
}

void escalate_tell(const struct escalate *x, enum escalate_outcome outcome, const char *text, json_t *more) {
        const size_t n = strlen(outcomes);

        (void) x;
        json_decref(more);
        (void) snprintf(outcomes + n, sizeof(outcomes) - n, "%s ", escalate_outcome_id(outcome));
        (void) snprintf(why, sizeof(why), "%s", text ? text : "");
}

void escalate_tell_order(const struct escalate *x, const struct escalate_record *r, enum escalate_outcome outcome,
                         const char *text, json_t *more) {
        (void) r;
        escalate_tell(x, outcome, text, more);
}

void escalate_tell_receipt(const struct escalate *e, const struct escalate_record *r, const struct receipt *answer,
                           const char *envelope, size_t n) {
        (void) answer;
        (void) envelope;
        (void) n;
        escalate_tell_order(e, r, ESCALATE_OUTCOME_RECEIPT, "", NULL);
}

static void say(enum courier_kind kind, const char *text) {
        struct courier_event *e = calloc(1, sizeof(*e) + strlen(text) + 1);
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        struct sshkey key;

        assert_non_null(e);
        answers_key(0, secret, &key);
        e->kind = kind;
        e->n = strlen(text);
        strcpy(e->text, text);
        memcpy(e->subject.host, key.id, sizeof(e->subject.host));
        assert_int_equal(command_id_from_str(ID, &e->subject.id), 0);
        events[n_events++] = e;
}

static void write_inventory(const char *path) {
        struct attributes a = fleet_host();
        uint8_t secret[crypto_sign_SECRETKEYBYTES];
        char *json = NULL, *line = NULL;

        answers_key(0, secret, &a.key);
        assert_int_equal(attributes_to_json(&a, &json), 0);
        _cleanup_(dsse_done) struct dsse d = people_sign(DSSE_ATTRIBUTES, DSSE_ATTRIBUTES, json, strlen(json), BY(BOT));
        assert_int_equal(dsse_to_json(&d, &line), 0);
        _cleanup_fclose_ FILE *f = fopen(path, "we");
        assert_non_null(f);
        assert_true(fputs(line, f) >= 0);
        free(json);
        free(line);
}

static struct trust trust;
static struct ctl c;
static struct escalate x;
static struct scratch scratch;
static char inventory[128];

/* One order, given to a broker. */
static int set_up(void **state) {
        struct escalate_record r = { .id = { { 1 } }, .n_hosts = 1, .at_ms = NOW, .exp_ms = EXP };

        (void) state;
        scratch_make(&scratch);
        (void) snprintf(inventory, sizeof(inventory), "%s/inventory", scratch.path);
        fleet_trust(TRUST_REGISTRAR_ROLE, &trust);
        write_inventory(inventory);
        c.opt.nats = (char *) "nats://127.0.0.1:4222";
        c.opt.inventory = inventory;
        x = (struct escalate) { .c = &c, .trust = &trust };
        now_ms = NOW;
        given = 0;
        outcomes[0] = why[0] = '\0';
        if (escalate_fleet_start(&x) != 0)
                fail_msg("%s", c.why.text);
        r.envelope = strdup("{}");
        assert_int_equal(escalate_state_add(&x.state, &r), 0);
        say(COURIER_UP, "");
        assert_int_equal(escalate_fleet_hear(&x), 0);
        escalate_fleet_all(&x);
        assert_int_equal(given, 1);
        return 0;
}

static int tear_down(void **state) {
        (void) state;
        escalate_fleet_freep(&x.fleet);
        escalate_state_done(&x.state);
        scratch_remove(&scratch);
        return 0;
}

/* The host's signed answer, with n records in its ledger. */
static void answer(const char *said, int n) {
        char payload[512];

        (void) snprintf(payload, sizeof(payload),
                        "{\"v\":1,\"type\":\"receipt\",\"host\":\"%s\",\"id\":\"" ID "\",\"digest\":\"" DIGEST
                        "\",\"verb\":\"contain\",\"targets\":[],\"ledger\":{\"n\":%d},%s}",
                        answers_id(0), n, said);
        _cleanup_free_ char *text = answers_sign(DSSE_RECEIPT, payload, 0, 0);
        say(COURIER_ANSWER, text);
        assert_int_equal(escalate_fleet_hear(&x), 0);
}

#define CONTAINED "\"state\":\"contained\",\"reasons\":[]"

static void nobody_turns_round_and_round_for_a_last_answer(void **state) {
        (void) state;
        answer(CONTAINED ",\"final\":false", 1);
        /* it is given no more, and there is nothing to do before the last answer is late */
        now_ms = EXP + 40000;
        escalate_fleet_all(&x);
        assert_int_equal(given, 1);
        assert_int_equal(x.state.n, 1);
        assert_true(escalate_fleet_wait(&x) > 0);
        now_ms = EXP + 90000;
        escalate_fleet_all(&x);
        assert_null(x.state.v[0].envelope);
        assert_int_equal(escalate_fleet_wait(&x), -1);
        assert_string_equal(outcomes, "broker-up receipt unfinished ");
}

static void what_was_refused_for_what_may_pass_is_given_again(void **state) {
        (void) state;
        answer("\"state\":\"refused\",\"reasons\":[\"root-stale\"]", 1);
        escalate_fleet_all(&x);
        assert_non_null(x.state.v[0].envelope);
        now_ms += 31000;
        escalate_fleet_all(&x);
        assert_int_equal(given, 2);
        answer(CONTAINED ",\"final\":false", 2);
        answer(CONTAINED, 3);
        escalate_fleet_all(&x);
        assert_null(x.state.v[0].envelope);
        assert_string_equal(outcomes, "broker-up waiting receipt receipt receipt done ");
}

static void and_said_to_be_refused_when_it_does_not_pass(void **state) {
        (void) state;
        answer("\"state\":\"refused\",\"reasons\":[\"root-stale\"]", 1);
        now_ms = EXP;
        escalate_fleet_all(&x);
        assert_null(x.state.v[0].envelope);
        assert_string_equal(outcomes, "broker-up waiting receipt unfinished ");
        assert_non_null(strstr(why, "refused"));
}

static void an_answer_of_somebody_else_is_told_once(void **state) {
        (void) state;
        _cleanup_free_ char *text = answers_sign(DSSE_RECEIPT, "{\"v\":1,\"type\":\"receipt\"}", 1, 0);
        for (unsigned i = 0; i < 2; i++) {
                say(COURIER_ANSWER, text);
                assert_int_equal(escalate_fleet_hear(&x), 0);
        }
        assert_non_null(x.state.v[0].envelope);
        assert_string_equal(outcomes, "broker-up unverified ");
}

static void what_the_broker_denies_is_told(void **state) {
        (void) state;
        say(COURIER_DENIED, "Permissions Violation for Publish");
        assert_int_equal(escalate_fleet_hear(&x), 0);
        assert_string_equal(outcomes, "broker-up broker-denied ");
        assert_non_null(strstr(why, "Permissions"));
}

static void an_order_that_cannot_be_given_is_given_up(void **state) {
        struct escalate_record r = { .id = { { 2 } }, .n_hosts = 1, .at_ms = NOW, .exp_ms = EXP };

        (void) state;
        for (unsigned i = 0; i < 2; i++) {
                to = i == 0 ? COMMAND_TO_GROUP : COMMAND_TO_ALL;
                readable = i == 0 ? 0 : -EBADMSG;
                outcomes[0] = '\0';
                r.id.b[1] = (uint8_t) i;
                r.envelope = strdup("{}");
                assert_int_equal(escalate_state_add(&x.state, &r), 0);
                escalate_fleet_all(&x);
                assert_string_equal(outcomes, "lost ");
                assert_non_null(strstr(why, i == 0 ? "no host of the inventory" : "cannot be read"));
                assert_null(x.state.v[1 + i].envelope);
        }
        to = COMMAND_TO_ALL;
        readable = 0;
        assert_int_equal(given, 1);
}

static void what_was_refused_for_good_is_done(void **state) {
        (void) state;
        answer("\"state\":\"refused\",\"reasons\":[\"protected\"]", 1);
        escalate_fleet_all(&x);
        assert_null(x.state.v[0].envelope);
        assert_string_equal(outcomes, "broker-up receipt done ");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        const struct CMUnitTest tests[] = {
                CASE(nobody_turns_round_and_round_for_a_last_answer),
                CASE(what_was_refused_for_what_may_pass_is_given_again),
                CASE(and_said_to_be_refused_when_it_does_not_pass),
                CASE(what_was_refused_for_good_is_done),
                CASE(an_answer_of_somebody_else_is_told_once),
                CASE(what_the_broker_denies_is_told),
                CASE(an_order_that_cannot_be_given_is_given_up),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
