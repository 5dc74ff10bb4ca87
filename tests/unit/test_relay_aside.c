/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/line.c agent/relay/inbox.c agent/relay/leash.c */

/* What a relay that was away puts aside, the orders of the stream: that they wait for what goes before them, and that
 * none waits for long, whoever sees to it that something is always missing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/relay/aside.h"
#include "agent/relay/errands.h"
#include "lib/relay_box.h"

#define CONTAIN(id) "{\"id\":\"" id "\",\"verb\":\"contain\"}"
#define FLOOD       (4 * ERRANDS_MAX)
#define RELEASE(id) "{\"id\":\"" id "\",\"verb\":\"release\"}"

static char *order, *release;

static int begin_away(void **state) {
        const int r = begin(state);

        order = envelope(DSSE_COMMAND, CONTAIN(ID));
        release = envelope(DSSE_COMMAND, RELEASE(OTHER));
        relay_is_away();
        return r;
}

static int end_away(void **state) {
        free(order);
        free(release);
        return end(state);
}

static void assert_nothing_comes(void) {
        char text[4096];

        assert_int_equal(gate_take(text, sizeof(text), QUIET_MS), -1);
}

/* What comes next, which the gate does not answer. */
static int hold(const char *want, int ms) {
        char text[4096];
        int fd = gate_take(text, sizeof(text), ms);

        assert_true(fd >= 0);
        assert_carried(text, want);
        return fd;
}

static void comes_back_within(const char *patience) {
        box.patience = patience;
        relay_comes_back();
}

static void an_order_does_not_wait_for_ever_for_what_the_gate_does_not_answer(void **state) {
        int fd;

        (void) state;
        settle(FLEET "cmd.all." ID, order);
        settle(FLEET "cmd.group.web." OTHER, release);
        comes_back_within("2000");
        fd = hold(release, WAIT_MS);
        assert_nothing_comes();
        assert_takes(order, "{\"id\":\"" ID "\"}");
        assert_int_equal(close(fd), 0);
}

static void an_order_in_hand_outlasts_the_connection(void **state) {
        int fd;

        (void) state;
        settle(FLEET "cmd.all." ID, order);
        settle(FLEET "cmd.group.web." OTHER, release);
        comes_back_within("2000");
        fd = hold(release, WAIT_MS);
        end_of(&box.server);
        assert_takes(order, "{\"id\":\"" ID "\"}");
        assert_int_equal(close(fd), 0);
}

/* The order is of a group that the host is not in any more: nobody brings it a second time. */
static void an_order_in_hand_outlasts_other_attributes(void **state) {
        _cleanup_free_ char *attributes = envelope(DSSE_ATTRIBUTES, "{}");
        int fd;

        (void) state;
        box.attributes = "{\"groups\":[\"web\",\"zed\"]}";
        settle(FLEET "cmd.group.web." ID, order);
        settle(FLEET "cmd.group.zed." OTHER, release);
        comes_back_within("5000");
        fd = hold(release, WAIT_MS);
        publish(FLEET "head", attributes);
        assert_takes(attributes, "{\"id\":\"attributes\",\"state\":\"certified\"}");
        gate_introduce("{\"groups\":[\"db\"]}");
        assert_takes(order, "{\"id\":\"" ID "\"}");
        assert_int_equal(close(fd), 0);
}

/* Signed by nobody, it is never answered as a release is. The stream has nothing of what comes under that subject. */
static void what_comes_live_holds_nothing_back(void **state) {
        _cleanup_free_ char *attributes = envelope(DSSE_ATTRIBUTES, "{}");
        int fd;

        (void) state;
        comes_back_within("30000");
        wait_ready();
        publish(FLEET "head", release);
        fd = hold(release, WAIT_MS);
        settle(FLEET "cmd.group.zed." ID, order);
        publish(FLEET "head", attributes);
        assert_takes(attributes, "{\"id\":\"attributes\",\"state\":\"certified\"}");
        gate_introduce("{\"groups\":[\"zed\"]}");
        assert_int_equal(close(hold(order, 15000)), 0);
        assert_int_equal(close(fd), 0);
}

/* Each waits for a place with the gate, which answers one after the other. */
static void a_flood_does_not_keep_back_what_is_due(void **state) {
        _cleanup_free_ char *junk = envelope(DSSE_COMMAND, "{}");
        char text[4096];
        unsigned n = 0;
        int fd, first;

        (void) state;
        settle(FLEET "cmd.all." ID, order);
        settle(FLEET "cmd.group.web." OTHER, release);
        comes_back_within("2000");
        first = hold(release, WAIT_MS);
        for (unsigned i = 0; i < FLOOD; i++)
                publish(FLEET "head", junk);
        (void) usleep(2500 * 1000);
        while ((fd = gate_take(text, sizeof(text), WAIT_MS)) >= 0 && !strstr(text, order)) {
                gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" OTHER "\"}");
                assert_int_equal(close(fd), 0);
                n++;
        }
        assert_true(fd >= 0);
        assert_in_range(n, 1, ERRANDS_MAX + ERRANDS_OPEN_MAX);
        assert_int_equal(close(fd), 0);
        assert_int_equal(close(first), 0);
}

