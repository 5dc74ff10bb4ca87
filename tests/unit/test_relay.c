/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/line.c agent/relay/inbox.c agent/relay/leash.c */

/* The real freezed-relay between a real nats-server and a gate that the test plays: what it hands on, what it publishes
 * and where, what it tells nobody. A gate that lies shows what a real one never does. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/relay_box.h"

static int take_order(const char *subject) {
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":\"" OTHER "\"}");
        char text[4096];
        int fd;

        publish(subject, order);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_true(fd >= 0);
        assert_carried(text, order);
        return fd;
}

static void an_answer_goes_where_it_says_itself(void **state) {
        int fd = take_order(MINE OTHER);

        (void) state;
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"final\":false}");
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"final\":true}");
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        assert_int_equal(close(fd), 0);
        assert_int_equal(close(take_order("frz.v1.prod.cmd.group.web." OTHER)), 0);
        assert_quiet();
}

static void report_to(const char *nonce) {
        char text[4096], report[128];
        int fd;

        (void) snprintf(text, sizeof(text), "{\"query\":\"status\",\"nonce\":\"%s\"}", nonce);
        publish("frz.v1.prod.ask.all", text);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_true(fd >= 0);
        (void) snprintf(report, sizeof(report), "{\"type\":\"status\",\"nonce\":\"%s\"}", nonce);
        gate_say(fd, DSSE_REPORT, report);
        assert_int_equal(close(fd), 0);
}

static void who_asks_with_the_id_of_an_order_displaces_no_receipt(void **state) {
        int fd = take_order(MINE OTHER);

        (void) state;
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\"}");
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        assert_int_equal(close(fd), 0);
        report_to(ID);
        report_to(OTHER);
        assert_published("frz.v1.prod.rsp." HOST "." OTHER);
        assert_quiet();
}

/* The gate closed before the last receipt was there; each time it is asked, it is brought the order again. */
static void that_an_order_is_under_way_is_told_once(void **state) {
        int fd = take_order(MINE OTHER);
        char text[4096];

        (void) state;
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"final\":false}");
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        assert_int_equal(close(fd), 0);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_true(fd >= 0);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"duplicate\",\"final\":false}");
        assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
        assert_int_equal(close(fd), 0);
        assert_quiet();
        /* who hears of it for the first time tells */
        fd = take_order(MINE OTHER);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"duplicate\",\"final\":false}");
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        assert_int_equal(close(fd), 0);
}

/* The trust root is another by now, or the host is of no such group any more; the gate or the core says so. */
static void what_is_in_force_is_not_told_to_be_refused(void **state) {
        _cleanup_free_ char *refused = envelope(DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"refused\"}");
        const char *const says[] = { refused, "{\"refused\":\"wrong-host\",\"text\":\"x\"}" };
        char text[4096];
        int fd;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(says); i++) {
                _cleanup_free_ char *order = envelope(DSSE_COMMAND, i == 0 ? "{\"id\":0}" : "{\"id\":1}");

                publish(MINE OTHER, order);
                fd = gate_take(text, sizeof(text), WAIT_MS);
                assert_carried(text, order);
                gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"final\":false}");
                assert_published("frz.v1.prod.rsp." HOST "." ID);
                /* it is brought again */
                assert_int_equal(close(fd), 0);
                fd = gate_take(text, sizeof(text), WAIT_MS);
                assert_carried(text, order);
                assert_true(send(fd, says[i], strlen(says[i]), MSG_NOSIGNAL) > 0);
                assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
                assert_int_equal(close(fd), 0);
        }
        assert_quiet();
        for (size_t i = 0; i < ELEMENTSOF(says); i++) {
                fd = gate_take(text, sizeof(text), WAIT_MS);
                assert_true(fd >= 0);
                gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\"}");
                assert_published("frz.v1.prod.rsp." HOST "." ID);
                assert_int_equal(close(fd), 0);
        }
}

