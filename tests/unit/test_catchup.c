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

static void make_stream(void) {
        _cleanup_json_ json_t *wanted = streams_wanted(STREAMS_CMD, FLEET);
        _cleanup_free_ char *text = streams_request(wanted, NULL);
        char name[SUBJECT_SIZE], subject[CARRIER_SUBJECT_SIZE];

        assert_int_equal(streams_name(STREAMS_CMD, FLEET, name), 0);
        (void) snprintf(subject, sizeof(subject), "$JS.API.STREAM.CREATE.%s", name);
        ask(subject, text);
}

static void comes(int64_t *from, const char *text) {
        struct carrier_event *e;

        if (catchup_next(carrier, FLEET, ALL, from, &e, &why) != 0)
                fail_msg("%s", why.text);
        if (!text)
                assert_null(e);
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
        make_stream();
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

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(where_nobody_keeps_anything_that_is_said),
                cmocka_unit_test(all_under_a_pattern_comes_once_in_its_order_and_what_comes_later_too),
                cmocka_unit_test(the_last_under_a_subject_is_asked_for_by_it),
                cmocka_unit_test(what_is_no_question_is_an_error_and_not_the_end),
        };

        return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, begin, end);
}