/* A head comes in the hour within which it asks for all: it names the order and not the release. */
static void what_a_head_names_waits_for_the_rest_too(void **state) {
        _cleanup_free_ char *head = envelope(DSSE_HEAD, "{}");
        int fd;

        (void) state;
        settle(FLEET "cmd.all." ID, order);
        settle(FLEET "cmd.group.web." OTHER, release);
        box.spread_s = 3600;
        comes_back_within("3000");
        wait_ready();
        publish(FLEET "head", head);
        fd = hold(head, WAIT_MS);
        gate_say(fd, DSSE_REPORT, "{\"type\":\"head\",\"missing\":[\"" ID "\"]}");
        assert_int_equal(close(fd), 0);
        assert_nothing_comes();
        assert_takes(order, "{\"id\":\"" ID "\"}");
}

/* So many of that verb, under one address. */
static void settle_many(const char *to, const char *verb, unsigned n) {
        for (unsigned i = 0; i < n; i++) {
                _cleanup_free_ char *text = NULL;
                char payload[96], subject[SUBJECT_SIZE];

                (void) snprintf(payload, sizeof(payload), "{\"id\":\"%032x\",\"verb\":\"%s\"}", i, verb);
                (void) snprintf(subject, sizeof(subject), FLEET "%s%032x", to, i);
                text = envelope(DSSE_COMMAND, payload);
                settle(subject, text);
        }
}

static void of_more_than_there_is_room_for_the_oldest_goes_at_once(void **state) {
        _cleanup_free_ char *oldest = envelope(DSSE_COMMAND, CONTAIN("00000000000000000000000000000000"));
        int fd, other;

        (void) state;
        settle(MINE OTHER, release);
        settle_many("cmd.all.", "contain", ASIDE_ITEMS_MAX + 1);
        comes_back_within("30000");
        fd = hold(release, WAIT_MS);
        other = hold(oldest, WAIT_MS);
        assert_nothing_comes();
        assert_int_equal(close(fd), 0);
        assert_int_equal(close(other), 0);
}

/* What is under way then stands still at the last place that there is with the gate. */
static void a_new_trust_root_begins_again_what_is_under_way(void **state) {
        _cleanup_free_ char *root = envelope(DSSE_TRUST, "{}");
        bool again = false, released = false;
        char text[4096];
        int fd;

        (void) state;
        settle(FLEET "trust.2", root);
        settle(MINE OTHER, release);
        settle_many("cmd.host." HOST ".", "release", ERRANDS_MAX + 16);
        comes_back_within("30000");
        assert_takes(root, "{\"id\":\"" ID "\",\"state\":\"trusted\",\"trust\":{\"version\":2}}");
        assert_takes(release, "{\"refused\":\"untrusted-signer\"}");
        (void) usleep(2 * 1000 * 1000);
        while (!released && (fd = gate_take(text, sizeof(text), WAIT_MS / 10)) >= 0) {
                gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" OTHER "\"}");
                assert_int_equal(close(fd), 0);
                again = again || strstr(text, root);
                released = strstr(text, release);
        }
        assert_true(again && released);
}

/* The numbers of two fleets' roots have nothing to do with each other. */
static void in_another_fleet_each_trust_root_is_a_new_one(void **state) {
        _cleanup_free_ char *root = envelope(DSSE_TRUST, "{}"), *attributes = envelope(DSSE_ATTRIBUTES, "{}");
        char text[4096];
        int fd = -1;

        (void) state;
        settle("$JS.API.STREAM.CREATE.FRZ_CMD_test",
               "{\"name\":\"FRZ_CMD_test\",\"subjects\":[\"frz.v1.test.cmd.>\"],\"storage\":\"memory\","
               "\"allow_direct\":true}");
        comes_back_within(NULL);
        wait_ready();
        publish(FLEET "head", root);
        assert_takes(root, "{\"id\":\"" ID "\",\"state\":\"trusted\",\"trust\":{\"version\":5}}");
        box.fleet = "test";
        publish(FLEET "head", attributes);
        assert_takes(attributes, "{\"id\":\"attributes\",\"state\":\"certified\"}");
        gate_introduce("{}");
        for (int i = 0; i < WAIT_MS / QUIET_MS && fd < 0; i++) {
                publish("frz.v1.test.head", root);
                fd = gate_take(text, sizeof(text), QUIET_MS);
        }
        assert_carried(text, root);
        for (struct inbox_item *item; (item = published(QUIET_MS, true));)
                free(item);
        gate_say(fd, DSSE_RECEIPT, "{\"id\":\"" ID "\",\"state\":\"trusted\",\"trust\":{\"version\":2}}");
        struct inbox_item *item = published(WAIT_MS, true);

        assert_non_null(item);
        assert_string_equal(item->subject, "$JS.API.DIRECT.GET.FRZ_CMD_test");
        free(item);
        assert_int_equal(close(fd), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin_away, end_away)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(an_order_does_not_wait_for_ever_for_what_the_gate_does_not_answer),
                CASE(an_order_in_hand_outlasts_the_connection),
                CASE(an_order_in_hand_outlasts_other_attributes),
                CASE(what_comes_live_holds_nothing_back),
                CASE(a_flood_does_not_keep_back_what_is_due),
                CASE(what_a_head_names_waits_for_the_rest_too),
                CASE(of_more_than_there_is_room_for_the_oldest_goes_at_once),
                CASE(in_another_fleet_each_trust_root_is_a_new_one),
                CASE(a_new_trust_root_begins_again_what_is_under_way),
        };

        if (sodium_init() < 0 || leash_open() < 0)
                return 1;
        /* nothing of the library is waited for, and what it still has is no leak of ours */
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
}
