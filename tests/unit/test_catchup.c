/* SPDX-License-Identifier: Apache-2.0 */
/* LINK: ctl/catchup.c ctl/streams.c ctl/member.c ctl/carrier.c ctl/carrier_child.c ctl/carrier_frame.c ctl/file.c */
/* LINK: ctl/text.c ctl/why.c ctl/times.c */

/* What a real stream keeps, message by message. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "ctl/catchup.h"
#include "ctl/streams.h"
#include "lib/nats_fixture.h"
#include "policy/dsse.h"

#define FLEET "eu.prod"
#define ALL   "frz.v1.eu~prod.cmd.host.*.attributes"

static struct carrier *carrier;
static struct why why;

static int begin(void **state) {
        (void) nats_begin(state);
        carrier = nats_carrier_at(server.port);
        return 0;
}

static int end(void **state) {
        carrier_free(carrier);
        return nats_end(state);
}

/* Waits for the answer, and is done with it. */
static void ask(const char *subject, const char *text) {
        struct carrier_event *e = NULL;

        if (carrier_ask(carrier, subject, text, strlen(text), &e, &why) != 0)
                fail_msg("%s", why.text);
        assert_int_equal(e->status, 0);
        free(e);
}

/* largest 0: as large as ours lets a message be */
static void make_stream(const char *how, int largest) {
        _cleanup_json_ json_t *wanted = streams_wanted(STREAMS_CMD, FLEET);
        char name[SUBJECT_SIZE], subject[CARRIER_SUBJECT_SIZE];

        if (largest > 0)
                assert_int_equal(json_object_set_new(wanted, "max_msg_size", json_integer(largest)), 0);
        _cleanup_free_ char *text = streams_request(wanted, NULL);
        assert_int_equal(streams_name(STREAMS_CMD, FLEET, name), 0);
        (void) snprintf(subject, sizeof(subject), "$JS.API.STREAM.%s.%s", how, name);
        ask(subject, text);
}