/* The host has no room, or no memory, for the moment. */
static void what_is_refused_for_what_may_pass_is_told_once_and_brought_again(void **state) {
        static const char limit[] = "{\"id\":\"" ID "\",\"state\":\"refused\",\"reasons\":[\"limit\"]}",
                          failed[] = "{\"refused\":\"machine-failed\",\"text\":\"x\"}";
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":0}");

        (void) state;
        publish(MINE OTHER, order);
        assert_takes(order, limit);
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        assert_takes(order, limit);
        assert_quiet();
        char text[4096];
        int fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_carried(text, order);
        assert_true(send(fd, failed, strlen(failed), MSG_NOSIGNAL) > 0);
        assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
        assert_int_equal(close(fd), 0);
        assert_quiet();
        assert_takes(order, "{\"id\":\"" ID "\",\"state\":\"contained\"}");
        assert_published("frz.v1.prod.rsp." HOST "." ID);
        assert_quiet();
        /* a question is asked again by who asked it */
        publish("frz.v1.prod.ask.all", "{\"query\":\"status\",\"nonce\":\"" OTHER "\"}");
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_true(fd >= 0);
        assert_true(send(fd, failed, strlen(failed), MSG_NOSIGNAL) > 0);
        assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
        assert_int_equal(close(fd), 0);
        assert_int_equal(gate_take(text, sizeof(text), 3 * QUIET_MS), -1);
}

static void what_is_not_signed_is_told_to_nobody(void **state) {
        static const char *const says[] = { "{\"refused\":\"untrusted-signer\",\"text\":\"x\"}", "x",
                                            "{\"refused\":\"wrong-host\",\"text\":\"x\"}", "{\"id\":\"" ID "\"}" };
        char text[64];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(says); i++) {
                int fd = take_order(MINE OTHER);

                assert_true(send(fd, says[i], strlen(says[i]), MSG_NOSIGNAL) > 0);
                assert_int_equal(recv(fd, text, sizeof(text), 0), 0);
                assert_int_equal(close(fd), 0);
        }
        assert_quiet();
}

static void what_no_host_takes_does_not_reach_the_gate(void **state) {
        _cleanup_free_ char *receipt = envelope(DSSE_RECEIPT, "{}"), *evidence = envelope(DSSE_EVIDENCE, "{}");
        const char *const rows[] = { "", "x", "{}", "{\"query\":7,\"nonce\":\"" ID "\"}", receipt, evidence };
        char text[64];

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                publish(MINE ID, rows[i]);
        assert_int_equal(gate_take(text, sizeof(text), QUIET_MS), -1);
        assert_quiet();
}

static void what_a_head_misses_is_asked_of_the_stream(void **state) {
        _cleanup_free_ char *head = envelope(DSSE_HEAD, "{}");
        struct inbox_item *item;
        char text[4096];
        int fd;

        (void) state;
        do /* those about everything, after it had connected */
                free(item = published(QUIET_MS, true));
        while (item);
        publish("frz.v1.prod.head", head);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_carried(text, head);
        gate_say(fd, DSSE_REPORT, "{\"type\":\"head\",\"missing\":[\"" ID "\"]}");
        item = published(WAIT_MS, true);
        /* again about everything, when it has waited too long for an answer to that */
        for (; item && strcmp(item->subject, "$JS.API.DIRECT.GET.FRZ_CMD_prod") == 0; item = published(WAIT_MS, true))
                free(item);
        assert_non_null(item);
        assert_string_equal(item->subject, "$JS.API.DIRECT.GET.FRZ_CMD_prod." MINE ID);
        free(item);
        assert_int_equal(close(fd), 0);
        assert_quiet();
}

/* What the state file says is withheld, with blanks between. */
static void assert_withheld(const char *want) {
        char path[96], got[256] = "";

        (void) snprintf(path, sizeof(path), "%s/state.json", box.dir.path);
        for (int i = 0; i < WAIT_MS / 20; i++) {
                _cleanup_json_ json_t *o = json_load_file(path, 0, NULL);
                const json_t *id;
                size_t k;

                got[0] = '\0';
                json_array_foreach(json_object_get(o, "withheld"), k, id)
                        strcat(strcat(got, k > 0 ? " " : ""), json_string_value(id));
                if (strcmp(got, want) == 0)
                        return;
                (void) usleep(20 * 1000);
        }
        fail_msg("withheld: %s", got);
}

/* A head of which the gate says that these orders are missing. */
static void head_misses(const char *missing) {
        _cleanup_free_ char *head = envelope(DSSE_HEAD, "{}");
        char text[4096];

        publish("frz.v1.prod.head", head);
        int fd = gate_take(text, sizeof(text), WAIT_MS);

        assert_carried(text, head);
        (void) snprintf(text, sizeof(text), "{\"type\":\"head\",\"missing\":[%s]}", missing);
        gate_say(fd, DSSE_REPORT, text);
        assert_int_equal(close(fd), 0);
}

