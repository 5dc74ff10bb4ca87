/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: agent/relay/line.c agent/relay/inbox.c agent/relay/leash.c */

/* What the stream has that nobody should have put there: a relay that was away finds every order behind it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/relay_box.h"

#define GET       "$JS.API.DIRECT.GET.FRZ_CMD_prod"
#define ALL(id)   FLEET "cmd.all." id
#define SHORT     "3000" /* its patience: it asks again after a second */
#define BURST     3000
#define ORDER(id) envelope(DSSE_COMMAND, "{\"id\":\"" id "\",\"verb\":\"contain\"}")

static void takes(const char *want) {
        assert_takes(want, "{\"id\":\"" ID "\"}");
}

/* Waits until the stream has something under that subject. */
static void wait_stored(const char *subject) {
        char question[SUBJECT_SIZE + 32];

        (void) snprintf(question, sizeof(question), "{\"last_by_subj\":\"%s\"}", subject);
        for (int i = 0; i < WAIT_MS / 20; i++) {
                struct inbox_item *item;

                publish("$JS.API.STREAM.MSG.GET.FRZ_CMD_prod", question);
                item = published(WAIT_MS, false);
                assert_non_null(item);
                const bool is_there = !strstr(item->text, "\"error\"");

                free(item);
                if (is_there)
                        return;
                (void) usleep(20 * 1000);
        }
        fail_msg("nothing under %s", subject);
}

/* As a host may: it asks, and says where the answer shall go. */
static void have_answered(const char *question, const char *to) {
        assert_int_equal(line_say(box.line, GET, to, question, strlen(question)), 0);
        wait_stored(to);
}