static void put(int fd, const char *bytes, size_t n) {
        assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

/* As somebody does who has no carrier, with headers as they like them. It is stored when that returns. */
static void store(const char *subject, const char *headers, const char *text, size_t n) {
        const struct sockaddr_in a = { .sin_family = AF_INET,
                                       .sin_port = htons(server.port),
                                       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        _cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        char line[1024] = "";
        int k;

        assert_int_equal(connect(fd, (const struct sockaddr *) &a, sizeof(a)), 0);
        k = snprintf(line, sizeof(line),
                     "CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB thief 1\r\nHPUB %s thief %zu %zu\r\n%s",
                     subject, strlen(headers), strlen(headers) + n, headers);
        put(fd, line, (size_t) k);
        put(fd, text, n);
        put(fd, "\r\n", 2);
        for (size_t got = 0; !strstr(line, "\"seq\"");) {
                ssize_t more = recv(fd, line + got, sizeof(line) - 1 - got, 0);
                assert_true(more > 0);
                got += (size_t) more;
                line[got] = '\0';
        }
}

static void comes(int64_t *from, const char *text) {
        struct carrier_event *e;

        if (catchup_next(carrier, FLEET, ALL, from, &e, &why) != 0)
                fail_msg("%s", why.text);
        if (!text)
                assert_null(e);
        else if (!e)
                fail_msg("it ended before \"%s\"", text);
        else
                assert_string_equal(e->text, text);
        free(e);
}

static void where_nobody_keeps_anything_that_is_said(void **state) {
        struct carrier_event *e;
        int64_t from = 1;

        (void) state;
        assert_int_equal(catchup_next(carrier, FLEET, ALL, &from, &e, &why), CTL_MACHINE);
        assert_null(e);
        assert_true(*why.text);
        assert_int_equal(from, 1);
}

static void all_under_a_pattern_comes_once_in_its_order_and_what_comes_later_too(void **state) {
        int64_t from = 1, again = 1;

        (void) state;
        make_stream("CREATE", 0);
        comes(&from, NULL);
        ask("frz.v1.eu~prod.cmd.host.b.attributes", "one");
        ask("frz.v1.eu~prod.cmd.host.b.0123456789abcdef0123456789abcdef", "an order");
        ask("frz.v1.eu~prod.cmd.host.a.attributes", "two");
        comes(&from, "one");
        comes(&from, "two");
        comes(&from, NULL);
        ask("frz.v1.eu~prod.cmd.host.b.attributes", "three");
        comes(&from, "three");
        comes(&from, NULL);
        /* one is kept of each */
        comes(&again, "two");
        comes(&again, "three");
        comes(&again, NULL);
}

static void the_last_under_a_subject_is_asked_for_by_it(void **state) {
        struct carrier_event *e;

        (void) state;
        assert_int_equal(catchup_ask(carrier, FLEET, "frz.v1.eu~prod.cmd.host.b.attributes", "", &e, &why), 0);
        assert_string_equal(e->text, "three");
        free(e);
        assert_int_equal(catchup_ask(carrier, FLEET, "frz.v1.eu~prod.cmd.host.c.attributes", "", &e, &why), 0);
        assert_null(e);
}

static void what_is_no_question_is_an_error_and_not_the_end(void **state) {
        struct carrier_event *e;

        (void) state;
        assert_int_equal(catchup_ask(carrier, FLEET, NULL, "{}", &e, &why), CTL_MACHINE);
        assert_null(e);
        assert_int_equal(catchup_ask(carrier, "No.Name", NULL, "{}", &e, &why), CTL_MACHINE);
}

/* Takes what comes until that does. */
static void comes_at_last(int64_t *from, const char *text) {
        struct carrier_event *e = NULL;

        for (bool is = false; !is; free(e)) {
                if (catchup_next(carrier, FLEET, ALL, from, &e, &why) != 0)
                        fail_msg("%s", why.text);
                if (!e)
                        fail_msg("it ended before \"%s\"", text);
                is = strcmp(e->text, text) == 0;
        }
}

/* An answer of the stream's own, which a host has it give where orders are; and a copy of what is kept. */
static void what_is_stored_as_an_answer_of_the_stream_ends_nothing(void **state) {
        int64_t from = 4;

        (void) state;
        assert_int_equal(carrier_say(carrier, "$JS.API.DIRECT.GET.FRZ_CMD_eu~prod",
                                     "frz.v1.eu~prod.cmd.host.x.attributes", "{\"seq\":4711}", 12),
                         0);
        assert_int_equal(carrier_settle(carrier), 0);
        assert_int_equal(carrier_say(carrier, "$JS.API.DIRECT.GET.FRZ_CMD_eu~prod",
                                     "frz.v1.eu~prod.cmd.host.y.attributes", "{\"seq\":2}", 9),
                         0);
        assert_int_equal(carrier_settle(carrier), 0);
        ask("frz.v1.eu~prod.cmd.host.c.attributes", "behind it");
        comes(&from, "three");
        comes(&from, "");
        comes(&from, "an order");
        comes(&from, "behind it");
        comes(&from, NULL);
}

static void what_its_publisher_wrote_above_it_ends_nothing(void **state) {
        static const char *const headers[] = {
                "NATS/1.0 404 No Messages\r\n\r\n",
                "NATS/1.0\r\nStatus: 404\r\nNats-Sequence: 1\r\nNats-Sequence: 99999999\r\n\r\n",
                "NATS/1.0 503\r\n\r\n",
                /* of which libnats reads nothing */
                "NATS/1.0 404\r\n no: name\r\n\r\n",
                "NATS/1.0\r\nno name\r\n\r\n",
        };
        int64_t from = 1;

        (void) state;
        for (size_t i = 0; i < ELEMENTSOF(headers); i++) {
                char behind[32];
                ask("frz.v1.eu~prod.cmd.host.b.0123456789abcdef0123456789abcdef", "an order");
                store("frz.v1.eu~prod.cmd.host.x.attributes", headers[i], "thief's", 7);
                (void) snprintf(behind, sizeof(behind), "behind %zu", i);
                ask("frz.v1.eu~prod.cmd.host.c.attributes", behind);
                comes_at_last(&from, "thief's");
                comes_at_last(&from, behind);
                comes(&from, NULL);
        }
}

/* Where somebody else has made the stream. */
static void what_is_too_long_comes_empty_and_ends_nothing(void **state) {
        static char large[200 * 1024];
        struct carrier_event *e;
        int64_t from = 1;

        (void) state;
        memset(large, 'x', sizeof(large));
        make_stream("UPDATE", 256 * 1024);
        store("frz.v1.eu~prod.cmd.host.x.attributes", "NATS/1.0\r\n\r\n", large, sizeof(large));
        ask("frz.v1.eu~prod.cmd.host.c.attributes", "behind that, too");
        comes_at_last(&from, "");
        comes(&from, "behind that, too");
        comes(&from, NULL);
        assert_int_equal(catchup_ask(carrier, FLEET, "frz.v1.eu~prod.cmd.host.x.attributes", "", &e, &why), 0);
        assert_non_null(e);
        assert_int_equal(e->n, 0);
        free(e);
}

/* What an envelope can be is as large as ours has it. */
static void a_stream_of_ours_takes_what_an_envelope_can_be_and_no_more(void **state) {
        static char large[DSSE_ENVELOPE_MAX + 2];
        struct carrier_event *e = NULL;

        (void) state;
        memset(large, 'y', sizeof(large) - 1);
        make_stream("UPDATE", 0);
        assert_int_equal(
                carrier_ask(carrier, "frz.v1.eu~prod.cmd.host.y.attributes", large, DSSE_ENVELOPE_MAX, &e, &why), 0);
        assert_null(strstr(e->text, "error"));
        free(e);
        assert_int_equal(
                carrier_ask(carrier, "frz.v1.eu~prod.cmd.host.y.attributes", large, DSSE_ENVELOPE_MAX + 1, &e, &why),
                0);
        assert_non_null(strstr(e->text, "error"));
        free(e);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(where_nobody_keeps_anything_that_is_said),
                cmocka_unit_test(all_under_a_pattern_comes_once_in_its_order_and_what_comes_later_too),
                cmocka_unit_test(the_last_under_a_subject_is_asked_for_by_it),
                cmocka_unit_test(what_is_no_question_is_an_error_and_not_the_end),
                cmocka_unit_test(what_is_stored_as_an_answer_of_the_stream_ends_nothing),
                cmocka_unit_test(what_its_publisher_wrote_above_it_ends_nothing),
                cmocka_unit_test(what_is_too_long_comes_empty_and_ends_nothing),
                cmocka_unit_test(a_stream_of_ours_takes_what_an_envelope_can_be_and_no_more),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