static void what_two_heads_miss_is_withheld_by_its_id(void **state) {
        (void) state;
        head_misses("\"" ID "\"");
        head_misses("\"" ID "\",\"" OTHER "\"");
        assert_withheld(ID);
        head_misses("\"" OTHER "\"");
        assert_withheld(OTHER);
        head_misses("");
        assert_withheld("");
}

static void attributes_make_it_ask_who_it_is(void **state) {
        _cleanup_free_ char *attributes = envelope(DSSE_ATTRIBUTES, "{}"), *order = envelope(DSSE_COMMAND, "{}"),
                            *others = envelope(DSSE_COMMAND, "{\"id\":0}");
        char text[4096];
        int fd;

        (void) state;
        publish(MINE "attributes", attributes);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_carried(text, attributes);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"attributes\",\"state\":\"certified\"}");
        assert_published("frz.v1.prod.rsp." HOST ".attributes");
        assert_int_equal(close(fd), 0);
        gate_introduce("{\"groups\":[\"db\"]}");
        fd = -1;
        for (int i = 0; i < WAIT_MS / QUIET_MS && fd < 0; i++) {
                publish("frz.v1.prod.cmd.group.db." ID, order);
                fd = gate_take(text, sizeof(text), QUIET_MS);
        }
        assert_carried(text, order);
        assert_int_equal(close(fd), 0);
        publish("frz.v1.prod.cmd.group.web." ID, others);
        /* the first one comes again, because the gate went away */
        while ((fd = gate_take(text, sizeof(text), 3 * QUIET_MS)) >= 0) {
                assert_carried(text, order);
                gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\"}");
                assert_int_equal(close(fd), 0);
        }
}

/* One that went back to before it, and whose relay was not asked to. */
static void an_agent_that_went_back_gets_what_it_knows(void **state) {
        static const char says[] = "{\"refused\":\"malformed\",\"text\":\"x\"}";
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":\"" OTHER "\"}");
        int fd = take_order(MINE OTHER);
        char text[4096];

        (void) state;
        assert_true(send(fd, says, strlen(says), MSG_NOSIGNAL) > 0);
        assert_int_equal(close(fd), 0);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_true(fd >= 0);
        assert_string_equal(text, order);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" OTHER "\"}");
        assert_published("frz.v1.prod.rsp." HOST "." OTHER);
        assert_int_equal(close(fd), 0);
}

/* One that was not restarted when the relay was. */
static void an_older_agent_gets_what_it_knows(void **state) {
        _cleanup_free_ char *attributes = envelope(DSSE_ATTRIBUTES, "{}"), *order = envelope(DSSE_COMMAND, "{}");
        char text[4096];
        int fd;

        (void) state;
        publish(MINE "attributes", attributes);
        fd = gate_take(text, sizeof(text), WAIT_MS);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"attributes\",\"state\":\"certified\"}");
        assert_int_equal(close(fd), 0);
        box.old = true;
        gate_introduce("{\"groups\":[\"db\"]}");
        fd = -1;
        for (int i = 0; i < WAIT_MS / QUIET_MS && fd < 0; i++) {
                publish("frz.v1.prod.cmd.group.db." ID, order);
                fd = gate_take(text, sizeof(text), QUIET_MS);
        }
        assert_string_equal(text, order);
        assert_int_equal(close(fd), 0);
}

static void a_release_overtakes_its_order_whatever_each_is_addressed_to(void **state) {
        static const char *const to[] = { "cmd.host." HOST ".", "cmd.all.", "cmd.group.web." };
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":\"" ID "\",\"verb\":\"contain\"}"),
                            *release = envelope(DSSE_COMMAND, "{\"id\":\"" OTHER "\",\"verb\":\"release\"}");
        char subject[SUBJECT_SIZE];

        (void) state;
        for (size_t i = 0; i < 9; i++) {
                relay_is_away();
                (void) snprintf(subject, sizeof(subject), FLEET "%s" ID, to[i / 3]);
                settle(subject, order);
                (void) snprintf(subject, sizeof(subject), FLEET "%s" OTHER, to[i % 3]);
                settle(subject, release);
                relay_comes_back();
                assert_takes(release, "{\"id\":\"" OTHER "\"}");
                assert_takes(order, "{\"id\":\"" ID "\"}");
        }
}