static void send_all(int fd, const char *text, size_t n) {
        assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

#define CONNECT "CONNECT {\"verbose\":false,\"headers\":true}\r\n"

static int connect_raw(void) {
        struct sockaddr_in a = { .sin_family = AF_INET,
                                 .sin_port = htons(box.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(connect(fd, (struct sockaddr *) &a, sizeof(a)), 0);
        send_all(fd, CONNECT, strlen(CONNECT));
        return fd;
}

/* Publishes with these headers, byte for byte. */
static void publish_raw(const char *subject, const char *headers, size_t n_headers) {
        _cleanup_close_ int fd = connect_raw();
        char line[SUBJECT_SIZE + 96];

        (void) snprintf(line, sizeof(line), "HPUB %s %zu %zu\r\n", subject, n_headers, n_headers + 1);
        send_all(fd, line, strlen(line));
        send_all(fd, headers, n_headers);
        send_all(fd, "x\r\n", 3);
        wait_stored(subject);
}

/* It answers what there is not, and keeps that itself: of orders, and of trust roots. */
static void that_there_is_nothing_is_no_message_s_to_say(void **state) {
        _cleanup_free_ char *order = ORDER(ID), *root = envelope(DSSE_TRUST, "{}");

        (void) state;
        relay_is_away();
        have_answered("{\"seq\":99999}", FLEET "trust.1");
        have_answered("{\"seq\":99999}", ALL(OTHER));
        settle(ALL(ID), order);
        settle(FLEET "trust.2", root);
        relay_comes_back();
        takes(root);
        takes(order);
}

static void a_copy_of_what_was_there_before_does_not_lead_back(void **state) {
        _cleanup_free_ char *old = ORDER(OTHER), *order = ORDER(ID);

        (void) state;
        relay_is_away();
        settle(ALL("0000000000000000000000000000000a"), old);
        have_answered("{\"seq\":1}", ALL(OTHER));
        settle(ALL(ID), order);
        relay_comes_back();
        takes(old);
        takes(old);
        takes(order);
}

#define HEADERS(text) \
        { text, sizeof(text) - 1 }

/* Whoever may order may write anything in front of it; some of it no library reads. */
static void no_header_of_a_message_hides_another(void **state) {
        static const struct {
                const char *text;
                size_t n;
        } rows[] = {
                HEADERS("NATS/1.0\r\nStatus: 404\r\n\r\n"),
                HEADERS("NATS/1.0\r\nNats-Sequence: 1\r\n\r\n"),
                HEADERS("NATS/1.0\r\nNats-Sequence: 9000000000000000000\r\n\r\n"),
                HEADERS("NATS/1.0 404 Message Not Found\r\n\r\n"),
                HEADERS("NATS/1.0 503\r\n\r\n"),
                HEADERS("NATS/1.0 404xx"),
                HEADERS("NATS/1.0\r\nNats-Sequence:\r\n\r\n"),
                HEADERS("NATS/1.0\r\n\r\n\r\n"),
                HEADERS("NATS/1.0\r\nx\0y: z\r\n\r\n"),
                HEADERS("NATS/1.0\r\nNats-Sequence: 1\r\n\r\n\r\n"),
                HEADERS("x"),
        };
        char subject[SUBJECT_SIZE];

        (void) state;
        for (unsigned i = 0; i < ELEMENTSOF(rows); i++) {
                _cleanup_free_ char *before = ORDER(OTHER), *order = ORDER(ID);

                relay_is_away();
                settle(ALL("ffffffffffffffffffffffffffffffff"), before);
                (void) snprintf(subject, sizeof(subject), ALL("%032x"), i);
                publish_raw(subject, rows[i].text, rows[i].n);
                settle(ALL(ID), order);
                relay_comes_back();
                takes(before);
                takes(order);
        }
}

static void what_is_larger_than_any_order_is_gone_past(void **state) {
        _cleanup_free_ char *order = ORDER(ID), *large = malloc(DSSE_ENVELOPE_MAX + 2);

        (void) state;
        memset(large, 'x', DSSE_ENVELOPE_MAX + 1);
        large[DSSE_ENVELOPE_MAX + 1] = '\0';
        relay_is_away();
        settle(ALL(OTHER), large);
        settle(ALL(ID), order);
        relay_comes_back();
        takes(order);
}

#define STREAM(direct)                                                                                         \
        "{\"name\":\"FRZ_CMD_prod\",\"subjects\":[\"frz.v1.prod.cmd.>\",\"frz.v1.prod.trust.>\"],\"storage\":" \
        "\"memory\",\"max_msgs_per_subject\":1,\"allow_direct\":" direct "}"

#define OFTEN 8

/* Says to whoever asks the stream that nobody is there to answer, until nobody has asked for a while or it was asked
 * often enough: for every pattern, and more often than each time after the same while. */
static unsigned say_that_nobody_is_there(int fd) {
        const struct timeval patience = { .tv_sec = 15 };
        char line[1024], reply[SUBJECT_SIZE], said[SUBJECT_SIZE + 64];
        FILE *f = fdopen(dup(fd), "re");
        unsigned n = 0;

        assert_non_null(f);
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
        while (n < OFTEN && fgets(line, sizeof(line), f)) {
                if (sscanf(line, "MSG " GET " 1 %127s", reply) != 1)
                        continue;
                (void) snprintf(said, sizeof(said), "HPUB %s 16 16\r\nNATS/1.0 503\r\n\r\n\r\n", reply);
                send_all(fd, said, strlen(said));
                n++;
        }
        assert_int_equal(fclose(f), 0);
        return n;
}

/* A leaf that has no hub yet, or a stream that has no leader. */
static void a_stream_that_cannot_answer_yet_is_asked_again(void **state) {
        _cleanup_free_ char *order = ORDER(ID);
        int fd;

        (void) state;
        relay_is_away();
        settle(ALL(ID), order);
        settle("$JS.API.STREAM.UPDATE.FRZ_CMD_prod", STREAM("false"));
        fd = connect_raw();
        send_all(fd, "SUB " GET " 1\r\n", strlen("SUB " GET " 1\r\n"));
        box.patience = SHORT;
        relay_comes_back();
        assert_int_equal(say_that_nobody_is_there(fd), OFTEN);
        assert_int_equal(close(fd), 0);
        settle("$JS.API.STREAM.UPDATE.FRZ_CMD_prod", STREAM("true"));
        takes(order);
}

/* Somebody floods it with what comes so fast that some of it is lost, all the time. */
static void a_flood_does_not_put_off_what_it_asks_for(void **state) {
        _cleanup_free_ char *order = ORDER(ID), *junk = envelope(DSSE_RECEIPT, "{}");
        char text[4096];
        int fd = -1;

        (void) state;
        relay_is_away();
        settle(ALL(ID), order);
        box.patience = SHORT;
        box.spread_s = 3600;
        relay_comes_back();
        wait_ready();
        for (int i = 0; i < WAIT_MS / QUIET_MS && fd < 0; i++) {
                for (unsigned k = 0; k < BURST; k++)
                        publish(FLEET "head", junk);
                assert_int_equal(line_settle(box.line), 0);
                fd = gate_take(text, sizeof(text), QUIET_MS);
        }
        assert_true(fd >= 0);
        assert_carried(text, order);
        assert_int_equal(close(fd), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(that_there_is_nothing_is_no_message_s_to_say),
                CASE(a_copy_of_what_was_there_before_does_not_lead_back),
                CASE(no_header_of_a_message_hides_another),
                CASE(what_is_larger_than_any_order_is_gone_past),
                CASE(a_stream_that_cannot_answer_yet_is_asked_again),
                CASE(a_flood_does_not_put_off_what_it_asks_for),
        };

        if (sodium_init() < 0 || leash_open() < 0)
                return 1;
        /* nothing of the library is waited for, and what it still has is no leak of ours */
        _exit(cmocka_run_group_tests(tests, NULL, NULL));
}