static void an_order_waits_until_the_gate_took_the_release_that_overtook_it(void **state) {
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":\"" ID "\",\"verb\":\"contain\"}"),
                            *release = envelope(DSSE_COMMAND, "{\"id\":\"" OTHER "\",\"verb\":\"release\"}");
        char text[4096];
        int fd;

        (void) state;
        relay_is_away();
        settle(FLEET "cmd.all." ID, order);
        settle(FLEET "cmd.group.web." OTHER, release);
        relay_comes_back();
        fd = gate_take(text, sizeof(text), WAIT_MS);
        assert_carried(text, release);
        assert_int_equal(gate_take(text, sizeof(text), QUIET_MS), -1);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" OTHER "\",\"final\":false}");
        assert_takes(order, "{\"id\":\"" ID "\"}");
        assert_int_equal(close(fd), 0);
}

static void what_a_new_trust_root_may_let_go_is_asked_for_before_any_order(void **state) {
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":\"" ID "\",\"verb\":\"contain\"}"),
                            *release = envelope(DSSE_COMMAND, "{\"id\":\"" OTHER "\",\"verb\":\"release\"}"),
                            *root = envelope(DSSE_TRUST, "{}");

        (void) state;
        relay_is_away();
        settle(FLEET "cmd.all." ID, order);
        settle(FLEET "cmd.group.web." OTHER, release);
        settle(FLEET "trust.2", root);
        relay_comes_back();
        assert_takes(root, "{\"id\":\"" ID "\",\"state\":\"trusted\",\"trust\":{\"version\":2}}");
        assert_takes(release, "{\"refused\":\"untrusted-signer\"}");
        assert_takes(root, "{\"id\":\"" ID "\",\"state\":\"trusted\",\"trust\":{\"version\":2}}");
        assert_takes(release, "{\"id\":\"" OTHER "\"}");
        assert_takes(order, "{\"id\":\"" ID "\"}");
}

/* It was put there as a file: no receipt tells. */
static void a_trust_root_that_came_by_another_way_is_a_reason_to_ask_again(void **state) {
        _cleanup_free_ char *order = envelope(DSSE_COMMAND, "{\"id\":\"" ID "\",\"verb\":\"contain\"}"),
                            *attributes = envelope(DSSE_ATTRIBUTES, "{}");

        (void) state;
        relay_is_away();
        settle(FLEET "cmd.all." ID, order);
        box.root = 1;
        relay_comes_back();
        assert_takes(order, "{\"refused\":\"untrusted-signer\"}");
        box.root = 2;
        publish(FLEET "head", attributes);
        assert_takes(attributes, "{\"id\":\"attributes\",\"state\":\"certified\"}");
        assert_takes(order, "{\"id\":\"" ID "\"}");
}

static void a_bystander_s_headers_do_not_move_it(void **state) {
        struct inbox_item *item;
        char text[64];

        (void) state;
        do
                free(item = published(QUIET_MS, true));
        while (item);
        /* its inbox, but to no question of its own */
        publish("_INBOX." HOST ".1", "{\"query\":\"status\",\"nonce\":\"" ID "\"}");
        assert_int_equal(gate_take(text, sizeof(text), QUIET_MS), -1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(an_answer_goes_where_it_says_itself),
                CASE(who_asks_with_the_id_of_an_order_displaces_no_receipt),
                CASE(that_an_order_is_under_way_is_told_once),
                CASE(what_is_in_force_is_not_told_to_be_refused),
                CASE(what_is_refused_for_what_may_pass_is_told_once_and_brought_again),
                CASE(what_is_not_signed_is_told_to_nobody),
                CASE(what_no_host_takes_does_not_reach_the_gate),
                CASE(what_a_head_misses_is_asked_of_the_stream),
                CASE(what_two_heads_miss_is_withheld_by_its_id),
                CASE(attributes_make_it_ask_who_it_is),
                CASE(an_older_agent_gets_what_it_knows),
                CASE(an_agent_that_went_back_gets_what_it_knows),
                CASE(a_trust_root_that_came_by_another_way_is_a_reason_to_ask_again),
                CASE(a_bystander_s_headers_do_not_move_it),
                CASE(a_release_overtakes_its_order_whatever_each_is_addressed_to),
                CASE(an_order_waits_until_the_gate_took_the_release_that_overtook_it),
                CASE(what_a_new_trust_root_may_let_go_is_asked_for_before_any_order),
        };

        if (sodium_init() < 0 || leash_open() < 0)
                return 1;
        /* nothing of the library is waited for, and what it still has is no leak of ours */
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
}
